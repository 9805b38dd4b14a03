"""One reader a kind of source: from what the spec names to a table of samples and their values."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import singledispatch
from pathlib import Path

import numpy as np
import pandas as pd

from tumorkeras.data.images import read_image_folder
from tumorkeras.data.rendering import renderer_of
from tumorkeras.data.simulate import KINDS, simulate_motility
from tumorkeras.data.tracks import (
    crop_tracks,
    normalise_scale,
    read_csv,
    read_track_pair,
    read_track_table,
    shortened,
)
from tumorkeras.data.volumes import read_npz_volumes
from tumorkeras.errors import DataError
from tumorkeras.spec import DataSpec, ImageFolderSource, NpzSource, Section, SimulationSource, TracksSource


@dataclass
class SourceData:
    """What a source gives.

    ``table`` has a row a sample with ``id``, ``class_name``, ``group`` and, where the source has parts of its
    own, ``given_split``; ``values`` are the tracks, images or volumes in the same order.
    """

    table: pd.DataFrame
    values: np.ndarray
    classes: list[str]
    notes: list[str] = field(default_factory=list)


def read_source(spec: DataSpec) -> SourceData:
    """Read whatever the spec's source names."""
    return _read(spec.source, spec)


@singledispatch
def _read(source: Section, spec: DataSpec) -> SourceData:
    raise NotImplementedError(f"no reader for {type(source).__name__}")


@_read.register
def _(source: SimulationSource, spec: DataSpec) -> SourceData:
    # Each kind has its own stream of random numbers, so a kind more or less changes no other.
    tracks: dict[str, np.ndarray] = {
        kind: simulate_motility(
            kind,
            source.samples_per_class,
            source.frames,
            hurst=source.hurst,
            alpha=source.alpha,
            mean_step=source.mean_step,
            seed=np.random.default_rng([source.seed, KINDS.index(kind)]),
        )
        for kind in source.motions
    }
    ids: dict[str, np.ndarray] = {kind: np.arange(len(group)) for kind, group in tracks.items()}
    return _of_tracks(spec, tracks, ids, {}, [])


@_read.register
def _(source: TracksSource, spec: DataSpec) -> SourceData:
    tracks, names = _pairs(source, spec) if source.pairs is not None else _table(source, spec)
    cropped, kept, notes = crop_tracks(tracks, source.frames)
    ids = {name: np.asarray(names[name])[kept[name]] for name in cropped}
    if source.samples_per_class is not None:
        generator = np.random.default_rng(source.seed)
        for name in cropped:
            notes += _draw(name, cropped, ids, source.samples_per_class, generator)
    return _of_tracks(spec, cropped, ids, _group_names(source, spec), notes)


def _pairs(source: TracksSource, spec: DataSpec) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    assert source.pairs is not None
    tracks, faults = {}, []
    for name, pair in source.pairs.items():
        try:
            tracks[name] = read_track_pair(spec.resolve(pair.x), spec.resolve(pair.y))
        except DataError as error:
            faults += [f"{error.heading}: {fault}" for fault in error.faults]
    if faults:
        raise DataError("source.pairs", faults)
    return tracks, {name: np.arange(len(group)) for name, group in tracks.items()}


def _table(source: TracksSource, spec: DataSpec) -> tuple[dict[str, list[np.ndarray]], dict[str, list[str]]]:
    assert source.table is not None
    columns = source.table.model_dump(exclude={"path"})
    found = read_track_table(spec.resolve(source.table.path), **columns)
    return {k: list(v.values()) for k, v in found.items()}, {k: list(v) for k, v in found.items()}


def _draw(
    name: str,
    tracks: dict[str, np.ndarray],
    ids: dict[str, np.ndarray],
    wanted: int,
    generator: np.random.Generator,
) -> list[str]:
    """Keep ``wanted`` tracks of a class at random, in place; say what was kept."""
    available = len(tracks[name])
    chosen = np.sort(generator.permutation(available)[:wanted])
    tracks[name], ids[name] = tracks[name][chosen], ids[name][chosen]
    if available < wanted:
        return [f"{name}: {wanted} samples were asked for, {available} are there"]
    return [f"{name}: {wanted} of {available} tracks drawn at random"]


def _group_names(source: TracksSource, spec: DataSpec) -> dict[tuple[str, str], str]:
    """The group of each (class, row of its file); empty where the spec names no table of groups."""
    if source.groups is None:
        return {}
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


def _of_tracks(
    spec: DataSpec,
    tracks: dict[str, np.ndarray],
    ids: dict[str, np.ndarray],
    groups: dict[tuple[str, str], str],
    notes: list[str],
) -> SourceData:
    table = pd.DataFrame(
        [
            {"id": f"{name}/{k}", "class_name": name, "group": groups.get((name, str(k)))}
            for name in tracks
            for k in ids[name]
        ]
    )
    lost = table.loc[table["group"].isna(), "id"]
    if isinstance(spec.source, TracksSource) and spec.source.groups is not None and len(lost):
        raise DataError("source.groups", shortened([f"names no group for {name}" for name in lost]))
    values = np.concatenate(list(tracks.values())).astype("float32")
    if spec.rendering.normalise_scale:
        values = normalise_scale(values)
    if values.shape[1] != spec.input.shape[0]:
        raise DataError("input.shape", [f"has {spec.input.shape[0]} frames, but the tracks have {values.shape[1]}"])
    source = SourceData(table, values, list(tracks), notes)
    return _without_leavers(source, spec) if spec.rendering.outside == "drop" else source


def _without_leavers(source: SourceData, spec: DataSpec) -> SourceData:
    stays = renderer_of(spec).inside(source.values)
    lost = source.table.loc[~stays, "class_name"].value_counts(sort=False)
    each = "".join(f", {name} {count}" for name, count in lost.items()).removeprefix(", ")
    note = f"{(~stays).sum()} of {len(stays)} tracks leave the volume and were dropped"
    source.notes.append(f"{note} ({each})" if each else note)
    return SourceData(source.table[stays].reset_index(drop=True), source.values[stays], source.classes, source.notes)


@_read.register
def _(source: NpzSource, spec: DataSpec) -> SourceData:
    table, volumes = read_npz_volumes(
        spec.resolve(source.path), tuple(spec.input.shape), _optional_path(source.table, spec)
    )
    labels = table.pop("label").to_numpy()
    names = spec.classes or [str(k) for k in range(labels.max() + 1)]
    if labels.max() >= len(names):
        raise DataError("classes", [f"names {len(names)} classes, but the labels go up to {labels.max()}"])
    table["class_name"] = [names[k] for k in labels]
    return SourceData(_with_group(table, spec), volumes, list(names))


@_read.register
def _(source: ImageFolderSource, spec: DataSpec) -> SourceData:
    table, images = read_image_folder(spec.resolve(source.path), tuple(spec.input.shape))
    return SourceData(_with_group(table, spec), images, sorted(table["class_name"].unique()))


def _optional_path(given: str | None, spec: DataSpec) -> Path | None:
    return None if given is None else spec.resolve(given)


def _with_group(table: pd.DataFrame, spec: DataSpec) -> pd.DataFrame:
    """The table with the column that the spec names as the group, or with none."""
    column = spec.splits.group
    if column is None:
        return table.assign(group=None)
    if column not in table:
        raise DataError("splits.group", [f"the samples have no column {column!r}; they have {list(table.columns)}"])
    absent = table[column].isna() | (table[column].astype(str).str.strip() == "")
    if absent.any():
        raise DataError("splits.group", shortened([f"{name} has no {column}" for name in table.loc[absent, "id"]]))
    return table.assign(group=table[column].astype(str))
