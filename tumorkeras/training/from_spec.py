"""From a spec to a trained model in its folder."""

from __future__ import annotations

import hashlib
import logging
import time
from pathlib import Path
from typing import Any, Literal, get_args

import keras
import numpy as np
import pandas as pd

from tumorkeras.data.agreement import chosen_samples, data_hash
from tumorkeras.data.samples import Samples, load_samples
from tumorkeras.errors import ModelError
from tumorkeras.metrics.classification import classification_metrics
from tumorkeras.metrics.intervals import bootstrap
from tumorkeras.models.transfer import copy_encoder_weights
from tumorkeras.spec import DataSpec, Part
from tumorkeras.training.fit import fit
from tumorkeras.training.folder import (
    PRETRAINING_FOLDER,
    TrainedModel,
    check_free,
    is_complete,
    load,
    origin_of,
    save_model,
    versions,
)
from tumorkeras.training.networks import autoencoder_of, classifier_of, is_classifier
from tumorkeras.training.predict import predict, reconstruction_errors, variance_errors
from tumorkeras.training.state import clear_state

logger = logging.getLogger(__name__)

Kind = Literal["autoencoder", "classifier"]


def train(
    spec: DataSpec | str | Path,
    model: Kind = "classifier",
    output: str | Path | None = None,
    *,
    initial: keras.Model | TrainedModel | str | Path | None = None,
    samples: Samples | None = None,
    progress_bar: bool = True,
) -> TrainedModel:
    """Train the autoencoder or the classifier that a spec describes.

    Weights are fitted on the part "train", the training stops by the part "val", and the card's metrics are
    read once on the part "test" ("val" where there is no test). With ``classifier.pretraining: autoencoder`` and
    no ``initial``, the autoencoder is trained first, and the classifier's convolutions start from it.

    Parameters
    ----------
    spec : DataSpec or path
        The data and the settings.
    model : {"classifier", "autoencoder"}
        What to train.
    output : path, optional
        The model's folder, absent or empty before. A training that was killed goes on from its last whole epoch
        when it is started again with the same folder; a finished one is loaded. An autoencoder that the classifier
        starts from lies in its subfolder ``autoencoder``. None keeps the models in memory only. Plots of the
        learning curves come with :func:`tumorkeras.run`.
    initial : keras.Model, TrainedModel or path, optional
        A model whose convolutions the new one starts from: an autoencoder, or another classifier. Given, it takes
        the place of the spec's pretraining.
    samples : Samples, optional
        Already loaded samples of ``spec``.
    progress_bar : bool
        Shown on standard error, and only on a terminal or in a notebook.

    Returns
    -------
    TrainedModel
        Model, spec, card, history, and its folder.

    Raises
    ------
    SpecError, DataError, ModelError
        If the spec, its data, or ``initial`` do not fit; or if the folder holds the model or training of
        another kind, of other data, settings or first weights, or files that are neither.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "motion",
    ...     "input": {"shape": [16, 16, 16, 1], "spacing": [1, 8, 8]},
    ...     "source": {"kind": "simulation", "samples_per_class": 20, "frames": 16},
    ...     "classifier": {"filters": [4], "pretraining": "none"}, "training": {"epochs": 1}})
    >>> trained = train(spec)
    >>> trained.card["kind"], trained.card["counts"]["train"]
    ('classifier', 42)
    """
    if model not in get_args(Kind):
        raise ModelError("train", [f"model: {model!r} is neither 'autoencoder' nor 'classifier'"])
    spec = spec if isinstance(spec, DataSpec) else DataSpec.from_yaml(spec)
    folder = None if output is None else Path(output)
    finished = folder is not None and is_complete(folder)
    if folder is not None and not finished:
        check_free(folder)
    samples = load_samples(spec) if samples is None else samples
    start = _as_model(initial)
    if start is None and model == "classifier" and spec.classifier.pretraining == "autoencoder":
        start = _pretrained(spec, folder, samples, progress_bar)
    origin = None if start is None else _weights_hash(start)
    if folder is not None and finished:
        return _finished(folder, spec, model, samples, origin)
    keras.utils.set_random_seed(spec.training.seed)
    network = _build(spec, model, samples, start)
    began = time.monotonic()
    validation = samples.part("val") if samples.counts()["val"] else None
    epochs = spec.autoencoder.epochs if model == "autoencoder" else None
    history = fit(
        network,
        samples.part("train"),
        validation,
        spec.training,
        epochs=epochs,
        folder=folder,
        progress_bar=progress_bar,
        origin=origin or "",
    )
    card = _card(spec, model, samples, network)
    card["pretraining"] = "none" if start is None else _kind_of(start)
    card["initial_sha256"] = origin
    card["seconds_to_train"] = round(time.monotonic() - began, 1)
    read_on = "test" if samples.counts()["test"] else "val"
    if samples.counts()[read_on]:
        metrics = _metrics(network, samples.part(read_on))
        stopped = read_on == "val"  # the figures are then a little too good
        card["metrics"] = {"part": read_on, "stopped_by_this_part": stopped, "values": _plain(metrics)}
    trained = TrainedModel(network, spec, card, history, folder)
    if folder is not None:
        save_model(trained, folder)
        clear_state(folder)
    return trained


def _pretrained(spec: DataSpec, folder: Path | None, samples: Samples, progress_bar: bool) -> keras.Model | None:
    """The spec's autoencoder, trained now or loaded; None where a finished classifier did not start from one."""
    place = None if folder is None else folder / PRETRAINING_FOLDER
    if folder is not None and is_complete(folder) and not is_complete(folder / PRETRAINING_FOLDER):
        return None  # it started from another model, which _finished tells
    logger.info("classifier.pretraining: the autoencoder comes first%s", "" if place is None else f", in {place}")
    return train(spec, "autoencoder", place, samples=samples, progress_bar=progress_bar).model


def _kind_of(model: keras.Model) -> Kind:
    return "classifier" if is_classifier(model) else "autoencoder"


def _finished(folder: Path, spec: DataSpec, kind: Kind, samples: Samples, origin: str | None) -> TrainedModel:
    trained = load(folder)
    card = trained.card
    faults = []
    if card["kind"] != kind:
        faults.append(f"holds the model of another kind: {card['kind']}, not {kind}")
    if card.get("data_sha256") != data_hash(samples):
        faults.append("holds a model of other data")
    if card.get("initial_sha256") != origin:
        faults.append("holds a model that started from other weights (initial)")
    old, new = _settings(trained.spec, kind), _settings(spec, kind)
    changed = [name for name in new if old[name] != new[name]]
    if changed:
        faults.append(f"holds a model of other settings in {', '.join(changed)}")
    if faults:
        raise ModelError(
            str(folder), [f"{fault}; choose another output folder, or remove this one" for fault in faults]
        )
    logger.info("%s is already trained", folder)
    clear_state(folder)
    return trained


def _settings(spec: DataSpec, kind: Kind) -> dict[str, Any]:
    """The sections that a model of this kind depends on beside its data."""
    sections = spec.to_dict()
    return {name: sections[name] for name in ("input", "rendering", "preprocessing", "training", kind)}


def _weights_hash(model: keras.Model) -> str:
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _as_model(initial: keras.Model | TrainedModel | str | Path | None) -> keras.Model | None:
    if isinstance(initial, str | Path):
        return load(initial).model
    return initial.model if isinstance(initial, TrainedModel) else initial


def _build(spec: DataSpec, kind: Kind, samples: Samples, initial: keras.Model | None) -> keras.Model:
    if kind == "classifier":
        return classifier_of(spec, len(samples.classes), initial)
    network = autoencoder_of(spec)
    if initial is not None:
        copy_encoder_weights(initial, network)
    return network


def evaluate(
    model: keras.Model | TrainedModel | str | Path,
    data: Samples | DataSpec | str | Path,
    split: Part | None = "test",
) -> pd.DataFrame:
    """Metrics of a model on a part of the data, each with its 95 % bootstrap interval.

    Parameters
    ----------
    model : keras.Model, TrainedModel or path
        A classifier or an autoencoder, or the folder of a trained model.
    data : Samples, DataSpec or path
        Samples, or a spec that describes them.
    split : {"train", "val", "test"} or None
        The part that is read; None reads every sample.

    Returns
    -------
    pandas.DataFrame
        One row per metric, with the columns ``value``, ``low``, ``high`` and ``n``. Of a classifier
        :func:`tumorkeras.metrics.classification_metrics`; of an autoencoder the mean squared error of the
        reconstruction, and beside it that of the mean image.

    Raises
    ------
    SpecError, DataError
        If the data cannot be read, or the part has no sample.
    ModelError
        If the model cannot be loaded, or was trained with other classes, another input or another rendering.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [8, 16, 16, 1]},
    ...     "source": {"kind": "simulation", "samples_per_class": 10, "frames": 8}})
    >>> untrained = classifier_of(spec, 3)
    >>> metrics = evaluate(untrained, spec, split="test")
    >>> list(metrics), int(metrics.loc["accuracy", "n"])
    (['value', 'low', 'high', 'n'], 4)
    """
    model = load(model) if isinstance(model, str | Path) else model
    if isinstance(data, str | Path):
        data = DataSpec.from_yaml(data)
    samples = load_samples(data) if isinstance(data, DataSpec) else data
    chosen = chosen_samples(origin_of(model), samples, split)
    return _metrics(model.model if isinstance(model, TrainedModel) else model, chosen)


def _metrics(network: keras.Model, samples: Samples) -> pd.DataFrame:
    if _kind_of(network) == "autoencoder":
        return _reconstruction_metrics(network, samples)
    probabilities = predict(network, samples)
    return classification_metrics(samples.labels, probabilities, classes=list(samples.classes), groups=samples.groups)


def _reconstruction_metrics(network: keras.Model, samples: Samples) -> pd.DataFrame:
    errors = {
        "reconstruction_error": reconstruction_errors(network, samples),
        "mean_image_error": variance_errors(network, samples),
    }
    table = np.stack(list(errors.values()), axis=1).astype("float64")
    result = bootstrap(
        lambda weights: weights @ table / weights.sum(axis=1, keepdims=True),
        len(table),
        groups=samples.groups,
    )
    columns = {"value": result.value, "low": result.low, "high": result.high, "n": len(table)}
    return pd.DataFrame(columns, index=pd.Index(list(errors), name="metric"))


def _plain(metrics: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """The table as JSON has it: an undefined figure is null."""
    return {
        str(name): {str(column): None if pd.isna(value) else float(value) for column, value in row.items()}
        for name, row in metrics.iterrows()
    }


def _card(spec: DataSpec, kind: Kind, samples: Samples, network: keras.Model) -> dict[str, Any]:
    # Of two classes the second is called where its probability reaches the threshold.
    threshold = {"threshold": 0.5} if kind == "classifier" and len(samples.classes) == 2 else {}
    return {
        "name": spec.name,
        "kind": kind,
        "classes": list(samples.classes),
        **threshold,
        "input_shape": list(spec.input.shape),
        "parameters": int(network.count_params()),
        "data_sha256": data_hash(samples),
        "counts": {name: int(count) for name, count in samples.counts().items()},
        "notes": list(samples.notes),
        "seed": spec.training.seed,
        "versions": versions(),
    }
