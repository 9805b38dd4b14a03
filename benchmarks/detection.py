"""How well the detector finds blood cells and breast lesions, and what its parts are worth, from random weights.

    TUMORKERAS_DATA=... python benchmarks/detection.py TASK ... [--output benchmarks/results/detection]
        [--write FILE] [--mark detection]

A task is bccd, busi_lesion, busi, or one of these with a variant, as busi_lesion:volume, and with another seed than 0,
as busi_lesion:volume@1; ``ablation`` stands for the variants of busi_lesion. Each is trained as ``tumorkeras train
examples/TASK.yaml --model detector`` does, in a folder of its own: started again after a stop it goes on, and a
finished one is only read. What stops the training is cut out of the data's training part; the data's own validation
part is read once, when the table is made. Intervals are of 1,000 bootstrap resamples of images, of busi by groups of
near-duplicates; a variant's difference from its reference comes with a paired bootstrap on the same images.
``--write`` puts the table between ``<!-- MARK -->`` and ``<!-- /MARK -->`` of a file. TF_SET_ONEDNN_FPMATH_MODE=BF16
trains faster on a processor with AMX.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from pages import put_between_marks

from tumorkeras import DataSpec, train
from tumorkeras.anchors import propose_anchors
from tumorkeras.data.detection import DetectionSamples, load_detection
from tumorkeras.metrics import compare_detections, detection_metrics
from tumorkeras.training.detect import detect
from tumorkeras.training.networks import autoencoder_of

EXAMPLES = Path(__file__).parents[1] / "examples"
FIGURES = ("AP50", "AP50:95", "FROC mean", "sensitivity", "false positives per image")

# Half the canvas's area and fewer epochs, alike for all: every claim is about a difference.
SMALLER = {"input": {"shape": [224, 224, 1]}, "training": {"epochs": 24, "patience": 24}}
ENCODER = {"filters": [8, 16, 32, 64, 96, 128], "bottleneck": None, "epochs": 20}
# A variant: what it changes, and the variant that it is compared with.
VARIANTS: dict[str, tuple[dict[str, Any], str | None]] = {
    "reference": ({}, None),
    "volume": ({"detector": {"head": "volume"}}, "reference"),
    "deepest": ({"detector": {"fusion": "deepest"}}, "reference"),
    "speckle": ({"preprocessing": [{"step": "lee_filter"}, {"step": "rescale"}]}, "reference"),
    "encoder": ({"detector": {"backbone": "autoencoder"}, "autoencoder": ENCODER}, None),
    "pretrained": ({"detector": {"backbone": "autoencoder"}, "autoencoder": ENCODER}, "encoder"),
}
NAMES = {
    "reference": "reference: random CSPDarkNet, level head, fusion, no filter",
    "volume": "volume head",
    "deepest": "deepest level alone",
    "speckle": "speckle filter (Lee)",
    "encoder": "encoder of the autoencoder, random",
    "pretrained": "the same, pre-trained without labels",
}


def parts_of(task: str) -> tuple[str, str, int]:
    """Name, variant (empty for none) and seed of a task."""
    rest, _, seed = task.partition("@")
    name, _, variant = rest.partition(":")
    return name, variant, int(seed or 0)


def task_of(name: str, variant: str, seed: int) -> str:
    """The task of such a name, variant and seed."""
    return name + (variant and f":{variant}") + (f"@{seed}" if seed else "")


def reference_of(task: str) -> str | None:
    """What a variant is compared with: the same but for one change."""
    name, variant, seed = parts_of(task)
    reference = VARIANTS[variant][1] if variant else None
    return reference and task_of(name, reference, seed)


def file_name(task: str) -> str:
    """What the files of a task are called."""
    return task.replace(":", "_").replace("@", "_seed_")


def spec_of(task: str) -> DataSpec:
    """The spec of a task, changed as its variant and seed say."""
    name, variant, seed = parts_of(task)
    spec = DataSpec.from_yaml(EXAMPLES / f"{name}.yaml")
    if variant:
        spec = spec.changed(**SMALLER).changed(**VARIANTS[variant][0], name=f"{name}_{variant}")
    return spec.changed(training={"seed": seed}) if seed else spec


def on_one_level(spec: DataSpec, samples: DetectionSamples) -> DataSpec:
    """The same sizes and ratios of anchors, all on the one level that is left."""
    boxes = np.concatenate([samples.boxes_of(k)[0] for k in range(len(samples))])
    anchors = propose_anchors(boxes, tuple(spec.input.shape[:2]), spec.training.seed)
    sizes = sorted({size for level in anchors.sizes for size in level})
    given = {"strides": [32], "sizes": [sizes], "ratios": list(anchors.ratios)}
    return spec.changed(detector={"anchors": given})


def trained(task: str, output: Path) -> tuple[DetectionSamples, dict[str, Any], dict[str, np.ndarray]]:
    """The samples that are read, the card of the model, and what it finds in them."""
    spec = spec_of(task)
    samples = load_detection(spec)
    variant = parts_of(task)[1]
    if variant == "deepest":
        spec = on_one_level(spec, samples.part("train"))
    initial = None
    if variant == "encoder":
        keras.utils.set_random_seed(spec.training.seed)
        initial = autoencoder_of(spec)
    model = train(spec, "detector", output / file_name(task), initial=initial, samples=samples)
    read = samples.part("test")
    return read, model.card, detect(model.model, read)


def row(task: str, output: Path) -> dict[str, Any]:
    """The figures of a task, kept in a file: the part that is read is read once."""
    kept = output / f"{file_name(task)}.json"
    spec = spec_of(task).to_dict()
    if kept.is_file():
        result = json.loads(kept.read_text(encoding="utf-8"))
        if result["spec"] != spec:
            raise SystemExit(f"{kept} belongs to another spec; remove it and the model's folder to train anew")
        return result
    read, card, found = trained(task, output)
    truth, classes = read.truth(), list(read.classes)
    table = detection_metrics(truth, found, classes, groups=read.groups, threshold=card["threshold"])
    figures = {f"{metric}/{name}": line.tolist() for (metric, name), line in table.iterrows()}
    result = {
        "task": task,
        "spec": spec,
        "figures": figures,
        "overall": table.attrs["overall"],
        "images": len(read),
        "parameters": card["parameters"],
        "minutes": card["seconds_to_train"] / 60,
        "canvas": card["input_shape"],
    }
    np.savez(output / f"{kept.stem}.npz", **found)
    kept.write_text(json.dumps(result, indent=2), encoding="utf-8")
    return result


def difference(task: str, output: Path) -> str:
    """AP50 of a variant less that of its reference, with the interval and p-value of a paired bootstrap."""
    reference = reference_of(task)
    if reference is None:
        return "-"
    read = load_detection(spec_of(task)).part("test")
    found = [dict(np.load(output / f"{file_name(each)}.npz")) for each in (task, reference)]
    test = compare_detections(read.truth(), *found, list(read.classes), groups=read.groups)
    return f"{test.difference:+.3f} [{test.low:+.3f}, {test.high:+.3f}], p = {test.p_value:.3f}"


def line_of(result: dict[str, Any], compared: list[str]) -> str:
    """A row of the table, and what it is compared with, where some row is compared."""
    name, variant, seed = parts_of(result["task"])
    titles = [", ".join(filter(None, [name, NAMES.get(variant), seed and f"seed {seed}"]))]
    cells = []
    for metric in FIGURES:
        value, low, high, _ = result["figures"][f"{metric}/{result['overall']}"]
        cells.append(f"{value:.3f} [{low:.3f}, {high:.3f}]")
    size = " x ".join(map(str, result["canvas"][:2]))
    facts = [size, f"{result['minutes']:.0f}", str(result["images"])]
    return f"| {' | '.join([*titles, *cells, *facts, *compared])} |"


def main() -> None:
    """Train what is not trained yet, and print the table or write it between the marks of a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="+")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/detection"))
    parser.add_argument("--write", type=Path)
    parser.add_argument("--mark", default="detection")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options.output.mkdir(parents=True, exist_ok=True)
    tasks = list(dict.fromkeys(each for task in options.tasks for each in expanded(task)))
    results = [row(task, options.output) for task in tasks]
    is_compared = any(map(reference_of, tasks))
    head = ["task", *FIGURES, "canvas", "minutes", "images", *["AP50 less that of the reference"] * is_compared]
    lines = [
        f"| {' | '.join(head)} |",
        f"|{' --- |' * len(head)}",
        *(line_of(each, [difference(each["task"], options.output)] * is_compared) for each in results),
    ]
    if options.write is None:
        print("\n".join(lines))
        return
    put_between_marks(options.write, options.mark, "\n".join(lines))


def expanded(task: str) -> list[str]:
    """``ablation`` as its variants, and a variant after what it is compared with."""
    if task == "ablation":
        return [f"busi_lesion:{variant}" for variant in VARIANTS]
    reference = reference_of(task)
    return [task] if reference is None else [reference, task]


if __name__ == "__main__":
    main()
