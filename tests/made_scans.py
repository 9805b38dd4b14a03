"""A classifier of images that takes no time, and folders of images for it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from tumorkeras.scoring import score
from tumorkeras.spec import DataSpec
from tumorkeras.training import TrainedModel

CLASSES = ["benign", "malignant"]
ENDINGS = ("png", "jpg", "tif")


def tiny_classifier() -> TrainedModel:
    """Of images on a canvas of 16 x 16, by the means of four quarters."""
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 1))
    quarters = keras.layers.AveragePooling2D(8)(keras.layers.Rescaling(1 / 255)(inputs))
    features = keras.layers.Flatten(name="features")(quarters)
    outputs = keras.layers.Dense(2, activation="softmax", name="probabilities")(features)
    card = {"kind": "classifier", "classes": CLASSES, "pixel_dtype": "uint8"}
    return TrainedModel(keras.Model(inputs, outputs), scans_spec("."), card, pd.DataFrame({"epoch": [1]}))


def scans_spec(folder: str | Path) -> DataSpec:
    """Of a folder of such images, one below it a class."""
    source = {"kind": "image_folder", "path": str(folder)}
    return DataSpec.from_dict(
        {"name": "tumours", "source": source, "input": {"shape": [16, 16, 1]}, "classes": CLASSES}
    )


def scan(number: int) -> np.ndarray:
    """An image of 4 to 39 pixels a side."""
    generator = np.random.default_rng(number)
    return generator.integers(0, 255, generator.integers(4, 40, 2), dtype="uint8")


def write_scans(folder: Path, count: int) -> Path:
    """PNG, JPEG and TIFF in turns; the one with the number 7 is cut short."""
    for number in range(count):
        content = cv2.imencode(f".{ENDINGS[number % 3]}", scan(number))[1].tobytes()
        (folder / f"{number:03}.{ENDINGS[number % 3]}").write_bytes(content[:-20] if number == 7 else content)
    return folder


def stopped(model, inputs, output, before_calls, **options):
    """The parts of a job in windows of 32 that was interrupted in the second."""
    scored = []

    def interrupt(batch):
        scored.extend(batch)
        if len(scored) > 32:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        before_calls(interrupt, patch)
        with pytest.raises(KeyboardInterrupt):
            score(model, inputs, output=output, batch_size=options.pop("batch_size", 2), **options)
    parts = output.with_name(f"{output.name}.parts")
    assert len(list(parts.glob("part-*"))) == 1
    assert not output.exists()
    return parts
