"""Small detectors, images and objects for tests."""

from __future__ import annotations

import keras
import keras_cv
import numpy as np

from tumorkeras.anchors import Anchors
from tumorkeras.models import build_autoencoder
from tumorkeras.models.detector import build_detector
from tumorkeras.models.detector.backbone import csp_darknet
from tumorkeras.spec import DataSpec
from tumorkeras.training.fit_detector import anchors_of
from tumorkeras.training.networks import autoencoder_of, detector_of

CANVAS = (64, 96)
ANCHORS = Anchors((4, 8), ((12.0,), (28.0,)), (0.75, 1.5))
SMALL = {
    "anchors": ANCHORS,
    "fusion_width": 16,
    "rpn_candidates": 60,
    "rpn_proposals": 12,
    "region_size": 4,
    "filters": (8,),
    "dense": (32,),
    "max_detections": 10,
}


def small_backbone(channels=1):
    return csp_darknet(channels, widths=(8, 16), depths=(1, 1))


def small_encoder(channels=1):
    """An autoencoder with maps of the strides 4 and 8: its graph is the quickest of all to trace and compile."""
    return build_autoencoder((*CANVAS, channels), filters=(4, 4, 8, 8), bottleneck=None)


def mobile_net(channels=1):
    """One whose last layers belong to no level."""
    return keras_cv.models.MobileNetV3Backbone(
        stackwise_expansion=[1, 2, 2],
        stackwise_filters=[8, 8, 16],
        stackwise_kernel_size=[3, 3, 5],
        stackwise_stride=[2, 2, 2],
        stackwise_se_ratio=[0.25, None, 0.25],
        stackwise_activation=["relu", "relu", "hard_swish"],
        include_rescaling=False,
        input_shape=(None, None, channels),
    )


def small_detector(num_classes=2, channels=1, **arguments):
    options = {"backbone": small_backbone(channels), **SMALL, **arguments}
    return build_detector((*CANVAS, channels), num_classes, **options)


def detection_spec(**sections):
    """Of twenty phantoms and a small detector, whose backbone is the encoder of a smaller autoencoder."""
    small = {"fusion_width": 8, "dense": [8, 8], "rpn_proposals": 20, "max_detections": 10}
    values = {
        "name": "lesions",
        "source": {"kind": "phantoms", "samples": 20, "seed": 3},
        "input": {"shape": [64, 64, 1]},
        "preprocessing": [{"step": "rescale"}],
        "autoencoder": {"filters": [4, 8, 8], "bottleneck": None, "epochs": 1},
        "training": {"epochs": 2, "batch_size": 8, "augment": ["flip"]},
    }
    detector = {"backbone": "autoencoder", **small, **sections.pop("detector", {})}
    return DataSpec.from_dict({**values, "detector": detector, **sections})


def untrained_detector(samples, seed=1):
    """The detector of the spec of samples, which starts from an autoencoder that is not trained either."""
    keras.utils.set_random_seed(seed)
    anchors, _ = anchors_of(samples.spec, samples.part("train"))
    return detector_of(samples.spec, len(samples.classes), anchors, autoencoder_of(samples.spec))


def some_images(batch=2, size=CANVAS, channels=1, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (batch, *size, channels)).astype("uint8")


def some_objects(batch=2, size=CANVAS, most=3, num_classes=2, seed=0):
    """Up to ``most`` boxes an image; the first image has two, the last none if there is more than one."""
    rng = np.random.default_rng(seed)
    boxes, classes = np.zeros((batch, most, 4), "float32"), np.full((batch, most), -1, "int32")
    for image in range(batch):
        count = 2 if image == 0 else 0 if image == batch - 1 else most
        corner = rng.uniform(0, 0.5, (count, 2)) * size[::-1]
        sides = rng.uniform(0.15, 0.45, (count, 2)) * size[::-1]
        boxes[image, :count] = np.concatenate([corner, corner + sides], axis=1)
        classes[image, :count] = rng.integers(0, num_classes, count)
    return {"boxes": boxes, "classes": classes}


def some_proposals(batch=2, size=CANVAS, count=9, seed=0):
    """Boxes in pixels of the images; the last two of each are padding."""
    rng = np.random.default_rng(seed)
    corner, sides = rng.uniform(0, 0.6, (batch, count, 2)), rng.uniform(0.1, 0.4, (batch, count, 2))
    boxes = np.concatenate([corner, corner + sides], axis=2) * np.tile(size[::-1], 2)
    boxes[:, -2:] = 0
    return boxes.astype("float32")


def blocks(images, seed=0):
    """Images with a bright block each, and its box: easy to learn."""
    rng = np.random.default_rng(seed)
    pixels, boxes = rng.normal(60, 10, (images, *CANVAS, 1)), np.zeros((images, 1, 4), "float32")
    for image, box in zip(pixels, boxes, strict=True):
        (x, y), (width, height) = rng.integers(4, [56, 28]), rng.integers(12, 32, 2)
        image[y : y + height, x : x + width] += 120
        box[0] = x, y, x + width, y + height
    return pixels.astype("uint8"), {"boxes": boxes, "classes": np.zeros((images, 1), "int32")}
