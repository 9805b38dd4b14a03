"""The folder of a trained model: what lies in it, and what is refused on reading."""

from __future__ import annotations

import json

import keras
import numpy as np
import pandas as pd
import pytest

from tumorkeras.errors import ModelError
from tumorkeras.models import build_autoencoder, build_classifier
from tumorkeras.spec import DataSpec
from tumorkeras.training import TrainedModel, load
from tumorkeras.training.folder import FILES, is_complete, save_model, versions

SHAPE = (6, 8, 8, 1)


@pytest.fixture(scope="module")
def trained():
    keras.utils.set_random_seed(0)
    spec = DataSpec.from_dict(
        {"name": "motion", "source": {"kind": "simulation", "frames": 6}, "input": {"shape": list(SHAPE)}}
    )
    model = build_classifier(SHAPE, 2, filters=(3,), dense=(4,), activation="maxout")
    card = {"kind": "classifier", "classes": ["süß", "b"], "data_sha256": "0" * 64}
    return TrainedModel(model, spec, card, pd.DataFrame({"epoch": [1, 2], "loss": [0.7, 0.5]}))


@pytest.fixture
def folder(trained, tmp_path):
    save_model(trained, tmp_path / "model")
    return tmp_path / "model"


def test_the_folder_holds_four_files_and_nothing_half_written(folder):
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert sorted(FILES) == ["history.csv", "model.keras", "model_card.json", "spec.yaml"]
    assert is_complete(folder)
    assert "süß" in (folder / "model_card.json").read_text(encoding="utf-8")


def test_what_is_loaded_equals_what_was_saved(folder, trained):
    loaded = load(str(folder))
    arrays = np.random.default_rng(0).random((3, *SHAPE), dtype="float32")
    np.testing.assert_allclose(loaded.model(arrays), trained.model(arrays), rtol=1e-6)
    assert loaded.spec.to_dict() == trained.spec.to_dict()
    assert loaded.card == trained.card
    pd.testing.assert_frame_equal(loaded.history, trained.history)
    assert loaded.folder == folder
    assert repr(loaded).startswith("TrainedModel('classifier', classes=['süß', 'b']")


def test_saving_again_replaces(folder, trained):
    save_model(trained, folder)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)


def test_missing_folder_and_files_are_named(folder, tmp_path):
    with pytest.raises(ModelError, match="none: there is no such folder"):
        load(tmp_path / "none")
    (folder / "model.keras").unlink()
    (folder / "history.csv").unlink()
    assert not is_complete(folder)
    with pytest.raises(ModelError) as caught:
        load(folder)
    assert caught.value.faults == ["there is no model.keras", "there is no history.csv"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.keras", b""),
        ("model.keras", b"PK\x03\x04 cut"),
        ("spec.yaml", b""),
        ("spec.yaml", b"\xff"),
        ("model_card.json", b""),
        ("model_card.json", b"{"),
        ("model_card.json", b"[1]"),
        ("history.csv", b""),
        ("history.csv", b"\xff,\n"),
    ],
)
def test_a_broken_file_is_named(folder, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=rf"{name}: cannot be read"):
        load(folder)


def test_a_cut_model_is_named(folder):
    content = (folder / "model.keras").read_bytes()
    for size in (len(content) // 2, len(content) - 30):
        (folder / "model.keras").write_bytes(content[:size])
        with pytest.raises(ModelError, match=r"model\.keras: cannot be read"):
            load(folder)


def test_a_wrong_spec_and_a_card_without_its_fields(folder, trained):
    (folder / "spec.yaml").write_text("name: x\n")
    with pytest.raises(ModelError, match=r"(?s)spec\.yaml: cannot be read.*source: missing"):
        load(folder)
    trained.spec.save(folder / "spec.yaml")
    (folder / "model_card.json").write_text(json.dumps({"kind": "classifier"}))
    with pytest.raises(ModelError, match=r"model_card\.json: cannot be read: there is no classes"):
        load(folder)


def test_code_in_a_model_is_never_run(folder):
    called = []
    inputs = keras.Input((2,))
    outputs = keras.layers.Lambda(lambda x: called.append(1) or x, output_shape=(2,))(inputs)
    keras.Model(inputs, outputs).save(folder / "model.keras")
    called.clear()
    with pytest.raises(ModelError, match=r"(?is)model\.keras: cannot be read: .*lambda"):
        load(folder)
    assert not called


def test_an_autoencoder_with_its_tied_kernels(tmp_path, trained):
    model = build_autoencoder(SHAPE, filters=(3,), bottleneck=4)
    save_model(TrainedModel(model, trained.spec, trained.card, trained.history), tmp_path)
    arrays = np.random.default_rng(0).random((2, *SHAPE), dtype="float32")
    np.testing.assert_allclose(load(tmp_path).model(arrays), model(arrays), rtol=1e-5, atol=1e-6)


def test_versions_name_what_decides_the_numbers():
    found = versions()
    assert list(found) == ["python", "tumorkeras", "tensorflow", "keras", "numpy"]
    assert found["keras"] == keras.__version__
