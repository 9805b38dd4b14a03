"""Positions of cells: a pair of matrices a class, or one long table."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tumorkeras.data.tracks import read_track_pair
from tumorkeras.errors import DataError
from tumorkeras.layout.columns import Sheet, class_column, is_matrix
from tumorkeras.layout.guess import Guess, listed, many
from tumorkeras.layout.settings import VOXELS_AN_EPOCH, round_to, training
from tumorkeras.layout.survey import File, Survey
from tumorkeras.spec import DataPath

MOST_BYTES = 128 * 2**20
AXIS = re.compile(r"(?P<name>.*?)(?:^|[ _.-])(?P<axis>[xy])|(?P<first>[xy])[ _.-](?P<rest>.+)", re.IGNORECASE)
SIDES = (48, 32, 24, 16)  # of the plane that tracks are drawn in
TRACKS_IN_ALL = 30_000  # times epochs
SHARE_INSIDE = 0.98  # of the tracks that the plane holds
SHARE_KEPT = 0.5  # of the tracks of each class in a long table that are long enough
TRACK_WORDS = ("track", "trackid", "trackname", "cell", "cellid", "trajectory", "trajectoryid", "particle", "id")
TIME_WORDS = ("t", "time", "frame", "timepoint", "frameid", "timestep", "slice")
X_WORDS, Y_WORDS = (
    tuple(word.format(axis) for word in ("{}", "pos{}", "{}pos", "position{}", "{}position", "centroid{}", "{}um"))
    for axis in "xy"
)


@dataclass(frozen=True)
class Group:
    """Tracks of one class: how many, how long, how far they reach and how fast they are."""

    name: str
    frames: np.ndarray
    extents: np.ndarray
    steps: np.ndarray


def guess_tracks(survey: Survey, sheets: list[Sheet]) -> Guess | None:
    """Tracks in pairs of matrices, else in a long table; a long table beside pairs is a data set of its own."""
    pairs = find_pairs(survey)
    tables = [guess for sheet in sheets if (guess := _of_table(sheet)) is not None]
    if not pairs:
        return tables[0] if tables else None
    guess = _of_pairs(survey, pairs)
    _add_groups(guess, list(pairs), sheets)
    for other in tables:
        path = other.values["source"]["table"]["path"]
        guess.say("", f"{path} is a data set of its own ({other.what}); its spec is the block at the end.")
        sections = ("source", "input", "classes")
        heading = f"{path}: in the place of the sections of these names, and with a name of its own."
        guess.blocks.append((heading, {key: other.values[key] for key in sections}))
    return guess


# ------------------------------------------------------------------------------------------------- pairs of matrices


def find_pairs(survey: Survey) -> dict[str, tuple[File, File]]:
    """The two files of each class, told by an x and a y in their names: ``musc_X.csv`` or ``musc/x.csv``."""
    found: dict[tuple[str, str], dict[str, File]] = {}
    for file in survey.of("table"):
        match = AXIS.fullmatch(file.name.rpartition(".")[0])
        if match and is_matrix(survey.root / file.path):
            name = match["name"] if match["axis"] else match["rest"]
            found.setdefault((file.folder, name), {})[(match["axis"] or match["first"]).lower()] = file
    whole = {key: pair for key, pair in found.items() if len(pair) == 2}
    names = [name or folder.rpartition("/")[2] or "tracks" for folder, name in whole]
    alike = len(set(names)) < len(names)
    pairs = {}
    for name, ((folder, _), pair) in zip(names, whole.items(), strict=True):
        pairs[f"{folder}/{name}" if alike else name] = (pair["x"], pair["y"])
    return pairs


def _of_pairs(survey: Survey, pairs: dict[str, tuple[File, File]]) -> Guess:
    guess = Guess("tracks of cells, a pair of matrices a class", 0.95, {})
    groups = []
    for name, files in pairs.items():
        try:
            groups.append(_group_of(name, _read_pair(survey.root, files)))
        except DataError as error:
            guess.unsure.append(f"{name}: {files[0].path} and {files[1].path}: {error.faults[0]}.")
    frames = min((int(group.frames.min()) for group in groups), default=2)
    source: dict[str, Any] = {"kind": "tracks"}
    source["pairs"] = {name: {"x": DataPath(x.path), "y": DataPath(y.path)} for name, (x, y) in pairs.items()}
    guess.values = _sections(source, list(pairs), groups, frames)
    for group in groups:
        guess.say("source.pairs", f"{group.name}: {len(group.frames):,} cells, {_frames(group)}.")
    guess.say("source.pairs", "The classes are called as the files.")
    guess.say("source.frames", *_words_on_frames(groups, frames))
    _say_settings(guess, groups)
    return guess


def _read_pair(root: Path, files: tuple[File, File]) -> list[np.ndarray]:
    if max(file.size for file in files) > MOST_BYTES:
        raise DataError(files[0].path, [f"has more than {MOST_BYTES // 2**20} MB and was not looked into"])
    return list(read_track_pair(root / files[0].path, root / files[1].path))


def _group_of(name: str, tracks: list[np.ndarray]) -> Group:
    return Group(
        name,
        np.array([len(track) for track in tracks]),
        np.array([np.ptp(track, axis=0).max() for track in tracks]),
        np.array([np.linalg.norm(np.diff(track, axis=0), axis=1).mean() for track in tracks]),
    )


def _frames(group: Group) -> str:
    low, high = int(group.frames.min()), int(group.frames.max())
    return f"{low} frames" if low == high else f"{low} to {high} frames"


def _words_on_frames(groups: list[Group], frames: int) -> list[str]:
    if len({int(n) for group in groups for n in group.frames}) < 2:
        return ["As many as every track has."]
    counts = ", ".join(f"{group.name} {_frames(group)}" for group in groups)
    return [
        f"The first {frames} frames, which the tracks of all classes have ({counts}): the rest is cropped, for the "
        "length of a track alone would give its class away."
    ]


# ------------------------------------------------------------------------------------------------------- long table


def _of_table(sheet: Sheet) -> Guess | None:
    names = [sheet.find(words) for words in (TRACK_WORDS, TIME_WORDS, X_WORDS, Y_WORDS)]
    if any(name is None for name in names) or len(set(names)) < 4:
        return None
    track, time, x, y = (str(name) for name in names)
    numbers = sheet.table[[time, x, y]]
    if not all(pd.api.types.is_numeric_dtype(numbers[name]) for name in numbers):
        return None
    label, named = class_column(sheet.table, names)
    if label is None:
        return None
    classes = sorted(map(str, sheet.table[label].dropna().unique()))
    groups = []
    for name in classes:
        rows = sheet.table[sheet.table[label].astype(str) == name].sort_values(time)
        tracks = [np.asarray(own[[x, y]], "float64") for _, own in rows.groupby(track, sort=False)]
        groups.append(_group_of(name, [own for own in tracks if len(own) > 1]))
    groups = [group for group in groups if len(group.frames)]
    if not groups:
        return None
    return _guess_of_table(sheet, [label, track, time, x, y], classes, groups, named)


def _guess_of_table(sheet: Sheet, columns: list[str], classes: list[str], groups: list[Group], named: bool) -> Guess:
    frames = max(2, min(int(np.quantile(group.frames, 1 - SHARE_KEPT)) for group in groups))
    fields = [f"{field}_column" for field in ("class", "track", "time", "x", "y")]
    source: dict[str, Any] = {"kind": "tracks"}
    source["table"] = {"path": DataPath(sheet.path), **dict(zip(fields, columns, strict=True))}
    guess = Guess("tracks of cells in one long table, a row a cell and frame", 0.9, {})
    guess.values = _sections(source, classes, groups, frames)
    for group in groups:
        guess.say("source.table", f"{group.name}: {len(group.frames):,} cells, {_frames(group)}.")
    guess.say(
        "source.frames",
        *_words_on_frames(groups, frames),
        f"Shorter tracks are left out; {SHARE_KEPT:.0%} or more of each class are long enough.",
    )
    _say_settings(guess, groups)
    if not named:
        guess.unsure.append(f"That the column {columns[0]!r} holds the class is guessed.")
    return guess


# ------------------------------------------------------------------------------------------------- what both share


def _sections(source: dict[str, Any], classes: list[str], groups: list[Group], frames: int) -> dict[str, Any]:
    cells = sum(len(group.frames) for group in groups)
    fitting = [side for side in SIDES if cells * frames * side**2 <= VOXELS_AN_EPOCH]
    side = fitting[0] if fitting else SIDES[-1]
    extents = np.concatenate([group.extents for group in groups]) if groups else np.array([float(side)])
    step = _coarser(max(float(np.quantile(extents, SHARE_INSIDE)), 1e-6) / (side - 1))
    speed = float(np.median(np.concatenate([group.steps for group in groups]))) if groups else 1.0
    settings = training(cells, frames * side**2, TRACKS_IN_ALL)
    settings["training"] |= {"learning_rate": 3e-3, "augment": ["flip", "rotate", "shift"]}
    task = {} if len(classes) > 1 else {"tasks": ["autoencode"]}
    return {
        **task,
        "source": {**source, "frames": frames},
        "input": {"shape": [frames, side, side, 1], "spacing": [1, step, step], "units": "units of the file"},
        "classes": classes,
        "rendering": {"amplitude": "speed", "reference_speed": round_to(speed) if speed > 0 else 1.0},
        **settings,
    }


def _coarser(step: float) -> float:
    """Two digits, never less than ``step``."""
    unit = 10 ** (math.floor(math.log10(step)) - 1)
    return round_to(math.ceil(step / unit) * unit)


def _say_settings(guess: Guess, groups: list[Group]) -> None:
    step, side = guess.values["input"]["spacing"][1], guess.values["input"]["shape"][1]
    guess.say("input.shape", "Frames, and the plane that the tracks are drawn in: the more pixels, the slower.")
    guess.say(
        "input.spacing",
        f"{side} pixels of {step:g} hold {SHARE_INSIDE:.0%} of the tracks; those that reach farther are held at the "
        "border. The files do not tell the unit of positions.",
    )
    speeds = ", ".join(f"{group.name} {np.median(group.steps):.3g}" for group in groups)
    guess.say("rendering", f"Median of the mean step of a track: {speeds}.")
    if len(groups) > 1:
        guess.say("rendering", "Where speed alone should not tell the classes, set normalise_scale: true.")
    guess.say("training", "Small and quick, for two processors: a first result. More epochs may do better.")
    if "tasks" in guess.values:
        guess.values.pop("classifier")
        guess.unsure.append("There is one class only, so nothing can be classified.")


def _add_groups(guess: Guess, classes: list[str], sheets: list[Sheet]) -> None:
    """The table that names the experiment of each track, where one covers all classes."""
    for sheet in sheets:
        columns = _group_columns(sheet, classes)
        if columns is None:
            continue
        covered = [name for name in classes if name in set(sheet.table[columns["file_column"]])]
        groups = {"path": DataPath(sheet.path), **columns}
        column = columns["group_column"]
        if covered == classes:
            guess.values["source"]["groups"] = groups
            guess.say("source.groups", f"Tracks with the same {column} stay in one part and one fold.")
            _say_few_groups(guess, sheet.table, columns)
            continue
        absent = [name for name in classes if name not in covered]
        guess.values["source"]["groups"] = None
        guess.say(
            "source.groups",
            f"{sheet.path} names the {column} of {listed(covered)} only, and not of {listed(absent)}: it cannot be "
            f"the groups of all. For {listed(covered)} alone, take the block at the end.",
        )
        guess.blocks.append(_block_of_covered(guess, sheet, covered, groups))


def _group_columns(sheet: Sheet, classes: list[str]) -> dict[str, str] | None:
    """The columns with the class, the row in its files and the group; None where the table has no such columns."""
    named = [str(name) for name in sheet.table if set(sheet.table[name].dropna().astype(str)) & set(classes)]
    rows = [str(name) for name in sheet.table.select_dtypes("integer") if (sheet.table[name] == 0).any()]
    rest = [str(name) for name in sheet.table if name not in {*named, *rows}]
    if not named or not rows or not rest or TIME_WORDS[0] in rest:
        return None
    return {"file_column": named[0], "row_column": rows[0], "group_column": rest[0]}


def _say_few_groups(guess: Guess, table: pd.DataFrame, columns: dict[str, str]) -> None:
    counts = table.groupby(columns["file_column"])[columns["group_column"]].nunique()
    guess.say("source.groups", f"Groups a class: {', '.join(f'{name} {count}' for name, count in counts.items())}.")
    few = int(counts.min())
    if few < 3:
        guess.values["splits"] = {"fractions": {"train": 0.5, "val": 0.5, "test": 0}, "folds": max(2, few)}
        guess.say("splits", f"Some class has {many(few, 'group')} only: more parts and folds cannot be filled.")


def _block_of_covered(
    guess: Guess, sheet: Sheet, covered: list[str], groups: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    source = guess.values["source"]
    own = Guess("", 0, {})
    _say_few_groups(own, sheet.table, groups)
    block = {
        "source": {**source, "pairs": {name: source["pairs"][name] for name in covered}, "groups": groups},
        "classes": covered,
        **own.values,
    }
    return f"{listed(covered)} with their groups, in the place of the sections of these names.", block
