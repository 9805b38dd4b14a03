"""How long the selection of features takes: every measure, tables of growing width, as a Markdown table.

    python benchmarks/selection.py [--runs 3] [--samples 2000] [--features 1000 5000]
    python benchmarks/selection.py --picture docs/images/feature_tree.png

All features say something of the class, so that all of them are compared with each other: the slowest case. The picture
is the tree of the hand-made features of simulated motion, 200 tracks of each of the three kinds.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np

from tumorkeras import plots, simulate_motility
from tumorkeras.features import RelevanceTreeSelector
from tumorkeras.features.likeness import MEASURES
from tumorkeras.features.motility import motility_features
from tumorkeras.files import write_whole


def table_of(samples: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of two classes that differ by half a deviation to two."""
    rng = np.random.default_rng(0)
    classes = np.arange(samples) % 2
    return rng.normal(size=(samples, features)) + classes[:, None] * rng.uniform(0.5, 2, features), classes


def draw(path: Path) -> None:
    """The tree of the features of simulated motion; prints what is kept."""
    rng = np.random.default_rng(0)
    kinds = ("random_walk", "levy_flight", "fractional_brownian")
    tracks = np.concatenate([simulate_motility(kind, 200, seed=int(rng.integers(2**31))) for kind in kinds])
    selector = RelevanceTreeSelector(0.1).fit(motility_features(tracks), np.repeat(kinds, 200))
    write_whole(path, plots.to_png(plots.feature_tree(selector)))
    print(", ".join(selector.get_feature_names_out()))


def main() -> None:
    """Time every measure in turn, round by round, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--features", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    if options.picture:
        draw(options.picture)
        return
    print("| measure | features | relevant | kept | seconds, median [range] |\n| --- | ---: | ---: | ---: | ---: |")
    for features in options.features:
        values, classes = table_of(options.samples, features)
        seconds: dict[str, list[float]] = {measure: [] for measure in MEASURES}
        found = {}
        for _ in range(options.runs):
            for measure in MEASURES:
                began = time.perf_counter()
                found[measure] = RelevanceTreeSelector(0.0, measure=measure).fit(values, classes)
                seconds[measure].append(time.perf_counter() - began)
        for measure, own in seconds.items():
            relevant, kept = (found[measure].group_ >= 0).sum(), found[measure].support_.sum()
            spread = f"{np.median(own):.1f} [{min(own):.1f}, {max(own):.1f}]"
            print(f"| {measure} | {features:,} | {relevant:,} | {kept:,} | {spread} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, NumPy {np.__version__}"
    print(f"\n{options.samples:,} samples, {options.runs} runs; peak memory {peak:.0f} MB; {machine}")


if __name__ == "__main__":
    main()
