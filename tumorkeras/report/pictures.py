"""The figures of the report, each as PNG with the words that go with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tumorkeras import markup, plots
from tumorkeras.data.pipeline import arrays_of
from tumorkeras.data.samples import Samples
from tumorkeras.errors import TumorKerasError
from tumorkeras.metrics import apply_temperature, confusion_matrix
from tumorkeras.models.autoencoder import encoder_of, target_of
from tumorkeras.plots.images import evenly
from tumorkeras.training import TrainedModel
from tumorkeras.training.predict import predict

MOST_CLASSES = 8  # with pictures of their own
SHOWN = 8  # slices of a volume, or images of a class
MOST_POINTS = 2000  # of the embedding: more hide each other and make the file heavy
PAIRS = 6  # of input and reconstruction


@dataclass(frozen=True)
class Picture:
    """A PNG, what it shows in words for those who do not see it, and what stands below it."""

    png: bytes
    alt: str
    caption: str
    photo: bool = False  # mostly grain: a fraction of the size as JPEG


def draw(make: Callable[[], Picture]) -> str:
    """The picture as HTML; where it cannot be drawn, a sentence that says why."""
    try:
        picture = make()
    except TumorKerasError as error:
        reason = "; ".join(error.faults) or error.heading
        return markup.paragraph(f"No figure here: {reason}.", "soft")
    return markup.figure(picture.png, picture.alt, picture.caption, picture.photo)


def tracks(samples: Samples) -> Picture:
    """Paths in the plane, a panel a class, all on one scale."""
    from matplotlib import pyplot as plt

    units, names = samples.spec.input.units, samples.classes[:MOST_CLASSES]
    columns = min(len(names), 4)
    lines = -(-len(names) // columns)
    centred = samples.values - samples.values.mean(axis=1, keepdims=True)
    figure, panels = plt.subplots(
        lines, columns, squeeze=False, figsize=(9.6, 9.9 / columns * lines), layout="constrained"
    )
    reach = 1.05 * float(np.quantile(np.abs(centred).max(axis=(1, 2)), 0.98))
    for class_id, (ax, name) in enumerate(zip(panels.flat, names, strict=False)):
        rows = samples.labels == class_id
        if rows.any():  # a rare class may lie in another part
            plots.tracks(centred[rows], samples.labels[rows], list(samples.classes), ax=ax)
            ax.get_legend().remove()
        ax.set(xlabel=f"x ({units})", ylabel=f"y ({units})", xlim=(-reach, reach), ylim=(-reach, reach))
        ax.set_aspect("equal", adjustable="box")
        ax.set_title(name, loc="left")
    for ax in panels.flat[len(names) :]:
        ax.remove()
    return Picture(
        plots.to_png(figure),
        f"Tracks in the plane, a panel a class: {', '.join(names)}.",
        "Up to 12 tracks of each class, each about its own mean, on one scale; a dot marks the last position.",
    )


def examples(samples: Samples) -> Iterator[Callable[[], Picture]]:
    """One picture a class: the frames of one rendered track, or several images or volumes."""
    example = _frames if samples.are_tracks else _several
    for class_id, name in enumerate(samples.classes[:MOST_CLASSES]):
        members = samples.select(samples.labels == class_id)
        if len(members):  # a rare mixture of objects may lie in another part
            yield partial(example, members, name)


def _frames(members: Samples, name: str) -> Picture:
    ax = plots.volume_montage(arrays_of(members.select(np.arange(1)))[0], slices=SHOWN)
    ax.set_xlabel("frame")
    ax.set_title(name, loc="left")
    return Picture(plots.to_png(ax), f"Frames of one volume of the class {name}, drawn from a track.", "")


def _several(members: Samples, name: str) -> Picture:
    arrays = arrays_of(members.select(evenly(len(members), SHOWN)))
    volumes = arrays.ndim == 5
    # Side by side as the slices of a volume would be.
    ax = plots.volume_montage(arrays.max(axis=1) if volumes else arrays, slices=SHOWN)
    ax.set(xlabel="", xticks=[])
    ax.set_title(f"{name}: maximum along the depth" if volumes else name, loc="left")
    what = "volumes, by their maximum along the depth," if volumes else "images"
    return Picture(plots.to_png(ax), f"{len(arrays)} {what} of the class {name}.", "")


def learning_curves(trained: TrainedModel, metric: str = "loss") -> Picture:
    """A metric by epoch, for training and validation."""
    kind, history = trained.card["kind"], trained.history
    last = history[metric].iloc[-1]
    ax = plots.learning_curves(history, metric)
    name, part = (metric.removeprefix("val_"), "validation") if metric.startswith("val_") else (metric, "training")
    name = name if name.isupper() else name.capitalize()
    ax.set_title(f"{name} of the {kind}", loc="left")
    if part == "validation":  # measured there alone
        ax.set_ylabel(name)
        if (legend := ax.get_legend()) is not None:
            legend.get_texts()[0].set_text(part)
    alt = f"{name} of the {kind} by epoch; {last:.3g} in {part} after {len(history)} epochs."
    return Picture(plots.to_png(ax), alt, "")


def reconstructions(trained: TrainedModel, part: Samples) -> Picture:
    """Inputs above what the autoencoder made of them."""
    chosen = part.select(evenly(len(part), PAIRS))
    targets = predict(target_of(trained.model), chosen)
    ax = plots.reconstructions(targets, predict(trained.model, chosen), count=PAIRS)
    ax.set_title("", loc="left")
    flat = " Volumes are shown by their maximum along the depth." if targets.ndim == 5 else ""
    return Picture(
        plots.to_png(ax),
        f"{len(chosen)} inputs of the autoencoder above their reconstructions.",
        f"Inputs, as the network sees them, above their reconstructions.{flat}",
    )


def confusion(read: pd.DataFrame, classes: list[str]) -> Picture:
    """Which class was called which; ``read`` has ``label`` and ``class_id``."""
    matrix = confusion_matrix(read["label"].to_numpy(), read["class_id"].to_numpy("int64"), classes)
    right = int(np.trace(matrix.to_numpy()))
    total = int(matrix.to_numpy().sum())
    alt = f"Confusion matrix: {right} of {total} samples on the diagonal, where prediction and class agree."
    return Picture(plots.to_png(plots.confusion(matrix)), alt, "")


def roc(read: pd.DataFrame, classes: list[str]) -> Picture:
    """The curve of class 1 of two, or of each class against the rest."""
    probabilities = read.filter(regex="^probability_").to_numpy("float64")  # in the order of the classes
    ax = plots.roc(read["label"].to_numpy(), probabilities, classes)
    legend = ax.get_legend()
    assert legend is not None
    areas = "; ".join(text.get_text() for text in legend.get_texts()[:-1])
    return Picture(plots.to_png(ax), f"ROC curves: {areas}.", "")


def reliability(read: pd.DataFrame, groups: np.ndarray | None, temperature: dict[str, Any] | None) -> Picture:
    """Probabilities against frequencies, as they are and at the card's temperature."""
    labels, probabilities = read["label"].to_numpy(), read.filter(regex="^probability_").to_numpy("float64")
    scaled = apply_temperature(probabilities, temperature["value"]) if temperature else None
    ax = plots.reliability(labels, probabilities, scaled, groups=groups)
    legend = ax.get_legend()
    assert legend is not None
    errors = "; ".join(text.get_text().replace("\n", ": ") for text in legend.get_texts()[1:])
    return Picture(plots.to_png(ax), f"Reliability diagram, expected calibration error: {errors}.", "")


def comparison(table: pd.DataFrame, metric: str) -> Picture:
    """The methods below each other, best first."""
    ax = plots.comparison(table, metric)
    name = "AUC" if metric == "auc" else metric
    ax.set_title(f"Methods by {name}", loc="left")
    ax.set_xlabel(ax.get_xlabel().replace("auc", "AUC"))
    order = ", ".join(label.get_text() for label in ax.get_yticklabels())
    return Picture(plots.to_png(ax), f"Methods by {name}, best first: {order}.", "")


def embedding(trained: TrainedModel, part: Samples) -> Picture:
    """The model's features on their first two principal components."""
    chosen = part.select(evenly(len(part), MOST_POINTS))
    features = predict(encoder_of(trained.model), chosen)
    ax = plots.embedding(features, chosen.labels, list(chosen.classes))
    kind = trained.card["kind"]
    ax.set_title(f"Features of the {kind}", loc="left")
    seen = "which has seen the classes of the training part" if kind == "classifier" else "learnt without classes"
    return Picture(
        plots.to_png(ax),
        f"Scatter of the {kind}'s {features.shape[1]} features on two principal components, by class.",
        f"{features.shape[1]} features of the {kind}, {seen}, on two principal components.",
    )
