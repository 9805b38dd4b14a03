"""Which part each sample of a spec is in: given by the data, listed in files, or drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from tumorkeras.data.annotations.names import part_of
from tumorkeras.data.cache import decoded
from tumorkeras.data.catalog import Catalog
from tumorkeras.data.similarity import SIDE, confirmed, duplicate_groups, near_duplicates, thumbnail
from tumorkeras.data.splits import assign_parts
from tumorkeras.errors import DataError, shortened
from tumorkeras.spec import DataSpec


def with_parts(catalog: Catalog) -> Catalog:
    """The catalog with the part that each sample is in, as training will have it, in ``split``.

    Where the spec keeps near-duplicates together, their groups are joined in ``group``. Samples without a class
    have no part.

    Raises
    ------
    DataError
        As :func:`parts_of`.
    """
    assert catalog.spec is not None
    table, spec = catalog.table, catalog.spec
    if spec.splits.duplicates == "together":
        table = table.assign(group=joined_groups(table["group"], lambda row: catalog.read(row).array))
    known = table["class_name"].notna().to_numpy()
    usable = table[known]
    strata = usable["class_name"] if catalog.boxes is None else common_contents(usable["class_name"])
    names = catalog.classes if set(strata) <= set(catalog.classes) else tuple(sorted(set(strata)))
    usable = usable.assign(class_id=strata.map({name: k for k, name in enumerate(names)}).astype("int64"))
    parts = np.full(len(table), None, dtype=object)
    parts[known] = parts_of(spec, usable, names)
    return replace(catalog, table=table.assign(split=parts))


def common_contents(contents: pd.Series, least: int = 10) -> pd.Series:
    """What is in each image, where fewer than ``least`` images hold the same put together as "other".

    Images with several objects hold rare mixtures, which no split can divide in proportion.

    Examples
    --------
    >>> common_contents(pd.Series(["a", "a", "a", "a + b", "b"]), least=2).tolist()
    ['a', 'a', 'a', 'other', 'other']
    >>> common_contents(pd.Series(["a", "a", "b"]), least=2).tolist()
    ['a', 'a', 'a']
    """
    counts = contents.value_counts()
    rare = counts.index[counts < least]
    merged = contents.where(~contents.isin(rare), "other")
    alone = 0 < (merged == "other").sum() < least
    return merged.where(merged != "other", counts.index[0]) if alone else merged


def joined_groups(groups: pd.Series, read: Callable[[int], np.ndarray]) -> np.ndarray:
    """Groups in which near-duplicate images or volumes are together; where there were none, each image is its own.

    Parameters
    ----------
    groups : pandas.Series
        Group of each sample; all missing where there is none.
    read : callable
        From the number of a sample to its array, as :func:`tumorkeras.read` gives it.
    """
    readable = np.ones(len(groups), dtype=bool)

    def look_at(row: int) -> np.ndarray:
        try:
            return thumbnail(read(row))
        except DataError:  # named where all are decoded
            readable[row] = False
            return np.zeros((SIDE, SIDE), "uint8")

    thumbnails = decoded(len(groups), (SIDE, SIDE), "uint8", look_at, description="looking for copies")
    pairs = confirmed(near_duplicates(thumbnails, valid=readable)[["first", "second"]], read)
    if groups.notna().all():
        codes, _ = pd.factorize(groups)
        firsts = pd.Series(range(len(groups))).groupby(codes).transform("min")
        kin = pd.DataFrame({"first": firsts, "second": range(len(groups))})
        pairs = pd.concat([pairs, kin[kin["first"] != kin["second"]]], ignore_index=True)
    return np.array([f"group {number + 1}" for number in duplicate_groups(len(groups), pairs)], dtype=object)


def parts_of(spec: DataSpec, table: pd.DataFrame, classes: tuple[str, ...]) -> np.ndarray:
    """The part ("train", "val" or "test") of each row of a table with ``id``, ``class_id``, ``group``, ``given_split``.

    Parts come from the files that the spec names, else from the data, else they are drawn, stratified by class and
    with groups kept whole. What the data leave open (mostly "val") is drawn from their training part.

    Raises
    ------
    DataError
        If the spec names parts that the data do not have, a group is in two parts, or a part cannot be drawn.
    """
    parts = _chosen(spec, table, classes)
    _check_groups_whole(table, parts)
    return parts


def _chosen(spec: DataSpec, table: pd.DataFrame, classes: tuple[str, ...]) -> np.ndarray:
    if spec.splits.files is not None:
        return _listed(spec, table)
    labels = table["class_id"].to_numpy()
    groups = None if table["group"].isna().any() else table["group"].to_numpy()
    shares = spec.splits.fractions.model_dump()
    found = sorted(set(table["given_split"].dropna())) if "given_split" in table else []
    # Mixing the data's own parts anew is a leak where their makers parted patients: it must be asked for.
    given: dict[str, str] = dict(spec.splits.given or {})
    given = given or {name: part for name in found if (part := part_of(name))}
    whole = len(found) < 2 and not given  # one part of a name that means none is the whole
    if not found or whole:
        if spec.splits.given:
            raise DataError("splits.given", ["the data come with no parts; leave it out"])
        return assign_parts(labels, shares, groups, spec.splits.seed, classes)
    faults = [f"says nothing of the data's part {name!r}" for name in found if name not in given]
    faults += [f"names the part {name!r}, but the data have {', '.join(found)}" for name in given if name not in found]
    if faults:
        raise DataError("splits.given", faults)
    if (absent := table["given_split"].isna()).any():
        lost = [f"{name} is in none of the data's parts {', '.join(found)}" for name in table.loc[absent, "id"]]
        raise DataError("splits.given", shortened(lost))
    parts = table["given_split"].map(given).to_numpy(dtype=object)
    # What the data leave open (mostly "val") is cut out of their training part, where they have one.
    train = np.flatnonzero(parts == "train")
    if not train.size:
        return parts
    open_shares = {name: share for name, share in shares.items() if name == "train" or name not in parts}
    total = sum(open_shares.values())
    inner = None if groups is None else groups[train]
    scaled = {name: share / total for name, share in open_shares.items()}
    parts[train] = assign_parts(labels[train], scaled, inner, spec.splits.seed, classes)
    return parts


def _check_groups_whole(table: pd.DataFrame, parts: np.ndarray) -> None:
    """Refuse parts, given by the user, that share a group; samples are named, a group may be a patient's name."""
    groups = table["group"]
    if groups.isna().any():
        return
    found = pd.DataFrame({"group": groups.to_numpy(), "part": parts, "id": table["id"].to_numpy()})
    firsts = found.drop_duplicates(["group", "part"]).groupby("group", sort=False)
    torn = [rows for _, rows in firsts if len(rows) > 1]
    if not torn:
        return
    shown = [" and ".join(f"{row.id} ({row.part})" for row in rows.itertuples()) + " are of one group" for rows in torn]
    count = f"{len(torn)} of {groups.nunique()} groups are in more than one part"
    mend = "give other parts, or name each in splits.given as train, so that the parts are drawn anew"
    raise DataError("splits", [f"{count}; {mend}", *shortened(shown)])


def _listed(spec: DataSpec, table: pd.DataFrame) -> np.ndarray:
    assert spec.splits.files is not None
    given = {name: spec.resolve(path) for name, path in spec.splits.files if path is not None}
    listed, faults = {}, []
    for name, path in given.items():
        if not path.is_file():
            faults.append(f"{name}: {path}: there is no such file")
            continue
        try:
            listed[name] = path.read_text(encoding="utf-8-sig").split("\n")
        except UnicodeDecodeError as error:
            faults.append(f"{name}: {path}: is no UTF-8 text: {error}")
    if faults:
        raise DataError("splits.files", faults)
    part_of: dict[str, str] = {}
    known = set(table["id"])
    for name, lines in listed.items():
        for sample in filter(None, map(str.strip, lines)):
            if sample not in known:
                faults.append(f"{given[name]}: no sample is called {sample!r}")
            elif part_of.setdefault(sample, name) != name:
                faults.append(f"{sample!r} is in {part_of[sample]} and in {name}")
    faults += [f"{sample!r} is in no part" for sample in table["id"] if sample not in part_of]
    if faults:
        raise DataError("splits.files", shortened(faults))
    return table["id"].map(part_of).to_numpy(dtype=object)
