"""The figures of docs/data.md on shortcuts and batch effects: what its probes find on real data and in planted faults.

    TUMORKERAS_DATA=... python benchmarks/probes.py [real] [planted] [offsets] [clean] [--output FILE.md]

real     every probe on the four real folders, with its interval, and random folds beside held-out groups
planted  benign images of busi in two arms that differ by one planted fault: a logo, the files' quality, the size
offsets  motility_features with and without an offset by experiment, over ten seeds
clean    busi with labels drawn at random, fifty times: how often anything is found
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from tumorkeras import DataSpec
from tumorkeras.auditing.batch_effects import (
    BatchEffect,
    catalog_batch_effects,
    measure_batch_effect,
    numeric_features,
)
from tumorkeras.auditing.facts import Facts, collect_facts
from tumorkeras.auditing.findings import Finding
from tumorkeras.auditing.shortcuts import shortcut_findings
from tumorkeras.data.catalog import Catalog, catalog_of
from tumorkeras.files import write_whole

EXAMPLES = Path(__file__).parents[1] / "examples"
DATA = Path(os.environ.get("TUMORKERAS_DATA", ""))
ARM = 100  # planted images of each class
SHARE = 0.8  # of one class that get the planted fault
CLEAN = 50  # data sets with labels at random
SEEDS = 10


def busi() -> DataSpec:
    """Images with boxes; copies of one picture are a group."""
    folder = DATA / "busi"
    table = {"path": str(folder / "images.csv"), "split_column": "split"}
    source = {"kind": "detection", "path": str(folder / "images"), "annotations": str(folder / "boxes.csv")}
    values = {"name": "busi", "input": {"shape": [256, 256, 1]}, "source": {**source, "table": table}}
    return DataSpec.from_dict({**values, "splits": {"group": "dup_group"}, "tasks": ["autoencode"]})


def bccd() -> DataSpec:
    """Blood cells with boxes."""
    folder = DATA / "bccd"
    source = {"kind": "detection", "path": str(folder / "JPEGImages"), "annotations": str(folder / "Annotations")}
    values = {"name": "bccd", "input": {"shape": [480, 640, 3]}, "source": source}
    return DataSpec.from_dict({**values, "tasks": ["autoencode"]})


def markdown(rows: list[dict[str, object]]) -> str:
    """Rows of the same keys as a table."""
    names = list(rows[0])
    lines = [" | ".join(names), " | ".join("---" for _ in names)]
    lines += [" | ".join(str(row[name]) for name in names) for row in rows]
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def probe_rows(data: str, findings: list[Finding]) -> Iterator[dict[str, object]]:
    """A row for every probe that was made, with the severity of what was found by it."""
    severe = {
        (finding.code, finding.figures["question"], finding.figures["auc"]): finding.severity
        for finding in findings
        if finding.code not in ("probes", "columns")
    }
    by_score = {(question, auc): severity for (_, question, auc), severity in severe.items()}
    for finding in findings:
        for probe in finding.figures["probes"] if finding.code == "probes" else ():
            yield {
                "data": data,
                "to be told": probe["question"],
                "by": probe["probe"],
                "AUC [95 %, all together]": f"{probe['auc']:.2f} [{probe['low']:.2f}, {probe['high']:.2f}]",
                "n": probe["n"],
                "finding": by_score.get((probe["question"], probe["auc"]), ""),
            }


def effect_row(data: str, effect: BatchEffect) -> dict[str, object]:
    """Random folds beside groups that were held out."""
    random, held, drop = effect.random, effect.held_out, effect.drop
    return {
        "data": data,
        "random folds": f"{random.value:.3f} [{random.low:.3f}, {random.high:.3f}]",
        "groups held out": f"{held.value:.3f} ({held.n} folds, {held.low:.3f}-{held.high:.3f})",
        "drop": f"{drop.value:.3f} [{drop.low:.3f}, {drop.high:.3f}]",
        "p": f"{effect.p_value:.3f}",
        "finding": "batch effect" if effect.found else "no sign",
    }


def real() -> str:
    """Every probe on real data."""
    names = ["lidc_nodules", "musc_myoblast", "wt_myc_mef_experiments"]
    specs = {name: DataSpec.from_yaml(EXAMPLES / f"{name}.yaml") for name in names}
    rows, titles = [], []
    for name, spec in {**specs, "busi": busi(), "bccd": bccd()}.items():
        catalog = catalog_of(spec)
        facts = collect_facts(catalog)
        rows += probe_rows(name, shortcut_findings(catalog, facts))
        titles += [f"- {name}, {found.severity}: {found.title}" for found in catalog_batch_effects(catalog, facts)]
    table = motility()
    effect = measure_batch_effect(numeric_features(table), table["class"], table["experiment"])
    assert effect is not None
    return "\n".join([markdown(rows), *titles, "", markdown([effect_row("motility_features", effect)])])


def motility() -> pd.DataFrame:
    """Hand-made features of cells in seven experiments."""
    return pd.read_csv(DATA / "motility_features" / "motility_features.csv")


def logo(place: Callable[[int, int], tuple[int, int]], strength: float) -> Callable[[np.ndarray], np.ndarray]:
    """Lays the letters US over a picture."""
    letters = np.zeros((18, 50), np.uint8)
    cv2.putText(letters, "US", (2, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
    weight = letters / 255 * strength

    def stamp(picture: np.ndarray) -> np.ndarray:
        top, left = place(*picture.shape)
        window = slice(top, top + 18), slice(left, left + 50)
        stamped = picture.copy()
        stamped[window] = picture[window] * (1 - weight) + 255 * weight
        return stamped

    return stamp


FAULTS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int]] = {
    "nothing": (lambda picture: picture, 90),
    "opaque logo in a corner": (logo(lambda height, width: (4, width - 54), 1.0), 90),
    "half transparent logo in a corner": (logo(lambda height, width: (4, width - 54), 0.4), 90),
    "half transparent logo, middle of the border": (logo(lambda height, width: (4, width // 2 - 25), 0.5), 90),
    "faint logo, middle of the border": (logo(lambda height, width: (4, width // 2 - 25), 0.3), 90),
    "JPEG quality 75 for 90": (lambda picture: picture, 75),
    "images of 480 x 360": (lambda picture: cv2.resize(picture, (480, 360)), 90),
}


def planted() -> str:
    """Benign images in two arms, one with a fault."""
    names = pd.read_csv(DATA / "busi" / "images.csv").query("`class` == 'benign'")["image"]
    generator = np.random.default_rng(0)
    chosen = generator.permutation(names.to_numpy())[: 2 * ARM]
    rows = []
    for fault, (change, quality) in FAULTS.items():
        with tempfile.TemporaryDirectory() as folder:
            for number, name in enumerate(chosen):
                _write(Path(folder), name, number % 2 and generator.random() < SHARE, number % 2, change, quality)
            values = {"name": "planted", "input": {"shape": [256, 256, 1]}}
            spec = DataSpec.from_dict({**values, "source": {"kind": "image_folder", "path": folder}})
            catalog = catalog_of(spec)
            findings = shortcut_findings(catalog, collect_facts(catalog))
        found = [finding for finding in findings if finding.severity != "note"]
        words = "; ".join(f"{finding.severity}: {finding.title}" for finding in found)
        rows.append({"planted in 80 % of one class": fault, "found": words or "nothing"})
    return markdown(rows)


def _write(
    folder: Path, name: str, faulty: bool, arm: int, change: Callable[[np.ndarray], np.ndarray], quality: int
) -> None:
    picture = cv2.imread(str(DATA / "busi" / "images" / f"{name}.jpg"), cv2.IMREAD_GRAYSCALE)
    picture = change(picture) if faulty else picture
    path = folder / "ab"[arm] / f"{name}.jpg"
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, quality if faulty else 90])


def offsets() -> str:
    """Motility features whose first ten are shifted in each experiment by normal offsets of so many deviations."""
    table = motility()
    features = numeric_features(table)
    rows = []
    for size in (0.0, 0.25, 0.5, 1.0):
        effects = []
        for seed in range(SEEDS if size else 1):
            shifted = features.copy()
            first = list(features.columns[:10])
            drawn = np.random.default_rng(seed).normal(size=(table["experiment"].nunique(), 10))
            places = table["experiment"].astype("category").cat.codes
            shifted[first] += size * drawn[places] * features[first].std().to_numpy()
            effect = measure_batch_effect(shifted, table["class"], table["experiment"], seed=seed)
            assert effect is not None
            effects.append(effect)
        rows.append(
            {
                "offset (standard deviations)": size,
                "random folds": f"{np.mean([effect.random.value for effect in effects]):.3f}",
                "pairs of experiments": f"{np.mean([effect.held_out.value for effect in effects]):.3f}",
                "found": f"{sum(effect.found for effect in effects)} of {len(effects)}",
            }
        )
    return markdown(rows)


def clean() -> str:
    """Labels at random, on real images and, for batch effects, experiments at random within each class."""
    catalog = replace(catalog_of(busi()), boxes=None, spec=None)
    facts = collect_facts(catalog)
    rows = []
    for each in (30, 100):
        alarms = sum(_is_alarmed(catalog, facts, each, seed) for seed in range(CLEAN))
        rows.append({"clean data sets": f"busi, {each} images a class, classes at random", "found": alarms})
    table = motility()
    features = numeric_features(table)
    alarms = 0
    for seed in range(CLEAN):
        drawn = table.groupby("class")["experiment"].sample(frac=1, random_state=seed).to_numpy()
        classes = table.sort_values("class", kind="stable").index
        shuffled = pd.Series(drawn, index=classes).sort_index()
        effect = measure_batch_effect(features, table["class"], shuffled, seed=seed)
        assert effect is not None
        alarms += effect.found
    rows.append({"clean data sets": "motility_features, experiments at random within a class", "found": alarms})
    return markdown([{**row, "of": CLEAN} for row in rows])


def _is_alarmed(catalog: Catalog, facts: Facts, each: int, seed: int) -> bool:
    rows = np.random.default_rng(seed).permutation(len(catalog))[: 2 * each]
    labels = np.where(np.arange(2 * each) % 2, "a", "b")
    table = catalog.table[["id", "path"]].iloc[rows].reset_index(drop=True).assign(class_name=labels, group=None)
    drawn = replace(catalog, table=table, reader=lambda row: catalog.read(int(rows[row])))
    found = Facts(facts.table.iloc[rows].reset_index(drop=True), facts.thumbnails[rows])
    return any(finding.severity != "note" for finding in shortcut_findings(drawn, found))


PARTS = {"real": real, "planted": planted, "offsets": offsets, "clean": clean}


def main() -> None:
    """Print the tables that were asked for; all by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    text = "\n".join(f"## {name}\n\n{PARTS[name]()}" for name in given.parts or PARTS)
    print(text)
    if given.output is not None:
        write_whole(given.output, text)


if __name__ == "__main__":
    main()
