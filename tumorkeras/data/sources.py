"""One reader a kind of source: from what the spec names to a table of samples and their values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import singledispatch

import numpy as np
import pandas as pd

from tumorkeras.boxes import CORNERS
from tumorkeras.data.catalog import Catalog, catalog_of, with_group, without_group
from tumorkeras.data.images import Crop, decode_all, decode_regions
from tumorkeras.data.parts import with_parts
from tumorkeras.data.rendering import renderer_of
from tumorkeras.data.stored import choose
from tumorkeras.data.tiled import in_tiles
from tumorkeras.data.track_sources import read_tracks, track_table
from tumorkeras.data.tracks import crop_tracks, normalise_scale
from tumorkeras.data.volumes import read_npz_volumes
from tumorkeras.errors import DataError, shortened
from tumorkeras.spec import (
    DataSpec,
    DetectionSource,
    ImageFolderSource,
    NpzSource,
    PhantomsSource,
    RegionsSource,
    Section,
    SimulationSource,
    TracksSource,
)

# What loading passes over with a note; any other fault of the files ends it.
PASSED_OVER = ("not_a_file", "class_without_box")


@dataclass
class SourceData:
    """What a source gives.

    ``table`` has a row a sample with ``id``, ``class_name``, ``group`` and, where the source has parts of its
    own, ``given_split``, or ``split`` where its parts are drawn already; ``values`` are the tracks, images or volumes
    in the same order.
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


# ----------------------------------------------------------------------------------------------------------- tracks


@_read.register
def _(source: SimulationSource, spec: DataSpec) -> SourceData:
    listed, names = read_tracks(source, spec)
    tracks = {kind: np.stack(group) for kind, group in listed.items()}
    return _of_tracks(spec, tracks, {kind: np.asarray(names[kind]) for kind in tracks}, [])


@_read.register
def _(source: TracksSource, spec: DataSpec) -> SourceData:
    tracks, names = read_tracks(source, spec)
    cropped, kept, notes = crop_tracks(tracks, source.frames)
    ids = {name: np.asarray(names[name])[kept[name]] for name in cropped}
    if source.samples_per_class is not None:
        generator = np.random.default_rng(source.seed)
        for name in cropped:
            notes += _draw(name, cropped, ids, source.samples_per_class, generator)
    return _of_tracks(spec, cropped, ids, notes)


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


def _of_tracks(
    spec: DataSpec, tracks: dict[str, np.ndarray], ids: dict[str, np.ndarray], notes: list[str]
) -> SourceData:
    table = track_table(ids, spec)
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


# ---------------------------------------------------------------------------------------------------------- volumes


@_read.register
def _(source: NpzSource, spec: DataSpec) -> SourceData:
    path = None if source.table is None else spec.resolve(source.table)
    table, volumes = read_npz_volumes(spec.resolve(source.path), tuple(spec.input.shape), path)
    labels = table.pop("label").to_numpy()
    names = spec.classes or [str(k) for k in range(labels.max() + 1)]
    if labels.max() >= len(names):
        raise DataError("classes", [f"names {len(names)} classes, but the labels go up to {labels.max()}"])
    table["class_name"] = [names[k] for k in labels]
    return SourceData(with_group(without_group(table, spec), spec), volumes, list(names))


# ----------------------------------------------------------------------------------------------------------- images


@_read.register
def _(source: ImageFolderSource, spec: DataSpec) -> SourceData:
    catalog, notes = _sound(catalog_of(spec))
    catalog = with_parts(catalog)
    values = decode_all(catalog, tuple(spec.input.shape))
    return SourceData(_bare(catalog.table), values, list(catalog.classes), notes)


@_read.register(DetectionSource)
@_read.register(PhantomsSource)
def _(source: DetectionSource | PhantomsSource, spec: DataSpec) -> SourceData:
    catalog, notes = labelled(catalog_of(spec))
    catalog, more = in_tiles(with_parts(catalog))
    values = decode_all(catalog, tuple(spec.input.shape))
    notes += more
    return SourceData(_bare(catalog.table), values, sorted(set(catalog.table["class_name"])), notes)


@_read.register
def _(source: RegionsSource, spec: DataSpec) -> SourceData:
    catalog, notes = labelled(catalog_of(spec))
    catalog = with_parts(catalog)
    boxes, images = catalog.boxes, catalog.table
    assert boxes is not None
    boxes = boxes.sort_values("image", kind="stable").reset_index(drop=True)
    rows = pd.Index(images["id"]).get_indexer(boxes["image"])
    table = images.iloc[rows].reset_index(drop=True)
    number = boxes.groupby("image").cumcount() + 1
    # Regions of one image are no independent samples.
    group = table["group"].where(table["group"].notna(), table["id"])
    table = table.assign(group=group, class_name=boxes["class"], id=table["id"] + "#" + number.astype(str))
    table["box_area"] = ((boxes["xmax"] - boxes["xmin"]) * (boxes["ymax"] - boxes["ymin"])).to_numpy("float64")
    corners = boxes[CORNERS].to_numpy("float64").tolist()
    crops = [Crop(xmin, ymin, xmax, ymax, source.margin) for xmin, ymin, xmax, ymax in corners]
    values, inside = decode_regions(catalog, tuple(spec.input.shape), rows, crops)
    if not inside.all():
        notes.append(f"{(~inside).sum()} of {len(inside)} boxes lie outside their image and were left out")
        table, values = table[inside].reset_index(drop=True), choose(values, np.flatnonzero(inside))
    return SourceData(_bare(table), values, list(catalog.classes), notes)


def _sound(catalog: Catalog) -> tuple[Catalog, list[str]]:
    """The catalog, with notes of what was passed over; an error where files are at fault."""
    faults, notes = [], []
    for fault in catalog.faults:
        lines = [f"{name}: {fault.words}" for name in fault.files]
        if fault.code in PASSED_OVER:
            notes += lines
        else:
            faults += lines
    if faults:
        assert catalog.spec is not None
        raise DataError(f"spec {catalog.spec.name}", shortened(faults))
    return catalog, notes


def labelled(catalog: Catalog) -> tuple[Catalog, list[str]]:
    """The images that are labelled, those without objects among them, with their boxes that have an area.

    Returns
    -------
    catalog : Catalog
        Without the rest.
    notes : list of str
        What was left out.

    Raises
    ------
    DataError
        If files or names are at fault, or no image is labelled.
    """
    catalog, notes = _sound(catalog)
    known = catalog.table["labelled"]
    if not known.any():
        raise DataError("source.annotations", ["names no image of source.path"])
    if not known.all():
        notes.append(f"{(~known).sum()} of {len(known)} images are not labelled and were left out")
        catalog = catalog.select(np.flatnonzero(known))
    assert catalog.boxes is not None
    whole = (catalog.boxes["xmax"] > catalog.boxes["xmin"]) & (catalog.boxes["ymax"] > catalog.boxes["ymin"])
    if not whole.all():
        notes.append(f"{(~whole).sum()} of {len(whole)} boxes have no area and were left out")
        catalog = replace(catalog, boxes=catalog.boxes[whole].reset_index(drop=True))
    return catalog, notes


def _bare(table: pd.DataFrame) -> pd.DataFrame:
    """The table without the paths of the files."""
    return table.drop(columns=[name for name in ("path", "labelled") if name in table])
