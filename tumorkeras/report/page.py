"""The page as a whole: what was done, its key figures, and the sections in the order of the work."""

from __future__ import annotations

from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from tumorkeras import markup
from tumorkeras.errors import DataError
from tumorkeras.files import write_whole
from tumorkeras.report import sections
from tumorkeras.report.beside import beside
from tumorkeras.report.classification import classification, comparison
from tumorkeras.report.content import Content
from tumorkeras.report.detection import detection

SECTIONS = {
    "data": ("Data", sections.data),
    "audit": ("Audit", sections.audit),
    "learning": ("Learning", sections.learning),
    "reconstruction": ("Reconstruction", sections.reconstruction),
    "classification": ("Classification", classification),
    "detection": ("Detection", detection),
    "comparison": ("Comparison", comparison),
    "embedding": ("Embedding", sections.embedding),
    "also": ("Also done", beside),
    "files": ("Files", sections.files),
    "origin": ("Origin", sections.origin),
    "settings": ("Settings", sections.settings),
}


def write_report(content: Content) -> Path:
    """Write a job as one HTML file that needs neither network nor script.

    Parameters
    ----------
    content : Content
        What the job read and made, and where the page goes.

    Returns
    -------
    Path
        The file. No group of a sample is in it, and file names only where the audit found fault with them.

    Raises
    ------
    DataError
        If there is no model, or the predictions lack the columns of their kind of model.

    Examples
    --------
    >>> import pandas as pd
    >>> write_report(Content(Path("report.html"), None, {}, None, pd.DataFrame()))
    Traceback (most recent call last):
    tumorkeras.errors.DataError: report: models: none is given; expected an autoencoder, a classifier or a detector
    """
    if not content.models:
        raise DataError("report", ["models: none is given; expected an autoencoder, a classifier or a detector"])
    column = "score" if "detector" in content.models else "true_class"
    if column not in content.predictions:
        raise DataError("report", [f"predictions: no column {column!r}; found {list(content.predictions.columns)}"])
    write_whole(content.path, _page(content))
    return content.path


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
