"""From a folder of data to a spec for it: look at what is there, guess, and say what is not sure."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import yaml

from tumorkeras.errors import DataError
from tumorkeras.files import write_whole
from tumorkeras.layout.guess import Guess
from tumorkeras.layout.guesses import Candidate, guess_layout
from tumorkeras.layout.survey import survey_of
from tumorkeras.layout.writing import moved, paths_in, spec_text
from tumorkeras.spec import DataPath, DataSpec

__all__ = ["init"]

logger = logging.getLogger(__name__)

ORDER = (
    "name",
    "description",
    "tasks",
    "source",
    "input",
    "classes",
    "splits",
    "rendering",
    "preprocessing",
    "autoencoder",
    "classifier",
    "training",
)


def init(folder: str | Path, output: str | Path = "data_spec.yaml") -> DataSpec:
    """Look at a folder and write a spec for it, with comments on what was guessed and what is not sure.

    Nothing in the folder is changed. Files are opened, a few images decoded; the written file is for a person to read
    and edit.

    Parameters
    ----------
    folder : path
        The data: images or volumes with classes, boxes or masks, an npz file, or tracks of cells.
    output : path, default "data_spec.yaml"
        The spec to write; its paths are relative to where it is. A file that is there is never replaced.

    Returns
    -------
    DataSpec
        As it was written.

    Raises
    ------
    DataError
        If there is no such folder, it holds nothing that a spec describes, or several data sets, which are named; or
        if the output is there already.

    Examples
    --------
    >>> import cv2, numpy as np, tempfile; place = Path(tempfile.mkdtemp())
    >>> for k in range(8):
    ...     name = place / "scans" / ("benign", "malignant")[k % 2] / f"{k}.png"
    ...     name.parent.mkdir(parents=True, exist_ok=True)
    ...     _ = cv2.imwrite(str(name), np.full((64, 64), k, "uint8"))
    >>> spec = init(place / "scans", place / "scans.yaml")
    >>> spec.source.kind, spec.source.levels, spec.classes
    ('image_folder', 'class', ['benign', 'malignant'])
    """
    folder, output = Path(folder), Path(output)
    _check(folder, output)
    found = guess_layout(survey_of(folder))
    text = _text(folder, found, output.parent)
    # Held against the spec before anything is written.
    DataSpec.from_dict(yaml.safe_load(text), folder=output.parent, name=str(output))
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_whole(output, text)
    except OSError as error:
        raise DataError(str(output), [f"cannot be written: {error.strerror or error}"]) from None
    logger.info("%s: %s", output, found.guess.what)
    return DataSpec.from_yaml(output)


def _check(folder: Path, output: Path) -> None:
    faults = []
    if folder.is_file():
        faults.append(f"{folder}: is a file; give the folder that it lies in")
    elif not folder.is_dir():
        faults.append(f"{folder}: there is no such folder")
    if output.is_dir():
        faults.append(f"{output}: is a folder; name a file in it")
    elif output.exists() or output.is_symlink():
        faults.append(f"{output}: is there already and is kept; name another with --output")
    if faults:
        raise DataError("init", faults)


def _text(folder: Path, found: Candidate, place: Path) -> str:
    guess, root = found.guess, found.survey.root
    values = {"name": _name(folder), "description": guess.what[0].upper() + guess.what[1:], **guess.values}
    _check_paths(values, root, place)
    ordered = {key: moved(values[key], root, place) for key in ORDER if key in values}
    blocks = [(heading, moved(block, root, place)) for heading, block in guess.blocks]
    return spec_text(ordered, guess.comments, _head(folder, guess), blocks)


def _check_paths(values: Any, root: Path, place: Path) -> None:
    """Refuse names that a spec cannot hold: `$NAME` stands for a variable there, and its text is UTF-8."""
    faults = []
    for path in (moved(DataPath(path), root, place) for path in paths_in(values)):
        if "$" in path:
            faults.append(f"{path!r} has a $ in its name, which stands for a variable in a spec; rename it")
        elif not path.isprintable():
            faults.append(f"{path!r} has characters in its name that no text holds; rename it")
    if faults:
        raise DataError(str(root), faults)


def _head(folder: Path, guess: Guess) -> list[str]:
    name = Path(folder).resolve().name
    lines = [
        f"{name}: {guess.what}. Written by tumorkeras init from what lies in the folder; read it before you use it.",
        "Comments tell what was found. Fields that are not here have defaults; see the data_spec.yaml of tumorkeras.",
        *guess.comments.get("", []),
    ]
    if guess.unsure:
        lines += ["NOT SURE, so please look:", *(f"- {line}" for line in guess.unsure)]
    return lines


def _name(folder: Path) -> str:
    """The folder's name as a spec's name may be."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", Path(folder).resolve().name)
    return re.sub(r"^[^A-Za-z0-9]+|_+$", "", plain) or "data"
