"""How long the selection of features takes: every measure, tables of growing width, as a Markdown table.

    python benchmarks/selection.py [--runs 3] [--samples 2000] [--features 1000 5000]

All features say something of the class, so that all of them are compared with each other: the slowest case.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import time

import numpy as np

from tumorkeras.features import RelevanceTreeSelector
from tumorkeras.features.likeness import MEASURES


def table_of(samples: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of two classes that differ by half a deviation to two."""
    rng = np.random.default_rng(0)
    classes = np.arange(samples) % 2
    return rng.normal(size=(samples, features)) + classes[:, None] * rng.uniform(0.5, 2, features), classes


def main() -> None:
    """Time every measure in turn, round by round, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--features", type=int, nargs="+", default=[1000, 5000])
    options = parser.parse_args()
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
