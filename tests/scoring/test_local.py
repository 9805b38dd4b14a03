"""Scoring: every input gives its outcome, and no input ends the job."""

import shutil
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tumorkeras.data.agreement import data_hash
from tumorkeras.data.samples import load_samples
from tumorkeras.errors import DataError, ModelError
from tumorkeras.scoring import check_place, local, score, write_predictions
from tumorkeras.scoring.inputs.arrays import read_array_file
from tumorkeras.scoring.predictor import load_predictor
from tumorkeras.serving.export import export
from tumorkeras.spec import DataSpec
from tumorkeras.training import TrainedModel
from tumorkeras.training.folder import save_model

SHAPE = (4, 6, 6, 1)
COLUMNS = [
    "path",
    "id",
    "status",
    "error",
    "class_id",
    "class_name",
    "probability_still",
    "probability_moving",
]


def classifier():
    """Logits (0, mean - 0.5): still below a mean of 0.5, moving above."""
    inputs = keras.Input(SHAPE)
    features = keras.layers.GlobalAveragePooling3D(name="features")(inputs)
    dense = keras.layers.Dense(2, activation="softmax", name="probabilities")
    model = keras.Model(inputs, dense(features))
    dense.set_weights([np.array([[0.0, 1.0]]), np.array([0.0, -0.5])])
    return model


def dense_classifier():
    """Tells where in the volume something is."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE)
    features = keras.layers.Flatten(name="features")(inputs)
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax", name="probabilities")(features))


def autoencoder():
    """Reconstructs zeros, so the error is the mean square of the input."""
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, keras.layers.Rescaling(0.0, name="reconstruction")(inputs))


def probability(mean):
    return 1 / (1 + np.exp(0.5 - np.asarray(mean, dtype="float64")))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    values = {
        "name": "motion",
        "source": {"kind": "simulation", "frames": 4},
        "input": {"shape": list(SHAPE)},
    }
    trained = TrainedModel(classifier(), DataSpec.from_dict(values), {"classes": ["still", "moving"]}, pd.DataFrame())
    return export(trained, tmp_path_factory.mktemp("exports"))


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    """Thirty measured tracks of the exported model's two classes."""
    folder = tmp_path_factory.mktemp("tracks")
    steps = np.random.default_rng(1).normal(size=(4, 15, 4))
    names = ["still_x", "still_y", "moving_x", "moving_y"]
    for name, rows in zip(names, steps, strict=True):
        positions = rows.cumsum(axis=1) if name.startswith("moving") else rows / 10
        pd.DataFrame(positions).to_csv(folder / f"{name}.csv", header=False, index=False)
    pairs = {name: {axis: f"{name}_{axis}.csv" for axis in "xy"} for name in ("still", "moving")}
    values = {
        "name": "motion",
        "source": {"kind": "tracks", "pairs": pairs},
        "input": {"shape": list(SHAPE)},
    }
    return DataSpec.from_dict(values, folder=folder)


@pytest.fixture
def volumes():
    return np.random.default_rng(0).random((7, *SHAPE)).astype("float32")


def test_an_array_gives_a_row_a_sample(exported, volumes):
    table = score(exported, volumes, batch_size=3)
    assert table.columns.tolist() == COLUMNS
    assert table["id"].tolist() == list(range(7))
    assert set(table["path"]) == {"array"}
    assert set(table["status"]) == {"ok"}
    assert table["error"].isna().all()
    wanted = probability(volumes.mean((1, 2, 3, 4)))
    np.testing.assert_allclose(table["probability_moving"], wanted, atol=1e-6)
    np.testing.assert_allclose(table["probability_still"], 1 - wanted, atol=1e-6)
    assert table["class_id"].tolist() == (wanted > 0.5).astype(int).tolist()
    assert table["class_name"].tolist() == ["moving" if value > 0.5 else "still" for value in wanted]


def test_tensors_and_lists_of_arrays_are_arrays(exported, volumes):
    table = score(exported, volumes)
    for given in (tf.constant(volumes), list(volumes), tuple(tf.constant(volume) for volume in volumes)):
        pd.testing.assert_frame_equal(score(exported, given), table)
    with pytest.raises(DataError, match=r"arrays of the shapes \(4, 6, 6, 1\), \(7, 4, 6, 6, 1\) found"):
        score(exported, [volumes, volumes[0]])


def test_export_its_versions_and_the_model_agree(exported, volumes):
    of_version = score(exported, volumes)
    pd.testing.assert_frame_equal(score(str(exported.parent), volumes), of_version)
    in_memory = score(classifier(), volumes)
    assert "class_name" not in in_memory
    np.testing.assert_allclose(in_memory["probability_1"], of_version["probability_moving"], atol=1e-6)
    pd.testing.assert_series_equal(in_memory["class_id"], of_version["class_id"])


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float64", "bool", ">f4"])
def test_integers_and_missing_channels(exported, volumes, dtype):
    values = (volumes * 2).astype(dtype)
    table = score(exported, values[..., 0])
    np.testing.assert_allclose(
        table["probability_moving"], probability(values.mean((1, 2, 3, 4), dtype="float64")), atol=1e-6
    )
    pd.testing.assert_frame_equal(score(exported, values), table)
    for single in (values[2], values[2, ..., 0]):
        assert score(exported, single)["probability_moving"].item() == table["probability_moving"][2]


def test_autoencoder_gives_the_reconstruction_error(volumes):
    table = score(autoencoder(), volumes, batch_size=2)
    assert table.columns.tolist() == ["path", "id", "status", "error", "reconstruction_error"]
    np.testing.assert_allclose(table["reconstruction_error"], (volumes**2).mean((1, 2, 3, 4)), rtol=1e-5)


def test_every_input_gives_exactly_one_outcome(exported, volumes, tmp_path):
    names = [
        "good.npz",
        "none.npz",
        "cut.npz",
        "text.npy",
        "pickled.npy",
        "shape.npy",
        "words.npy",
        "one.npy",
    ]
    good, none, cut, text, pickled, shape, words, one = paths = [tmp_path / name for name in names]
    with_nan = volumes.copy()
    with_nan[1, 0, 0, 0, 0] = np.nan
    with_nan[4, 0, 0, 0, 0] = np.inf
    np.savez(good, train=volumes[..., 0], labels=np.arange(7), test=with_nan, wrong=np.zeros((3, 5, 6, 6)))
    objects = np.array([{"a": 1}, None, 3], dtype=object)
    with good.open("rb") as file:
        cut.write_bytes(file.read()[:2000])
    np.savez(none, labels=np.arange(7))
    text.write_text("patient, age\n")
    np.save(pickled, objects, allow_pickle=True)
    np.save(shape, np.zeros((2, 4, 6, 5, 1)))
    np.save(words, np.full((1, 4, 6, 6), "a"))
    np.save(one, volumes[0, ..., 0])
    missing, stranger = tmp_path / "missing.npy", tmp_path / "scan.dcm"
    stranger.touch()
    table = score(exported, [*paths, missing, stranger], batch_size=4).set_index("path")
    counts = table.groupby(level=0).size()
    assert counts.to_dict() == {
        f"{good}#train": 7, f"{good}#test": 7, f"{good}#wrong": 1, str(none): 1, str(cut): 1, str(text): 1,
        str(pickled): 1, str(shape): 1, str(words): 1, str(one): 1, str(missing): 1, str(stranger): 1,
    }  # fmt: skip
    assert (table["status"] == "ok").sum() == 7 + 5 + 1
    assert (table["error"].isna() == (table["status"] == "ok")).all()
    numbers = table[["class_id", "class_name", "probability_still", "probability_moving"]]
    assert (numbers.isna().all(axis=1) == (table["status"] == "error")).all()
    assert (numbers.notna().all(axis=1) == (table["status"] == "ok")).all()
    test = table.loc[f"{good}#test"].set_index("id")
    assert test.index[test["status"] == "error"].tolist() == [1, 4]
    assert test["error"][1] == "holds 1 non-finite values"
    untouched = [0, 2, 3, 5, 6]
    wanted = probability(volumes.mean((1, 2, 3, 4)))[untouched]
    np.testing.assert_allclose(test["probability_moving"][untouched], wanted, atol=1e-6)
    reasons = {
        none: "no images or volumes, only labels", cut: "cannot be read", text: "no plain array",
        pickled: "pickled", shape: "(2, 4, 6, 5, 1), expected (n, 4, 6, 6, 1)", words: "dtype <U1",
        missing: "no such file", stranger: "the file is empty",
    }  # fmt: skip
    for path, reason in reasons.items():
        assert reason in table["error"][str(path)], path
    assert "expected (n, 4, 6, 6, 1)" in table["error"][f"{good}#wrong"]


def test_files_of_one_sample_fill_the_batches(exported, volumes, tmp_path, monkeypatch):
    """Beside a file of several, which has batches of its own, and one of nothing."""
    sizes, scored = [], local.score_batch
    monkeypatch.setattr(local, "score_batch", lambda *given: (sizes.append(len(given[1])), scored(*given))[1])
    for number, volume in enumerate(volumes):
        np.save(tmp_path / f"{number}.npy", volume)
    (tmp_path / "3.npy").write_bytes(b"")
    np.savez(tmp_path / "6.npz", volume=volumes[6])
    np.save(tmp_path / "7.npy", volumes[:3])
    table = score(exported, tmp_path, batch_size=4)
    assert sizes == [3, 4, 3]  # of 0 to 3, of 4, 5 and 6 twice, of the last
    names = [f"{name}.npy" for name in "0123456"] + ["6.npz#volume"] + ["7.npy"] * 3
    assert table["path"].tolist() == [str(tmp_path / name) for name in names]
    assert table["id"].fillna(-1).tolist() == [0, 0, 0, -1, 0, 0, 0, 0, 0, 1, 2]
    wanted = probability(volumes.mean((1, 2, 3, 4)))[[0, 1, 2, 4, 5, 6, 6, 0, 1, 2]]
    np.testing.assert_allclose(table["probability_moving"].dropna(), wanted, atol=1e-6)


def test_a_file_of_one_sample_may_be_gone_when_its_turn_comes(exported, volumes, tmp_path):
    np.save(tmp_path / "a.npy", volumes[0])
    (block,) = read_array_file(tmp_path / "a.npy", "a.npy", 0, load_predictor(exported).origin)
    (tmp_path / "a.npy").unlink()
    ((rows, fault),) = block.pieces(4)
    assert rows == [0]
    assert fault.startswith("cannot be read: FileNotFoundError")


def test_pickled_key_beside_a_good_one(exported, volumes, tmp_path):
    path = tmp_path / "mixed.npz"
    np.savez(path, volumes=volumes, names=np.array([None, "a"], dtype=object), allow_pickle=True)
    table = score(exported, path)
    assert (table["status"] == "ok").sum() == 7
    assert table.loc[table["status"] == "error", "path"].tolist() == [f"{path}#names"]


def test_a_folder_is_searched_to_the_bottom(exported, volumes, tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    np.save(tmp_path / "b.npy", volumes[:2])
    np.savez_compressed(tmp_path / "deep" / "er" / "c.npz", x=volumes[:3])
    (tmp_path / "notes.txt").write_text("not a volume")
    table = score(exported, tmp_path)
    assert table["path"].tolist() == [str(tmp_path / "b.npy")] * 2 + [f"{tmp_path}/deep/er/c.npz#x"] * 3
    assert table["id"].tolist() == [0, 1, 0, 1, 2]
    assert set(table["status"]) == {"ok"}


def test_nothing_gives_an_empty_table(exported, tmp_path):
    filled = score(exported, np.zeros((1, *SHAPE)))
    for nothing in (np.zeros((0, *SHAPE)), [], pd.DataFrame({"path": []})):
        table = score(exported, nothing)
        assert len(table) == 0
        pd.testing.assert_series_equal(table.dtypes, filled.dtypes)
    for place, fault in ((tmp_path, "holds no sample"), (str(tmp_path / "*.npy"), "matches no file")):
        with pytest.raises(DataError, match=fault):  # an empty table would hide a slip of the pen
            score(exported, place)


def test_an_answer_that_is_not_finite_is_an_error(volumes):
    volumes[3] = 3e38  # Its square is beyond float32.
    table = score(autoencoder(), volumes.astype("float64"))
    assert table.index[table["status"] == "error"].tolist() == [3]
    assert table["error"][3] == "the model's answer is not finite"
    assert np.isnan(table["reconstruction_error"][3])
    too_large = score(autoencoder(), np.full((1, *SHAPE), 1e300))
    assert "non-finite" in too_large["error"][0]


def test_a_spec_is_scored_by_part(exported, spec):
    table = score(exported, spec)
    assert len(table) == 30
    assert set(table["status"]) == {"ok"}
    assert table["id"].is_unique
    test = score(exported, spec, split="test", batch_size=2)
    assert 0 < len(test) < 30
    whole = table.set_index("id").loc[test["id"]].reset_index()
    pd.testing.assert_frame_equal(whole[COLUMNS], test, rtol=1e-5)
    other = DataSpec.from_dict({**spec.to_dict(), "input": {"shape": [4, 8, 8, 1]}}, folder=spec.folder)
    with pytest.raises(ModelError, match=r"input\.shape"):
        score(exported, other)
    with pytest.raises(ModelError, match=r"classes: the model has \['still', 'moving'\]"):
        score(exported, DataSpec.from_dict({**spec.to_dict(), "classes": ["moving", "still"]}, folder=spec.folder))


def test_samples_are_scored_as_their_spec_is(exported, spec):
    samples = load_samples(spec)
    for split in (None, "test"):
        pd.testing.assert_frame_equal(score(exported, samples, split=split), score(exported, spec, split=split))
    assert len(score(exported, samples.part("test"), split="test")) == samples.counts()["test"]
    with pytest.raises(ModelError, match=r"rendering\.size: the model has 1\.0, the data have 2\.0"):
        score(exported, replace(samples, spec=DataSpec.from_dict({**spec.to_dict(), "rendering": {"size": 2}})))


@pytest.mark.parametrize("normalised", [False, True])
def test_raw_tracks_are_drawn_as_in_training(tmp_path, spec, normalised):
    """What is read from files through the spec, and the same positions as an array, are scored alike."""
    changed = {**spec.to_dict(), "rendering": {"normalise_scale": normalised, "marker": "disk"}}
    own = DataSpec.from_dict(changed, folder=spec.folder)
    axes = [
        np.concatenate([pd.read_csv(spec.folder / f"{name}_{axis}.csv", header=None) for name in ("still", "moving")])
        for axis in "xy"
    ]
    tracks = np.stack(axes, axis=-1)
    samples = load_samples(own)
    trained = TrainedModel(dense_classifier(), own, {"classes": ["still", "moving"]}, pd.DataFrame())
    wanted = score(trained, samples)
    assert wanted["probability_moving"].std() > 0.01
    numbers = ["class_id", "class_name", "probability_still", "probability_moving"]
    pd.testing.assert_frame_equal(score(trained, tracks, batch_size=7)[numbers], wanted[numbers], atol=1e-5)
    np.save(tmp_path / "tracks.npy", tracks)
    pd.testing.assert_frame_equal(score(trained, tmp_path / "tracks.npy")[numbers], wanted[numbers], atol=1e-5)


def test_tracks_at_fault(exported, tmp_path):
    tracks = np.random.default_rng(0).normal(size=(5, 4, 2))
    tracks[2, 1, 0], tracks[2, 3, 1], tracks[4, 0, 0] = np.nan, np.inf, 1e300
    table = score(exported, tracks)
    assert table["status"].tolist() == ["ok", "ok", "error", "ok", "error"]
    assert table["error"][2] == "holds 2 non-finite values"
    with pytest.raises(DataError, match="tracks of 9 frames, the model reads 4 frames"):
        score(exported, np.zeros((5, 9, 2)))
    np.save(tmp_path / "long.npy", np.zeros((5, 9, 2)))
    assert score(exported, tmp_path / "long.npy")["error"].tolist() == [
        "has tracks of 9 frames, the model reads 4 frames"
    ]
    with pytest.raises(DataError, match=r"has the shape \(5, 4, 2\), expected \(n, 4, 6, 6, 1\)$"):
        score(classifier(), tracks)  # a Keras model alone knows no rendering


def test_a_trained_model_and_its_folder_are_scored_as_the_export_is(exported, spec, volumes, tmp_path):
    trained = TrainedModel(
        classifier(), spec, {"kind": "classifier", "classes": ["still", "moving"]}, pd.DataFrame({"epoch": [1]})
    )
    save_model(trained, tmp_path / "model")
    wanted = score(exported, volumes)
    for model in (trained, tmp_path / "model", str(tmp_path / "model")):
        pd.testing.assert_frame_equal(score(model, volumes), wanted, atol=1e-6)


def test_another_split_of_the_data_is_read_with_a_warning(spec, caplog):
    samples = load_samples(spec)
    card = {"classes": ["still", "moving"], "data_sha256": data_hash(samples)}
    trained = TrainedModel(classifier(), spec, card, pd.DataFrame())
    score(trained, samples, split="test")
    assert not caplog.messages
    other = DataSpec.from_dict({**spec.to_dict(), "splits": {"seed": 3}}, folder=spec.folder)
    score(trained, other, split="test")
    assert any("may have been among its training samples" in text for text in caplog.messages)


def test_damaged_company_of_an_export_is_told(exported, volumes, tmp_path):
    for name, content in {"data_spec.yaml": "name: x\n", "model_card.json": "[1]", "classes.json": "{"}.items():
        copy = tmp_path / name / "1"
        shutil.copytree(exported, copy)
        (copy / "assets.extra" / name).write_text(content)
        with pytest.raises(ModelError, match=r"spec\.yaml|cannot be read"):
            score(copy, volumes)


def test_wrong_calls_are_named(exported, volumes, tmp_path):
    with pytest.raises(DataError, match="batch_size"):
        score(exported, volumes, batch_size=0)
    with pytest.raises(DataError, match="split"):
        score(exported, volumes, split="test")
    with pytest.raises(DataError, match=r"shape \(7, 4, 6, 6, 2\)"):
        score(exported, np.zeros((7, 4, 6, 6, 2)))
    with pytest.raises(DataError, match="int found"):
        score(exported, [3])
    with pytest.raises(ModelError, match="no such folder"):
        score(tmp_path / "none", volumes)
    with pytest.raises(ModelError, match="holds no export"):
        score(tmp_path, volumes)
    with pytest.raises(ModelError, match="int found"):
        score(3, volumes)
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "saved_model.pb").write_bytes(b"\xff\xff")
    with pytest.raises(ModelError, match="cannot be loaded"):
        score(tmp_path, volumes)


def test_no_bar_where_there_is_no_terminal(exported, volumes, capfd):
    score(exported, volumes)
    out, err = capfd.readouterr()
    assert out == ""
    assert "sample" not in err


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_predictions_are_written_whole(exported, volumes, tmp_path, ending):
    table = score(exported, [tmp_path / "missing.npy"])
    path = tmp_path / f"predictions.{ending}"
    path.write_text("what was there before")
    assert write_predictions(table, path) == path
    read = pd.read_parquet(path) if ending == "parquet" else pd.read_csv(path)
    assert read.columns.tolist() == COLUMNS
    assert read["error"].tolist() == ["there is no such file"]
    if ending == "parquet":
        pd.testing.assert_frame_equal(read, table)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_predictions_that_cannot_be_written(tmp_path, monkeypatch):
    table = pd.DataFrame({"path": ["a"]})
    with pytest.raises(DataError, match=r"expected \.parquet or \.csv"):
        write_predictions(table, tmp_path / "predictions.xlsx")
    with pytest.raises(DataError, match="cannot be written"):
        write_predictions(table, tmp_path / "missing" / "predictions.csv")

    for place in ("a.xlsx", "missing/a.csv"):
        with pytest.raises(DataError):
            check_place(tmp_path / place)
    assert check_place(tmp_path / "a.csv") == tmp_path / "a.csv"
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="it is a folder"):
        check_place(tmp_path / "folder.csv")
    (tmp_path / "folder.csv").rmdir()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    (tmp_path / "predictions.csv").write_text("before")
    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(DataError, match="No space left"):
        write_predictions(table, tmp_path / "predictions.csv")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["before"]
