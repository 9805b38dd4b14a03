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

from tumorkeras.data.samples import Samples, load_samples
from tumorkeras.errors import ModelError
from tumorkeras.metrics.classification import classification_metrics
from tumorkeras.metrics.intervals import bootstrap
from tumorkeras.models import build_autoencoder, build_classifier
from tumorkeras.models.transfer import copy_encoder_weights
from tumorkeras.spec import DataSpec
from tumorkeras.training.fit import fit
from tumorkeras.training.folder import TrainedModel, is_complete, load, save_model, versions
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
    read once on the part "test" ("val" where there is no test).

    Parameters
    ----------
    spec : DataSpec or path
        The data and the settings.
    model : {"classifier", "autoencoder"}
        What to train.
    output : path, optional
        The model's folder. A training that was killed goes on from its last whole epoch when it is started
        again with the same folder; a finished one is loaded. None keeps the model in memory only.
    initial : keras.Model, TrainedModel or path, optional
        A model whose convolutions the new one starts from: an autoencoder, or another classifier.
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
        another kind, of other data, settings or first weights.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "motion",
    ...     "input": {"shape": [16, 16, 16, 1], "spacing": [1, 8, 8]},
    ...     "source": {"kind": "simulation", "samples_per_class": 20, "frames": 16},
    ...     "classifier": {"filters": [4]}, "training": {"epochs": 1}})
    >>> trained = train(spec)
    >>> trained.card["kind"], trained.card["counts"]["train"]
    ('classifier', 42)
    """
    if model not in get_args(Kind):
        raise ModelError("train", [f"model: {model!r} is neither 'autoencoder' nor 'classifier'"])
    spec = spec if isinstance(spec, DataSpec) else DataSpec.from_yaml(spec)
    folder = None if output is None else Path(output)
    samples = load_samples(spec) if samples is None else samples
    start = _as_model(initial)
    origin = None if start is None else _weights_hash(start)
    if folder is not None and is_complete(folder):
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
    card["initial_sha256"] = origin
    card["seconds_to_train"] = round(time.monotonic() - began, 1)
    read_on = "test" if samples.counts()["test"] else "val"
    if samples.counts()[read_on]:
        metrics = evaluate(network, samples.part(read_on))
        card["metrics"] = {"part": read_on, "values": _plain(metrics)}
    trained = TrainedModel(network, spec, card, history, folder)
    if folder is not None:
        save_model(trained, folder)
        clear_state(folder)
    return trained


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
    steps = [step.model_dump() for step in spec.preprocessing]
    if kind == "autoencoder":
        settings = spec.autoencoder.model_dump(exclude={"epochs"})
        network = build_autoencoder(spec.input.shape, preprocessing=steps, **settings)
    else:
        settings = spec.classifier.model_dump(exclude={"pretraining"})
        network = build_classifier(spec.input.shape, len(samples.classes), preprocessing=steps, **settings)
    if initial is not None:
        copy_encoder_weights(initial, network)
    return network


def evaluate(model: keras.Model | TrainedModel, samples: Samples) -> pd.DataFrame:
    """Metrics of a model on samples, each with its 95 % bootstrap interval (columns value, low, high, n).

    A classifier: :func:`tumorkeras.metrics.classification_metrics`. An autoencoder: the mean squared error of
    the reconstruction, and beside it that of the mean image.
    """
    network = model.model if isinstance(model, TrainedModel) else model
    if "probabilities" not in network.output_names:
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


def data_hash(samples: Samples) -> str:
    """SHA-256 of the samples' values, labels and parts: models with the same hash had the same data."""
    digest = hashlib.sha256(np.ascontiguousarray(samples.values).tobytes())
    digest.update(samples.labels.tobytes())
    digest.update("".join(samples.table["split"]).encode())
    return digest.hexdigest()


def _card(spec: DataSpec, kind: Kind, samples: Samples, network: keras.Model) -> dict[str, Any]:
    return {
        "name": spec.name,
        "kind": kind,
        "classes": list(samples.classes),
        "input_shape": list(spec.input.shape),
        "parameters": int(network.count_params()),
        "data_sha256": data_hash(samples),
        "counts": {name: int(count) for name, count in samples.counts().items()},
        "notes": list(samples.notes),
        "seed": spec.training.seed,
        "versions": versions(),
    }
