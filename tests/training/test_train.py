"""From a spec to a model folder: the card, loading instead of training again, and equal numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest

from tumorkeras.data.pipeline import arrays_of
from tumorkeras.data.samples import load_samples
from tumorkeras.errors import DataError, ModelError, SpecError
from tumorkeras.metrics import fit_temperature, threshold_for_sensitivity
from tumorkeras.models import build_autoencoder, target_of
from tumorkeras.scoring import score
from tumorkeras.spec import DataSpec
from tumorkeras.training import TrainedModel, evaluate, load, train
from tumorkeras.training.folder import check_free
from tumorkeras.training.from_spec import data_hash
from tumorkeras.training.predict import predict, reconstruction_errors, variance_errors
from tumorkeras.training.recipes import RECIPES

VALUES = {
    "name": "motion",
    "source": {"kind": "simulation", "samples_per_class": 16, "frames": 6},
    "input": {"shape": [6, 8, 8, 1], "spacing": [1, 6, 6]},
    "autoencoder": {"filters": [4], "bottleneck": 6},
    "classifier": {"filters": [4], "dense": [8]},
    "training": {"epochs": 2, "batch_size": 8, "seed": 3},
}


def spec_of(**sections):
    return DataSpec.from_dict({**VALUES, **sections})


def fit_by(monkeypatch, fit):
    """Let every kind of model be fitted by ``fit``; None: by nothing."""
    for kind, recipe in RECIPES.items():
        monkeypatch.setitem(RECIPES, kind, recipe._replace(fit=fit))


@pytest.fixture(scope="module")
def samples():
    return load_samples(spec_of())


@pytest.fixture(scope="module")
def folders(tmp_path_factory, samples):
    """An autoencoder, and a classifier that starts from it."""
    root = tmp_path_factory.mktemp("models")
    autoencoder = train(spec_of(), "autoencoder", root / "autoencoder", samples=samples)
    train(spec_of(), "classifier", root / "classifier", initial=autoencoder, samples=samples)
    return root


@pytest.fixture(scope="module")
def autoencoder(folders):
    return load(folders / "autoencoder")


@pytest.fixture(scope="module")
def classifier(folders):
    return load(folders / "classifier")


def test_callbacks_of_keras_see_what_the_history_has(samples, tmp_path):
    seen = []
    told = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(dict(logs)))
    board = keras.callbacks.TensorBoard(tmp_path / "board", write_graph=False)
    trained = train(spec_of(), "autoencoder", samples=samples, callbacks=[told, board])
    assert pd.DataFrame(seen)["val_loss"].tolist() == trained.history["val_loss"].tolist()
    assert list((tmp_path / "board" / "train").glob("events.*"))


def test_who_looks_through_the_data_comes_to_an_end(samples, monkeypatch):
    """As the autologging of MLflow does before Keras begins."""
    seen = []
    fit = keras.Model.fit

    def logged(model, data, **options):
        seen.append(sum(1 for _ in data))
        return fit(model, data, **options)

    monkeypatch.setattr(keras.Model, "fit", logged)
    assert len(train(spec_of(), "autoencoder", samples=samples).history) == 2
    assert seen == [2 * 5]  # epochs of 34 samples in batches of 8


@pytest.mark.parametrize("kind", ["autoencoder", "classifier"])
def test_the_folder_is_whole_and_the_state_is_gone(folders, kind):
    names = ["history.csv", "model.keras", "model_card.json", "spec.yaml"]
    assert sorted(path.name for path in (folders / kind).iterdir()) == names
    assert len(pd.read_csv(folders / kind / "history.csv")) == 2


def test_the_card_of_a_classifier(folders, classifier, samples):
    card = json.loads((folders / "classifier" / "model_card.json").read_text())
    assert card["kind"] == "classifier"
    assert card["classes"] == ["random_walk", "levy_flight", "fractional_brownian"]
    assert card["counts"] == {"train": 34, "val": 7, "test": 7}
    assert card["counts"] == samples.counts().to_dict()
    assert card["seed"] == 3
    assert card["parameters"] == classifier.model.count_params()
    assert card["data_sha256"] == data_hash(samples)
    assert card["pixel_dtype"] is None  # of tracks
    assert len(card["initial_sha256"]) == 64
    assert set(card["versions"]) == {"python", "tumorkeras", "tensorflow", "keras", "numpy"}
    assert card["metrics"]["part"] == "test"
    assert card["metrics"]["stopped_by_this_part"] is False
    assert card["pretraining"] == "autoencoder"
    assert "threshold" not in card  # of three classes
    accuracy = card["metrics"]["values"]["accuracy"]
    assert set(accuracy) >= {"value", "low", "high", "n"}
    test = samples.part("test")
    predicted = np.asarray(classifier.model(arrays_of(test), training=False)).argmax(axis=1)
    assert accuracy["value"] == pytest.approx((predicted == test.labels).mean())
    assert accuracy["n"] == len(test)
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]


def test_the_card_of_an_autoencoder(autoencoder, samples):
    assert autoencoder.card["initial_sha256"] is None
    assert autoencoder.card["pretraining"] == "none"
    values = autoencoder.card["metrics"]["values"]
    test = arrays_of(samples.part("test"))
    reconstructed = np.asarray(autoencoder.model(test, training=False))
    assert values["reconstruction_error"]["value"] == pytest.approx(np.square(reconstructed - test).mean(), rel=1e-4)
    assert values["mean_image_error"]["value"] == pytest.approx(test.var(axis=0).mean(), rel=1e-4)
    assert values["reconstruction_error"]["n"] == 7


def test_an_autoencoder_knows_from_which_error_on_a_sample_is_unlike(autoencoder, samples):
    """Of seven validation samples the largest error; what the training samples never were lies above it."""
    found = autoencoder.card["out_of_distribution"]
    held_out = arrays_of(samples.part("val"))
    errors = np.square(np.asarray(autoencoder.model(held_out, training=False)) - held_out).mean(axis=(1, 2, 3, 4))
    assert found["threshold"] == pytest.approx(1.001 * errors.max(), rel=1e-4)
    assert (found["quantile"], found["n"], found["part"]) == (0.99, 7, "val")
    assert found["false_alarms"] == pytest.approx(1 / 8)
    like = score(autoencoder, samples, split="test")["out_of_distribution"]
    assert like.mean() < 0.5
    training = arrays_of(samples.part("train"))
    noise = np.random.default_rng(0).normal(0, 0.3, training.shape)
    for unlike in (1 - training, training + noise):
        assert score(autoencoder, unlike.astype("float32"))["out_of_distribution"].all()


def test_a_second_call_loads_the_finished_model(folders, samples, autoencoder, monkeypatch):
    fit_by(monkeypatch, None)
    again = train(spec_of(), "classifier", folders / "classifier", initial=autoencoder, samples=samples)
    assert again.card == load(folders / "classifier").card
    assert train(spec_of(), "autoencoder", folders / "autoencoder").card == autoencoder.card


@pytest.mark.parametrize(
    ("sections", "kind", "words"),
    [
        ({}, "autoencoder", "another kind: classifier, not autoencoder"),
        ({"source": {**VALUES["source"], "seed": 5}}, "classifier", "holds a model of other data"),
        ({"splits": {"seed": 5}}, "classifier", "holds a model of other data"),
        ({"training": {"epochs": 3}}, "classifier", "other settings in training"),
        ({"rendering": {"marker": "disk"}}, "classifier", "other settings in rendering"),
        ({"classifier": {"filters": [5]}}, "classifier", "other settings in classifier"),
        ({}, "classifier", r"started from other weights \(initial\)"),
    ],
)
def test_the_folder_of_another_model_is_refused(folders, sections, kind, words):
    with pytest.raises(ModelError, match=words):
        train(spec_of(**sections), kind, folders / "classifier")


def test_what_does_not_concern_a_model_does_not_forbid_its_folder(folders):
    other = spec_of(classifier={"filters": [5]}, description="new words")
    assert train(other, "autoencoder", folders / "autoencoder").card["kind"] == "autoencoder"


def test_two_runs_with_a_seed_give_equal_numbers(samples, autoencoder, classifier):
    again = train(spec_of(), "classifier", initial=autoencoder, samples=samples)
    assert again.folder is None
    pd.testing.assert_frame_equal(again.history, classifier.history, rtol=1e-5)
    for ours, theirs in zip(again.model.get_weights(), classifier.model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert again.card["metrics"] == classifier.card["metrics"]


def test_first_weights_come_from_initial(folders, autoencoder, samples, monkeypatch):
    built = []
    fit_by(monkeypatch, lambda model, *_, **__: built.append(model) or pd.DataFrame())
    for initial in (autoencoder, autoencoder.model, folders / "autoencoder"):
        train(spec_of(), "classifier", initial=initial, samples=samples)
    train(spec_of(), "autoencoder", initial=folders / "classifier", samples=samples)
    kernel = autoencoder.model.get_layer("conv_1").kernel
    for model in built[:3]:
        np.testing.assert_array_equal(model.get_layer("conv_1").kernel, kernel)
    other = load(folders / "classifier").model.get_layer("conv_1").kernel
    np.testing.assert_array_equal(built[3].get_layer("conv_1").kernel, other)


def test_faults_are_told_before_anything_is_written(tmp_path):
    place = tmp_path / "model"
    with pytest.raises(ModelError, match="'detektor' is not one of autoencoder, classifier, detector"):
        train(spec_of(), "detektor", place)
    with pytest.raises(SpecError, match="no such file"):
        train(tmp_path / "none.yaml", "classifier", place)
    with pytest.raises(ModelError, match="there is no such folder"):
        train(spec_of(), "classifier", place, initial=tmp_path / "none")
    with pytest.raises(ModelError, match="no layer agrees"):
        train(spec_of(), "classifier", place, initial=build_autoencoder((8, 8, 1), filters=(4,)))
    with pytest.raises(DataError):
        train(spec_of(source={"kind": "npz", "path": "none.npz"}), "classifier", place)
    assert not place.exists()


def test_a_classifier_of_one_class_is_refused_before_anything_is_trained(tmp_path):
    one = spec_of(source={**VALUES["source"], "motions": ["random_walk"]}, tasks=["autoencode"])
    with pytest.raises(DataError, match=r"classes: a classifier needs 2 or more, and the data have \['random_walk'\]"):
        train(one, "classifier", tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_evaluate_takes_models_and_trained_models(classifier, samples):
    test = samples.part("test")
    pd.testing.assert_frame_equal(evaluate(classifier, test), evaluate(classifier.model, test))


def test_outputs_do_not_depend_on_the_batch_size(classifier, autoencoder, samples):
    np.testing.assert_allclose(
        predict(classifier.model, samples, 5), predict(classifier.model, samples, 48), rtol=1e-4, atol=1e-6
    )
    one, other = (reconstruction_errors(autoencoder.model, samples, size) for size in (5, 48))
    np.testing.assert_allclose(one, other, rtol=1e-4)
    arrays = arrays_of(samples)
    expected = np.square(arrays - arrays.mean(axis=0)).mean(axis=(1, 2, 3, 4))
    for size in (5, 47):  # the last batch has 3 samples, or 1
        np.testing.assert_allclose(variance_errors(autoencoder.model, samples, size), expected, rtol=1e-4)


def test_errors_are_those_of_the_preprocessed_input(samples):
    keras.utils.set_random_seed(0)
    model = build_autoencoder((6, 8, 8, 1), filters=(2,), preprocessing=[{"step": "rescale", "scale": 5.0}])
    arrays = arrays_of(samples)
    target = np.asarray(target_of(model)(arrays))
    np.testing.assert_allclose(target, arrays * 5, rtol=1e-5)
    expected = np.square(np.asarray(model(arrays, training=False)) - target).mean(axis=(1, 2, 3, 4))
    np.testing.assert_allclose(reconstruction_errors(model, samples), expected, rtol=1e-4)


def test_no_patient_reaches_the_folder(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (24, 4, 8, 8), dtype="uint8")
    labels = np.arange(24) % 2
    np.savez(tmp_path / "volumes.npz", train_images=images, train_labels=labels)
    table = pd.DataFrame(
        {
            "exam_id": [f"EXAM-{k // 2:04d}" for k in range(24)],
            "patient_name": [f"Doe^Jane{k}" for k in range(24)],
            "label": labels,
        }
    )
    table.to_csv(tmp_path / "volumes.csv", index=False)
    values = {
        "name": "nodules",
        "source": {"kind": "npz", "path": "volumes.npz", "table": "volumes.csv"},
        "input": {"shape": [4, 8, 8, 1]},
        "splits": {"group": "exam_id"},
        "preprocessing": [{"step": "rescale"}],
        "autoencoder": {"filters": [4], "bottleneck": 4},
        "classifier": {"filters": [4], "dense": [8]},
        "training": {"epochs": 1},
    }
    trained = train(DataSpec.from_dict(values, folder=tmp_path), output=tmp_path / "model")
    groups = load_samples(trained.spec).groups
    assert groups is not None
    assert len(set(groups)) == 12
    files = [path for path in Path(tmp_path / "model").rglob("*") if path.is_file()]
    assert len(files) == 8  # of the classifier, and of the autoencoder that it starts from
    for file in files:
        content = file.read_bytes()
        assert b"EXAM-" not in content, file.name
        assert b"Doe" not in content, file.name


def test_without_a_test_part_the_card_says_that_val_was_read(samples):
    spec = spec_of(
        splits={"fractions": {"train": 0.8, "val": 0.2, "test": 0.0}},
        classifier={**VALUES["classifier"], "pretraining": "none"},
        training={"epochs": 1},
    )
    trained = train(spec)
    assert trained.card["metrics"]["part"] == "val"
    assert trained.card["metrics"]["stopped_by_this_part"] is True
    assert trained.card["counts"]["test"] == 0


# ------------------------------------------------------------------------------------------------- pretraining


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory, samples):
    """A classifier whose spec asks for pretraining, trained by one call."""
    return train(spec_of(), output=tmp_path_factory.mktemp("pretrained") / "model", samples=samples)


def test_pretraining_that_the_spec_asks_for_is_done(pretrained, classifier, autoencoder):
    """One call gives what an autoencoder and ``initial`` give: the same weights, the same card."""
    inner = load(pretrained.folder / "autoencoder")
    for ours, theirs in zip(inner.model.get_weights(), autoencoder.model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    for ours, theirs in zip(pretrained.model.get_weights(), classifier.model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert pretrained.card["pretraining"] == "autoencoder"
    assert pretrained.card["metrics"] == classifier.card["metrics"]


def test_a_pretrained_model_is_loaded_and_goes_on_by_its_autoencoder(pretrained, samples, monkeypatch, tmp_path):
    fit_by(monkeypatch, None)
    assert train(spec_of(), output=pretrained.folder, samples=samples).card == pretrained.card
    other = spec_of(autoencoder={"filters": [4], "bottleneck": 3})
    with pytest.raises(ModelError, match=r"autoencoder: holds a model of other settings in autoencoder"):
        train(other, output=pretrained.folder, samples=samples)
    # a kill after the pretraining leaves the autoencoder alone: it is not trained again
    shutil.copytree(pretrained.folder / "autoencoder", tmp_path / "model" / "autoencoder")
    fitted = []
    fit_by(monkeypatch, lambda model, *_, **__: fitted.append(model.name) or pd.DataFrame())
    again = train(spec_of(), output=tmp_path / "model", samples=samples)
    assert len(fitted) == 1
    assert again.card["initial_sha256"] == pretrained.card["initial_sha256"]


def test_pretraining_none_and_no_output(samples, monkeypatch):
    fitted = []
    fit_by(monkeypatch, lambda model, *_, **__: fitted.append(model.output_names[0]) or pd.DataFrame())
    alone = train(spec_of(classifier={**VALUES["classifier"], "pretraining": "none"}), samples=samples)
    assert (alone.card["pretraining"], alone.card["initial_sha256"]) == ("none", None)
    assert train(spec_of(), samples=samples).card["pretraining"] == "autoencoder"
    assert fitted == ["probabilities", "reconstruction", "probabilities"]


# ------------------------------------------------------------------------------------- the folder before training


@pytest.mark.parametrize("name", ["spec.yaml", "thesis.txt", "model.keras"])
def test_the_users_own_files_are_never_written_over(tmp_path, monkeypatch, name):
    fit_by(monkeypatch, None)
    (tmp_path / name).write_text("by hand")
    with pytest.raises(ModelError, match=rf"is not empty and holds no model or training \({name}\)"):
        train(spec_of(), output=tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["by hand"]


def test_a_file_in_the_way_is_told_before_training(tmp_path, monkeypatch):
    fit_by(monkeypatch, None)
    (tmp_path / "notes").write_text("by hand")
    for place in (tmp_path / "notes", tmp_path / "notes" / "model"):
        with pytest.raises(ModelError, match="notes: is a file; choose another output folder"):
            train(spec_of(), output=place)


def test_what_a_stopped_training_left_is_gone_on_with(tmp_path):
    check_free(tmp_path / "absent" / "model")
    check_free(tmp_path)
    for name in (".training", "autoencoder"):
        (tmp_path / name).mkdir()
    for name in ("model.keras", "spec.yaml", ".new.model.keras"):  # killed while it was saved
        (tmp_path / name).write_text("")
    check_free(tmp_path)


# --------------------------------------------------------------------------------- which data a model may be read on


def test_evaluate_takes_specs_paths_folders_and_parts(classifier, folders, samples, tmp_path):
    spec = spec_of()
    spec.save(tmp_path / "spec.yaml")
    expected = evaluate(classifier, samples.part("val"), split=None)
    for model, data in ((folders / "classifier", tmp_path / "spec.yaml"), (classifier, spec), (classifier, samples)):
        pd.testing.assert_frame_equal(evaluate(model, data, split="val"), expected)
    assert evaluate(classifier, samples, split=None).loc["accuracy", "n"] == len(samples)


def test_data_that_do_not_fit_are_refused_field_by_field(classifier, autoencoder, samples):
    other = spec_of(
        source={**VALUES["source"], "motions": ["levy_flight", "random_walk"]},
        input={"shape": [6, 9, 8, 1], "spacing": [1, 6, 3]},
        rendering={"marker": "disk"},
    )
    with pytest.raises(ModelError) as refused:
        evaluate(classifier, other)
    assert [fault.partition(":")[0] for fault in refused.value.faults] == [
        "classes",
        "input.shape",
        "input.spacing",
        "rendering.marker",
    ]
    assert refused.value.faults[1] == "input.shape: the model has [6, 8, 8, 1], the data have [6, 9, 8, 1]"
    swapped = spec_of(classes=["levy_flight", "random_walk", "fractional_brownian"])
    with pytest.raises(ModelError, match="classes: the model has"):
        evaluate(classifier, swapped)
    assert len(evaluate(autoencoder, swapped)) == 2  # an autoencoder knows no classes
    with pytest.raises(ModelError, match="number of classes: the model has 3, the data have 2"):
        evaluate(classifier.model, spec_of(source={**VALUES["source"], "motions": ["levy_flight", "random_walk"]}))


@pytest.mark.parametrize(("own", "refused"), [("uint8", True), ("uint16", False), (None, False)])
def test_grey_levels_of_another_depth_are_refused(own, refused, tmp_path):
    """Their range is another one: 255 is white in one, and nearly black in the other."""
    volumes = np.random.default_rng(0).integers(0, 4000, (12, 6, 8, 8, 1), dtype="uint16")
    keys = {
        f"{part}_{what}": values
        for part in ("train", "val", "test")
        for what, values in (("images", volumes), ("labels", np.arange(12) % 3))
    }
    np.savez(tmp_path / "deep.npz", **keys)
    spec = spec_of(source={"kind": "npz", "path": str(tmp_path / "deep.npz")}, tasks=["classify"])
    samples = load_samples(spec)
    card = {"kind": "classifier", "classes": list(samples.classes), "pixel_dtype": own}
    network = keras.Sequential([keras.Input((6, 8, 8, 1)), keras.layers.Flatten()])
    network.add(keras.layers.Dense(3, activation="softmax", name="probabilities"))
    model = TrainedModel(network, spec, card, pd.DataFrame())
    if refused:
        with pytest.raises(ModelError, match="grey levels: the model has 'uint8', the data have 'uint16'"):
            evaluate(model, samples)
    else:
        assert len(evaluate(model, samples))


def test_a_spacing_of_one_may_be_left_out(samples):
    """None means 1 along each axis."""
    spec = spec_of(input={"shape": [6, 8, 8, 1]})
    network = keras.Sequential([keras.Input((6, 8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    network = keras.Model(network.inputs, keras.layers.Softmax(name="probabilities")(network.outputs[0]))
    model = TrainedModel(network, spec, {"kind": "classifier", "classes": list(samples.classes)}, pd.DataFrame())
    assert len(evaluate(model, spec_of(input={"shape": [6, 8, 8, 1], "spacing": [1, 1, 1]})))


def test_a_part_that_the_model_may_have_seen_is_read_with_a_warning(classifier, samples, caplog):
    resplit = spec_of(splits={"seed": 5})
    for data, split, warned in (
        (resplit, "test", True),
        (resplit, "train", False),
        (samples, "test", False),
        (samples.part("test"), "test", False),  # a part alone cannot be told from another
    ):
        caplog.clear()
        evaluate(classifier, data, split)
        assert any("may have been among its training samples" in text for text in caplog.messages) == warned


def test_the_card_of_two_classes_names_the_threshold(samples, monkeypatch):
    fit_by(monkeypatch, lambda *_, **__: pd.DataFrame())
    two = {**VALUES["source"], "motions": ["random_walk", "levy_flight"]}
    assert train(spec_of(source=two)).card["threshold"] == 0.5
    assert "threshold" not in train(spec_of(source=two), "autoencoder").card


def test_the_card_has_the_temperature_and_the_threshold_of_the_validation_part(samples, monkeypatch):
    def answer(_, part):  # all but the first are called right, none as surely as another
        second = np.where(part.labels == 1, 0.9, 0.1) + np.linspace(-0.05, 0.05, len(part))
        second[0] = 1 - second[0]
        return np.column_stack([1 - second, second])

    fit_by(monkeypatch, lambda *_, **__: pd.DataFrame())
    monkeypatch.setattr("tumorkeras.training.recipes.predict", answer)
    two = {**VALUES["source"], "motions": ["random_walk", "levy_flight"]}
    spec = spec_of(source=two, classifier={**VALUES.get("classifier", {}), "sensitivity": 0.8})
    card, part = train(spec).card, load_samples(spec).part("val")
    scores = answer(None, part)
    assert card["temperature"] == fit_temperature(part.labels, scores)._asdict() | {"part": "val"}
    tuned = threshold_for_sensitivity(part.labels, scores, 0.8)
    assert card["threshold"] == tuned.threshold
    assert card["tuned_on_validation"]["specificity"]["value"] == tuned.specificity.value
    called = (answer(None, load_samples(spec).part("test"))[:, 1] >= tuned.threshold).sum()
    counts = card["metrics"]["values"]
    assert counts["TP"]["value"] + counts["FP"]["value"] == called  # the card's metrics are read at this threshold
    with pytest.raises(ModelError, match="is of the second of two classes; the data have 3"):
        train(spec_of(classifier={**VALUES.get("classifier", {}), "sensitivity": 0.8}))


@pytest.mark.parametrize(
    ("labels", "scores", "warned"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], False),  # all right: any temperature below 1 is better
        ([1, 1], [0.2, 0.3], True),
        (None, [], True),
    ],
)
def test_what_validation_samples_do_not_tell_is_not_in_the_card(labels, scores, warned, monkeypatch, caplog):
    monkeypatch.setattr("tumorkeras.training.recipes.predict", lambda *_: np.asarray(scores))
    spec = spec_of(classifier={**VALUES["classifier"], "sensitivity": 0.9})
    part = None if labels is None else SimpleNamespace(labels=np.asarray(labels), groups=np.zeros(len(labels)))
    card = RECIPES["classifier"].settle(None, SimpleNamespace(classes=["a", "b"], spec=spec), part)
    assert "temperature" not in card
    text = "classifier.sensitivity: no validation part with both classes; the threshold is 0.5"
    assert caplog.messages == [text] * warned
    json.dumps(card, allow_nan=False)  # of a single group there is no interval
    assert card["threshold"] == (0.5 if warned else 0.8)
