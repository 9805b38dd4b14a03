"""The page as a whole: what was done, its key figures, and the sections in the order of the work."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

import pandas as pd

from tumorkeras.auditing import AuditReport
from tumorkeras.data.samples import Samples
from tumorkeras.errors import DataError
from tumorkeras.files import write_whole
from tumorkeras.report import markup, sections
from tumorkeras.report.content import Content
from tumorkeras.training import TrainedModel

SECTIONS = {
    "data": ("Data", sections.data),
    "audit": ("Audit", sections.audit),
    "learning": ("Learning", sections.learning),
    "reconstruction": ("Reconstruction", sections.reconstruction),
    "classification": ("Classification", sections.classification),
    "comparison": ("Comparison", sections.comparison),
    "embedding": ("Embedding", sections.embedding),
    "files": ("Files", sections.files),
    "origin": ("Origin", sections.origin),
    "settings": ("Settings", sections.settings),
}


def write_report(
    path: str | Path,
    samples: Samples,
    models: Mapping[str, TrainedModel],
    comparison: pd.DataFrame | None,
    predictions: pd.DataFrame,
    audit: AuditReport | None = None,
) -> Path:
    """Write a job as one HTML file that needs neither network nor script.

    Parameters
    ----------
    path : path
        The file; other files of its folder that the package knows are listed in it.
    samples : Samples
        What the job read.
    models : mapping of str to TrainedModel
        By kind, "autoencoder", "classifier" or both; their metrics are taken from their cards.
    comparison : pandas.DataFrame or None
        From :func:`tumorkeras.compare`.
    predictions : pandas.DataFrame
        From :func:`tumorkeras.score` on a part of ``samples``, with a column ``true_class``.
    audit : AuditReport, optional
        From :func:`tumorkeras.audit` on the same data.

    Returns
    -------
    Path
        The file. No group of a sample is in it, and file names only where the audit found fault with them.

    Raises
    ------
    DataError
        If there is no model, or the predictions have no column ``true_class``.
    """
    if not models:
        raise DataError("report", ["models: none is given; expected an autoencoder, a classifier or both"])
    if "true_class" not in predictions:
        raise DataError("report", [f"predictions: no column 'true_class'; found {list(predictions.columns)}"])
    path = Path(path)
    content = Content(path, samples, dict(models), comparison, predictions, audit)
    write_whole(path, _page(content))
    return path


def _page(content: Content) -> str:
    spec = content.samples.spec
    made = {identity: (title, make(content)) for identity, (title, make) in SECTIONS.items()}
    made = {identity: (title, parts) for identity, (title, parts) in made.items() if parts}
    template = resources.files("tumorkeras.report").joinpath("template.html").read_text(encoding="utf-8")
    versions = content.main.card["versions"]
    return Template(template).substitute(
        title=escape(f"{spec.name}: tumorkeras report"),
        kicker="tumorkeras report",
        name=escape(spec.name),
        lead=markup.paragraph(spec.description, "lead") if spec.description else "",
        keys=markup.keys(sections.key_figures(content)),
        links=" ".join(f'<a href="#{identity}">{escape(title)}</a>' for identity, (title, _) in made.items()),
        sections="\n".join(markup.section(identity, title, parts) for identity, (title, parts) in made.items()),
        footer=escape(
            f"Made by tumorkeras {versions['tumorkeras']}. Figures in brackets are 95 % intervals. "
            "For research; not a medical device."
        ),
    )
