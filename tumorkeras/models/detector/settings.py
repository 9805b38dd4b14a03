"""What a detector's training depends on beside its graph."""

from __future__ import annotations

from dataclasses import dataclass, fields

from tumorkeras.errors import ModelError


@dataclass(frozen=True)
class TrainingSettings:
    """How anchors and regions become examples; kept in the model's file.

    Parameters
    ----------
    rpn_positive_iou, rpn_negative_iou : float
        An anchor stands for an object from the first on, for background below the second, and is ignored between;
        the best anchor of every object stands for it in any case.
    rpn_samples : int
        Anchors an image in a step.
    rpn_positive_share : float
        Largest share of objects among them.
    region_positive_iou : float
        A region stands for an object from here on, else for background.
    region_samples, region_positive_share
        Likewise of the regions.
    seed : int
        Of the samples; those of a step are a function of it and of the step's number.

    Raises
    ------
    ModelError
        Naming every value that is out of its range.

    Examples
    --------
    >>> TrainingSettings(region_samples=32).rpn_samples
    256
    >>> TrainingSettings(rpn_positive_iou=0.2)
    Traceback (most recent call last):
    tumorkeras.errors.ModelError: detector: rpn_negative_iou: 0.3 is above rpn_positive_iou, 0.2
    """

    rpn_positive_iou: float = 0.6
    rpn_negative_iou: float = 0.3
    rpn_samples: int = 256
    rpn_positive_share: float = 0.5
    region_positive_iou: float = 0.5
    region_samples: int = 128
    region_positive_share: float = 0.25
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        faults = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("_samples") and (not isinstance(value, int) or value < 1):
                faults.append(f"{field.name}: {value!r} is not a positive integer")
            elif field.name.endswith(("_iou", "_share")) and not 0 < value <= 1:
                faults.append(f"{field.name}: {value!r} is not above 0 to 1")
        if not faults and self.rpn_negative_iou > self.rpn_positive_iou:
            faults.append(
                f"rpn_negative_iou: {self.rpn_negative_iou} is above rpn_positive_iou, {self.rpn_positive_iou}"
            )
        if faults:
            raise ModelError("detector", faults)
