"""The sections of the report: each gives its pieces of HTML, or none where it has nothing to say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tumorkeras.data.splits import PARTS
from tumorkeras.report import markup, pictures
from tumorkeras.report.content import Content, Metrics
from tumorkeras.report.markup import Cell, Row

BASELINES = ("majority", "trivial")
COMPARED = {"accuracy": "accuracy", "auc": "AUC", "sensitivity": "sensitivity", "specificity": "specificity"}
COUNTS = ("TP", "TN", "FP", "FN")
FILES = {
    "report.html": "this page",
    "audit.json": "what is wrong with the data",
    "metrics.json": "the metrics of the models with their intervals",
    "comparison.csv": "the comparison, one row per method",
    "comparison_folds": "results of single folds, by which a comparison goes on after a stop",
    "predictions.parquet": "one row per sample of the part that was read",
    "run.json": "which spec and data the folder belongs to",
}


def key_figures(content: Content) -> list[tuple[str, str, str]]:
    """The few figures for the top of the page: name, value, note."""
    figures = []
    metrics = content.metrics("classifier")
    for name, title in {"accuracy": "Accuracy", "AUC": "AUC", "macro_AUC": "Mean AUC"}.items():
        if name in metrics:
            figures.append((title, *_value(metrics[name])))
    if metrics:
        name, share = content.majority
        figures.append(("Baseline", markup.rounded(share), f"accuracy of calling all {name}"))
    coder = content.metrics("autoencoder")
    if coder:
        error, mean = (coder[name]["value"] for name in ("reconstruction_error", "mean_image_error"))
        note = "of that of the mean image"
        figures.append(("Reconstruction error", _share(error, mean), note))
    figures.append(("Samples", str(len(content.samples)), f"{len(content.read)} of them in the {content.part} part"))
    return figures


def _value(metric: dict[str, float | None]) -> tuple[str, str]:
    bounds = markup.interval(metric["low"], metric["high"])
    return markup.rounded(metric["value"]), f"{bounds} n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{metric['n']:.0f}".strip()


def _share(part: float | None, whole: float | None) -> str:
    return f"{100 * part / whole:.1f} %" if part is not None and whole else "–"


def data(content: Content) -> list[str]:
    """Counts by class and part, what loading did, and pictures of the training part."""
    samples = content.samples
    counts = pd.crosstab(samples.table["class_name"], samples.table["split"])
    counts = counts.reindex(index=list(samples.classes), columns=list(PARTS), fill_value=0)
    rows = [
        Row([Cell(name), *(Cell(str(count), number=True) for count in (*line, sum(line)))])
        for name, line in zip(samples.classes, counts.to_numpy().tolist(), strict=True)
    ]
    parts = [
        markup.paragraph(_origin_of_samples(content)),
        markup.table(["class", "train", "validation", "test", "all"], rows, "Samples by class and part"),
    ]
    if samples.notes:
        parts += [markup.heading("What reading them did"), markup.bullets(samples.notes)]
    shown = samples.part("train")
    drawn = [pictures.draw(lambda: pictures.tracks(shown))] if samples.are_tracks else []
    drawn += [pictures.draw(make) for make in pictures.examples(shown)]
    parts += [markup.heading("Samples of the training part"), *drawn]
    more = len(samples.classes) - pictures.MOST_CLASSES
    return [*parts, markup.paragraph(f"{more} more classes are not drawn.", "soft")] if more > 0 else parts


def _origin_of_samples(content: Content) -> str:
    samples, spec = content.samples, content.samples.spec
    shape = " x ".join(map(str, spec.input.shape))
    origins = {
        "simulation": "simulated tracks of moving cells, drawn as volumes",
        "tracks": "tracks of moving cells, drawn as volumes",
        "npz": "volumes",
        "image_folder": "images" if len(spec.input.shape) == 3 else "volumes",
        "detection": "images with boxes",
        "regions": "marked regions of images",
        "phantoms": "simulated ultrasound images with lesions",
    }
    groups = samples.groups
    kept = "" if groups is None else f" They come from {len(np.unique(groups))} groups; none is in two parts."
    what = f"{len(samples)} {origins[spec.source.kind]} of shape {shape}"
    return f"{what}, in {len(samples.classes)} classes.{kept}"


def audit(content: Content) -> list[str]:
    """What is wrong with the data."""
    return [] if content.found is None else [content.found.to_html()]


def learning(content: Content) -> list[str]:
    """Learning curves of each model, and what it cost."""
    rows, drawn = [], []
    for kind, trained in content.models.items():
        card = trained.card
        cost = [
            f"{card['parameters']:,}",
            str(len(trained.history)),
            markup.rounded(card["seconds_to_train"], 1),
        ]
        rows.append(Row([Cell(kind), *(Cell(text, number=True) for text in cost)]))
        for metric in ("loss", "accuracy"):
            if metric in trained.history:
                drawn.append(pictures.draw(lambda t=trained, m=metric: pictures.learning_curves(t, m)))  # type: ignore[misc]
    table = markup.table(["model", "parameters", "epochs", "seconds"], rows, "The models and their training")
    return [table, markup.figures(drawn)]


def reconstruction(content: Content) -> list[str]:
    """Inputs and outputs of the autoencoder, and its error beside that of the mean image."""
    coder = content.models.get("autoencoder")
    if coder is None:
        return []
    metrics = content.metrics("autoencoder")
    titles = {"reconstruction_error": "autoencoder", "mean_image_error": "mean image"}
    rows = [_metric_row(titles[name], metric, name == "mean_image_error") for name, metric in metrics.items()]
    parts = [
        markup.paragraph(
            "The mean squared error of the reconstruction stands beside that of the best constant answer, "
            f"the mean image, on the {content.part_in_words}."
        ),
        markup.table(["mean squared error of", "value", "n"], rows, "Errors of reconstruction"),
    ]
    return [*parts, pictures.draw(lambda: pictures.reconstructions(coder, content.read))]


def _metric_row(title: str, metric: dict[str, float | None], baseline: bool = False) -> Row:
    value = Cell(markup.rounded(metric["value"]), markup.interval(metric["low"], metric["high"]), number=True)
    tag = "baseline" if baseline else ""
    cells = [Cell(title, tag=tag), value, Cell(f"{metric['n']:.0f}", number=True)]
    return Row(cells, "baseline" if baseline else "")


def classification(content: Content) -> list[str]:
    """The classifier's metrics, its confusion matrix and ROC curves."""
    metrics = content.metrics("classifier")
    if not metrics:
        return []
    classes = list(content.samples.classes)
    name, share = content.majority
    overall = [_metric_row(_in_words(key), value) for key, value in metrics.items() if _is_overall(key)]
    always = Row(
        [
            Cell(f"accuracy of calling all {name}", tag="baseline"),
            Cell(markup.rounded(share), number=True),
            Cell(str(len(content.read)), number=True),
        ],
        "baseline",
    )
    parts = [
        markup.paragraph(f"Read once on the {content.part_in_words}. {_unit_of_resampling(content)}"),
        markup.table(["metric", "value", "n"], [*overall, always], "Metrics of the classifier"),
        _by_class(metrics, classes),
        markup.figures(
            [
                pictures.draw(lambda: pictures.confusion(content.answers, classes)),
                pictures.draw(lambda: pictures.roc(content.answers, classes)),
            ]
        ),
    ]
    failed = len(content.predictions) - len(content.answers)
    if failed:
        parts.append(markup.paragraph(f"{failed} samples could not be scored and are in neither figure.", "soft"))
    return parts


def _is_overall(name: str) -> bool:
    return "[" not in name and name not in COUNTS


def _in_words(name: str) -> str:
    words = name.replace("macro_", "").replace("_", " ")
    return f"{words}, mean of classes" if name.startswith("macro_") else words


def _unit_of_resampling(content: Content) -> str:
    unit = "samples" if content.samples.groups is None else "whole groups"
    return f"The intervals are from a bootstrap of {unit}."


def _by_class(metrics: Metrics, classes: list[str]) -> str:
    """Of two classes the four counts; of more a row a class."""
    if "TP" in metrics:
        counts = ", ".join(f"{metrics[name]['value']:.0f} {name}" for name in COUNTS)
        return markup.paragraph(f"{classes[1]} is the positive class: {counts}.")
    columns = ("sensitivity", "specificity", "AUC")
    rows = []
    for name in classes:
        found = [metrics[f"{column}[{name}]"] for column in columns]
        cells = [Cell(markup.rounded(m["value"]), markup.interval(m["low"], m["high"]), number=True) for m in found]
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
        "adds to them is what it has learnt. p is of a paired test of the accuracy against that of the best."
    )
    metrics = [metric for metric in COMPARED if metric in table]
    columns = ["method", "reads", *(COMPARED[metric] for metric in metrics), "p", "seconds a fold"]
    parts = [
        markup.paragraph(words),
        markup.table(
            columns,
            [_method_row(row, metrics, table.attrs) for _, row in table.iterrows()],
            "Methods compared",
            stacked=True,
        ),
    ]
    failed = [f"{row['method']}: {row['error']}" for _, row in table.iterrows() if row["error"]]
    if failed:
        parts += [markup.heading("Methods that failed"), markup.bullets(failed)]
    if caveat := table.attrs.get("caveat"):
        parts.append(markup.paragraph(caveat, "aside"))
    drawn = [pictures.draw(lambda m=metric: pictures.comparison(table, m)) for metric in metrics[:2]]  # type: ignore[misc]
    return [*parts, *drawn]


def _method_row(row: pd.Series, metrics: list[str], attrs: dict) -> Row:
    method = str(row["method"])
    baseline, best = method in BASELINES, method == attrs.get("best")
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
        Cell(markup.rounded(row["seconds"], 1), number=True),
    ]
    tags = [name for name, holds in {"best": best, "baseline": baseline}.items() if holds]
    cells = [Cell(method, tag=", ".join(tags)), Cell(str(row["features"])), *cells, *ends]
    return Row(cells, tags[0] if tags else "")


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else markup.rounded(value)


def embedding(content: Content) -> list[str]:
    """The features of each model, on two principal components."""
    words = (
        f"Each point is a sample of the {content.part} part, placed by what the network makes of it before "
        "its last layers. Classes that lie apart are told apart by the features alone."
    )
    drawn = [
        pictures.draw(lambda t=trained: pictures.embedding(t, content.read))  # type: ignore[misc]
        for trained in reversed(content.models.values())
    ]
    return [markup.paragraph(words), markup.figures(drawn)]


def files(content: Content) -> list[str]:
    """What lies in the output folder."""
    folder = content.path.parent
    known = FILES | {
        f"models/{path.name}": "the model, its spec, card, history and plots" for path in _folders(folder / "models")
    }
    known |= {
        f"exports/{path.name}/{version.name}": "the same as a SavedModel for TF Serving"
        for path in _folders(folder / "exports")
        for version in _folders(path)
    }
    present = {name: words for name, words in known.items() if (folder / name).exists() or name == content.path.name}
    rows = [Row([Cell(name), Cell(words)]) for name, words in present.items()]
    return [markup.table(["in the output folder", "what it is"], rows, "Files of the output folder")]


def _folders(place: Path) -> list[Path]:
    if not place.is_dir():
        return []
    return sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))


def origin(content: Content) -> list[str]:
    """What is needed to make the figures again."""
    card = content.main.card
    versions = ", ".join(f"{name} {version}" for name, version in card["versions"].items())
    lines = {
        "data (SHA-256)": card["data_sha256"],
        "seed of the training": card["seed"],
        "versions": versions,
    }
    rows = [Row([Cell(name), Cell(str(value))]) for name, value in lines.items()]
    return [markup.table([], rows, "Data, seed and versions")]


def settings(content: Content) -> list[str]:
    """The spec, defaults included."""
    return [
        markup.paragraph(
            "The spec with every default written out. Saved as YAML in the folder of the original spec, where its "
            "relative paths start, it repeats the job.",
            "soft",
        ),
        markup.preformatted(content.samples.spec.to_yaml()),
    ]
