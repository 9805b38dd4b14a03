"""What the methods said of each sample, read back from the folder of a comparison."""

import numpy as np
import pytest
from made_comparisons import volume_spec
from sklearn.metrics import accuracy_score, roc_auc_score

from tumorkeras import compare, load_samples
from tumorkeras.comparison import fold_predictions, outer_folds
from tumorkeras.comparison.entries import Entry
from tumorkeras.comparison.methods import METHODS
from tumorkeras.errors import ModelError


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return load_samples(volume_spec(tmp_path_factory.mktemp("volumes")))


@pytest.fixture(scope="module")
def mine(samples):
    return {"mine": np.random.default_rng(0).normal(size=(len(samples), 2))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("comparison")


@pytest.fixture(scope="module")
def table(samples, mine, folder):
    return compare(samples.spec, ["svm_linear"], folder, features=["hand-made", "mine"], tables=mine, samples=samples)


@pytest.fixture
def said(table, folder):
    return fold_predictions(folder)


def test_a_row_a_method_and_sample_of_the_folds(said, samples):
    rows = [test for _, test in outer_folds(samples)]
    for _, own in said.groupby(["method", "features"]):
        assert sorted(own["row"]) == sorted(np.concatenate(rows))
        for fold, test in enumerate(rows, start=1):
            assert set(own.loc[own["fold"] == fold, "row"]) == set(test)
    np.testing.assert_array_equal(said["label"], samples.labels[said["row"]])
    np.testing.assert_allclose(said[["probability_0", "probability_1"]].sum(axis=1), 1, atol=1e-6)


def test_the_figures_of_the_table_come_from_them(said, table):
    names = ["none", "trivial", "hand-made", "mine"]
    assert table["method"].tolist() == ["majority", "trivial", "svm_linear", "svm_linear"]
    for (_, row), features in zip(table.iterrows(), names, strict=True):
        own = said[(said["method"] == row["method"]) & (said["features"] == features)]
        folds = [fold for _, fold in own.groupby("fold")]
        areas = [roc_auc_score(fold["label"], fold["probability_1"]) for fold in folds]
        rights = [accuracy_score(fold["label"], fold["probability_1"] > 0.5) for fold in folds]
        assert row["auc"] == pytest.approx(np.mean(areas))
        if row["method"] != "majority":  # at 0.5 it is a matter of the last digit
            assert row["accuracy"] == pytest.approx(np.mean(rights))


def test_a_method_that_is_known_no_more_is_read(table, folder, monkeypatch):
    monkeypatch.delitem(METHODS, "svm_linear")
    said = fold_predictions(folder)
    assert set(said.loc[said["method"] == "svm_linear", "features"]) == {"hand-made", "mine"}


@pytest.mark.parametrize("key", ["majority", "trivial", "ann", "ann@hand-made+clinical", "autoencoder_cnn"])
def test_entries_are_told_by_their_keys(key):
    assert Entry.of(key).key == key


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(ModelError, match="holds no result of a comparison of classes"):
        fold_predictions(tmp_path / "nothing")
    (tmp_path / "comparison_folds").mkdir()
    (tmp_path / "comparison_folds" / "ann-1.json").write_text('{"entry": "ann"}')
    (tmp_path / "comparison_folds" / "ann-2.json").write_text("[]")
    with pytest.raises(ModelError, match=r"(?s)ann-1.json: is no result of a fold.*ann-2.json: is no result"):
        fold_predictions(tmp_path)
