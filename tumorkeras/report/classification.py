"""The sections on classification: the classifier's metrics, and the methods compared on the same folds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tumorkeras import markup
from tumorkeras.comparison.methods import BASELINES
from tumorkeras.estimates import COUNTED
from tumorkeras.markup import Cell, Row
from tumorkeras.metrics import calibration_error, threshold_for_sensitivity
from tumorkeras.plots.results import labels_of
from tumorkeras.report import pictures
from tumorkeras.report.content import Content, Metrics
from tumorkeras.report.rows import metric_cell, metric_row, unit_of_resampling

COMPARED = {"accuracy": "accuracy", "auc": "AUC", "sensitivity": "sensitivity", "specificity": "specificity"}
SENSITIVITIES = (0.9, 0.95, 0.99)


def classification(content: Content) -> list[str]:
    """The classifier's metrics, its confusion matrix and ROC curves."""
    metrics = content.metrics("classifier")
    if not metrics:
        return []
    classes = list(content.samples.classes)
    name, share = content.majority
    overall = [metric_row(_in_words(key), value) for key, value in metrics.items() if _is_overall(key)]
    always = Row(
        [
            Cell(f"accuracy of calling all {name}", tag="baseline"),
            Cell(markup.rounded(share), number=True),
            Cell(str(len(content.read)), number=True),
        ],
        "baseline",
    )
    parts = [
        markup.paragraph(f"Read once on the {content.part_in_words}. {unit_of_resampling(content)}"),
        markup.table(["metric", "value", "n"], [*overall, always], "Metrics of the classifier"),
        _by_class(metrics, classes),
        *_tuned(content, classes),
        markup.figures(
            [
                pictures.draw(lambda: pictures.confusion(content.called, classes)),
                pictures.draw(lambda: pictures.roc(content.answers, classes)),
            ]
        ),
    ]
    parts += _calibration(content, classes)
    failed = len(content.predictions) - len(content.answers)
    if failed:
        parts.append(markup.paragraph(f"{failed} samples could not be scored and are in neither figure.", "soft"))
    return parts


def _tuned(content: Content, classes: list[str]) -> list[str]:
    """Where the second of two classes is called, if that was tuned."""
    card = content.models["classifier"].card
    tuned = card.get("tuned_on_validation")
    if tuned is None:
        return []
    reached, cost = (tuned[name]["value"] for name in ("sensitivity", "specificity"))
    where = f"{classes[1]} is called from a probability of {card['threshold']:.3g} on"
    return [markup.paragraph(f"{where}: sensitivity {reached:.3f}, specificity {cost:.3f} on the validation part.")]


def _calibration(content: Content, classes: list[str]) -> list[str]:
    """How far the probabilities can be taken at their word, and what a wanted sensitivity costs."""
    read = content.answers
    if read["label"].nunique() < 2:
        return []
    temperature = content.models["classifier"].card.get("temperature")
    groups, probabilities = content.answer_groups, read.filter(regex="^probability_")  # in the order of the classes
    error, low, high = calibration_error(read["label"], probabilities, groups=groups).to_numpy("float64")[0, :3]  # ECE
    value = f"{markup.rounded(error)} {markup.interval(low, high)}".strip()
    words = [f"Expected calibration error {value}, as they come from the network, on the {content.part_in_words}."]
    if temperature:
        before, after = (temperature[f"log_loss_{when}"] for when in ("before", "after"))
        words.append(
            f"The validation part gives a temperature of {temperature['value']:.2f}, which an export can carry: "
            f"its log loss there is {after:.3f} with it, {before:.3f} without."
        )
    drawn = pictures.draw(lambda: pictures.reliability(read, groups, temperature))
    parts = [markup.heading("Calibration"), *map(markup.paragraph, words), drawn]
    return [*parts, _operating_points(read, classes, groups)] if len(classes) == 2 else parts


def _operating_points(read: pd.DataFrame, classes: list[str], groups: np.ndarray | None) -> str:
    rows, probabilities = [], read.filter(regex="^probability_")  # in the order of the classes
    for wanted in SENSITIVITIES:
        found = threshold_for_sensitivity(read["label"], probabilities, wanted, groups=groups)
        cells = [Cell(f"{wanted:.2f}", number=True), Cell(markup.rounded(found.threshold), number=True)]
        for figure in (found.sensitivity, found.specificity):
            cells.append(Cell(markup.rounded(figure.value), markup.interval(figure.low, figure.high), number=True))
        rows.append(Row(cells))
    columns = ["wanted sensitivity", f"call {classes[1]} from", "sensitivity", "specificity it costs"]
    return markup.table(columns, rows, "Thresholds, chosen on these same samples and so a little too good")


def _is_overall(name: str) -> bool:
    return "[" not in name and name not in COUNTED


def _in_words(name: str) -> str:
    words = name.replace("macro_", "").replace("_", " ")
    return f"{words}, mean of classes" if name.startswith("macro_") else words


def _by_class(metrics: Metrics, classes: list[str]) -> str:
    """Of two classes the four counts; of more a row a class."""
    if "TP" in metrics:
        counts = ", ".join(f"{metrics[name]['value']:.0f} {name}" for name in COUNTED)
        return markup.paragraph(f"{classes[1]} is the positive class: {counts}.")
    columns = ("sensitivity", "specificity", "AUC")
    rows = []
    for name in classes:
        found = [metrics[f"{column}[{name}]"] for column in columns]
        cells = [metric_cell(metric) for metric in found]
        rows.append(Row([Cell(name), *cells, Cell(f"{found[0]['n']:.0f}", number=True)]))
    return markup.table(["class against the rest", *columns, "n"], rows, "Metrics of each class")


def comparison(content: Content) -> list[str]:
    """The methods on the same folds, with the baselines marked and how to read the p values."""
    table = content.comparison
    if table is None:
        return []
    first = table.iloc[0]
    words = (
        f"Each method on the same {first['folds']} folds of {first['samples']} samples; what it tunes or stops "
        "by lies inside its training folds. Grey rows are baselines that know next to nothing: what a method "
        "adds to them is what it has learnt. p is of paired tests of the "
        f"{COMPARED[table.attrs['metric']]}, against the best and against {table.attrs['trivial']} alone."
    )
    metrics = [metric for metric in COMPARED if metric in table]
    ends = ["p (best)", "p (trivial)", "seconds a fold", "MB"]
    columns = ["method", "reads", *(COMPARED[metric] for metric in metrics), *ends]
    parts = [
        markup.paragraph(words),
        markup.table(
            columns,
            [_method_row(row, metrics, table.attrs) for _, row in table.iterrows()],
            "Methods compared",
            stacked=True,
        ),
    ]
    failed = [f"{name}: {error}" for name, error in zip(labels_of(table), table["error"], strict=True) if error]
    if failed:
        parts += [markup.heading("Methods that failed"), markup.bullets(failed)]
    if caveat := table.attrs.get("caveat"):
        parts.append(markup.paragraph(caveat, "aside"))
    drawn = [pictures.draw(lambda m=metric: pictures.comparison(table, m)) for metric in metrics[:2]]  # type: ignore[misc]
    return [*parts, *drawn]


def _method_row(row: pd.Series, metrics: list[str], attrs: dict) -> Row:
    method = str(row["method"])
    baseline, best = method in BASELINES, row.name == attrs.get("best")
    cells = [
        Cell(
            markup.rounded(row[metric]),
            markup.interval(row[f"{metric}_low"], row[f"{metric}_high"]),
            number=True,
        )
        for metric in metrics
    ]
    ends = [
        Cell(_p_value(row["p_value"]), number=True),
        Cell(_p_value(row["p_value_trivial"]), number=True),
        Cell(markup.rounded(row["seconds"], 1), number=True),
        Cell(markup.rounded(row["peak_memory_mb"], 0), number=True),
    ]
    tags = [name for name, holds in {"best": best, "baseline": baseline}.items() if holds]
    cells = [Cell(method, tag=", ".join(tags)), Cell(str(row["features"])), *cells, *ends]
    return Row(cells, tags[0] if tags else "")


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else markup.rounded(value)
