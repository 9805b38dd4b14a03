"""What the detector is compared with on breast ultrasound: R-CNN, alone and from an autoencoder, and Fast R-CNN.

    TUMORKERAS_DATA=... python benchmarks/region_classifier.py [--output benchmarks/results/region_classifier]
        [--methods r_cnn autoencoder_r_cnn fast_r_cnn] [--canvas 512] [--epochs 30] [--steps 150] [--limit IMAGES]

A fifth of the training part of ``busi``, in whole groups of near copies, stops the training; the given validation part
is read once, at the end, and its intervals resample groups. R-CNN crops its regions from images on a canvas of 512
pixels; Fast R-CNN reads whole images on one of 256, as the detector does. Each method's detections are kept in
OUTPUT/METHOD.npz: a run that was stopped goes on with the methods that are missing, and the tables can be made again
without training. ``--limit`` takes the first training images only, and a part of them in the place of the validation
part, to see that all runs without reading that.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import keras
import numpy as np
import pandas as pd

from tumorkeras import DataSpec, build_autoencoder, build_detector
from tumorkeras.boxes import iou
from tumorkeras.comparison import train_region_classifier
from tumorkeras.comparison.region_crops import labelled_crops
from tumorkeras.data.detection import DetectionSamples, load_detection
from tumorkeras.data.splits import split_off
from tumorkeras.files import write_whole
from tumorkeras.metrics import compare_detections, detection_metrics
from tumorkeras.spec import Training
from tumorkeras.training.detect import detect, truth_of
from tumorkeras.training.fit_detector import fit_detector

NAMES = {
    "r_cnn": "R-CNN",
    "autoencoder_r_cnn": "R-CNN that starts from the autoencoder",
    "fast_r_cnn": "Fast R-CNN",
}
FILTERS = (16, 32, 64)
WHOLE = 256  # the canvas of Fast R-CNN
AUGMENT = ["flip", "crop", "intensity"]
CUTTING = {"size": 48, "context": 0.25, "most": 200, "per_image": 48}
SHOWN = ("AP50", "AP50:95", "FROC 1/2", "FROC 1", "FROC 2")
Detections = dict[str, np.ndarray]


def samples_of(folder: Path, canvas: int, table: Path) -> DetectionSamples:
    """The ultrasound images with their boxes and the given parts; normal ones have no box."""
    images = pd.read_csv(folder / "busi" / "images.csv")
    images.assign(file=images["image"] + ".jpg").to_csv(table, index=False)
    spec = {
        "name": "busi",
        "source": {
            "kind": "detection",
            "path": str(folder / "busi" / "images"),
            "annotations": str(folder / "busi" / "boxes.csv"),
            "table": {"path": str(table), "image_column": "file", "split_column": "split"},
        },
        "splits": {"group": "dup_group"},
        "input": {"shape": [canvas, canvas, 1]},
    }
    return load_detection(DataSpec.from_dict(spec))


def rehearsal(samples: DetectionSamples, count: int) -> DetectionSamples:
    """Some training images, the last fifth of them in the place of the validation part."""
    training = samples.part("train")
    rng = np.random.default_rng(0)
    chosen = training.select(rng.permutation(len(training))[:count])
    parts = np.where(np.arange(count) < count * 4 // 5, "train", "val")
    return replace(chosen, table=chosen.table.assign(split=parts))


def stopping_part(training: DetectionSamples) -> tuple[DetectionSamples, DetectionSamples]:
    """The training part without a fifth of its groups, and that fifth."""
    kinds = [training.boxes_of(k)[1] for k in range(len(training))]
    labels = np.array([own[0] if len(own) else len(training.classes) for own in kinds])
    rest, held_out = split_off(labels, 0.2, training.table["group"].to_numpy(), seed=0)
    return training.select(rest), training.select(held_out)


def autoencoder_of(samples: DetectionSamples, epochs: int) -> keras.Model:
    """An autoencoder of the crops that the classifier will learn from, whatever is in them."""
    found = labelled_crops(samples, seed=0, **CUTTING)
    keras.utils.set_random_seed(0)
    model = build_autoencoder(found.crops.shape[1:], filters=FILTERS, preprocessing=[{"step": "rescale"}])
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    for _ in range(epochs):
        chosen = rng.permutation(len(found.crops))[:8192]
        arrays = found.crops[chosen].astype("float32")
        model.fit(arrays, arrays / 255, batch_size=64, verbose=0)
    return model


def r_cnn(
    method: str, samples: DetectionSamples, options: argparse.Namespace
) -> tuple[Callable[[DetectionSamples], Detections], pd.DataFrame]:
    """A trained R-CNN, as what finds objects in samples, and its history."""
    training, held_out = stopping_part(samples.part("train"))
    initial = autoencoder_of(training, max(1, options.epochs // 5)) if method == "autoencoder_r_cnn" else None
    trained = train_region_classifier(
        training, held_out, filters=FILTERS, epochs=options.epochs, steps=options.steps, initial=initial, **CUTTING
    )
    return lambda part: trained.detect(part, threshold=0.01, original=True), trained.history


def fast_r_cnn(
    method: str, samples: DetectionSamples, options: argparse.Namespace
) -> tuple[Callable[[DetectionSamples], Detections], pd.DataFrame]:
    """A trained Fast R-CNN: the detector, with proposals from outside."""
    training, held_out = stopping_part(samples.part("train"))
    keras.utils.set_random_seed(0)
    steps = [{"step": "rescale"}]
    model = build_detector(
        samples.spec.input.shape, len(samples.classes), proposals="external", preprocessing=steps, score_threshold=0.01
    )
    settings = Training(
        epochs=options.epochs, patience=options.epochs, batch_size=8, learning_rate=2e-3, augment=AUGMENT
    )
    return partial(detect, model), fit_detector(model, training, held_out, settings, folder=options.output / method)


METHODS = {"r_cnn": r_cnn, "autoencoder_r_cnn": r_cnn, "fast_r_cnn": fast_r_cnn}


def detections_of(method: str, samples: DetectionSamples, options: argparse.Namespace) -> Detections:
    """Train a method and read the validation part, or what an earlier run kept of it."""
    kept = options.output / f"{method}.npz"
    if kept.exists():
        with np.load(kept) as arrays:
            return dict(arrays)
    began = time.perf_counter()
    detect_in, history = METHODS[method](method, samples, options)
    fitted = time.perf_counter()
    found = detect_in(samples.part("val"))
    per_image = (time.perf_counter() - fitted) / len(samples.part("val"))
    found |= {"seconds": np.array([fitted - began, per_image]), "epochs": np.array(len(history))}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **found)
    write_whole(kept, buffer.getvalue())
    return found


def one_class(found: Detections) -> Detections:
    """Detections or truth of lesions, whatever their class: of two classes on one place the better one stays."""
    classes = np.where(found["classes"] >= 0, 0, -1).astype("int32")
    if "scores" not in found:
        return found | {"classes": classes}
    for own, boxes in zip(classes, found["boxes"], strict=True):  # the best first
        for k, near in enumerate(iou(boxes, boxes)):
            if own[k] == 0 and (near[:k][own[:k] == 0] > 0.4).any():
                own[k] = -1
    kept = (classes == 0)[..., None]
    scores = np.where(classes == 0, found["scores"], 0)
    return {"boxes": np.where(kept, found["boxes"], 0), "scores": scores, "classes": classes}


def rows_of(name: str, truth: Detections, found: Detections, classes: tuple[str, ...], groups: np.ndarray) -> list[str]:
    """Lines of the table: each class, their mean, and lesions of any class."""
    by_class = detection_metrics(truth, found, classes, groups=groups)
    any_class = detection_metrics(one_class(truth), one_class(found), ["lesion"], groups=groups)
    of = [(table, kind, kind) for table, kind in [(by_class, kind) for kind in classes]]
    of += [(by_class, "all", "both classes"), (any_class, "lesion", "lesions, any class")]
    lines = []
    for table, kind, title in of:
        cells = [table.loc[(metric, kind)] for metric in SHOWN]
        figures = [f"{cell['value']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}]" for cell in cells]
        lines.append("| " + " | ".join([name, title, *figures]) + " |")
    return lines


def report(samples: DetectionSamples, found: dict[str, Detections], part: str) -> str:
    """The table, what it took, and the paired difference of the two methods."""
    validation = samples.part("val")
    truth, groups = truth_of(validation), validation.table["group"].to_numpy()
    lines = [f"| busi, {part}: {len(validation)} images | of | {' | '.join(SHOWN)} |"]
    lines.append("| --- | --- | " + " | ".join(["---:"] * len(SHOWN)) + " |")
    for method, own in found.items():
        lines += rows_of(NAMES[method], truth, own, samples.classes, groups)
    lines.append("")
    for method, own in found.items():
        spent, each = own["seconds"]
        lines.append(
            f"{NAMES[method]}: {spent:.0f} s of training, {own['epochs']} epochs; {each * 1000:.0f} ms an image."
        )
    if {"r_cnn", "autoencoder_r_cnn"} <= set(found):
        test = compare_detections(truth, found["autoencoder_r_cnn"], found["r_cnn"], samples.classes, groups=groups)
        ends = f"{test.difference:+.3f} [{test.low:+.3f}, {test.high:+.3f}], p = {test.p_value:.3f}"
        lines += ["", f"AP50 with the autoencoder minus without: {ends}, paired bootstrap of groups."]
    return "\n".join(lines)


def samples_for(options: argparse.Namespace, canvas: int) -> DetectionSamples:
    """The samples on a canvas, or the rehearsal's."""
    with tempfile.TemporaryDirectory() as folder:
        samples = samples_of(Path(os.environ["TUMORKERAS_DATA"]), canvas, Path(folder) / "images.csv")
    return rehearsal(samples, options.limit) if options.limit else samples


def main() -> None:
    """Train what is missing, print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/region_classifier"))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--canvas", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--limit", type=int, help="images of each part")
    options = parser.parse_args()
    if "TUMORKERAS_DATA" not in os.environ:
        parser.error("TUMORKERAS_DATA: not set; it names the folder that holds busi/")
    cv2.setNumThreads(1)
    options.output.mkdir(parents=True, exist_ok=True)
    canvases = {method: WHOLE if method == "fast_r_cnn" else options.canvas for method in options.methods}
    samples = {canvas: samples_for(options, canvas) for canvas in set(canvases.values())}
    found = {method: detections_of(method, samples[canvas], options) for method, canvas in canvases.items()}
    text = report(
        next(iter(samples.values())), found, "training images held out" if options.limit else "validation part"
    )
    text += f"\n\n{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}\n"
    write_whole(options.output / "table.md", text)
    print(text)


if __name__ == "__main__":
    main()
