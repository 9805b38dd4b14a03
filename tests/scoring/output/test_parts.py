"""An output that grows by parts: the end is the same, however it came there."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_parts import PATHS, SETTINGS, TEMPLATE, TYPES, begun, finished, plan, rows, whole

from tumorkeras.errors import DataError
from tumorkeras.scoring.output import final
from tumorkeras.scoring.output.parts import Counts, Parts
from tumorkeras.scoring.output.plans import Plan


@pytest.fixture
def output(tmp_path):
    return tmp_path / "preds.parquet"


# ------------------------------------------------------------------------------------------- the final file


def test_the_final_parquet_is_the_table_with_its_settings(output):
    assert finished(output) == output
    read = pd.read_parquet(output)
    pd.testing.assert_frame_equal(read, whole())
    assert read.attrs == {"scoring": SETTINGS}
    assert json.loads(pq.read_schema(output).metadata[b"tumorkeras"]) == SETTINGS
    assert pq.ParquetFile(output).metadata.row_group(0).column(0).compression == "ZSTD"
    assert os.listdir(output.parent) == [output.name]


def test_the_final_csv_is_the_text_of_the_table(tmp_path):
    path = finished(tmp_path / "preds.csv")
    assert path.read_bytes() == whole().to_csv(index=False).encode()


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_list_without_inputs_gives_the_columns(tmp_path, ending):
    path = finished(tmp_path / f"preds.{ending}", paths=[])
    read = pd.read_parquet(path) if ending == "parquet" else pd.read_csv(path)
    assert (list(read.columns), len(read)) == (list(TYPES), 0)


def test_small_parts_are_merged_into_row_groups(output, monkeypatch):
    monkeypatch.setattr(final, "ROWS", 6)
    groups = pq.ParquetFile(finished(output, width=1)).metadata
    sizes = [groups.row_group(k).num_rows for k in range(groups.num_row_groups)]
    assert sum(sizes) == len(whole())
    assert all(6 <= size < 8 for size in sizes[:-1])


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_any_order_and_any_interruption_give_the_same_file(data):
    width = data.draw(st.integers(1, 11))
    order = data.draw(st.permutations(list(plan(width=width).windows())))
    cuts = data.draw(st.sets(st.integers(0, len(order))))
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "preds.parquet")
        parts = Parts.open(output, plan(width=width), TEMPLATE, resume=True)
        for number, window in enumerate(order):
            if number in cuts:
                parts.close()
                parts = Parts.open(output, plan(width=width), TEMPLATE, resume=True)
            assert list(parts.missing()) == sorted(order[number:])
            parts.add(*window, rows(*window))
        assert parts.counts == (10, 8, 2)
        parts.finish()
        pd.testing.assert_frame_equal(pd.read_parquet(output), whole())


# ------------------------------------------------------------------------------------------- on the way


def test_the_folder_reads_as_a_table_while_it_grows(output):
    with Parts.open(output, plan(), TEMPLATE, resume=True) as parts:
        assert parts.counts == Counts(inputs=10, ok=0, error=0)
        for window in [(8, 10), (0, 4)]:  # of the first all ids are missing, and objects
            parts.add(*window, rows(*window))
            read = pd.read_parquet(f"{output}.parts")
            assert dict(read.dtypes.astype(str)) == {"_input": "int64", **TEMPLATE.dtypes.astype(str)}
        assert read["_input"].tolist() == [0, 1, 1, 2, 3, 3, 8, 9, 9]
        assert parts.counts == (10, 5, 1)
        assert list(parts.missing()) == [(4, 8)]


def test_ids_that_are_text_in_one_part_and_numbers_in_another(output):
    template = TEMPLATE.astype({"id": "str"})
    with Parts.open(output, plan(width=5), template, resume=True) as parts:
        parts.add(0, 5, rows(0, 5).assign(id="a"))
        parts.add(5, 10, rows(5, 10).assign(id=pd.Series([7, None] * 4, dtype="Int64")))
        parts.finish()
    assert pd.read_parquet(output)["id"].iloc[[0, 7, 8]].fillna("nothing").tolist() == ["a", "7", "nothing"]


def test_rows_that_do_not_fit_are_refused_by_name(output):
    good = rows(0, 4)
    with Parts.open(output, plan(), TEMPLATE.assign(fold=pd.Series(dtype="int64")), resume=True) as parts:
        good["fold"] = 1
        wrong = {
            "column fold is missing": good.drop(columns="fold"),
            "column extra is not in the template": good.assign(extra=1),
            "column score does not fit float": good.assign(score="high"),
            "column fold has missing values, which int64 cannot hold": good.assign(fold=[1, 1, None, 1, 1, 1]),
            "_input: its rows are not those of the inputs 0 to 3": good[good["_input"] != 2],
        }
        for fault, table in wrong.items():
            with pytest.raises(DataError, match=fault):
                parts.add(0, 4, table)
        for table in (good[::-1], pd.concat([good, good]), good.assign(_input=good["_input"] + 1)):
            with pytest.raises(DataError, match="each once and in order"):
                parts.add(0, 4, table)
        for start, stop in ((0, 5), (1, 4), (-4, 0), (8, 12), (12, 16)):
            with pytest.raises(DataError, match="no window"):
                parts.add(start, stop, good)
        parts.add(0, 4, good)
        with pytest.raises(DataError, match="no window that is missing"):
            parts.add(0, 4, good)
        with pytest.raises(DataError, match="6 of 10 inputs have no outcome yet"):
            parts.finish()
    assert not output.exists()


# ------------------------------------------------------------------------------------------- going on


def test_other_settings_are_named_with_the_way_on(output):
    begun(output, (0, 4))
    with pytest.raises(DataError) as caught:
        begun(output, model={"name": "lesions", "version": 2}, batch_size=16)
    assert caught.value.faults == [
        "model.version: it was 1, now it is 2",
        "batch_size: it was 8, now it is 16",
    ]
    assert "resume=False starts anew" in caught.value.heading
    with pytest.raises(DataError, match=r"columns.fold: it was None, now it is 'double'"):
        Parts.open(output, plan(), TEMPLATE.assign(fold=pd.Series(dtype="float64")), resume=True)
    with Parts.open(output, plan(batch_size=16), TEMPLATE, resume=False) as parts:
        assert parts.counts.ok == 0
        assert parts.plan.settings["batch_size"] == 16


def test_the_list_with_which_it_began_is_scored(output):
    carried = pd.DataFrame({"site": list("aabbccddee"), "age": pd.array([None, *range(9)], "Int64")})
    begun(output, (0, 4), carried=carried)
    gone = [k for k in range(10) if k != 5]
    now = plan([PATHS[k] for k in gone], width=3, carried=carried.iloc[gone])
    with Parts.open(output, now, TEMPLATE, resume=True) as parts:
        assert (parts.plan.paths[:], parts.plan.width) == (PATHS, 4)
        pd.testing.assert_frame_equal(parts.plan.carried, carried)
        assert list(parts.missing()) == [(4, 8), (8, 10)]


def test_names_that_are_no_utf8_are_kept_and_told(output):
    paths = ["a\udcff.png", "é 漢.png", "\ud800.png", "c.png"]
    begun(output, paths=paths)
    with Parts.open(output, plan(paths), TEMPLATE, resume=True) as parts:
        assert parts.plan.paths[:] == paths
    with pytest.raises(DataError, match=r"2 are new, such as \\udcfe.png, d.png"):
        begun(output, paths=[*paths, "\udcfe.png", "d.png"])


@pytest.mark.parametrize(
    ("now", "fault"),
    [
        (plan([*PATHS, *"abcde"]), "inputs: 5 are new, such as a, b, c$"),
        (plan([*PATHS, PATHS[3]]), "inputs: 1 are new, such as 03.png$"),  # twice now, once then
        (plan(carried=pd.DataFrame({"site": ["a"] * 10})), "columns carried along: it was nothing, now it is site"),
    ],
)
def test_other_inputs_are_refused(output, now, fault):
    begun(output, (0, 4))
    with pytest.raises(DataError, match=fault):
        Parts.open(output, now, TEMPLATE, resume=True)


def test_other_values_of_carried_columns_are_refused(output):
    carried = pd.DataFrame({"site": list("aabbccddee")})
    begun(output, (0, 4), carried=carried)
    with pytest.raises(DataError, match=r"1 inputs have other values, such as 02.png"):
        begun(output, carried=pd.DataFrame({"site": list("aaxbccddee")}))


def test_lists_that_cannot_be_written_down(output):
    wrong = {
        "carried columns: cannot be written down: .* surrogates": plan(
            carried=pd.DataFrame({"a": ["\ud800"] * 10}, dtype=object)
        ),
        "3 rows of carried columns found, expected 10": plan(carried=pd.DataFrame({"a": [1, 2, 3]})),
        "carried columns: cannot be written down": plan(carried=pd.DataFrame({"a": [1, "x", []] + [None] * 7})),
    }
    for fault, each in wrong.items():
        with pytest.raises(DataError, match=fault):
            Parts.open(output, each, TEMPLATE, resume=True)
        assert not os.listdir(output.parent)


def test_columns_that_parquet_gives_back_as_other_types(tmp_path):
    """Categories, and times in seconds."""
    sites = pd.Categorical(["east", None, "west"], categories=["east", "north", "west"])
    seen = pd.Series(np.array(["2026-01-02", "NaT", "2026-03-04"], "datetime64[s]"))
    table = pd.DataFrame({"_input": range(3), "status": ["ok", "error", "ok"], "site": sites, "seen": seen})
    plan = Plan({}, ["a", "b", "c"], width=2, carried=table[["site", "seen"]])
    template = table.drop(columns="_input").iloc[:0].astype({"status": "str"})
    with Parts.open(tmp_path / "found.parquet", plan, template, resume=True) as parts:
        for start, stop in parts.missing():
            parts.add(start, stop, table.iloc[start:stop])
        found = pd.read_parquet(parts.finish())
    assert found["site"].tolist()[::2] == ["east", "west"]
    assert found["site"].isna().tolist() == found["seen"].isna().tolist() == [False, True, False]
    assert found["seen"].dt.strftime("%d.%m.%Y").tolist()[::2] == ["02.01.2026", "04.03.2026"]
    assert found["site"].dtype == "category"
