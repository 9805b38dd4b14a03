"""Scoring a folder of images: rates and memory of score beside the loops that people write, all in one run.

    TUMORKERAS_DATA=... python benchmarks/scoring.py EXPORT [--images 1000] [--runs 3] [--ways NAME ...]
        [--folder busi/images] [--one-size] [--write docs/scoring.md README.md] [--sizing docs/scaling.md]

EXPORT is the export of a model of images. The files are those of FOLDER of the data, in turn, as many as asked for;
those of busi differ in size, so that few of them share a batch, unless ``--one-size`` makes 512 x 512 of each. Every
way runs RUNS times in a process of its own, the ways taking turns, so that a drift of the machine reaches every row
alike; the table gives the median and the range of the time from the first file to the last answer, and the start
(imports, loading, first call) apart. Ways of a format that the export does not have are left out. Memory is the peak of
the process and those that it starts, Spark's Java among them.

"decoding alone" reads the files into arrays by the processes of score, "signature alone" gives arrays that lie ready to
the compiled signature in the batches that score makes: score should take at most 1.1 times their sum.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
import psutil
from pages import put_between_marks

from tumorkeras import DataSpec

BATCH = 32
SIDE = 512  # of the images of one size
LOOK = 0.02  # seconds between two looks at the memory
GOAL = 1.1
Way = Callable[[Path, list[str]], Iterator[tuple[float, float] | None]]  # once ready, and what is start in what follows


def decoding(export: Path, files: list[str]) -> Iterator[None]:
    """The processes of score alone."""
    from tumorkeras.machine import processors
    from tumorkeras.scoring.reading import Readers, Sample

    with Readers(processors(), Sample((None, None, channels_of(export)))) as readers:
        list(readers.read(files[:BATCH]))
        yield None
        for _ in readers.read(files):
            pass


def signature(export: Path, files: list[str]) -> Iterator[None]:
    """Arrays that lie ready, in the batches of score."""
    from tumorkeras.scoring.inputs.blocks import of_one_size
    from tumorkeras.scoring.local import windows_of
    from tumorkeras.scoring.predictor import load_predictor

    predictor = load_predictor(export)
    channels = channels_of(export)
    images = [picture(file, channels) for file in files]
    batches = []
    for window in windows_of(len(files), BATCH):
        batches += [batch for _, batch in of_one_size(images[window.start : window.stop], BATCH)]
    predictor.run(batches[0])
    yield None
    for batch in batches:
        predictor.run(batch)


def loop(export: Path, files: list[str]) -> Iterator[None]:
    """One file after the other through the signature, as a plain script does."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(export))
    call, channels = loaded.signatures["serving_uint8"], channels_of(export)
    call(inputs=tf.constant(picture(files[0], channels)[None]))
    yield None
    for file in files:
        call(inputs=tf.constant(picture(file, channels)[None]))


def keras_predict(export: Path, files: list[str]) -> Iterator[None]:
    """Files scaled to the canvas, in batches of 32 through Model.predict of the same network."""
    import keras

    from tumorkeras.data.canvas import letterbox
    from tumorkeras.training.networks import autoencoder_of, classifier_of, detector_of

    spec, card = spec_of(export), card_of(export)
    height, width, channels = spec.input.shape
    classes = len(card["classes"])
    builders: dict[str, Callable[[DataSpec], keras.Model]] = {
        "autoencoder": autoencoder_of,
        "classifier": partial(classifier_of, num_classes=classes),
        "detector": partial(detector_of, num_classes=classes),
    }
    keras.utils.set_random_seed(0)
    model = builders[card["kind"]](spec)
    model.predict(np.zeros((BATCH, *spec.input.shape)), verbose=0)
    yield None
    for start in range(0, len(files), BATCH):
        chosen = files[start : start + BATCH]
        canvases = [letterbox(picture(file, channels), height, width) for file in chosen]
        model.predict(np.stack(canvases), verbose=0)


def tf_data(export: Path, files: list[str]) -> Iterator[None]:
    """Decoding and scaling in tf.data, batches of 32 through the signature."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(export))
    call = loaded.signatures["serving_default"]
    height, width, channels = spec_of(export).input.shape

    def read(file: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(tf.io.read_file(file), channels=channels, expand_animations=False)
        return tf.image.resize_with_pad(image, height, width, antialias=True)

    def stream(chosen: list[str]) -> tf.data.Dataset:
        images = tf.data.Dataset.from_tensor_slices(chosen).map(read, num_parallel_calls=tf.data.AUTOTUNE)
        return images.batch(BATCH).prefetch(tf.data.AUTOTUNE)

    for batch in stream(files[:BATCH]):
        call(inputs=batch)
    yield None
    for batch in stream(files):
        call(inputs=batch)


def scoring(**choices: object) -> Way:
    """The function itself, less what a call for one file takes, which is its start: it loads the model anew."""

    def way(export: Path, files: list[str]) -> Iterator[None]:
        from tumorkeras import score

        with tempfile.TemporaryDirectory() as folder:
            place = {"output": Path(folder, "table.parquet")} if choices.get("output") else {}
            given = {"batch_size": BATCH, **choices, **place}
            score(export, files[:1], **given)
            spent = clocks()
            score(export, files[:1], **given)
            yield tuple(now - before for now, before in zip(clocks(), spent, strict=True))
            score(export, files, **given)

    return way


WAYS: dict[str, Way] = {
    "decoding alone": decoding,
    "signature alone": signature,
    "loop of the signature, a file at a time": loop,
    "loop of Model.predict, batches of 32": keras_predict,
    "tf.data and the signature, batches of 32": tf_data,
    "score": scoring(),
    "score, output=": scoring(output=True),
    "score, signature=serving_bytes": scoring(signature="serving_bytes"),
    "score, runtime=onnx": scoring(runtime="onnx"),
    "score, runtime=openvino": scoring(runtime="openvino"),
    "score, engine=spark": scoring(engine="spark"),
}
RUNTIME_FILES = {"onnx": "model.onnx", "openvino": "model.xml"}
ENGINES = ("score, output=", "score, engine=spark")
MANY, CLUSTER, CORES = 10**7, 64, os.cpu_count() or 1
PARTS = ("decoding alone", "signature alone")
OWN_AND_ENDED = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def spec_of(export: Path) -> DataSpec:
    """What the model was trained with."""
    return DataSpec.from_yaml(export / "assets.extra" / "data_spec.yaml")


def card_of(export: Path) -> dict[str, Any]:
    """Of the model."""
    return json.loads((export / "assets.extra" / "model_card.json").read_text(encoding="utf-8"))


def channels_of(export: Path) -> int:
    """1 for grey images, 3 for those of colour."""
    return spec_of(export).input.shape[-1]


def picture(file: str, channels: int) -> np.ndarray:
    """An image as OpenCV reads it, (height, width, channels)."""
    image = cv2.imread(file, cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR_RGB)
    return image.reshape(*image.shape[:2], channels)


def make_files(folder: Path, sources: Path, count: int, channels: int, *, one_size: bool) -> list[str]:
    """As many files as asked for: links to those of a folder, or PNG of one size and so many channels."""
    images = sorted(sources.iterdir())
    made = []
    for number in range(count):
        source = images[number % len(images)]
        place = folder / f"{number:06}{'.png' if one_size else source.suffix}"
        if not one_size:
            place.symlink_to(source)
        elif number < len(images):
            cv2.imwrite(str(place), cv2.resize(picture(str(source), channels), (SIDE, SIDE)))
        else:
            os.link(made[number % len(images)], place)
        made.append(str(place))
    return made


def runs_on(export: Path, way: str) -> bool:
    """Whether an export has the format that a way asks for."""
    _, _, runtime = way.partition("runtime=")
    return not runtime or (export / "formats" / RUNTIME_FILES[runtime]).is_file()


def run_way(name: str, export: Path, files: list[str]) -> None:
    """Do the work and print its seconds, in a process of its own."""
    began = clocks()
    steps = WAYS[name](export, files)
    start = next(steps) or (0.0, 0.0)
    ready = clocks()
    for _ in steps:
        pass
    end = clocks()
    found = {"start": ready[0] - began[0], "seconds": end[0] - ready[0] - start[0], "cpu": end[1] - ready[1] - start[1]}
    print(json.dumps(found))


def clocks() -> tuple[float, float]:
    """Seconds by the clock, and of processor time of this process and of those that have ended."""
    return time.perf_counter(), sum(sum(resource.getrusage(who)[:2]) for who in OWN_AND_ENDED)


def measured(name: str, export: Path, listing: Path) -> dict[str, float]:
    """One run of a way: start, seconds and peak memory in MB."""
    command = [sys.executable, __file__, str(export), "--way", name, "--listing", str(listing)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, memory_of(process.pid))
            time.sleep(LOOK)
        if process.returncode:
            raise SystemExit(f"{name}: ended with status {process.returncode}")
        assert process.stdout is not None
        return {**json.loads(process.stdout.read().splitlines()[-1]), "memory": peak}


def memory_of(pid: int) -> float:
    """MB of a process and its children."""
    total = 0
    try:
        process = psutil.Process(pid)
        for each in [process, *process.children(recursive=True)]:
            total += each.memory_info().rss
    except psutil.Error:
        pass
    return total / 2**20


def markdown(runs: dict[str, list[dict[str, float]]], count: int, *, one_size: bool) -> str:
    """A row a way."""
    files = f"PNG of {SIDE} x {SIDE}" if one_size else "images of their own sizes"
    title = f"{count:,} {files}, batches of {BATCH}: median of {len(next(iter(runs.values())))} runs"
    lines = [f"{title} [range].", "", "| way | s | processor, s | images a second | start, s | peak memory, MB |"]
    lines.append("| --- |" + " ---: |" * 5)
    for name, found in runs.items():
        seconds = sorted(run["seconds"] for run in found)
        middle = statistics.median(seconds)
        cpu, start, memory = (statistics.median(run[key] for run in found) for key in ("cpu", "start", "memory"))
        spread = f"{middle:.2f} [{seconds[0]:.2f}, {seconds[-1]:.2f}]"
        lines.append(f"| {name} | {spread} | {cpu:.2f} | {count / middle:,.0f} | {start:.1f} | {memory:,.0f} |")
    if {*PARTS, "score"} <= set(runs):
        shares = [
            run["seconds"] / sum(runs[part][number]["seconds"] for part in PARTS)
            for number, run in enumerate(runs["score"])
        ]
        share = f"{statistics.median(shares):.2f} [{min(shares):.2f}, {max(shares):.2f}]"
        lines += [
            "",
            f"score takes {share} times what the two take alone (wanted: at most {GOAL}).",
        ]
    return "\n".join(lines)


def sizing(runs: dict[str, list[dict[str, float]]], count: int, *, one_size: bool) -> str:
    """What ten million images take, by calculation from the measured rates."""
    files = f"{SIDE} x {SIDE}, PNG" if one_size else "about 500 x 600, JPEG"
    machine = f"the machine in [Scoring](scoring.md) ({CORES} cores)"
    lines = [f"By calculation from the rates of {machine}, {count:,} images of {files}:", ""]
    heads = ["engine", "images a second", "images per core and hour"]
    lines.append(f"| {' | '.join(heads)} | {MANY:,} images, core hours | on {CLUSTER} cores, hours |")
    lines.append("| --- |" + " ---: |" * 4)
    for name in [name for name in ENGINES if name in runs]:
        rate = count / statistics.median(run["seconds"] for run in runs[name])
        hourly = 3600 * rate / CORES
        cells = [name, f"{rate:,.0f}", f"{hourly:,.0f}", f"{MANY / hourly:,.0f}", f"{MANY / hourly / CLUSTER:,.1f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Time every way and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=WAYS, metavar="NAME", default=list(WAYS), help=", ".join(WAYS))
    parser.add_argument("--one-size", action="store_true", help="all images 512 x 512")
    parser.add_argument(
        "--write", nargs="+", type=Path, default=[], help="pages with marks such as <!-- scoring-1000 -->"
    )
    parser.add_argument("--sizing", type=Path, help="page with marks <!-- sizing -->")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--listing", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--folder", default="busi/images", help="of the data")
    options = parser.parse_args()
    if options.way:
        run_way(options.way, options.export, options.listing.read_text(encoding="utf-8").splitlines())
        return
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(os.environ["TUMORKERAS_DATA"], options.folder)
        channels = channels_of(options.export)
        files = make_files(Path(folder), sources, options.images, channels, one_size=options.one_size)
        listing = Path(folder, "files.txt")
        listing.write_text("\n".join(files), encoding="utf-8")
        ways = [name for name in options.ways if runs_on(options.export, name)]
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
        for _ in range(options.runs):
            for name, found in runs.items():
                found.append(measured(name, options.export, listing))
                print(f"{name}: {found[-1]}", file=sys.stderr, flush=True)
    text = markdown(runs, options.images, one_size=options.one_size)
    print(f"{text}\n\n{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
    kind = card_of(options.export)["kind"]
    mark = f"scoring-{options.images}{'-one-size' * options.one_size}{'' if kind == 'classifier' else f'-{kind}'}"
    for page in options.write:
        put_between_marks(page, mark, text)
    if options.sizing:
        put_between_marks(options.sizing, "sizing", sizing(runs, options.images, one_size=options.one_size))


if __name__ == "__main__":
    main()
