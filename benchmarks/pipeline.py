"""Images with boxes: how fast they are decoded and batched, and how much memory many files take.

    python benchmarks/pipeline.py [--runs 5] [--files 1000 10000 50000]

Rates are of the training part of bccd (set TUMORKERAS_DATA), letterboxed to 240 x 320, in batches of 8; the table
gives the median and the range over the runs, which take turns so that a drift of the machine reaches every row alike.
Training the default detector takes about 16 images a second, so the stream should give at least 32. Memory is that of
a process that loads so many generated JPEG files (128 x 96, on a canvas of 120 x 160) and then takes 200 batches.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
import tensorflow as tf

from tumorkeras import DataSpec
from tumorkeras.data.augment_boxes import EVERY
from tumorkeras.data.detection import DetectionSamples, detection_stream, load_detection

BATCH, BATCHES = 8, 40
GOAL = 32
MEMORY_BATCHES = 200
SPLITS = {"fractions": {"train": 0.9, "val": 0.1, "test": 0}}
BLOOD_CELLS = {
    "name": "bccd",
    "source": {"kind": "detection", "path": "$TUMORKERAS_DATA/bccd/JPEGImages", "annotations": "$TUMORKERAS_DATA/bccd"},
    "input": {"shape": [240, 320, 3]},
    "splits": SPLITS,
}
GENERATED = {
    "name": "generated",
    "source": {"kind": "detection", "path": "images", "annotations": "boxes.csv"},
    "input": {"shape": [120, 160, 3]},
    "splits": SPLITS,
}


def rates(runs: int) -> tuple[list[float], dict[str, list[float]]]:
    """Images decoded a second, and images a second of the stream by augmentation, a value a run."""
    choices: dict[str, tuple[str, ...]] = {"none": (), **{kind: (kind,) for kind in EVERY}, "all": EVERY}
    spec = DataSpec.from_dict(BLOOD_CELLS)
    samples, decoding = load_detection(spec), []
    streams = {name: iter(stream_of(samples, kinds)) for name, kinds in choices.items()}
    batching: dict[str, list[float]] = {name: [] for name in streams}
    for run in range(runs + 1):
        began = time.perf_counter()
        loaded = len(load_detection(spec))
        if run:  # the first run traces, and reads the files from the disk
            decoding.append(loaded / (time.perf_counter() - began))
        for name, stream in streams.items():
            began = time.perf_counter()
            images = sum(len(batch["images"]) for batch in islice(stream, BATCHES))
            if run:
                batching[name].append(images / (time.perf_counter() - began))
    return decoding, batching


def stream_of(samples: DetectionSamples, kinds: tuple[str, ...]) -> tf.data.Dataset:
    """The stream as training reads it."""
    return detection_stream(samples.part("train"), BATCH, augment=kinds)


def write_files(folder: Path, count: int) -> None:
    """Small JPEG files with three boxes each, and a CSV of the boxes."""
    (folder / "images").mkdir()
    encoded = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype="uint8"))[1].tobytes()
    lines = ["image,class,xmin,ymin,xmax,ymax,split"]
    for number in range(count):
        (folder / "images" / f"{number:06d}.jpg").write_bytes(encoded)
        split = "val" if number % 10 == 0 else "train"
        lines += [f"{number:06d}.jpg,cell,{k},{k},{k + 30},{k + 20},{split}" for k in (10, 20, 30)]
    (folder / "boxes.csv").write_text("\n".join(lines))


def memory_of(folder: Path) -> dict[str, float]:
    """MB of this process before, after loading and after batches, and seconds of loading."""
    found = {"before": resident()}
    began = time.perf_counter()
    samples = load_detection(DataSpec.from_dict(GENERATED, folder))
    found |= {"seconds": time.perf_counter() - began, "loaded": resident(), "on disk": samples.images.nbytes / 2**20}
    for _ in islice(stream_of(samples, EVERY), MEMORY_BATCHES):
        pass
    return found | {"batches": resident(), "peak": resident("VmHWM")}


def resident(line: str = "VmRSS") -> float:
    """Memory of this process in MB, as Linux tells it."""
    status = dict(text.split(":", 1) for text in Path("/proc/self/status").read_text().splitlines())
    return int(status[line].split()[0]) / 1024


def measured_apart(count: int) -> dict[str, float]:
    """What :func:`memory_of` finds in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), count)
        command = [sys.executable, __file__, "--folder", folder]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def spread(values: list[float]) -> str:
    """Median and range."""
    return f"{np.median(values):,.0f} [{min(values):,.0f}, {max(values):,.0f}]"


def main() -> None:
    """Print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--files", type=int, nargs="*", default=[1_000, 10_000, 50_000])
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # measured_apart's own process
    options = parser.parse_args()
    if options.folder:
        print(json.dumps(memory_of(options.folder)))
        return
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, TensorFlow {tf.__version__}, {options.runs} runs\n")
    decoding, batching = rates(options.runs)
    print(f"| bccd at 240 x 320 | images a second, median [range] | of the {GOAL} wanted |\n| --- | ---: | ---: |")
    print(f"| decoding and letterboxing 640 x 480 JPEG | {spread(decoding)} | |")
    for name, values in batching.items():
        print(f"| batches of {BATCH}, augmentation: {name} | {spread(values)} | {np.median(values) / GOAL:.0f} x |")
    print("\n| files | MB before | loaded | after batches | peak | decoded, MB | s to load |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for count in options.files:
        found = measured_apart(count)
        figures = [found[name] for name in ("before", "loaded", "batches", "peak", "on disk", "seconds")]
        print(f"| {count:,} | " + " | ".join(f"{value:,.0f}" for value in figures) + " |", flush=True)


if __name__ == "__main__":
    main()
