"""The sections of the report: each gives its pieces of HTML, or none where it has nothing to say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tumorkeras import markup
from tumorkeras.data.samples import Samples
from tumorkeras.data.splits import PARTS
from tumorkeras.markup import Cell, Row
from tumorkeras.report import detection, pictures
from tumorkeras.report.content import Content
from tumorkeras.report.headline import Figure, headline
from tumorkeras.report.rows import count_rows, metric_row

FILES = {
    "report.html": "this page",
    "audit.json": "what is wrong with the data",
    "metrics.json": "the metrics of the models with their intervals",
    "comparison.csv": "the comparison, one row per method",
    "comparison_folds": "results of single folds, by which a comparison goes on after a stop",
    "predictions.parquet": "one row per sample of the part that was read",
    "run.json": "which spec and data the folder belongs to",
}
DETECTION_FILES = {"predictions.parquet": "one row per detection in the part that was read, in pixels of the files"}


def key_figures(content: Content) -> list[Figure]:
    """The few figures for the top of the page: name, value, note."""
    figures = headline(content.models)
    if content.metrics("classifier"):
        name, share = content.majority
        figures.append(("Baseline", markup.rounded(share), f"accuracy of calling all {name}"))
    what = "Images" if content.detects else "Samples"
    return [*figures, (what, str(len(content.samples)), f"{len(content.read)} of them in the {content.part} part")]


def data(content: Content) -> list[str]:
    """Counts by class and part, what loading did, and pictures of the training part."""
    counts = detection.counts(content.samples) if content.detects else _counts(content.samples)
    parts = [markup.paragraph(_origin_of_samples(content)), counts]
    if content.samples.notes:
        parts += [markup.heading("What reading them did"), markup.bullets(content.samples.notes)]
    return parts + (detection.examples(content) if content.detects else _examples(content))


def _counts(samples: Samples) -> str:
    counts = pd.crosstab(samples.table["class_name"], samples.table["split"])
    counts = counts.reindex(index=list(samples.classes), columns=list(PARTS), fill_value=0)
    return markup.table(
        ["class", "train", "validation", "test", "all"], count_rows(counts), "Samples by class and part"
    )


def _examples(content: Content) -> list[str]:
    shown = content.samples.part("train")
    drawn = [pictures.draw(lambda: pictures.tracks(shown))] if shown.are_tracks else []
    drawn += [pictures.draw(make) for make in pictures.examples(shown)]
    more = len(shown.classes) - pictures.MOST_CLASSES
    rest = [markup.paragraph(f"{more} more classes are not drawn.", "soft")] if more > 0 else []
    return [markup.heading("Samples of the training part"), *drawn, *rest]


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
    held = "with objects of" if content.detects else "in"
    return f"{what}, {held} {len(samples.classes)} {'classes' if len(samples.classes) > 1 else 'class'}.{kept}"


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
        for metric in ("loss", "accuracy", "val_AP50"):
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
    rows = [metric_row(titles[name], metric, name == "mean_image_error") for name, metric in metrics.items()]
    parts = [
        markup.paragraph(
            "The mean squared error of the reconstruction stands beside that of the best constant answer, "
            f"the mean image, on the {content.part_in_words}."
        ),
        markup.table(["mean squared error of", "value", "n"], rows, "Errors of reconstruction"),
    ]
    return [*parts, pictures.draw(lambda: pictures.reconstructions(coder, content.whole))]


def embedding(content: Content) -> list[str]:
    """The features of each model, on two principal components; those of a detector are of regions, not of images."""
    words = (
        f"Each point is a sample of the {content.part} part, placed by what the network makes of it before "
        "its last layers. Classes that lie apart are told apart by the features alone."
    )
    drawn = [
        pictures.draw(lambda t=trained: pictures.embedding(t, content.whole))  # type: ignore[misc]
        for kind, trained in reversed(content.models.items())
        if kind != "detector"
    ]
    return [markup.paragraph(words), markup.figures(drawn)] if drawn else []


def files(content: Content) -> list[str]:
    """What lies in the output folder."""
    folder = content.path.parent
    known = FILES | DETECTION_FILES if content.detects else dict(FILES)
    known |= {
        f"models/{path.name}": "the model, its spec, card, history and plots" for path in _folders(folder / "models")
    }
    known |= {
        f"exports/{path.name}/{version.name}": "the same as a SavedModel for TF Serving"
        for path in _folders(folder / "exports")
        for version in _folders(path)
    }
    known |= {name: "the job beside this one, with a page of its own" for name in content.also}
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
