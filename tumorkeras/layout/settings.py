"""Input, preprocessing and training that suit the data and a computer with two processors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tumorkeras.layout.guess import Guess, listed
from tumorkeras.layout.looks import Look

MULTIPLE = 32
DETECTION_SIDE, CLASS_SIDE, REGION_SIDE = 320, 128, 64
VOLUME_SIDE = 64
VOLUME_MULTIPLE = 8
PIXELS_AN_EPOCH = 100e6  # of images; a quarter of it of voxels, whose kernels have thrice the weights
VOXELS_AN_EPOCH = 40e6
LEAST_SIDE = 32
SAMPLES_IN_ALL = 12_000  # samples times epochs
MOST_EPOCHS, LEAST_EPOCHS = 30, 6
DETECTED_IN_ALL = 10_000  # images times epochs of a detector
MOST_DETECTOR_EPOCHS, LEAST_DETECTOR_EPOCHS = 60, 12
FEW_IMAGES = 400  # of which a detector takes smaller batches, for enough steps
EIGHT_BIT = 1 / 255


def add_settings(guess: Guess, look: Look, samples: int, *, most: int = CLASS_SIDE) -> None:
    """Fill in input, preprocessing and training of a guess at images or volumes."""
    shape, words = _shape(look, samples, most)
    guess.values["input"] = {"shape": shape, **_spacing(look, shape)}
    guess.say("input.shape", words)
    if "spacing" in guess.values["input"]:
        guess.say("input.spacing", "So that a volume of the median size fits; all keep their true size.")
    elif look.volumes:
        guess.unsure.append("The files do not tell the spacing of the voxels: each axis is scaled to fill input.shape.")
    _add_colours(guess, look)
    guess.values["preprocessing"] = _preprocessing(guess, look)
    if "detect" in guess.values.get("tasks", []):
        add_detector_training(guess, samples)
    else:
        guess.values |= training(samples, math.prod(shape[:-1]))
        say_training(guess, samples)
    if look.faults:
        guess.unsure.append(f"{len(look.faults)} of the files looked at cannot be read: {listed(look.faults, 2)}.")


def _shape(look: Look, samples: int, most: int) -> tuple[list[int], str]:
    """Input shape, and where it comes from."""
    channels = look.channels
    if not look.sizes:
        return ([32, 64, 64, 1] if look.volumes else [most, most, 1]), "No file could be read: this is a guess only."
    size = look.size
    if look.volumes:
        sides = _volume_sides(size, samples)
        words = f"The median volume looked at is {_by(size)} (depth, height, width); scaled so that training is quick."
        return [*sides, channels], words
    scale = min(1.0, most / max(size), math.sqrt(PIXELS_AN_EPOCH / (max(samples, 1) * math.prod(size))))
    sides = [max(LEAST_SIDE, MULTIPLE * round(side * scale / MULTIPLE)) for side in size]
    spread = np.array(look.sizes)
    words = (
        f"The median image looked at is {_by(size)} (height, width), the smallest side {spread.min()}, the largest "
        f"{spread.max()}. Images are letterboxed; sides are multiples of {MULTIPLE}; larger ones show finer detail "
        "and take longer."
    )
    return [*sides, channels], words


def _volume_sides(size: tuple[float, ...], samples: int) -> list[int]:
    most = min(VOLUME_SIDE, (VOXELS_AN_EPOCH / max(samples, 1)) ** (1 / 3))
    scaled = [min(side, max(VOLUME_MULTIPLE, most)) for side in size]
    return [max(VOLUME_MULTIPLE, VOLUME_MULTIPLE * round(side / VOLUME_MULTIPLE)) for side in scaled]


def _by(size: tuple[float, ...]) -> str:
    return " x ".join(f"{side:.0f}" for side in size)


def _spacing(look: Look, shape: list[int]) -> dict[str, Any]:
    if not look.volumes or look.spacing is None:
        return {}
    extents = [side * step for side, step in zip(look.size, look.spacing, strict=True)]
    fitting = [extent / side for extent, side in zip(extents, shape, strict=False)]
    # Never finer than the files: where these are smaller than the canvas, it is filled up around them.
    return {"spacing": [round_to(max(pair)) for pair in zip(fitting, look.spacing, strict=True)], "units": "mm"}


def round_to(value: float, digits: int = 2) -> float:
    """A number above 0 rounded to a few digits.

    Examples
    --------
    >>> round_to(44.73), round_to(0.0123456)
    (45.0, 0.012)
    """
    return round(value, digits - 1 - math.floor(math.log10(value)))


def _add_colours(guess: Guess, look: Look) -> None:
    number = len(look.sizes)
    if not number:
        return
    if look.channels == 1 and not look.coloured:
        guess.say("input.shape", f"One channel: all {number} files looked at are grey.")
    elif look.channels == 1:
        guess.say("input.shape", f"One channel: {number - look.coloured} of {number} files looked at are grey.")
        guess.unsure.append(f"{look.coloured} of {number} images looked at have colours, which are made grey.")
    else:
        guess.say("input.shape", f"Three channels: {look.coloured} of {number} files looked at have colours.")


def _preprocessing(guess: Guess, look: Look) -> list[dict[str, Any]]:
    if len(look.dtypes) > 1:
        guess.unsure.append(f"The files are of several kinds ({', '.join(look.dtypes)}); give all the same.")
    if look.dtypes == ("uint8",):
        guess.say("preprocessing", "8-bit values become 0 to 1.")
        steps: list[dict[str, Any]] = [{"step": "rescale", "scale": EIGHT_BIT}]
    else:
        kind = ", ".join(look.dtypes) or "unknown"
        guess.say(
            "preprocessing",
            f"Values are {kind}, from {look.low:g} to {look.high:g}: each sample is brought to mean 0 and variance 1. "
            "Where the values mean something, as Hounsfield units do, fixed limits may be better.",
        )
        steps = [{"step": "standardize"}]
    if look.channels == 1 and not look.volumes:
        guess.say("preprocessing", "For ultrasound, {step: lee_filter, size: 5} as the first step takes out speckle.")
    return steps


def training(samples: int, pixels: int, in_all: int = SAMPLES_IN_ALL) -> dict[str, Any]:
    """Sections for the models and their training, for a number of samples of a size; ``in_all`` limits the epochs."""
    epochs = int(np.clip(in_all // max(samples, 1), LEAST_EPOCHS, MOST_EPOCHS))
    batch = 16 if samples >= 160 and pixels <= 128 * 1024 else 8
    return {
        "autoencoder": {"filters": [8, 16, 32], "epochs": max(4, epochs // 3)},
        "classifier": {"filters": [8, 16, 32]},
        "training": {"epochs": epochs, "batch_size": batch},
    }


def say_training(guess: Guess, samples: int) -> None:
    """Say where the settings of the training come from."""
    if "classify" not in guess.values.get("tasks", ["classify"]):
        guess.values.pop("classifier", None)
    guess.say(
        "training",
        f"Small and quick, for {samples:,} samples on two processors: a first result. More filters and epochs may do "
        "better. augment: [] or [flip] where turning a sample changes what it means.",
    )


def add_detector_training(guess: Guess, images: int) -> None:
    """Settings of a detector's training, and where they come from."""
    epochs = int(np.clip(DETECTED_IN_ALL // max(images, 1), LEAST_DETECTOR_EPOCHS, MOST_DETECTOR_EPOCHS))
    guess.values["training"] = {
        "epochs": epochs,
        "batch_size": 4 if images < FEW_IMAGES else 8,
        "patience": epochs,
        "augment": ["flip", "crop", "intensity"],
    }
    guess.say(
        "training",
        f"A first detector, for {images:,} images on two processors: more epochs find more. The learning rate falls to "
        "the last epoch, so patience lets it come to its end. Add rotate to augment where images have no up and down.",
        "The anchors are proposed from the training boxes; tumorkeras audit shows them, and how many boxes they meet.",
    )
