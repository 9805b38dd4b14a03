"""Volumes in one ``.npz`` file with the keys ``{part}_images`` and ``{part}_labels``."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.lib import format as npy_format

from tumorkeras.auditing.families import size_columns
from tumorkeras.data.annotations.names import part_of
from tumorkeras.layout.columns import Sheet, crossing, given_parts, group_columns, tells_class
from tumorkeras.layout.guess import Guess, NoSpec, listed, many
from tumorkeras.layout.settings import EIGHT_BIT, say_training, training
from tumorkeras.layout.splits import keep_parts
from tumorkeras.layout.survey import File, Survey
from tumorkeras.spec import DataPath

MOST_LABELS = 10_000_000
MOST_CLASSES = 1_000
LONGEST_HEADER = 10_000


class Header(NamedTuple):
    """Shape and dtype of an array in the file."""

    shape: tuple[int, ...]
    dtype: np.dtype


def guess_npz(survey: Survey, sheets: list[Sheet]) -> Guess | NoSpec | None:
    """The largest npz file that has images and labels by part."""
    for file in sorted(survey.of("npz"), key=lambda file: -file.size):
        headers = npz_headers(survey.root / file.path)
        parts = [key.removesuffix("_images") for key in headers if key.endswith("_images")]
        parts = [part for part in parts if part_of(part) and f"{part}_labels" in headers]
        if not parts:
            continue
        shape = headers[f"{parts[0]}_images"].shape[1:]
        if len(shape) < 3 or (len(shape) == 3 and shape[-1] in (3, 4)):
            what = f"images of shape {shape} in {file.path}"
            return NoSpec(what, "kind npz takes volumes (n, depth, height, width); save each image as a PNG.", 0.9)
        return _guess(survey, file, parts, headers, sheets)
    return None


def npz_headers(path: Path) -> dict[str, Header]:
    """Shape and dtype of each array, without unpacking any; nothing where the file cannot be read."""
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as file:
                    version = npy_format.read_magic(file)
                    read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
                    shape, _, dtype = read(file, max_header_size=LONGEST_HEADER)
                    found[name.removesuffix(".npy")] = Header(shape, dtype)
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return {}
    return found


def _guess(survey: Survey, file: File, parts: list[str], headers: dict[str, Header], sheets: list[Sheet]) -> Guess:
    images = headers[f"{parts[0]}_images"]
    shape = list(images.shape[1:]) if len(images.shape) == 5 else [*images.shape[1:], 1]
    counts = {part: headers[f"{part}_images"].shape[0] for part in parts}
    labels = _labels(survey.root / file.path, headers, parts)
    guess = Guess("volumes in an npz file, with labels", 0.95, {})
    source = {"kind": "npz", "path": DataPath(file.path), "table": None}
    guess.values = {"source": source, "input": {"shape": shape}, "classes": _classes(guess, labels)}
    if len(guess.values["classes"]) < 2:
        guess.values = {"tasks": ["autoencode"], **guess.values}
    guess.say("source.path", "Volumes: " + ", ".join(f"{part} {count:,}" for part, count in counts.items()) + ".")
    guess.say("input.shape", "The shape of the volumes: depth, height, width, channels.")
    guess.unsure.append("The file does not tell the spacing of the voxels; write input.spacing where it is known.")
    keep_parts(guess, given_parts(parts))
    _add_table(guess, sheets, counts, labels)
    _add_preprocessing(guess, images.dtype)
    guess.values |= training(sum(counts.values()), int(np.prod(shape[:-1])))
    say_training(guess, sum(counts.values()))
    others = [other.path for other in survey.of("npz") if other != file]
    if others:
        guess.unsure.append(f"Other npz files are left aside: {listed(others)}.")
    return guess


def _labels(path: Path, headers: dict[str, Header], parts: list[str]) -> dict[str, np.ndarray]:
    """Class ids of each part; nothing where they are no whole numbers."""
    wanted = [headers[f"{part}_labels"] for part in parts]
    if any(h.dtype.kind not in "ui" or np.prod(h.shape) > MOST_LABELS for h in wanted):
        return {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            labels = {part: archive[f"{part}_labels"].reshape(-1) for part in parts}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return {}
    values = np.concatenate(list(labels.values()))
    one_each = all(len(labels[part]) == headers[f"{part}_images"].shape[0] for part in parts)
    return labels if one_each and values.size and values.min() >= 0 and values.max() < MOST_CLASSES else {}


def _classes(guess: Guess, labels: dict[str, np.ndarray]) -> list[str]:
    if not labels:
        guess.unsure.append("The labels are no class ids (whole numbers, one a volume): see what they are.")
        return ["0", "1"]
    found = np.concatenate(list(labels.values()))
    counts = ", ".join(f"{value} {int((found == value).sum()):,}" for value in np.unique(found))
    names = [str(k) for k in range(int(found.max()) + 1)]
    guess.say(
        "classes",
        f"The file holds the numbers {listed(np.unique(found))} and no names ({counts} volumes). What they stand for "
        "is not in the file: put the names here, the one of 0 first.",
    )
    guess.unsure.append(f"What the classes {listed(names)} are called.")
    if lacking := sorted(set(range(len(names))) - {int(value) for value in np.unique(found)}):
        guess.unsure.append(f"No volume has the label {listed(lacking)}; class ids are expected from 0 on.")
    return names


def _add_table(guess: Guess, sheets: list[Sheet], counts: dict[str, int], labels: dict[str, np.ndarray]) -> None:
    """The table with a row a volume, its groups, and columns that give the class away."""
    for sheet in sheets:
        table = _in_order(sheet.table, counts)
        if table is None:
            continue
        known = pd.Series(np.concatenate([labels[part] for part in counts])) if labels else None
        if known is not None and "label" in table and not (table["label"].to_numpy() == known.to_numpy()).all():
            guess.unsure.append(f"{sheet.path} has a row a volume, but its labels are others: it was left aside.")
            continue
        guess.values["source"]["table"] = DataPath(sheet.path)
        guess.say("source.table", f"A row a volume, with the columns {listed(table.columns, 12)}.")
        _add_group(guess, table, pd.Series(np.repeat(list(counts), list(counts.values()))))
        _say_shortcuts(guess, table, known)
        return


def _in_order(table: pd.DataFrame, counts: dict[str, int]) -> pd.DataFrame | None:
    """The rows in the order of the volumes; None where they are not those of the volumes."""
    if "split" in table:
        table = pd.concat([table[table["split"] == part] for part in counts], ignore_index=True)
        if table["split"].value_counts().to_dict() != {part: n for part, n in counts.items() if n}:
            return None
    return table if len(table) == sum(counts.values()) else None


def _add_group(guess: Guess, table: pd.DataFrame, parts: pd.Series) -> None:
    names = group_columns(table)
    if not names:
        guess.unsure.append("No column tells which volumes are of one patient or exam; if some are, a split leaks.")
        return
    number = table[names[0]].nunique()
    if crossed := crossing(table[names[0]], parts):
        guess.unsure.append(f"{crossed} of {number} values of {names[0]} have volumes in more than one part: a leak.")
        return
    guess.values.setdefault("splits", {})["group"] = names[0]
    guess.say("splits.group", f"{many(len(table), 'volume')} are of {number:,} values of {names[0]}: each stays whole.")


def _say_shortcuts(guess: Guess, table: pd.DataFrame, labels: pd.Series | None) -> None:
    if sizes := [str(name) for name in size_columns(table) if table[name].nunique() > 2]:
        guess.say("source.table", f"{listed(sizes)}: sizes, which may be shortcuts to the class. The audit looks.")
    if labels is not None and (telling := tells_class(table, labels, ["label", "split"])):
        guess.say("source.table", f"{listed(telling)}: each value is of one class only, so it is the answer itself.")


def _add_preprocessing(guess: Guess, dtype: np.dtype) -> None:
    if dtype == "uint8":
        guess.values["preprocessing"] = [{"step": "rescale", "scale": EIGHT_BIT}]
        guess.say("preprocessing", "8-bit values become 0 to 1.")
    else:
        guess.values["preprocessing"] = [{"step": "standardize"}]
        guess.say("preprocessing", f"Values are {dtype}: each volume is brought to mean 0 and variance 1.")
