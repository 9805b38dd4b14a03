"""Tables of how sure a classifier is, and of what an autoencoder has not seen."""

import keras
import numpy as np
import pandas as pd
import pytest

from tumorkeras.errors import ModelError
from tumorkeras.models import build_classifier
from tumorkeras.scoring import predict_uncertainty, score
from tumorkeras.serving import export as exporting
from tumorkeras.serving.verify import ExportReport
from tumorkeras.spec import DataSpec
from tumorkeras.training import TrainedModel
from tumorkeras.training.folder import save_model

SHAPE = (4, 8, 8, 1)
NUMBERS = ["probability_still", "probability_moving", "std_still", "std_moving", "entropy", "mutual_information"]
COLUMNS = ["path", "id", "status", "error", "class_id", "class_name", *NUMBERS]


def trained_of(model, kind, **card):
    source = {"kind": "simulation", "frames": 4}
    spec = DataSpec.from_dict({"name": "motion", "source": source, "input": {"shape": list(SHAPE)}})
    return TrainedModel(model, spec, {"kind": kind, **card}, pd.DataFrame({"epoch": [0]}))


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(1)
    model = build_classifier(SHAPE, 2, filters=(3,), dense=(8,), dropout=0.5)
    return trained_of(model, "classifier", classes=["still", "moving"])


@pytest.fixture(scope="module")
def exports(trained, tmp_path_factory):
    """With the uncertainties, and without; that they can be served is for other tests."""
    folder = tmp_path_factory.mktemp("exports")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "verify_export", lambda path: ExportReport(str(path)))
        asked = exporting.export(trained, folder, name="asked", uncertainty=["dropout", "augmentation"])
        return asked, exporting.export(trained, folder, name="plain")


@pytest.fixture(scope="module")
def volumes():
    return np.random.default_rng(0).random((7, *SHAPE)).astype("float32")


@pytest.mark.parametrize("method", ["dropout", "augmentation"])
def test_an_export_and_the_model_give_the_same_table(trained, exports, volumes, method, tmp_path):
    signature = f"uncertainty_{method}"
    table = score(exports[0], volumes, signature=signature, batch_size=3)
    assert table.columns.tolist() == COLUMNS
    assert table.attrs["scoring"]["signature"] == signature
    assert (table["mutual_information"] <= table["entropy"]).all()
    assert table["std_still"].min() > 0
    np.testing.assert_allclose(table["std_still"], table["std_moving"], atol=1e-6)  # of two classes they are one
    for others in (
        score(trained, volumes, signature=signature, batch_size=1),
        predict_uncertainty(trained, volumes, method, batch_size=7),
    ):
        pd.testing.assert_frame_equal(others, table, atol=1e-5)


def test_settings_of_ones_own(trained, volumes):
    first = predict_uncertainty(trained, volumes, passes=5, seed=1)
    pd.testing.assert_frame_equal(predict_uncertainty(trained, volumes, passes=5, seed=1), first)
    for other in ({"passes": 5, "seed": 2}, {"passes": 6, "seed": 1}):
        assert not np.allclose(predict_uncertainty(trained, volumes, **other)[NUMBERS], first[NUMBERS], atol=1e-4)
    plain = score(trained.model, volumes)
    mirrored = score(trained.model, volumes[:, :, :, ::-1])
    views = predict_uncertainty(trained.model, np.ascontiguousarray(volumes), "augmentation", augment=["rotate"])
    assert "class_name" not in views  # a Keras model knows no names
    turns = [score(trained.model, np.rot90(volumes, k, axes=(2, 3)))["probability_1"] for k in range(4)]
    np.testing.assert_allclose(views["probability_1"], np.mean(turns, axis=0), atol=1e-6)
    np.testing.assert_allclose(views["std_1"], np.std(turns, axis=0), atol=1e-6)
    assert not np.allclose(plain["probability_1"], mirrored["probability_1"])


def test_the_folder_of_a_model_its_files_and_faults(trained, volumes, tmp_path):
    save_model(trained, tmp_path / "model")
    volumes = volumes.copy()
    volumes[2, 0, 0, 0] = np.inf
    np.save(tmp_path / "cells.npy", volumes)
    paths = [tmp_path / "cells.npy", tmp_path / "lost.npy"]
    table = predict_uncertainty(tmp_path / "model", paths)
    assert table["status"].tolist() == ["ok"] * 2 + ["error"] + ["ok"] * 4 + ["error"]
    assert (table[NUMBERS].isna().all(axis=1) == (table["status"] == "error")).all()
    written = score(tmp_path / "model", paths, signature="uncertainty_dropout", output=tmp_path / "found.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(written)[NUMBERS], table[NUMBERS], atol=1e-6)
    assert score(trained, volumes[:0], signature="uncertainty_dropout").columns.tolist() == COLUMNS


def test_what_cannot_be_asked_says_why(trained, exports, volumes):
    bare = build_classifier(SHAPE, 2, filters=(2,), dense=(4,), dropout=0)
    for call, fault in (
        (lambda: score(exports[1], volumes, signature="uncertainty_dropout"), "expected uncertainty_dropout"),
        (lambda: score(bare, volumes, signature="uncertainty_dropout"), "no layer of the model drops units"),
        (lambda: score(trained.model, volumes, signature="uncertainty_augmentation"), "no flips or turns are known"),
        (lambda: predict_uncertainty(trained.model, volumes, "augmentation", augment=[]), "no flips or turns"),
        (lambda: predict_uncertainty(trained, volumes, "bayes"), "method: 'bayes' found"),
        (lambda: predict_uncertainty(trained, volumes, passes=0), "passes: 0 found"),
        (lambda: predict_uncertainty(exports[0], volumes), "is not the folder of a trained model"),
        (lambda: predict_uncertainty({}, volumes), "model: dict found"),
    ):
        with pytest.raises(ModelError, match=fault):
            call()


# ------------------------------------------------------------------------------------------------ out of distribution


def autoencoder():
    """Reconstructs zeros, so the error is the mean square of the input."""
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, keras.layers.Rescaling(0.0, name="reconstruction")(inputs))


def test_an_autoencoder_whose_card_has_a_threshold_says_what_is_unlike(volumes, tmp_path, monkeypatch):
    found = {"threshold": 0.5, "quantile": 0.99, "n": 20, "false_alarms": 1 / 21, "part": "val"}
    trained = trained_of(autoencoder(), "autoencoder", classes=[], out_of_distribution=found)
    given = volumes.copy()
    given[1:3] += 1
    given[4] = np.nan
    table = score(trained, given, batch_size=2)
    assert table.columns[4:].tolist() == ["reconstruction_error", "out_of_distribution"]
    assert table["out_of_distribution"].dtype == "boolean"
    assert table["out_of_distribution"].tolist() == [False, True, True, False, pd.NA, False, False]
    monkeypatch.setattr(exporting, "verify_export", lambda path: ExportReport(str(path)))
    folder = exporting.export(trained, tmp_path)
    pd.testing.assert_frame_equal(score(folder, given, batch_size=2), table)
    written = score(folder, given, output=tmp_path / "found.parquet")
    assert pd.read_parquet(written)["out_of_distribution"].tolist() == table["out_of_distribution"].tolist()
    assert "out_of_distribution" not in score(trained.model, given)


def test_flips_and_turns_that_cannot_be_are_named(trained):
    images = np.zeros((2, 4, 8, 1), "float32")
    flat, vectors = (build_classifier((4, 8, 1), 2, filters=(2,), dense=(4,)), keras.Sequential([keras.Input((10,))]))
    vectors.add(keras.layers.Dense(2, activation="softmax", name="probabilities"))
    for model, augment, fault in (
        (flat, ["flips"], "augment: 'flips' found, expected some of 'flip', 'rotate'"),
        (flat, ["rotate"], "augment: planes of 4 x 8 are not square"),
        (vectors, ["flip"], r"model: reads \(None, 10\), expected images or volumes"),
        (3, ["flip"], "model: reads None, expected images or volumes"),
    ):
        with pytest.raises(ModelError, match=fault):
            predict_uncertainty(model, images, "augmentation", augment=augment)
    assert len(predict_uncertainty(flat, images, "augmentation", augment=["flip", "rotate"])) == 2
