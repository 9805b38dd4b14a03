"""Positions of cells over time, read from the two layouts that labs use."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from tumorkeras.data.cells import read_cells
from tumorkeras.errors import DataError, shortened

LARGEST = float(np.finfo("float32").max)
TRUTH_VALUE = re.compile(rb"true|false", re.IGNORECASE)


def read_track_pair(x: str | Path, y: str | Path) -> np.ndarray:
    """Tracks (cells, frames, 2) float32 from two CSV matrices without header, a row a cell.

    Raises
    ------
    DataError
        If a file is missing or empty, a row is shorter or longer than the first, a cell is not a finite
        number, the two shapes differ, or a track has one point only.

    Examples
    --------
    >>> import tempfile; folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "x.csv").write_text("0,1,2\\n5,5,6\\n")
    >>> _ = (folder / "y.csv").write_text("0,0,1\\n3,4,4\\n")
    >>> read_track_pair(folder / "x.csv", folder / "y.csv").shape
    (2, 3, 2)
    """
    (across, x_faults), (down, y_faults) = _read_matrix(Path(x)), _read_matrix(Path(y))
    if x_faults or y_faults:
        raise _pair_error(x, x_faults, y, y_faults)
    if across.shape != down.shape:
        fault = f"holds {_size(across)}, but {y} holds {_size(down)}; a row must be the same cell in both"
        raise DataError(str(x), [fault])
    if across.shape[1] < 2:
        raise DataError(str(x), ["each track has one point; motion needs at least 2 frames"])
    return np.stack([across, down], axis=-1)


def _pair_error(x: str | Path, x_faults: list[str], y: str | Path, y_faults: list[str]) -> DataError:
    """One error for both files; headed by the file where only one is at fault."""
    if not (x_faults and y_faults):
        return DataError(str(x if x_faults else y), x_faults or y_faults)
    return DataError("tracks", [f"{path}: {f}" for path, faults in ((x, x_faults), (y, y_faults)) for f in faults])


def _size(matrix: np.ndarray) -> str:
    return f"{matrix.shape[0]} cells x {matrix.shape[1]} frames"


def _read_matrix(path: Path) -> tuple[np.ndarray, list[str]]:
    """Values of a matrix, float32, and what is wrong with it; no values where something is."""
    nothing = np.empty((0, 0), "float32")
    if not path.is_file():
        return nothing, ["there is no such file"]
    content = path.read_bytes()
    if not content.strip():
        return nothing, ["the file is empty; expected a row a cell, a column a frame"]
    if TRUTH_VALUE.search(content):  # pandas would read 1 and 0
        return nothing, _bad_cells(path)
    try:
        values = pd.read_csv(path, header=None, dtype="float64", encoding="utf-8-sig").to_numpy()
    except (ValueError, pd.errors.ParserError) as error:
        return nothing, _bad_cells(path) or [str(error)]
    if not (np.abs(values) <= LARGEST).all():  # NaN is not
        return nothing, _bad_cells(path)
    return values.astype("float32"), []


def _bad_cells(path: Path) -> list[str]:
    """What is wrong with a matrix, by row and column counted from 1, as a spreadsheet shows them."""
    faults: list[str] = []
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        rows = [(number, row) for number, row in enumerate(csv.reader(file), start=1) if row]
    first, width = rows[0][0], len(rows[0][1])
    for number, row in rows:
        if len(row) != width:
            faults.append(f"row {number} has {len(row)} cells, row {first} has {width}")
        faults += [f"row {number}, column {k}: {c!r} is not a finite number" for k, c in _not_numbers(row)]
    return shortened(faults)


def _not_numbers(row: Iterable[str]) -> list[tuple[int, str]]:
    return [(k, cell) for k, cell in enumerate(row, start=1) if not _is_finite_number(cell)]


def _is_finite_number(text: str) -> bool:
    try:
        return abs(float(text)) <= LARGEST and "_" not in text
    except ValueError:
        return False


def read_track_table(
    path: str | Path,
    *,
    class_column: str = "class",
    track_column: str = "track",
    time_column: str = "t",
    x_column: str = "x",
    y_column: str = "y",
) -> dict[str, dict[str, np.ndarray]]:
    """Tracks of each class from one CSV, one row per cell and frame: ``{class: {track: (frames, 2)}}``.

    Positions, float32, are put in order of time. Tracks may differ in length: see :func:`crop_tracks`. Names of
    tracks may start anew in each class: a track is told by its class and its name.

    Raises
    ------
    DataError
        If the file or a column is missing, a line is longer or shorter than the header, a value is not a
        finite number, a track names one time twice, or has one point only.

    Examples
    --------
    >>> import tempfile; path = Path(tempfile.mkdtemp()) / "tracks.csv"
    >>> _ = path.write_text("class,track,t,x,y\\nfast,1,0,0,0\\nfast,1,1,3,4\\nslow,1,1,2,1\\nslow,1,0,2,2\\n")
    >>> tracks = read_track_table(path)
    >>> tracks["fast"]["1"].tolist(), tracks["slow"]["1"].tolist()
    ([[0.0, 0.0], [3.0, 4.0]], [[2.0, 2.0], [2.0, 1.0]])
    """
    path = Path(path)
    columns = [class_column, track_column, time_column, x_column, y_column]
    table = _read_long(path, columns)
    table = table.sort_values([class_column, track_column, time_column], kind="stable")
    tracks: dict[str, dict[str, np.ndarray]] = {}
    for (class_name, track), rows in table.groupby([class_column, track_column], sort=False):
        positions = rows[[x_column, y_column]].to_numpy("float32")
        tracks.setdefault(str(class_name), {})[str(track)] = positions
    return tracks


def _read_long(path: Path, columns: list[str]) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(str(path), ["there is no such file"])
    table = read_csv(path)
    absent = [name for name in columns if name not in table.columns]
    if absent:
        raise DataError(str(path), [f"has no column {name!r}; it has {list(table.columns)}" for name in absent])
    table = table[columns].copy()
    for name in columns[2:]:  # a decimal comma, beside another separator
        table[name] = table[name].str.replace(",", ".", regex=False)
    faults = _cell_faults(table, columns) or ([] if len(table) else ["holds no row"])
    if not faults:
        table[columns[2:]] = table[columns[2:]].astype("float64")
        faults = _track_faults(table, columns)
    if faults:
        raise DataError(str(path), shortened(faults))
    return table


def read_csv(path: Path) -> pd.DataFrame:
    """A table with a header as text, its index the line of the file; blank lines are left out.

    Raises
    ------
    DataError
        As :func:`tumorkeras.data.cells.read_cells`.
    """
    header, rows = read_cells(path)
    return pd.DataFrame([row for _, row in rows], columns=header, index=[n for n, _ in rows], dtype=str)


def _cell_faults(table: pd.DataFrame, columns: list[str]) -> list[str]:
    faults = []
    for column in columns[:2]:
        faults += [f"line {line}, {column}: is empty" for line in table.index[table[column].str.strip() == ""]]
    for column in columns[2:]:
        faults += [
            f"line {line}, {column}: {cell!r} is not a finite number"
            for line, cell in table[column].items()
            if not _is_finite_number(cell)
        ]
    return faults


def _track_faults(table: pd.DataFrame, columns: list[str]) -> list[str]:
    class_column, track_column, time_column = columns[:3]
    lengths = table.groupby([class_column, track_column], sort=False).size()
    faults = [
        f"track {track!r} has one point; motion needs at least 2 (class {class_name!r})"
        for class_name, track in lengths.index[lengths < 2]
    ]
    twice = table[table.duplicated([class_column, track_column, time_column])]
    faults += [
        f"line {line}: track {row[track_column]!r} has {time_column} {row[time_column]:g} twice"
        for line, row in twice.iterrows()
    ]
    return faults


def crop_tracks(
    tracks: Mapping[str, Iterable[np.ndarray]], frames: int | None = None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], list[str]]:
    """Tracks of every class cut to the same number of frames, so that length cannot give the class away.

    Parameters
    ----------
    tracks : mapping of str to iterable of ndarray
        For each class its tracks, each (frames, 2).
    frames : int, optional
        First frames to keep; shorter tracks are left out. By default as many as the shortest track of all
        classes has.

    Returns
    -------
    cropped : dict of str to ndarray
        For each class (tracks kept, frames, 2) float32.
    kept : dict of str to ndarray
        For each class the positions, in the given order, of the tracks that were kept.
    notes : list of str
        What was cut and left out, in words.

    Examples
    --------
    >>> long, short = np.zeros((5, 2)), np.zeros((3, 2))
    >>> cropped, kept, notes = crop_tracks({"a": [long, long], "b": [short]})
    >>> cropped["a"].shape
    (2, 3, 2)
    >>> notes
    ['a: 2 tracks of 5 frames cropped to the first 3', 'b: 1 track of 3 frames']
    """
    listed = {name: [np.asarray(track, "float32") for track in group] for name, group in tracks.items()}
    empty = [f"class {name!r} has no track" for name, group in listed.items() if not group]
    if empty:
        raise DataError("tracks", empty)
    frames = frames or min(len(track) for group in listed.values() for track in group)
    lengths = {name: np.array([len(track) for track in group]) for name, group in listed.items()}
    short = [
        f"class {name!r}: no track has {frames} frames; the longest has {found.max()}"
        for name, found in lengths.items()
        if found.max() < frames
    ]
    if short:
        raise DataError("tracks", short)
    kept = {name: np.flatnonzero(found >= frames) for name, found in lengths.items()}
    cropped = {name: np.stack([listed[name][k][:frames] for k in rows]) for name, rows in kept.items()}
    notes = [_crop_note(name, found, frames) for name, found in lengths.items()]
    return cropped, kept, notes


def _crop_note(name: str, lengths: np.ndarray, frames: int) -> str:
    span = f"{lengths.min()}" if lengths.min() == lengths.max() else f"{lengths.min()}-{lengths.max()}"
    note = f"{name}: {len(lengths)} track{'s' if len(lengths) > 1 else ''} of {span} frames"
    if lengths.max() > frames:
        note += f" cropped to the first {frames}"
    short = int((lengths < frames).sum())
    return note + (f", {short} shorter left out" if short else "")


def normalise_scale(tracks: np.ndarray) -> np.ndarray:
    """Tracks (n, frames, 2), each divided by its own mean step, so that only the shape of the motion is left.

    A track that never moves stays as it is. The result is float32.

    Examples
    --------
    >>> normalise_scale(np.array([[[0, 0], [4, 0], [4, 4]]], "float32")).tolist()
    [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]]
    """
    steps = np.linalg.norm(np.diff(tracks, axis=1), axis=-1).mean(axis=1)
    return (tracks / np.where(steps > 0, steps, 1.0)[:, None, None]).astype("float32")
