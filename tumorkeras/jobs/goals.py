"""What a job is for: the kind of its main model, what its data must have, and what the model says of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from tumorkeras.comparison import check_comparison
from tumorkeras.data.detection import DetectionSamples
from tumorkeras.data.parted import Parted
from tumorkeras.data.pipeline import iterate_arrays
from tumorkeras.data.samples import Samples
from tumorkeras.errors import DataError
from tumorkeras.scoring import score
from tumorkeras.spec import DataSpec, Part
from tumorkeras.training.networks import autoencoder_of, check_backbone
from tumorkeras.training.recipes import RECIPES

Kind = Literal["autoencoder", "classifier", "detector"]

EXAMPLES, LOOKED_AT = 3, 30  # samples of one size, and how many are looked through for them


class Goal(NamedTuple):
    """What differs between jobs by the kind of their main model.

    Attributes
    ----------
    faults : callable
        From samples to what they lack for training and reading such a model.
    check : callable
        Raises where samples that have all that still do not do.
    predict : callable
        From an export of the model, samples, the part that is read, and whether a bar is shown, to a table.
    """

    faults: Callable[[Any], list[str]]
    check: Callable[[Any], object]
    predict: Callable[[Path, Any, Part, bool], pd.DataFrame]


def main_kind(spec: DataSpec) -> Kind:
    """The kind of model that a spec is about: the autoencoder only where there is no other."""
    return "classifier" if "classify" in spec.tasks else "detector" if "detect" in spec.tasks else "autoencoder"


def read_part(samples: Parted) -> Part:
    """The part that results are read on."""
    return "test" if samples.counts()["test"] else "val"


def check_samples(samples: Any, kind: Kind) -> None:
    """Every part and fold that the job reads must have samples, and what its main model learns from.

    Raises
    ------
    DataError
        With all that is missing.
    """
    counts = {name: int(count) for name, count in samples.counts().items()}
    faults = []
    if not counts["train"]:
        faults.append(f"no sample is in the part 'train'; there are {counts}")
    if not counts["test"] and not counts["val"]:
        faults.append(f"no sample is left to read the result on, in 'test' or 'val'; there are {counts}")
    faults += GOALS[kind].faults(samples)
    if faults:
        raise DataError("splits", faults)
    GOALS[kind].check(samples)


def examples_of(samples: Samples | DetectionSamples) -> np.ndarray:
    """A few training samples (n, ...), of one size, for an export to be checked and warmed up with."""
    training = samples.part("train")
    if isinstance(training, Samples):
        return next(iterate_arrays(training, EXAMPLES))
    first, *others = (training.image_of(row) for row in range(min(LOOKED_AT, len(training))))
    return np.stack([first, *(image for image in others if image.shape == first.shape)][:EXAMPLES])


# ------------------------------------------------------------------------------------ autoencoder and classifier


def _none(samples: Samples) -> list[str]:
    return []


def _absent_classes(samples: Samples) -> list[str]:
    present = set(samples.table.loc[samples.table["split"] == "train", "class_name"])
    return [f"class {name!r} has no sample in the part 'train'" for name in samples.classes if name not in present]


def _score(exported: Path, samples: Samples, part: Part, bar: bool) -> pd.DataFrame:
    """Predictions from the export itself, beside the true classes."""
    predictions = score(exported, samples, split=part, progress=bar)
    predictions.insert(2, "true_class", samples.part(part).table["class_name"].to_numpy())
    return predictions


# ------------------------------------------------------------------------------------------------------ detector


def _absent_objects(samples: DetectionSamples) -> list[str]:
    """Parts without any object, and classes that the training part does not show."""
    faults = []
    for part in dict.fromkeys(["train", read_part(samples)]):
        labels = _labels_in(samples, part)
        if labels is not None and not len(labels):
            faults.append(f"no image of the part {part!r} has an object")
        elif part == "train" and labels is not None:
            absent = [name for k, name in enumerate(samples.classes) if k not in labels]
            faults += [f"class {name!r} has no box in the part 'train'" for name in absent]
    return faults


def _check_backbone(samples: DetectionSamples) -> None:
    """See that the backbone is there; and that the autoencoder, before hours go into it, has the levels it needs."""
    check_backbone(samples.spec)
    recipe = RECIPES["detector"]
    if recipe.starts_from_autoencoder(samples.spec):
        recipe.build(samples.spec, samples.part("train"), autoencoder_of(samples.spec))


def _labels_in(samples: DetectionSamples, part: str) -> np.ndarray | None:
    """Class ids of the objects of a part; None where it has no sample."""
    own = np.flatnonzero(samples.table["split"] == part)
    return np.concatenate([samples.boxes_of(int(k))[1] for k in own]) if len(own) else None


def _detect(exported: Path, samples: DetectionSamples, part: Part, bar: bool) -> pd.DataFrame:
    return score(exported, samples, split=part, progress=bar)


GOALS: dict[Kind, Goal] = {
    "autoencoder": Goal(_none, _none, _score),
    "classifier": Goal(_absent_classes, check_comparison, _score),
    "detector": Goal(_absent_objects, _check_backbone, _detect),
}
