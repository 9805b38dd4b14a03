"""Time to simulate the tracks of the paper: three kinds of motion, 13,500 cells of 101 frames each."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from functools import partial

from tumorkeras.data.mimic import mimic_motility
from tumorkeras.data.simulate import KINDS, simulate_motility


def seconds(work: partial, runs: int) -> list[float]:
    """Wall-clock seconds of each run, after one that is not counted."""
    work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=13_500)
    parser.add_argument("--frames", type=int, default=101)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()

    size = (options.cells, options.frames)
    works: dict[str, partial] = {kind: partial(simulate_motility, kind, *size, seed=0) for kind in KINDS}
    few = simulate_motility("fractional_brownian", 100, options.frames, seed=0)
    works["mimic of 100 cells"] = partial(mimic_motility, few, options.cells, seed=0)

    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    print(f"{machine}; {options.runs} runs\n")
    print("| motion | cells x frames | median s | min-max s |\n| --- | --- | --- | --- |")
    for name, work in works.items():
        times = seconds(work, options.runs)
        median = statistics.median(times)
        print(f"| {name} | {size[0]:,} x {size[1]} | {median:.2f} | {min(times):.2f}-{max(times):.2f} |")


if __name__ == "__main__":
    main()
