"""The section on the jobs done beside this one: what each comes to, and the way to its page."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from tumorkeras import markup
from tumorkeras.report import detection_pictures, pictures
from tumorkeras.report.content import Content
from tumorkeras.report.headline import headline
from tumorkeras.report.pictures import Picture


def beside(content: Content) -> list[str]:
    """Key figures, a picture and a link of each job that the spec names beside its own."""
    parts = []
    for name, other in content.also.items():
        place = Path(os.path.relpath(other.path, content.path.parent)).as_posix()
        parts += [
            markup.heading(name),
            *([markup.paragraph(other.samples.spec.description)] if other.samples.spec.description else []),
            markup.keys(headline(other.models)),
            pictures.draw(lambda o=other: _picture(o)),  # type: ignore[misc]
            markup.link(f"The whole report of {name}", quote(place)),
        ]
    return parts


def _picture(content: Content) -> Picture:
    """What the main model of a job does, at a glance."""
    if "detector" in content.models:
        return detection_pictures.found(detection_pictures.scene_of(content), content.part, detection_pictures.COLUMNS)
    if "classifier" in content.models:
        return pictures.confusion(content.called, list(content.samples.classes))
    return pictures.reconstructions(content.main, content.whole)
