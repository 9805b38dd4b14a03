"""The table of patients: figures against pandas and SciPy, cuts and codes, what is missing, bad input."""

from __future__ import annotations

import builtins
import logging

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tumorkeras import cohort_table
from tumorkeras.cohort import CohortRow, CohortSpec
from tumorkeras.errors import DataError, MissingExtraError, SpecError

PATIENTS = pd.DataFrame(
    {
        "name": ["Ann Example", "Bea Example", "Cora Example", "Dora Example", "Eva Example", "Fay Example"],
        "age": [35, 36, 70, 41, 52, np.nan],
        "size": [20, 21, 8, 20.0, np.nan, 30],
        "meno": [0, 0.0, 1, 0, 1, None],
        "grade": [1, 2, 2, 3, 2, 2],
        "arm": ["a", "a", "a", "b", "b", None],
    }
)


def cells(table):
    """The cells by row, value and column, without what tableone writes after the name."""
    frame = table.tableone
    columns = [column[-1] if isinstance(column, tuple) else column for column in frame.columns]
    rows = [(name.split(",")[0], value) for name, value in frame.index]
    return pd.DataFrame(frame.to_numpy().astype(str), pd.MultiIndex.from_tuples(rows), columns)


def of(*rows, group=None, **options):
    return cells(cohort_table(PATIENTS, {"rows": rows, "group": group, **options}))


def test_cuts_are_closed_above_and_in_the_unit_that_is_shown():
    table = of({"label": "Size", "column": "size", "scale": 0.1, "unit": "cm", "cut": [1, 2]})
    shown = table.loc["Size (cm)"]["Overall"].to_dict()
    assert shown == {"<= 1": "1 (20.0)", "> 1 to 2": "2 (40.0)", "> 2": "2 (40.0)"}
    assert table.loc[("Size (cm)", "<= 1"), "Missing"] == "1"


def test_codes_have_their_meaning_whatever_their_type():
    row = {"label": "Menopause", "column": "meno", "categories": {1: "after", 0: "before"}}
    for column in (PATIENTS["meno"], PATIENTS["meno"].map({0: "0", 1: "1"}), PATIENTS["meno"].astype("boolean")):
        table = cells(cohort_table(PATIENTS.assign(meno=column), {"rows": [row]}))
        assert list(table.loc["Menopause"].index) == ["after", "before"]
        assert table.loc[("Menopause", "before"), "Overall"] == "3 (60.0)"
        assert table.loc[("Menopause", "after"), "Missing"] == "1"


def test_numbers_by_quartiles_range_and_mean():
    age = PATIENTS["age"].dropna()
    rows = [{"label": name, "column": "age", "summary": name} for name in ("median_iqr", "median_range", "mean_sd")]
    table = of(*rows)["Overall"]
    low, middle, high = age.quantile([0.25, 0.5, 0.75])
    assert table[("median_iqr", "")] == f"{middle:.1f} [{low:.1f},{high:.1f}]"
    assert table[("median_range", "")] == f"{middle:.1f} [{age.min():.1f},{age.max():.1f}]"
    assert table[("mean_sd", "")] == f"{age.mean():.1f} ({age.std():.1f})"


def test_few_numbers_are_counted_and_text_is_sorted():
    table = of({"label": "Grade", "column": "grade"}, {"label": "Arm", "column": "arm"})
    assert table.loc["Grade"]["Overall"].to_dict() == {"1": "1 (16.7)", "2": "4 (66.7)", "3": "1 (16.7)"}
    assert list(table.loc["Arm"].index) == ["a", "b"]


def test_groups_have_their_columns_and_patients_without_one_too():
    table = of({"label": "Age", "column": "age"}, group={"label": "Arm", "column": "arm"}, tests=False)
    assert list(table.columns) == ["Missing", "Overall", "a", "b", "not known"]
    assert table.loc[("n", "")].tolist() == ["", "6", "3", "2", "1"]


def test_tests_between_groups_are_those_of_scipy(data_folder):
    patients = pd.read_csv(data_folder / "cohort" / "gbsg.csv")
    table = cells(cohort_table(patients, "breast_cancer"))
    therapy = [part for _, part in patients.groupby("hormon")]
    expected = {
        ("Oestrogen receptors (fmol/l)", ""): stats.kruskal(*[part["er"] for part in therapy]).pvalue,
        ("Grade", "1"): stats.chi2_contingency(pd.crosstab(patients["grade"], patients["hormon"])).pvalue,
    }
    for row, p_value in expected.items():
        assert float(table.loc[row, "P-Value"]) == pytest.approx(p_value, abs=5e-4)
    assert table.loc[("Tumour size (cm)", "<= 2"), "Overall"] == f"{(patients['size'] <= 20).sum()} (26.2)"
    assert table.loc[("n", ""), "Overall"] == "686"


def test_the_ready_made_spec_leaves_out_what_is_not_there(caplog):
    with caplog.at_level(logging.INFO):
        table = cells(cohort_table(PATIENTS, "breast_cancer"))
    assert "left out: nodes: no such column, or no value in it, for Lymph nodes" in caplog.text
    assert ("Menopausal status", "premenopausal") in table.index
    assert list(table.columns) == ["Missing", "Overall"]  # no group either


def test_it_is_written_as_html_latex_and_markdown():
    table = cohort_table(PATIENTS, "breast_cancer")
    for text in (table.to_html(), table.to_latex(), table.tabulate(tablefmt="github"), table._repr_html_()):
        assert "premenopausal" in text
        assert "Example" not in text


def test_a_spec_from_a_file_and_as_an_object(tmp_path):
    (tmp_path / "table.yaml").write_text("rows:\n  - {label: Age, column: age}\n")
    spec = CohortSpec(rows=(CohortRow(label="Age", column="age"),))
    expected = cohort_table(PATIENTS, spec).tableone
    pd.testing.assert_frame_equal(cohort_table(PATIENTS, tmp_path / "table.yaml").tableone, expected)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "rows"),
        ([{"label": "Age"}], r"rows\[0\].column"),
        ([{"label": "Age", "column": "age", "cut": [3, 1]}], r"cut: \[3.0, 1.0\] does not rise"),
        ([{"label": "Age", "column": "age", "cut": [3], "summary": "mean_sd"}], "cut and summary are given"),
        ([{"label": "Age", "column": "age", "summary": "mode"}], "summary"),
        ([{"label": "A", "column": "age"}, {"label": "A", "column": "size"}], "label: A stands twice"),
        ([{"label": "A", "column": "age", "colour": 3}], "colour"),
    ],
)
def test_a_bad_spec_is_told(rows, words):
    with pytest.raises(SpecError, match=words):
        cohort_table(PATIENTS, {"rows": rows})


def test_bad_data_are_told_all_at_once():
    rows = [
        {"label": "Stage", "column": "stage"},
        {"label": "Menopause", "column": "meno", "categories": {0: "before"}},
        {"label": "Name", "column": "name", "summary": "mean_sd"},
    ]
    with pytest.raises(DataError) as caught:
        cohort_table(PATIENTS, {"rows": rows})
    assert [fault.split(" for ")[0] for fault in caught.value.faults[:1]] == [
        "stage: no such column, or no value in it,"
    ]
    assert "meno: no category of Menopause for 1" in caught.value.faults
    assert "name: 6 of 6 values are no finite numbers, for Name" in caught.value.faults
    assert "Ann" not in str(caught.value)


def test_infinite_numbers_empty_tables_and_strange_ones_are_told():
    row = {"label": "Age", "column": "age", "cut": [35]}
    with pytest.raises(DataError, match="age: 1 of 6 values are no finite numbers"):
        cohort_table(PATIENTS.assign(age=[1, 2, np.inf, 4, 5, np.nan]), {"rows": [row]})
    with pytest.raises(DataError, match="no patient"):
        cohort_table(PATIENTS.iloc[:0], {"rows": [row]})
    with pytest.raises(DataError, match="age: no such column, or no value in it, for Age"):
        cohort_table(PATIENTS[["name"]], "breast_cancer")


def test_a_column_without_any_value_is_as_one_that_is_not_there():
    patients = PATIENTS.assign(age=np.nan)
    with pytest.raises(DataError, match="age: no such column, or no value in it, for Age"):
        cohort_table(patients, {"rows": [{"label": "Grade", "column": "grade"}, {"label": "Age", "column": "age"}]})
    assert "Age (years)" not in cells(cohort_table(patients, "breast_cancer")).index


def test_without_tableone_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **options):
        if name == "tableone":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"tumorkeras\[cohort\]"):
        cohort_table(PATIENTS, "breast_cancer")
