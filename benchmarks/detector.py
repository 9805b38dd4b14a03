"""How fast the detector is, side by side with torchvision's and with a ResNet-18 for scale, in one run.

    python benchmarks/detector.py [--runs 15] [--torch PYTHON] [--write FILE]

Every row is timed on 2 threads; the rows take turns, so that a drift of the machine reaches each alike, and the table
gives the median and the range over the runs. ``x ResNet-18`` is the median as a multiple of the forward pass of
KerasCV's ResNet-18 V2 at 320 x 320, batch 1, in the same run: machines differ, and this moves less between them.
``--torch`` is the Python of an environment with torch and torchvision, whose models are timed in a process of their own
between the others' runs. Weights are random; times do not depend on them, but for the number of boxes that are
compared. The second table is the profile: where the time of the default detector goes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_NUM_THREADS", "2")

from pages import put_between_marks

THREADS = 2
MARK = "detector-speed"
SCALE = "ResNet-18 V2 alone, 320 x 320, forward, batch 1"

# Run by the other Python: a line of JSON in, a time out.
TORCH = """
import json, sys, time
import torch, torchvision
torch.set_num_threads(int(sys.argv[1]))
detection = torchvision.models.detection
none = {"weights": None, "weights_backbone": None}
models = {
    "mobilenet": (detection.fasterrcnn_mobilenet_v3_large_320_fpn(**none, num_classes=4).eval(), 320),
    "resnet50": (detection.fasterrcnn_resnet50_fpn(**none, num_classes=4, min_size=512, max_size=512,
                                                   box_score_thresh=0.05).eval(), 512),
}
print(json.dumps({"torch": torch.__version__, "torchvision": torchvision.__version__}), flush=True)
for line in sys.stdin:
    model, side = models[line.strip()]
    image = torch.rand(3, side, side)
    began = time.perf_counter()
    with torch.inference_mode():
        model([image])
    print(time.perf_counter() - began, flush=True)
"""


def compiled(call: Callable, *arrays) -> Callable[[], float]:
    """Seconds of one call of a compiled function."""
    import tensorflow as tf

    function = tf.function(call)
    given = [tf.constant(array) for array in arrays]

    def run() -> float:
        began = time.perf_counter()
        result = function(*given)
        [value.numpy() for value in tf.nest.flatten(result)]
        return time.perf_counter() - began

    return run


def batch_of(shape: tuple[int, ...], batch: int, objects: int = 12) -> dict:
    """Random images, each with as many boxes as an image of blood cells has."""
    import numpy as np

    generator = np.random.default_rng(0)
    corner = generator.uniform(0, 0.8, (batch, objects, 2)) * shape[1::-1]
    boxes = np.concatenate([corner, corner + generator.uniform(12, 60, (batch, objects, 2))], axis=-1)
    images = generator.uniform(0, 255, (batch, *shape))
    return {
        "images": images.astype("float32"),
        "boxes": boxes.astype("float32"),
        "classes": generator.integers(0, 3, (batch, objects)),
    }


def forward_row(detector, shape: tuple[int, ...], batch: int) -> Callable[[], float]:
    """The whole detector, letterbox to boxes, as a served model runs it."""
    return compiled(lambda images: detector(images, training=False), batch_of(shape, batch)["images"])


def training_row(detector, shape: tuple[int, ...], batch: int) -> Callable[[], float]:
    """A step of training on images that are in memory."""
    import tensorflow as tf

    detector.compile("adam")
    detector.optimizer.build(detector.trainable_variables)
    data = {key: tf.constant(value) for key, value in batch_of(shape, batch).items()}
    return compiled(lambda: detector.train_step(data)["loss"])


def torchvision_like(shape: tuple[int, ...]):
    """The architecture of torchvision's fasterrcnn_resnet50_fpn in ours."""
    import keras_cv

    from tumorkeras.anchors import Anchors
    from tumorkeras.models import build_detector

    backbone = keras_cv.models.ResNetBackbone(
        stackwise_filters=[64, 128, 256, 512],
        stackwise_blocks=[3, 4, 6, 3],
        stackwise_strides=[1, 2, 2, 2],
        include_rescaling=False,
        input_shape=(None, None, shape[-1]),
    )
    sizes = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))
    return build_detector(
        shape,
        3,
        backbone=backbone,
        fusion_width=256,
        anchors=Anchors((4, 8, 16, 32, 64), sizes, (0.5, 1.0, 2.0)),
        rpn_candidates=1000,
        rpn_proposals=1000,
        dense=(1024, 1024),
    )


def rows() -> dict[str, tuple[Callable[[], float], int]]:
    """What is timed: its function, and the images of a call."""
    import keras
    import keras_cv

    from tumorkeras.models import build_detector

    resnet18 = keras_cv.models.ResNetV2Backbone(
        stackwise_filters=[64, 128, 256, 512],
        stackwise_blocks=[2, 2, 2, 2],
        stackwise_strides=[1, 2, 2, 2],
        include_rescaling=False,
        input_shape=(320, 320, 3),
        block_type="basic_block",
    )
    found = {SCALE: (compiled(lambda x: resnet18(x, training=False), batch_of((320, 320, 3), 1)["images"]), 1)}
    for shape in ((320, 320, 3), (512, 512, 3), (240, 320, 3)):
        size = f"{shape[0]} x {shape[1]}"
        for head in ("level", "volume"):
            keras.utils.set_random_seed(0)
            detector = build_detector(shape, 3, head=head)
            name = f"{'default' if head == 'level' else 'volume head'}, {size}"
            for batch in (1, 8):
                found[f"{name}, forward, batch {batch}"] = (forward_row(detector, shape, batch), batch)
            found[f"{name}, training, batch 8"] = (training_row(detector, shape, 8), 8)
    large = torchvision_like((512, 512, 3))
    found["ours as torchvision's R50-FPN, 512 x 512, forward, batch 1"] = (forward_row(large, (512, 512, 3), 1), 1)
    return found


class Torch:
    """Another Python with torchvision, asked for one run at a time."""

    def __init__(self, python: str) -> None:
        command = [python, "-W", "ignore", "-c", TORCH, str(THREADS)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.versions = json.loads(self.process.stdout.readline())

    def row(self, model: str) -> Callable[[], float]:
        """Seconds of one run of a model."""

        def run() -> float:
            self.process.stdin.write(f"{model}\n")
            self.process.stdin.flush()
            return float(self.process.stdout.readline())

        return run


def profile(detector, shape: tuple[int, ...], runs: int) -> list[tuple[str, float]]:
    """Median milliseconds of each part of the default detector, each alone on what the part before gave."""
    import numpy as np
    import tensorflow as tf

    images = tf.constant(batch_of(shape, 1)["images"])
    parts = detector._parts
    raw = parts.heads(images, training=False)
    boxed, backbone = detector.get_layer("letterbox"), detector.get_layer("backbone")
    placed = boxed(images)
    pooled = parts.roi_align(raw["levels"], raw["proposals"])
    head = parts.region_head(pooled, training=False)
    proposals, detections = detector.get_layer("proposals"), detector.get_layer("detections")
    steps = {
        "letterbox": compiled(boxed, images),
        "backbone": compiled(lambda x: backbone(x, training=False), placed),
        "letterbox, backbone, pyramid, proposal network, proposals": compiled(
            lambda x: parts.heads(x, training=False), images
        ),
        "proposals: top-k, decoding, non-max suppression": compiled(proposals, raw["rpn_logits"], raw["rpn_deltas"]),
        "RoIAlign of 200 regions": compiled(
            lambda *given: parts.roi_align(list(given[:-1]), given[-1]), *raw["levels"], raw["proposals"]
        ),
        "region head": compiled(lambda x: parts.region_head(x, training=False), pooled),
        "detections: decoding, non-max suppression, restoring": compiled(
            detections, head["logits"], head["deltas"], raw["proposals"], images
        ),
        "whole detector": compiled(lambda x: detector(x, training=False), images),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for run in range(runs + 2):
        for name, step in steps.items():
            seconds = step()
            if run > 1:
                times[name].append(1000 * seconds)
    return [(name, float(np.median(values))) for name, values in times.items()]


def table(times: dict[str, list[float]], images: dict[str, int]) -> list[str]:
    """The rows as Markdown."""
    import numpy as np

    unit = float(np.median(times[SCALE]))
    lines = ["| what | ms an image, median [range] | images a second | x ResNet-18 |", "| --- | --- | --- | --- |"]
    for name, values in times.items():
        each = 1000 * np.array(values) / images[name]
        spread = f"{np.median(each):.1f} [{each.min():.1f}, {each.max():.1f}]"
        lines.append(f"| {name} | {spread} | {1000 / np.median(each):.1f} | {np.median(each) / 1000 / unit:.2f} |")
    return lines


def main() -> None:
    """Print the tables, or write them between the marks of a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--torch", help="Python of an environment with torch and torchvision")
    parser.add_argument("--write", type=Path, help="file with the marks between which the tables go")
    options = parser.parse_args()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    timed = rows()
    versions = {"TensorFlow": tf.__version__}
    if options.torch:
        torch = Torch(options.torch)
        versions |= torch.versions
        timed["torchvision fasterrcnn_mobilenet_v3_large_320_fpn, 320 x 320, batch 1"] = (torch.row("mobilenet"), 1)
        timed["torchvision fasterrcnn_resnet50_fpn, 512 x 512, batch 1"] = (torch.row("resnet50"), 1)
    times: dict[str, list[float]] = {name: [] for name in timed}
    for run in range(options.runs + 2):
        for name, (row, _) in timed.items():
            seconds = row()
            if run > 1:  # the first two compile and warm up
                times[name].append(seconds)
        print(f"run {run + 1} of {options.runs + 2}", file=sys.stderr)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = table(times, {name: images for name, (_, images) in timed.items()})
    lines += [
        "",
        f"{platform.machine()}, {THREADS} threads, {named}, {options.runs} runs; peak memory of the process "
        f"with all these models, training included: {memory:.0f} MB.",
    ]
    lines += ["", "| part of the default detector, 320 x 320, batch 1 | ms alone |", "| --- | --- |"]
    from tumorkeras.models import build_detector

    parts = profile(build_detector((320, 320, 3), 3), (320, 320, 3), options.runs)
    lines += [f"| {name} | {value:.1f} |" for name, value in parts]
    text = "\n".join(lines)
    if options.write is None:
        print(text)
        return
    put_between_marks(options.write, MARK, text)


if __name__ == "__main__":
    main()
