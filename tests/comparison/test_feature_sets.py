from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_comparisons import volume_spec
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVC

from tumorkeras import compare, load_samples
from tumorkeras.comparison import METHODS, Fold, Problem, problem
from tumorkeras.comparison.feature_sets import checked_tables
from tumorkeras.errors import DataError, ModelError, SpecError
from tumorkeras.features.columns import columns_of
from tumorkeras.metrics.scorers import mean_auc
from tumorkeras.training.networks import autoencoder_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("feature_sets")


@pytest.fixture(scope="module")
def samples(folder):
    return load_samples(volume_spec(folder))


@pytest.fixture(scope="module")
def telling(samples):
    """A number that tells the classes, with a gap, and a category that does not."""
    noise = np.random.default_rng(0).normal(size=len(samples))
    table = pd.DataFrame({"marker": 6 * samples.labels + noise, "side": ["left", "right"] * 24})
    table.loc[3, "marker"] = np.nan
    table.loc[5, "side"] = None
    return table


def test_a_row_for_each_method_and_feature_set(samples, telling, tmp_path):
    sets = ["hand-made", "mine", "hand-made+mine"]
    table = compare(samples.spec, ["svm_linear"], tmp_path, features=sets, tables={"mine": telling}, samples=samples)
    assert table["method"].tolist() == ["majority", "trivial", *["svm_linear"] * 3]
    assert table["features"].tolist()[2:] == ["features of volumes", "mine", "features of volumes + mine"]
    assert table["error"].tolist() == [""] * 5
    assert table["accuracy"][3] > 0.95
    assert table["method"][table.attrs["best"]] == "svm_linear"
    names = {path.name for path in (tmp_path / "comparison_folds").iterdir()}
    assert {"svm_linear-1.json", "svm_linear@mine-2.json", "svm_linear@hand-made+mine-1.json"} <= names


def test_tables_of_ones_own_join_the_sets_of_the_spec(samples, telling):
    table = compare(samples.spec, ["svm_linear"], tables={"mine": telling}, samples=samples)
    assert table["features"].tolist()[2:] == ["features of volumes", "mine"]


def test_another_table_of_the_same_name_is_refused(samples, telling, tmp_path):
    options = {"features": ["mine"], "samples": samples}
    compare(samples.spec, ["svm_linear"], tmp_path, tables={"mine": telling}, **options)
    with pytest.raises(ModelError, match=r"svm_linear@mine-1\.json: was made with other features of the same name"):
        compare(samples.spec, ["svm_linear"], tmp_path, tables={"mine": telling.fillna({"marker": 0.0})}, **options)
    compare(samples.spec, ["majority"], tmp_path, samples=samples)  # which asks for none of it


def test_one_autoencoder_and_one_code_a_fold_whatever_reads_them(samples, monkeypatch):
    trained, coded = [], []

    def counted(self):
        trained.append(self.seed)
        return train(self)

    train = Fold._trained_autoencoder
    codes_of = Fold._codes_of
    monkeypatch.setattr(Fold, "_trained_autoencoder", counted)
    monkeypatch.setattr(Fold, "_codes_of", lambda self, model: coded.append(self.seed) or codes_of(self, model))
    table = compare(samples.spec, ["svm_linear", "svm_rbf"], features=["autoencoder"], samples=samples)
    assert trained == [1, 2]
    assert coded == [1, 2]
    assert table["features"].tolist()[2:] == ["autoencoder features"] * 2
    assert table["error"].tolist() == [""] * 4


def test_missing_values_are_filled_in_from_the_training_fold(telling):
    training = telling.iloc[:10]
    made = columns_of(telling).fit(training)
    found = made.transform(pd.DataFrame({"marker": [np.nan, np.nan], "side": ["left", "above"]}))
    median = training["marker"].median()
    scale = training["marker"].fillna(median)
    assert found[:, 0] == pytest.approx((median - scale.mean()) / scale.std(ddof=0))
    assert found[0, 1:].tolist() == [1, 0, 0]  # left, right, missing
    assert found[1, 1:].tolist() == [0, 0, 0]  # a side that no training row has


def test_constant_and_empty_columns_and_more_features_than_samples_do_no_harm(samples):
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.normal(size=(48, 100)) + samples.labels[:, None])
    table = table.assign(constant=3.0, empty=np.nan)
    found = compare(samples.spec, ["svm_linear"], features=["wide"], tables={"wide": table}, samples=samples)
    assert found["error"].tolist() == [""] * 3
    assert found["accuracy"][2] > 0.9


@pytest.mark.parametrize(
    ("tables", "faults"),
    [
        ({"mine": np.ones((47, 2))}, "'mine': has 47 rows, the data have 48 samples"),
        ({"mine": np.ones(48)}, r"found shape \(48,\), expected \(samples, features\)"),
        ({"mine": pd.DataFrame({"a": [np.inf] * 48, "b": 1})}, "infinite values in a"),
        ({"mine": pd.DataFrame(index=range(48))}, "has no column"),
        ({"mine": pd.DataFrame(np.ones((48, 2)), columns=["a", "a"])}, r"columns \['a'\] stand more than once"),
        ({"clinical": np.ones((48, 1))}, "give a name of letters"),
        ({"a+b": np.ones((48, 1))}, "give a name of letters"),
        ({"a": np.ones((4, 1)), "b": np.ones((5, 1))}, "(?s)2 faults.*'a': has 4 rows.*'b': has 5 rows"),
    ],
)
def test_tables_that_do_not_fit(tables, faults):
    with pytest.raises(DataError, match=faults):
        checked_tables(tables, 48)


@pytest.mark.parametrize(
    ("features", "faults"),
    [
        (["hand-made", "mien"], "'mien' is unknown; expected some of hand-made, autoencoder, clinical"),
        (["hand-made", "hand-made"], "stands more than once"),
        (["hand-made+hand-made"], "joins a set to itself"),
        ([], "names no feature set"),
        (["hand-made+clinical"], "needs the section clinical"),
    ],
)
def test_unknown_feature_sets(samples, features, faults):
    with pytest.raises(SpecError, match=faults):
        compare(samples.spec, ["svm_linear"], features=features, samples=samples)


def test_clinical_columns_stand_beside_those_of_images(tmp_path):
    ids = [f"p{k}" for k in range(48)]
    pd.DataFrame({"patient": ids, "age": np.repeat([40.0, 60.0], 24), "note": "x"}).to_csv(
        tmp_path / "clinic.csv", index=False
    )
    clinical = {"path": "clinic.csv", "id_column": "patient", "sample_column": "group", "columns": ["age"]}
    spec = volume_spec(tmp_path, groups=ids, clinical=clinical)
    table = compare(spec, ["svm_linear"], features=["clinical", "hand-made+clinical"])
    assert table["features"].tolist()[2:] == ["clinical columns", "features of volumes + clinical columns"]
    assert table["accuracy"][2] == 1.0


def test_tuning_in_several_processes_gives_the_same(samples):
    train = METHODS["svm_rbf"].train
    one, two = (train(Fold(Problem(samples, n_jobs=jobs), np.arange(0, 48, 2), 1))(np.arange(48)) for jobs in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_the_autoencoder_sees_the_training_fold_alone(samples, monkeypatch):
    seen = []

    def fit(model, training, stopping, *_, **__):
        seen.extend([*training.table["id"], *stopping.table["id"]])

    monkeypatch.setattr(problem, "fit", fit)
    fold = Fold(Problem(samples), np.arange(0, 48, 2), 1, "autoencoder")
    fold.autoencoder()
    assert sorted(seen) == sorted(samples.table["id"].iloc[::2])


def test_the_time_of_an_autoencoder_counts_for_everyone_that_reads_it(samples):
    about = Problem(samples)
    fold = Fold(about, np.arange(0, 48, 2), 1, "autoencoder")
    about._learned[fold.rows.tobytes() + b"1"] = problem.Learned(autoencoder_of(samples.spec), 12.5)
    fold.autoencoder()
    assert about.reused_seconds() == 12.5
    assert about.reused_seconds() == 0


def test_columns_of_any_kind_are_read():
    table = pd.DataFrame(
        {
            "object": pd.Series([1.0, None, 2.0], dtype=object),
            "string": pd.Series(["a", None, "b"], dtype="string"),
            "mixed": pd.Series([1, "x", None], dtype=object),
            "flag": [True, False, True],
        }
    )
    read = checked_tables({"mine": table}, 3)["mine"]
    assert read["object"].dtype.kind == "f"
    made = columns_of(read).fit_transform(read)
    assert made.shape == (3, 1 + 3 + 3 + 1)
    assert np.isfinite(made).all()


def test_tables_that_the_spec_names_are_not_named_twice(samples, telling):
    comparison = samples.spec.comparison.model_copy(update={"features": ["hand-made+mine"]})
    spec = samples.spec.model_copy(update={"comparison": comparison})
    found = compare(spec, ["svm_linear"], tables={"mine": telling}, samples=samples)
    assert found["features"].tolist()[2:] == ["features of volumes + mine"]


def test_a_patient_on_both_sides_of_a_fold_is_refused(tmp_path):
    ids = [f"p{k % 24}" for k in range(48)]
    pd.DataFrame({"patient": sorted(set(ids)), "age": range(24)}).to_csv(tmp_path / "clinic.csv", index=False)
    clinical = {"path": "clinic.csv", "id_column": "patient", "sample_column": "exam"}
    spec = volume_spec(tmp_path, groups=ids, clinical=clinical)
    splits = spec.splits.model_copy(update={"group": None})
    with pytest.raises(DataError, match=r"\d+ patients \(exam\) are in training and test rows of a fold"):
        compare(spec.model_copy(update={"splits": splits}), ["svm_linear"], features=["clinical"])


def test_areas_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    table, two, three = rng.normal(size=(60, 2)), np.repeat([0, 1], 30), np.repeat([0, 1, 2], 20)
    for labels, model in ((two, SVC()), (two, RandomForestClassifier(20)), (three, RandomForestClassifier(20))):
        model.fit(table[::2], labels[::2])
        scores = model.predict_proba(table) if hasattr(model, "predict_proba") else model.decision_function(table)
        scores = scores[:, 1] if scores.ndim == 2 and len(set(labels)) == 2 else scores
        assert mean_auc(model, table, labels) == pytest.approx(roc_auc_score(labels, scores, multi_class="ovr"))
    model = SVC().fit(table, three)
    assert 0.5 < mean_auc(model, table, three) <= 1
