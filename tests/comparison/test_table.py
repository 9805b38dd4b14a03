from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_comparisons import volume_spec
from scipy import stats
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from tumorkeras import DataSpec, compare, load_samples, plots
from tumorkeras.comparison import METHODS, Fold, Method, Problem, check_comparison, outer_folds
from tumorkeras.comparison.classical import tuned
from tumorkeras.data.simulate import simulate_motility
from tumorkeras.errors import DataError, ModelError, SpecError

CHEAP = ["majority", "trivial", "svm_linear"]
FIGURES = ["sensitivity", "specificity", "accuracy", "auc"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("comparison")


@pytest.fixture(scope="module")
def samples(folder):
    return load_samples(volume_spec(folder))


@pytest.fixture(scope="module")
def everything(folder, samples):
    forest = tuned(RandomForestClassifier(20), max_depth=[None, 3])  # as the real one, with fewer trees
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "random_forest", Method("features", forest))
        return compare(samples.spec, list(METHODS), folder / "out", samples=samples)


def saved(output):
    found = [json.loads(path.read_text()) for path in sorted((output / "comparison_folds").glob("*.json"))]
    return {(each["entry"], each["fold"]): each for each in found}


# -------------------------------------------------------------------------------------------------- the table


def test_a_complete_row_for_every_method(everything):
    assert everything["method"].tolist() == list(METHODS)
    assert everything["error"].tolist() == [""] * len(METHODS)
    assert (everything["samples"] == 48).all()
    assert (everything["folds"] == 2).all()
    assert everything["seconds"].ge(0).all()
    for metric in FIGURES:
        assert everything[metric].between(0, 1).all()
        assert (everything[f"{metric}_low"] <= everything[metric]).all()
        assert (everything[f"{metric}_high"] >= everything[metric]).all()
    assert everything["peak_memory_mb"].ge(0).all()
    best = everything["accuracy"].idxmax()
    assert everything["p_value"].isna().tolist() == [row == best for row in everything.index]
    assert everything["p_value_trivial"].isna().tolist() == [method == "trivial" for method in everything["method"]]
    assert everything.attrs["best"] == best
    assert everything.attrs["trivial"] == everything.set_index("method").loc["trivial", "features"] == "size"
    assert "not corrected" in everything.attrs["caveat"]


def test_the_table_on_disk_is_the_table(everything, folder):
    written = pd.read_csv(folder / "out" / "comparison.csv")
    assert written.pop("error").isna().all()  # how pandas reads an empty field
    pd.testing.assert_frame_equal(written, everything.drop(columns="error"), check_dtype=False)


def test_the_table_can_be_drawn(everything):
    assert plots.to_png(plots.comparison(everything))[:4] == b"\x89PNG"


def test_all_methods_are_read_on_the_same_folds(everything, folder, samples):
    results = saved(folder / "out")
    assert len(results) == 2 * len(METHODS)
    for number, (training, test) in enumerate(outer_folds(samples), start=1):
        rows = {tuple(results[method, number]["rows"]) for method in METHODS}
        assert rows == {tuple(test.tolist())}
        assert not set(training) & set(test)
    both = results["cnn", 1]["rows"] + results["cnn", 2]["rows"]
    assert sorted(both) == list(range(48))


def test_figures_are_those_of_the_kept_probabilities(everything, folder):
    results = saved(folder / "out")
    for method in METHODS:
        folds = [results[method, number] for number in (1, 2)]
        areas = [roc_auc_score(fold["labels"], np.array(fold["probabilities"])[:, 1]) for fold in folds]
        row = everything.set_index("method").loc[method]
        assert row["auc"] == pytest.approx(np.mean(areas))
        low, high = stats.t.interval(0.95, 1, np.mean(areas), stats.sem(areas)) if np.ptp(areas) else areas
        assert [row["auc_low"], row["auc_high"]] == pytest.approx(np.clip([low, high], 0, 1))


def test_methods_that_look_beat_the_majority(everything):
    area = everything.set_index("method")["auc"]
    assert area["majority"] == 0.5
    assert area[["trivial", "svm_linear", "svm_poly", "svm_rbf", "random_forest"]].min() > 0.75


def test_majority_by_hand(tmp_path):
    # 18 of 24 are of class 0; both folds hold 9 and 3.
    table = compare(volume_spec(tmp_path, (18, 6)), ["majority", "trivial"])
    row = table.iloc[0]
    assert row[["accuracy", "sensitivity", "specificity", "auc"]].tolist() == [0.75, 0, 1, 0.5]
    assert row[["accuracy_low", "accuracy_high"]].tolist() == [0.75, 0.75]
    assert table.attrs["best"] == 1  # a bigger ball is told by its size
    assert table["p_value"].isna().tolist() == [False, True]


def test_p_values_by_hand(everything, folder):
    """Two folds: t = mean difference over the root of (1/2 + 1/1) times the variance, 1 degree of freedom."""
    results, best = saved(folder / "out"), everything["method"][everything.attrs["best"]]
    other = "majority"
    difference = np.array(
        [results[best, k]["metrics"]["accuracy"] - results[other, k]["metrics"]["accuracy"] for k in (1, 2)]
    )
    found = everything.set_index("method").loc[other, "p_value"]
    if np.ptp(difference):
        t = difference.mean() / np.sqrt(1.5 * difference.var(ddof=1))
        assert found == pytest.approx(2 * stats.t.sf(t, 1))
    else:
        assert found == 0


def test_the_test_part_stays_unseen(folder, samples):
    table = samples.table.assign(split=["test"] * 4 + ["train"] * 40 + ["val"] * 4)
    seen = np.concatenate([np.concatenate(pair) for pair in outer_folds(replace(samples, table=table))])
    assert set(seen) == set(range(4, 48))


def test_trivial_tells_fast_tracks_from_slow(tmp_path):
    pairs = {}
    for name, step in (("slow", 1.0), ("fast", 3.0)):
        tracks = simulate_motility("random_walk", 20, frames=12, mean_step=step, seed=int(step))
        for axis, letter in enumerate("xy"):
            pairs.setdefault(name, {})[letter] = f"{name}_{letter}.csv"
            np.savetxt(tmp_path / f"{name}_{letter}.csv", tracks[..., axis], delimiter=",")
    values = {
        "name": "speed",
        "source": {"kind": "tracks", "pairs": pairs},
        "input": {"shape": [12, 16, 16, 1]},
        "splits": {"folds": 2},
    }
    table = compare(DataSpec.from_dict(values, folder=tmp_path), ["trivial", "svm_rbf"]).set_index("method")
    assert table["features"].tolist() == ["none", "mean step", "motility features"]
    assert table.loc["trivial", "auc"] > 0.98
    assert table.attrs["trivial"] == "mean step"


def test_three_classes_have_means_over_the_classes(tmp_path):
    table = compare(volume_spec(tmp_path, (10, 10, 10)), ["svm_linear"]).set_index("method")
    assert table.loc["majority", FIGURES].tolist() == pytest.approx([1 / 3, 2 / 3, 1 / 3, 0.5])
    assert table.loc["svm_linear", "accuracy"] > 0.5


def test_groups_never_straddle_folds(tmp_path):
    groups = [f"exam {k // 3}" for k in range(48)]
    samples = load_samples(volume_spec(tmp_path, groups=groups, folds=3))
    for training, test in outer_folds(samples):
        assert not set(samples.groups[training]) & set(samples.groups[test])
        assert len(training) + len(test) == 48
    inner = []

    def spy(fold):
        inner.append(set(fold.samples.groups))
        for training, test in fold.inner_splits():
            assert not set(fold.samples.groups[training]) & set(fold.samples.groups[test])
        return METHODS["svm_linear"].train(fold)

    spied = Method("features", spy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "spied", spied)
        table = compare(samples.spec, ["spied"], samples=samples)
    assert [len(each) for each in inner] == [len(set(samples.groups[rows])) for rows, _ in outer_folds(samples)]
    assert table["error"].tolist() == [""] * 3


# ------------------------------------------------------------------------------------------ failing, resuming


def fail(fold):
    raise RuntimeError("out of luck")


def test_a_method_that_fails_is_a_row(samples, tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(METHODS, "cnn", Method("pixels", fail))
    table = compare(samples.spec, ["majority", "cnn", "trivial"], tmp_path, samples=samples).set_index("method")
    assert table["error"].tolist() == ["", "fold 1: RuntimeError: out of luck", ""]
    assert table.loc["cnn", [*FIGURES, "p_value", "seconds"]].isna().all()
    assert table.loc[["majority", "trivial"], FIGURES].notna().all(axis=None)
    assert "cnn failed on fold 1: out of luck" in caplog.text
    assert {method for method, _ in saved(tmp_path)} == {"majority", "trivial"}
    monkeypatch.setitem(METHODS, "cnn", METHODS["majority"])
    again = compare(samples.spec, ["majority", "cnn", "trivial"], tmp_path, samples=samples)
    assert again["error"].tolist() == ["", "", ""]


def test_where_all_methods_fail_there_is_a_table(samples, monkeypatch):
    monkeypatch.setitem(METHODS, "cnn", Method("pixels", fail))
    for name in ("majority", "trivial"):
        monkeypatch.setitem(METHODS, name, Method("none", fail))
    table = compare(samples.spec, ["cnn"], samples=samples)
    assert (len(table), table.attrs["best"], table.attrs["caveat"]) == (3, None, "No method gave a result.")


def test_goes_on_with_the_folds_that_are_missing(samples, tmp_path, monkeypatch):
    first = compare(samples.spec, CHEAP, tmp_path, samples=samples)
    lost = tmp_path / "comparison_folds" / "svm_linear-2.json"
    before = json.loads(lost.read_text())
    lost.unlink()
    trained = []

    def watched(name):
        def train(fold):
            trained.append((name, fold.seed))
            return method.train(fold)

        method = METHODS[name]
        return replace(method, train=train)

    for name in CHEAP:
        monkeypatch.setitem(METHODS, name, watched(name))
    second = compare(samples.spec, CHEAP, tmp_path, samples=samples)
    assert trained == [("svm_linear", 2)]
    costs = ["seconds", "peak_memory_mb"]
    pd.testing.assert_frame_equal(first.drop(columns=costs), second.drop(columns=costs))
    assert json.loads(lost.read_text())["probabilities"] == before["probabilities"]
    compare(samples.spec, [*CHEAP, "svm_poly"], tmp_path, samples=samples)  # a method more is no other comparison
    assert trained == [("svm_linear", 2)]


def test_refuses_results_of_other_settings_or_data(samples, tmp_path):
    compare(samples.spec, ["majority"], tmp_path, samples=samples)
    (tmp_path / "comparison_folds" / "trivial-1.json").write_text("{")
    (tmp_path / "comparison_folds" / "trivial-2.json").unlink()
    values = samples.spec.to_dict()
    values["training"]["epochs"] = 9
    other = replace(samples, spec=DataSpec.from_dict(values))
    with pytest.raises(ModelError, match=r"(?s)2 faults|3 faults") as caught:
        compare(other.spec, ["majority"], tmp_path, samples=other)
    assert "majority-1.json: was made with other data, folds or settings" in str(caught.value)
    assert "trivial-1.json: is no result of a fold" in str(caught.value)
    (tmp_path / "comparison_folds" / "trivial-1.json").unlink()
    brighter = replace(samples, values=samples.values // 2)
    with pytest.raises(ModelError, match="other data"):
        compare(samples.spec, ["majority"], tmp_path, samples=brighter)


def test_the_spec_that_counts_is_the_one_given(samples):
    values = samples.spec.to_dict()
    values["splits"]["folds"] = 3
    table = compare(DataSpec.from_dict(values, folder=samples.spec.folder), ["majority"], samples=samples)
    assert table["folds"].tolist() == [3, 3]


# -------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        (["svn", "cnn", "forest"], r"(?s)2 faults.*'svn' is unknown; expected some of majority, .*'forest'"),
        (["cnn", "cnn"], "'cnn' stands more than once"),
        ([], "names no method"),
    ],
)
def test_unknown_methods(samples, methods, message):
    with pytest.raises(SpecError, match=message):
        compare(samples.spec, methods, samples=samples)


def test_a_class_smaller_than_the_folds(tmp_path):
    with pytest.raises(DataError, match=r"class '1' has 3 samples .* fewer than the 4 folds"):
        compare(volume_spec(tmp_path, (12, 3), folds=4), ["majority"])


def test_fewer_groups_than_folds(tmp_path):
    groups = [0] * 12 + list(range(1, 13))
    samples = load_samples(volume_spec(tmp_path, groups=range(24), counts=(12, 12)))
    samples = replace(samples, table=samples.table.assign(group=groups))
    with pytest.raises(DataError, match="class '0' has 1 group,"):
        compare(samples.spec, ["majority"], samples=samples)


def test_the_output_is_a_folder(samples, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="is a file; give a folder"):
        compare(samples.spec, ["majority"], tmp_path / "file", samples=samples)


def test_training_sees_no_value_of_the_test_fold(samples):
    """Whatever stands in the test fold, the predictor for another sample is the same."""
    training, test = outer_folds(samples)[0]
    spoilt = replace(samples, values=samples.values.copy())
    spoilt.values[test[1:]] = 255
    for method in ("trivial", "svm_linear"):
        train = METHODS[method].train
        expected, found = (train(Fold(Problem(each), training, 1))(test[:1]) for each in (samples, spoilt))
        np.testing.assert_array_equal(found, expected)


# -------------------------------------------------------------------------------------------------- real data


def test_nodules_by_size_and_by_features(data_folder):
    """Hand-made features must not fall behind the size of the nodule alone."""
    values = {
        "name": "nodules",
        "input": {"shape": [32, 32, 32, 1]},
        "source": {
            "kind": "npz",
            "path": "${TUMORKERAS_DATA}/lidc_nodules/nodules32.npz",
            "table": "${TUMORKERAS_DATA}/lidc_nodules/nodules.csv",
        },
        "splits": {"given": {"train": "train", "val": "test"}, "group": "exam_id", "folds": 3},
    }
    samples = load_samples(DataSpec.from_dict(values))
    some = samples.select(np.arange(0, len(samples), 2))
    table = compare(samples.spec, ["trivial", "svm_linear"], samples=some).set_index("method")
    assert table.loc["trivial", "auc"] > 0.8
    assert table.loc["svm_linear", "auc"] > table.loc["trivial", "auc"] - 0.02


def test_folds_of_the_users_own_and_a_single_one(samples):
    rows = np.arange(len(samples))
    held_out = rows % 4 == 0
    one = [(rows[~held_out], rows[held_out])]
    table = compare(samples.spec, ["majority", "trivial"], samples=samples, folds=one).set_index("method")
    assert table["folds"].tolist() == [1, 1]
    assert table["samples"].tolist() == [held_out.sum()] * 2
    trivial = table.loc["trivial"]
    assert np.isnan(trivial["p_value"])
    # Two samples of three are of no use to the majority: a paired bootstrap of twelve tells the two apart.
    assert table.loc["majority", "p_value"] == table.loc["majority", "p_value_trivial"] < 0.2
    # A bootstrap of the one part gives an interval where a t interval over folds could not.
    assert 0 <= trivial["accuracy_low"] < trivial["accuracy"] <= trivial["accuracy_high"] <= 1


def test_samples_in_several_test_parts_count_once(samples):
    every = np.arange(48)
    tests = [np.arange(0, 32), np.arange(16, 40)]
    folds = [(np.setdiff1d(every, test), test) for test in tests]
    table = compare(samples.spec, ["majority", "trivial"], samples=samples, folds=folds)
    assert table["samples"].tolist() == [40, 40]  # not 32 + 24


def test_intervals_stay_within_the_scale(samples):
    table = compare(samples.spec, ["majority", "trivial"], samples=samples)
    for metric in ("sensitivity", "specificity", "accuracy", "auc"):
        assert (table[f"{metric}_low"] >= 0).all()
        assert (table[f"{metric}_high"] <= 1).all()


@pytest.mark.parametrize(
    ("folds", "fault"),
    [
        ([], "there is none"),
        ([(range(48), [0, 1])], "fold 1: 2 rows train and test"),
        ([([], [0])], "fold 1: no row to train on"),
        ([(range(40), [48])], "rows 0 to 48; the samples are 0 to 47"),
        ([([0, 1, 1, 24, 25], [2])], "1 rows stand twice"),
        ([([0, 24, 25, 26], [2])], "trains on one sample of class '0'"),
    ],
)
def test_folds_that_cannot_be(samples, folds, fault):
    with pytest.raises(DataError, match=fault):
        compare(samples.spec, ["majority"], samples=samples, folds=folds)


def test_masks_are_folds_and_groups_stay_whole(samples):
    mask = np.arange(48) % 4 == 0
    by_mask, by_number = (
        compare(samples.spec, ["majority"], samples=samples, folds=[pair])
        for pair in ((~mask, mask), (np.flatnonzero(~mask), np.flatnonzero(mask)))
    )
    costs = ["seconds", "peak_memory_mb"]
    pd.testing.assert_frame_equal(by_mask.drop(columns=costs), by_number.drop(columns=costs))
    grouped = replace(samples, table=samples.table.assign(group=["exam"] * 48))
    with pytest.raises(DataError, match="1 groups train and test"):
        compare(samples.spec, ["majority"], samples=grouped, folds=[(~mask, mask)])


def test_other_groups_are_another_comparison(samples, tmp_path):
    folds = [(np.arange(0, 48, 2), np.arange(1, 48, 2))]
    compare(samples.spec, ["majority"], tmp_path, samples=samples, folds=folds)
    grouped = replace(samples, table=samples.table.assign(group=[f"exam {k}" for k in range(48)]))
    with pytest.raises(ModelError, match="other data, folds or settings"):
        compare(samples.spec, ["majority"], tmp_path, samples=grouped, folds=folds)


def test_where_the_metric_is_undefined_nothing_is_the_best(samples):
    comparison = samples.spec.comparison.model_copy(update={"metric": "auc"})
    spec = samples.spec.model_copy(update={"comparison": comparison})
    folds = [(np.setdiff1d(np.arange(48), [k, k + 1]), [k, k + 1]) for k in (0, 30)]  # of one class each
    table = compare(spec, ["majority"], samples=samples, folds=folds)
    assert table.attrs["best"] is None
    assert table.attrs["caveat"] == "No auc is defined on these folds."
    assert table["p_value"].isna().all()


def test_faults_of_the_section_are_found_before_any_training(samples):
    check_comparison(samples)
    comparison = samples.spec.comparison.model_copy(update={"features": ["mine"]})
    with pytest.raises(SpecError, match="'mine' is unknown"):
        check_comparison(replace(samples, spec=samples.spec.model_copy(update={"comparison": comparison})))
