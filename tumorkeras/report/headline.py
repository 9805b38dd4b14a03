"""The few figures that a job is told by: at the top of its page, beside another job, and on the command line."""

from __future__ import annotations

from collections.abc import Mapping

from tumorkeras import markup
from tumorkeras.metrics.detection_checks import overall_name
from tumorkeras.report.content import metrics_of
from tumorkeras.report.rows import value_and_note
from tumorkeras.training import TrainedModel

Figure = tuple[str, str, str]  # name, value, note

CLASSIFIER = {"accuracy": "Accuracy", "AUC": "AUC", "macro_AUC": "Mean AUC"}
DETECTOR = {"AP50": "AP50", "AP50:95": "AP50:95", "FROC mean": "FROC mean", "sensitivity": "Sensitivity"}


def headline(models: Mapping[str, TrainedModel]) -> list[Figure]:
    """Name, value and note of the key figures of models by their kinds, from their cards."""
    makers = {"classifier": _of_classifier, "detector": _of_detector, "autoencoder": _of_autoencoder}
    return [figure for kind, make in makers.items() if kind in models for figure in make(models[kind])]


def _of_classifier(trained: TrainedModel) -> list[Figure]:
    metrics = metrics_of(trained)
    return [(title, *value_and_note(metrics[name])) for name, title in CLASSIFIER.items() if name in metrics]


def _of_detector(trained: TrainedModel) -> list[Figure]:
    metrics, overall = metrics_of(trained), overall_name(trained.card["classes"])
    found = {name: metrics[f"{name} of {overall}"] for name in DETECTOR if f"{name} of {overall}" in metrics}
    figures = [(DETECTOR[name], *value_and_note(metric)) for name, metric in found.items()]
    wrong = metrics.get(f"false positives per image of {overall}")
    if wrong is not None:
        name, value, note = figures.pop()
        figures.append((name, value, f"{note}, at {markup.rounded(wrong['value'], 2)} false positives an image"))
    return figures


def _of_autoencoder(trained: TrainedModel) -> list[Figure]:
    metrics = metrics_of(trained)
    if not metrics:
        return []
    error, mean = (metrics[name]["value"] for name in ("reconstruction_error", "mean_image_error"))
    return [("Reconstruction error", _share(error, mean), "of that of the mean image")]


def _share(part: float | None, whole: float | None) -> str:
    return f"{100 * part / whole:.1f} %" if part is not None and whole else "–"
