"""The sections on detection: objects and examples, the detector's metrics and curves, what it found and missed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tumorkeras import markup
from tumorkeras.data.detection import DetectionSamples
from tumorkeras.data.splits import PARTS
from tumorkeras.markup import Cell, Row
from tumorkeras.metrics.detection_checks import overall_name
from tumorkeras.report import detection_pictures
from tumorkeras.report.content import Content, Metrics
from tumorkeras.report.pictures import draw
from tumorkeras.report.rows import count_rows, metric_cell, unit_of_resampling

PRECISION = ("AP50", "AP75", "AP50:95", "AP small", "AP medium", "AP large", "AR100")
OPERATING = ("sensitivity", "precision", "false positives per image", "FROC 1/4", "FROC 1", "FROC 4", "FROC mean")


def counts(samples: DetectionSamples) -> str:
    """Objects of each class, and images with and without any, by part."""
    held = [samples.boxes_of(k)[1] for k in range(len(samples))]
    parts = samples.table["split"].to_numpy()
    labels, part_of_label = np.concatenate(held), np.repeat(parts, [len(own) for own in held])
    objects = pd.crosstab(np.asarray(samples.classes, dtype=object)[labels], part_of_label)
    bare = np.array([not len(own) for own in held])
    images = pd.DataFrame({"images": 1, "images without objects": bare.astype(int)}).groupby(parts).sum().T
    rows = [
        *count_rows(objects.reindex(index=list(samples.classes), columns=list(PARTS), fill_value=0)),
        *(Row(row.cells, "baseline") for row in count_rows(images.reindex(columns=list(PARTS), fill_value=0))),
    ]
    return markup.table(["objects of class", "train", "validation", "test", "all"], rows, "Objects by class and part")


def examples(content: Content) -> list[str]:
    """Images of the training part with their boxes."""
    training = content.samples.part("train")
    return [markup.heading("Images of the training part"), draw(lambda: detection_pictures.examples(training))]


def detection(content: Content) -> list[str]:
    """The detector's metrics by class, its curves, its threshold and anchors, and its best and worst answers."""
    metrics = content.metrics("detector")
    if not metrics:
        return []
    scene, threshold = detection_pictures.scene_of(content), content.main.card["threshold"]
    worst = [draw(lambda k=kind: detection_pictures.worst(scene, k)) for kind in ("misses", "false_alarms")]  # type: ignore[misc]
    failed = int((content.predictions["status"] != "ok").sum())
    return [
        markup.paragraph(
            f"Read once on the {content.part_in_words}. A detection is a hit where it overlaps an object of its class "
            f"with an IoU of at least 0.5 (AP75, AP50:95, AR: others). {unit_of_resampling(content)}"
        ),
        _by_class(metrics, content, PRECISION, "Average precision and recall by class"),
        markup.paragraph(_threshold_in_words(content.main.card)),
        _by_class(metrics, content, OPERATING, "Metrics at the threshold, and along the FROC curve, by class"),
        markup.paragraph(_anchors_in_words(content.main.card), "soft"),
        markup.figures(
            [draw(lambda: detection_pictures.precision_recall(scene)), draw(lambda: detection_pictures.froc(scene))]
        ),
        *(
            [markup.paragraph(f"Images that could not be read, and are in no figure: {failed}.", "soft")]
            if failed
            else []
        ),
        markup.heading("What it found"),
        draw(lambda: detection_pictures.found(scene, content.part)),
        markup.heading("What it missed, and where it was wrong"),
        *worst,
        markup.paragraph(
            f"At the threshold of {threshold:.3g}, the worst first; images are numbered from 0 in the order of the "
            f"{content.part} part.",
            "soft",
        ),
    ]


def _by_class(metrics: Metrics, content: Content, columns: tuple[str, ...], title: str) -> str:
    """A row a class, and one of all; columns that are undefined everywhere are left out."""
    classes = list(content.samples.classes)
    overall = overall_name(classes)
    names = [*classes, overall] if len(classes) > 1 else classes
    shown = [name for name in columns if any(_defined(metrics.get(f"{name} of {own}")) for own in names)]
    rows = []
    for own in names:
        held = Cell(f"{own}", f"n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{metrics[f'AP50 of {own}']['n']:.0f}")
        cells = [metric_cell(metrics[f"{name} of {own}"]) for name in shown]
        rows.append(Row([held, *cells], "best" if own == overall else ""))
    return markup.table(["class", *shown], rows, title, stacked=True)


def _defined(metric: Any) -> bool:
    return metric is not None and metric["value"] is not None


def _threshold_in_words(card: dict[str, Any]) -> str:
    tuned, said = card.get("tuned_on_validation"), f"Detections count from a score of {card['threshold']:.3g} on"
    if tuned is None:
        return f"{said}: it was not tuned, for no object was in a validation part."
    return (
        f"{said}, where F1 on the validation part is largest: {tuned['f1']:.3f}, with a sensitivity of "
        f"{tuned['sensitivity']:.3f}, a precision of {tuned['precision']:.3f} and {tuned['false_positives']:.2f} false "
        "positives an image."
    )


def _anchors_in_words(card: dict[str, Any]) -> str:
    anchors = card["anchors"]
    sizes = "; ".join(
        f"{', '.join(f'{size:g}' for size in own)} at stride {stride}"
        for stride, own in zip(anchors["strides"], anchors["sizes"], strict=True)
    )
    ratios = ", ".join(f"{ratio:g}" for ratio in anchors["ratios"])
    return (
        f"Anchors, in pixels of the canvas: sizes {sizes}, each in ratios (height over width) of {ratios}. They meet "
        f"{100 * card['anchor_recall']:.1f} % of the training boxes at IoU 0.5."
    )
