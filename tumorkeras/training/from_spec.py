"""From a spec to a trained model in its folder."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import keras
import numpy as np
import pandas as pd

from tumorkeras.data.agreement import chosen_samples, data_hash
from tumorkeras.data.detection import DetectionSamples
from tumorkeras.data.samples import Samples
from tumorkeras.errors import DataError, ModelError
from tumorkeras.estimates import Estimates
from tumorkeras.spec import DataSpec, Part
from tumorkeras.training.devices import devices_of
from tumorkeras.training.folder import (
    PRETRAINING_FOLDER,
    TrainedModel,
    as_network,
    check_free,
    is_complete,
    load,
    origin_of,
    save_model,
    versions,
)
from tumorkeras.training.networks import kind_of
from tumorkeras.training.recipes import RECIPES
from tumorkeras.training.state import clear_state

logger = logging.getLogger(__name__)

Kind = Literal["autoencoder", "classifier", "detector"]
AnySamples = Samples | DetectionSamples


def train(
    spec: DataSpec | str | Path,
    model: Kind = "classifier",
    output: str | Path | None = None,
    *,
    initial: keras.Model | TrainedModel | str | Path | None = None,
    samples: AnySamples | None = None,
    progress: bool = True,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> TrainedModel:
    """Train the autoencoder, the classifier or the detector that a spec describes.

    Weights are fitted on the part "train", the training stops by the part "val", and the card's metrics are
    read once on the part "test" ("val" where there is no test). With ``classifier.pretraining: autoencoder`` or
    ``detector.backbone: autoencoder`` and no ``initial``, the autoencoder is trained first, and the convolutions start
    from it. The operating threshold of a detector is tuned on "val", and so is the error of an autoencoder above which
    a sample is unlike the training ones.

    Parameters
    ----------
    spec : DataSpec or path
        The data and the settings.
    model : {"classifier", "autoencoder", "detector"}
        What to train.
    output : path, optional
        The model's folder, absent or empty before. A training that was killed goes on from its last whole epoch
        when it is started again with the same folder; a finished one is loaded. An autoencoder that another model
        starts from lies in its subfolder ``autoencoder``. None keeps the models in memory only. Plots of the
        learning curves come with :func:`tumorkeras.run`.
    initial : keras.Model, TrainedModel or path, optional
        A model whose convolutions the new one starts from: an autoencoder, or another classifier; of a detector, an
        autoencoder, where the spec says ``detector.backbone: autoencoder``. It takes the place of the pretraining.
    samples : Samples or DetectionSamples, optional
        Already loaded samples of ``spec``: of a detector those of :func:`tumorkeras.data.detection.load_detection`.
    progress : bool
        Live curves in a notebook (:class:`tumorkeras.training.LiveCurves`), a bar on a terminal, elsewhere a logged
        line an epoch; False for none of them.
    callbacks : sequence of keras.callbacks.Callback
        Keras' own, such as TensorBoard, told of every epoch after its figures are measured; of the model itself, not of
        the autoencoder that it starts from.

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
        raise ModelError("train", [f"model: {model!r} is not one of {', '.join(get_args(Kind))}"])
    spec = spec if isinstance(spec, DataSpec) else DataSpec.from_yaml(spec)
    devices = devices_of(spec.training)
    folder = None if output is None else Path(output)
    finished = folder is not None and is_complete(folder)
    if folder is not None and not finished:
        check_free(folder)
    recipe = RECIPES[model]
    samples = recipe.load(spec) if samples is None else replace(samples, spec=spec)
    if len(samples.classes) < recipe.least_classes:
        fault = f"a {model} needs {recipe.least_classes} or more, and the data have {list(samples.classes)}"
        raise DataError("classes", [fault])
    start = as_network(initial)
    if start is None and recipe.starts_from_autoencoder(spec):
        start = _pretrained(spec, folder, samples, progress)
    origin = None if start is None else _weights_hash(start)
    if folder is not None and finished:
        return _finished(folder, spec, model, samples, origin)
    keras.utils.set_random_seed(spec.training.seed)
    training, validation = samples.part("train"), samples.part("val") if samples.counts()["val"] else None
    network = recipe.build(spec, training, start)
    began = time.monotonic()
    history = recipe.fit(
        network,
        training,
        validation,
        spec.training,
        epochs=getattr(getattr(spec, model), "epochs", None),
        folder=folder,
        progress=progress,
        origin=origin or "",
        callbacks=callbacks,
    )
    card = _card(spec, model, samples, network) | recipe.settle(network, training, validation)
    card["pretraining"] = "none" if start is None else kind_of(start)
    card["initial_sha256"] = origin
    card["devices"] = len(devices)
    card["seconds_to_train"] = round(time.monotonic() - began, 1)
    read_on = "test" if samples.counts()["test"] else "val"
    if samples.counts()[read_on]:
        metrics = recipe.measure(network, samples.part(read_on), card)
        stopped = read_on == "val"  # the figures are then a little too good
        # The part that stops the training also tunes the threshold of a detector, and of a classifier where wanted.
        card["metrics"] = {"part": read_on, "stopped_by_this_part": stopped, "values": _plain(metrics)}
    trained = TrainedModel(network, spec, card, history, folder)
    if folder is not None:
        save_model(trained, folder)
        clear_state(folder)
    return trained


def _pretrained(spec: DataSpec, folder: Path | None, samples: AnySamples, progress: bool) -> keras.Model | None:
    """The spec's autoencoder, trained now or loaded; None where a finished model did not start from one."""
    place = None if folder is None else folder / PRETRAINING_FOLDER
    if folder is not None and is_complete(folder) and not is_complete(folder / PRETRAINING_FOLDER):
        return None  # it started from another model, which _finished tells
    logger.info("the autoencoder comes first%s", "" if place is None else f", in {place}")
    own = samples if isinstance(samples, Samples) else None
    return train(spec, "autoencoder", place, samples=own, progress=progress).model


def _finished(folder: Path, spec: DataSpec, kind: Kind, samples: AnySamples, origin: str | None) -> TrainedModel:
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


def evaluate(
    model: keras.Model | TrainedModel | str | Path,
    data: AnySamples | DataSpec | str | Path,
    split: Part | None = "test",
) -> pd.DataFrame:
    """Metrics of a model on a part of the data, each with its 95 % bootstrap interval.

    Parameters
    ----------
    model : keras.Model, TrainedModel or path
        A classifier, an autoencoder or a detector, or the folder of a trained model.
    data : Samples, DetectionSamples, DataSpec or path
        Samples, or a spec that describes them.
    split : {"train", "val", "test"} or None
        The part that is read; None reads every sample.

    Returns
    -------
    pandas.DataFrame
        One row per metric, with the columns ``value``, ``low``, ``high`` and ``n``. Of a classifier
        :func:`tumorkeras.metrics.classification_metrics`, of two classes at the threshold of its card; of an
        autoencoder the mean squared error of the reconstruction, and beside it that of the mean image; of a detector
        :func:`tumorkeras.metrics.detection_metrics`, one row a metric and class, at the threshold of its card. A
        notebook shows each value with its interval.

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
    >>> from tumorkeras.training.networks import classifier_of
    >>> untrained = classifier_of(spec, 3)
    >>> metrics = evaluate(untrained, spec, split="test")
    >>> list(metrics), int(metrics.loc["accuracy", "n"])
    (['value', 'low', 'high', 'n'], 4)
    """
    model = load(model) if isinstance(model, str | Path) else model
    if isinstance(data, str | Path):
        data = DataSpec.from_yaml(data)
    network, card = (model.model, model.card) if isinstance(model, TrainedModel) else (model, {})
    recipe = RECIPES[kind_of(network)]
    samples: Any = recipe.load(data) if isinstance(data, DataSpec) else data
    return Estimates.of(recipe.measure(network, chosen_samples(origin_of(model), samples, split), card))


def _plain(metrics: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """The table as JSON has it: an undefined figure is null."""
    return {
        _in_words(name): {str(column): None if pd.isna(value) else float(value) for column, value in row.items()}
        for name, row in metrics.iterrows()
    }


def _in_words(name: Any) -> str:
    """The name of a row; of a metric and a class both: "AP50 of RBC"."""
    return " of ".join(name) if isinstance(name, tuple) else str(name)


def _card(spec: DataSpec, kind: Kind, samples: AnySamples, network: keras.Model) -> dict[str, Any]:
    return {
        "name": spec.name,
        "kind": kind,
        "classes": list(samples.classes),
        "input_shape": list(spec.input.shape),
        "parameters": int(network.count_params()),
        "data_sha256": data_hash(samples),
        "pixel_dtype": samples.pixel_dtype,
        "counts": {name: int(count) for name, count in samples.counts().items()},
        "notes": list(samples.notes),
        "seed": spec.training.seed,
        "strategy": spec.training.strategy,
        "versions": versions(),
    }
