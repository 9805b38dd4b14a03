"""What a data set is in numbers: sizes, spacing, intensity, balance of the classes, objects."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tumorkeras.auditing.findings import Finding
from tumorkeras.boxes import CORNERS, letterbox

if TYPE_CHECKING:
    from tumorkeras.auditing.facts import Facts
    from tumorkeras.auditing.plan import Plan
    from tumorkeras.data.catalog import Catalog

QUANTILES = {
    "min": 0.0,
    "q01": 0.01,
    "q05": 0.05,
    "q25": 0.25,
    "median": 0.5,
    "q75": 0.75,
    "q95": 0.95,
    "q99": 0.99,
    "max": 1.0,
}
AXES = {"images": ["height", "width"], "volumes": ["depth", "height", "width"], "tracks": ["frames"]}
MOST_SIZES = 5  # the commonest sizes that are listed one by one


def fingerprint(catalog: Catalog, facts: Facts, part: str | None = None) -> dict[str, Any]:
    """The data set in numbers, as plain values that JSON holds.

    Parameters
    ----------
    catalog : Catalog
        What the spec names.
    facts : Facts
        What was found in each sample, row by row of the catalog.
    part : str, optional
        Only the samples of this part ("train"); all by default, and where no sample has a part yet.

    Returns
    -------
    dict
        ``kind``, ``part``, ``samples``, ``readable``, ``classes`` (samples a class), ``sizes`` (height, width and, of
        volumes, depth in pixels, aspect ratio = height / width; of tracks, frames), ``channels`` and ``bits`` (samples
        of each), ``spacing`` (mm an axis, or None), ``intensity``, and ``objects`` (None for sources without boxes;
        else counts, sizes in pixels, aspect ratios). Distributions are dicts of quantiles: ``min``, ``q01`` to ``max``.
    """
    rows = rows_of_part(catalog, part)
    table, found = catalog.table[rows], facts.table[rows]
    known = found[found["readable"].astype(bool)]
    return {
        "kind": catalog.kind,
        "part": part,
        "samples": len(table),
        "readable": len(known),
        "classes": _counts(table["class_name"]),
        "sizes": _sizes(known, AXES[catalog.kind]),
        "channels": _counts(known["channels"]),
        "bits": _counts(known["bits"]),
        "spacing": _spacing(known),
        "intensity": {name: quantiles(known[name]) for name in ("minimum", "maximum", "mean", "std")},
        "objects": _objects(catalog, facts, part),
    }


def rows_of_part(catalog: Catalog, part: str | None) -> np.ndarray:
    """Which rows of the catalog belong to a part; all where none is asked for or no sample has one."""
    splits = catalog.table["split"]
    if part is None or splits.isna().all():
        return np.ones(len(splits), dtype=bool)
    return (splits == part).to_numpy(dtype=bool)


def usable_boxes(catalog: Catalog, facts: Facts, part: str | None = None) -> pd.DataFrame:
    """The boxes that have an area inside a readable image, cut at its edges.

    Parameters
    ----------
    catalog, facts, part
        As for :func:`fingerprint`.

    Returns
    -------
    pandas.DataFrame
        The rows of ``catalog.boxes`` that can be used, with the image's ``image_height`` and ``image_width``. Empty for
        sources without boxes.
    """
    columns = ["image", "class", *CORNERS, "image_height", "image_width"]
    if catalog.boxes is None:
        return pd.DataFrame({name: [] for name in columns})
    chosen = rows_of_part(catalog, part) & facts.table["readable"].to_numpy(dtype=bool)
    images = pd.DataFrame(
        {
            "image": catalog.table["id"].to_numpy(),
            "image_height": facts.table["height"].to_numpy("float64"),
            "image_width": facts.table["width"].to_numpy("float64"),
        }
    )
    boxes = catalog.boxes.merge(images[chosen], on="image", how="inner")
    corners = boxes[CORNERS].to_numpy("float64")
    limits = boxes[["image_width", "image_height"] * 2].to_numpy("float64")
    boxes[CORNERS] = np.clip(corners, 0, limits)
    usable = np.isfinite(corners).all(axis=1)
    usable &= (boxes["xmax"] > boxes["xmin"]).to_numpy() & (boxes["ymax"] > boxes["ymin"]).to_numpy()
    return boxes[usable].reset_index(drop=True)


def boxes_on_canvas(boxes: pd.DataFrame, canvas: tuple[int, int]) -> np.ndarray:
    """Boxes of :func:`usable_boxes` in pixels of the canvas that their images are letterboxed to, (n, 4) float32."""
    placed = np.zeros((len(boxes), 4), "float32")
    corners = boxes[CORNERS].to_numpy("float32")
    sizes = boxes[["image_height", "image_width"]].to_numpy("int64")
    for height, width in np.unique(sizes, axis=0):
        same = (sizes == (height, width)).all(axis=1)
        placed[same] = letterbox((int(height), int(width)), canvas).apply(corners[same])
    return placed


def quantiles(values: ArrayLike) -> dict[str, float] | None:
    """Quantiles of the finite values; None where there is none.

    Examples
    --------
    >>> quantiles([1, 2, 3, np.nan])["median"]
    2.0
    """
    numbers = np.asarray(values, "float64")
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        return None
    found = np.quantile(finite, list(QUANTILES.values()))
    return {name: float(f"{value:.6g}") for name, value in zip(QUANTILES, found, strict=True)}


def _counts(values: pd.Series) -> dict[str, int]:
    """How often each value stands there, the commonest first, then by name; missing ones are left out."""
    counts = Counter(values.dropna().map(_name))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _name(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _sizes(known: pd.DataFrame, axes: list[str]) -> dict[str, Any]:
    sides = known[axes].dropna().astype("int64")
    found: dict[str, Any] = {axis: quantiles(sides[axis]) for axis in axes}
    if "width" in axes:
        found["aspect_ratio"] = quantiles(sides["height"] / sides["width"])
    different = _counts(pd.Series([" x ".join(map(str, row)) for row in sides.to_numpy()], dtype=object))
    return found | {"different": len(different), "commonest": dict(list(different.items())[:MOST_SIZES])}


def _spacing(known: pd.DataFrame) -> dict[str, Any] | None:
    axes = [name for name in ("spacing_0", "spacing_1", "spacing_2") if name in known and known[name].notna().any()]
    return {name: quantiles(known[name]) for name in axes} or None


def _objects(catalog: Catalog, facts: Facts, part: str | None) -> dict[str, Any] | None:
    if catalog.boxes is None:
        return None
    rows = rows_of_part(catalog, part)
    images = catalog.table[rows].assign(readable=facts.table.loc[rows, "readable"].to_numpy(dtype=bool))
    marked = catalog.boxes[catalog.boxes["image"].isin(images["id"])]
    labelled = images.loc[images["labelled"].astype(bool), "id"]
    per_image = labelled.map(marked["image"].value_counts()).fillna(0)
    boxes = usable_boxes(catalog, facts, part)
    return {
        "boxes": len(marked),
        "unusable": int(marked["image"].isin(images.loc[images["readable"], "id"]).sum()) - len(boxes),
        "classes": _counts(marked["class"]),
        "per_image": quantiles(per_image),
        "images_without": int((per_image == 0).sum()),
        "images_unlabelled": len(images) - len(labelled),
        **_shapes(boxes),
    }


def _shapes(boxes: pd.DataFrame) -> dict[str, Any]:
    width, height = boxes["xmax"] - boxes["xmin"], boxes["ymax"] - boxes["ymin"]
    size = np.sqrt(width * height)
    return {
        "width": quantiles(width),
        "height": quantiles(height),
        "size": quantiles(size),
        "size_by_class": {str(name): quantiles(sizes) for name, sizes in size.groupby(boxes["class"])},
        "aspect_ratio": quantiles(height / width),
        "share_of_image": quantiles(width * height / (boxes["image_width"] * boxes["image_height"])),
    }


# ------------------------------------------------------------------------------------------------------ findings

IMBALANCE, STRONG_IMBALANCE = 10, 100  # the commonest class to the rarest
TINY = 8  # pixels of the canvas: two cells of a map of stride 4
MIXED = 2.0  # the 95th percentile to the 5th
LOW_RECALL = 0.9


def fingerprint_findings(catalog: Catalog, facts: Facts, plan: Plan | None) -> list[Finding]:
    """What in the numbers of a data set would hold back a model: objects too small, classes too rare, mixed sizes.

    Parameters
    ----------
    catalog, facts
        As for :func:`fingerprint`.
    plan : Plan or None
        Of :func:`tumorkeras.auditing.plan.propose_plan`, for the recall of its anchors.
    """
    found = [_imbalance(catalog), _mixed_sizes(catalog, facts), _tiny_objects(catalog, facts), _missed_by_anchors(plan)]
    return [finding for finding in found if finding is not None]


def _imbalance(catalog: Catalog) -> Finding | None:
    source = catalog.table[["id", "class_name"]] if catalog.boxes is None else catalog.boxes[["image", "class"]]
    files, names = source.iloc[:, 0], source.iloc[:, 1]
    counts = _counts(names)
    if len(counts) < 2:
        return None
    (common, most), *_, (rare, least) = counts.items()
    if most < IMBALANCE * least:
        return None
    what = "samples" if catalog.boxes is None else "objects"
    return Finding(
        "fingerprint",
        "class_imbalance",
        "warning" if most >= STRONG_IMBALANCE * least else "note",
        f"{most:,} {what} of class {common}, {least:,} of class {rare}: {most / least:.0f} to 1",
        files=tuple(dict.fromkeys(files[names.map(_name, na_action="ignore") == rare])),
        effect="A model that never names the rare class is right nearly always, and accuracy hides it.",
        mend="Keep training.class_weights on, read the figures by class, or collect more of the rare class.",
        figures={"counts": counts, "ratio": round(most / least, 1)},
    )


def _mixed_sizes(catalog: Catalog, facts: Facts) -> Finding | None:
    known = facts.table[facts.table["readable"].astype(bool)]
    if catalog.kind == "tracks" or known.empty:
        return None
    longest, shape = known[["height", "width"]].max(axis=1), known["height"] / known["width"]
    spread = {
        name: float(np.divide(*np.quantile(values, [0.95, 0.05])))
        for name, values in (("longest_side", longest), ("aspect_ratio", shape))
    }
    if max(spread.values()) < MIXED:
        return None
    typical = longest.median()
    odd = known.index[(longest * MIXED < typical) | (longest > MIXED * typical)]
    return Finding(
        "fingerprint",
        "mixed_sizes",
        "note",
        f"images differ in size: longest side {longest.quantile(0.05):.0f} to {longest.quantile(0.95):.0f} pixels, "
        f"height / width {shape.quantile(0.05):.2f} to {shape.quantile(0.95):.2f} (5th to 95th percentile)",
        files=tuple(catalog.table["id"].iloc[odd]),
        effect="On one canvas the same object appears at different scales, and size or padding may tell the class.",
        mend="See whether the size goes with the class (shortcuts), and resample to one spacing where it is known.",
        figures={name: round(value, 2) for name, value in spread.items()},
    )


def _tiny_objects(catalog: Catalog, facts: Facts) -> Finding | None:
    boxes = usable_boxes(catalog, facts)
    if boxes.empty or catalog.spec is None:
        return None
    height, width = catalog.spec.input.shape[:2]
    corners = boxes_on_canvas(boxes, (height, width))
    sizes = np.sqrt((corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1]))
    tiny = sizes < TINY
    if not tiny.any():
        return None
    return Finding(
        "fingerprint",
        "tiny_objects",
        "warning" if tiny.mean() >= 0.05 else "note",
        f"{tiny.sum():,} of {len(boxes):,} objects are smaller than {TINY} pixels on the canvas of {height} x {width}",
        files=tuple(dict.fromkeys(boxes.loc[tiny, "image"])),
        effect="So little is left of them that they can hardly be found or told apart.",
        mend="Raise input.shape, or cut the images into tiles.",
        figures={"share": round(float(tiny.mean()), 4), "objects": int(tiny.sum()), "canvas": [height, width]},
    )


def _missed_by_anchors(plan: Plan | None) -> Finding | None:
    if plan is None or not plan.recall:
        return None
    default, proposed = plan.recall["default"], plan.recall["proposed"]
    low = [name for name, value in default["classes"].items() if value < LOW_RECALL]
    if default["iou_50"] >= LOW_RECALL and not low:
        return None
    worst = "".join(f"; {name} {default['classes'][name]:.2f} against {proposed['classes'][name]:.2f}" for name in low)
    return Finding(
        "fingerprint",
        "default_anchors_miss",
        "note",
        f"default anchors reach {default['iou_50']:.2f} of the training boxes at IoU 0.5, those of the plan "
        f"{proposed['iou_50']:.2f}{worst}",
        effect="An object that no anchor meets is hardly ever learnt.",
        mend="Take the anchors of the proposed plan.",
        figures={"default": default, "proposed": proposed},
    )
