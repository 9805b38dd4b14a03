"""The tracks that a spec names, simulated or read, as they are: before they are cropped, drawn or scaled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import singledispatch

import numpy as np
import pandas as pd

from tumorkeras.data.simulate import KINDS, simulate_motility
from tumorkeras.data.tracks import read_csv, read_track_pair, read_track_table
from tumorkeras.errors import DataError, shortened
from tumorkeras.spec import DataSpec, Section, SimulationSource, TracksSource


def tracks_of(spec: DataSpec) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """All tracks of a spec, each (frames, 2) float32, with a table of their ``id``, ``class_name`` and ``group``.

    The id is the class and the row in its file (the name in a table): "musc/17".

    Raises
    ------
    DataError
        If a file is missing or broken, or names no group for a track.
    """
    tracks, names = read_tracks(spec.source, spec)
    return track_table(names, spec), [track for group in tracks.values() for track in group]


def track_table(names: Mapping[str, Iterable[int | str]], spec: DataSpec) -> pd.DataFrame:
    """A row a track, by class and name: ``id`` ("musc/17"), ``class_name`` and ``group``."""
    table = pd.DataFrame(
        [{"id": f"{kind}/{name}", "class_name": kind, "name": str(name)} for kind in names for name in names[kind]]
    )
    return table.assign(group=_groups_of(table.pop("name"), table, spec))


def _groups_of(names: pd.Series, table: pd.DataFrame, spec: DataSpec) -> np.ndarray:
    """The group of each track (class and name) of a table; None for all where the spec names no table of groups."""
    source = spec.source
    if not isinstance(source, TracksSource) or source.groups is None:
        return np.full(len(table), None, dtype=object)
    groups = _group_names(source, spec)
    found = [groups.get(key) for key in zip(table["class_name"], names, strict=True)]
    lost = [name for name, group in zip(table["id"], found, strict=True) if group is None]
    if lost:
        raise DataError("source.groups", shortened([f"names no group for {name}" for name in lost]))
    return np.array(found, dtype=object)


@singledispatch
def read_tracks(source: Section, spec: DataSpec) -> tuple[dict[str, list[np.ndarray]], dict[str, list[int | str]]]:
    """Tracks of each class, and their names."""
    raise NotImplementedError(f"{type(source).__name__} has no tracks")


@read_tracks.register
def _(source: SimulationSource, spec: DataSpec) -> tuple[dict[str, list[np.ndarray]], dict[str, list[int | str]]]:
    # Each kind has its own stream of random numbers, so a kind more or less changes no other.
    tracks: dict[str, list[np.ndarray]] = {
        kind: list(
            simulate_motility(
                kind,
                source.samples_per_class,
                source.frames,
                hurst=source.hurst,
                alpha=source.alpha,
                mean_step=source.mean_step,
                seed=np.random.default_rng([source.seed, KINDS.index(kind)]),
            )
        )
        for kind in source.motions
    }
    return tracks, {kind: list(range(len(group))) for kind, group in tracks.items()}


@read_tracks.register
def _(source: TracksSource, spec: DataSpec) -> tuple[dict[str, list[np.ndarray]], dict[str, list[int | str]]]:
    return _pairs(source, spec) if source.pairs is not None else _table(source, spec)


def _pairs(source: TracksSource, spec: DataSpec) -> tuple[dict[str, list[np.ndarray]], dict[str, list[int | str]]]:
    assert source.pairs is not None
    tracks, faults = {}, []
    for name, pair in source.pairs.items():
        try:
            tracks[name] = list(read_track_pair(spec.resolve(pair.x), spec.resolve(pair.y)))
        except DataError as error:
            faults += [f"{error.heading}: {fault}" for fault in error.faults]
    if faults:
        raise DataError("source.pairs", faults)
    return tracks, {name: list(range(len(group))) for name, group in tracks.items()}


def _table(source: TracksSource, spec: DataSpec) -> tuple[dict[str, list[np.ndarray]], dict[str, list[int | str]]]:
    assert source.table is not None
    columns = source.table.model_dump(exclude={"path"})
    found = read_track_table(spec.resolve(source.table.path), **columns)
    return {k: list(v.values()) for k, v in found.items()}, {k: list(v) for k, v in found.items()}


def _group_names(source: TracksSource, spec: DataSpec) -> dict[tuple[str, str], str]:
    """The group of each (class, row of its file)."""
    assert source.groups is not None
    path = spec.resolve(source.groups.path)
    table = read_csv(path)
    columns = [source.groups.file_column, source.groups.row_column, source.groups.group_column]
    absent = [f"{path} has no column {name!r}; it has {list(table.columns)}" for name in columns if name not in table]
    if absent:
        raise DataError("source.groups", absent)
    table = table[columns].drop_duplicates()
    faults = [f"{path}, line {n}: the group is empty" for n in table.index[table[columns[2]].str.strip() == ""]]
    twice = table[table.duplicated(columns[:2])]
    faults += [f"{path}, line {n}: {row[columns[0]]}/{row[columns[1]]} is in two groups" for n, row in twice.iterrows()]
    if faults:
        raise DataError("source.groups", shortened(faults))
    return {(file, row): group for file, row, group in table.itertuples(index=False)}
