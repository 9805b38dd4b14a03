"""The steps of ``preprocessing`` in ``data_spec.yaml``, a class each."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tumorkeras.spec_base import Section
from tumorkeras.spec_types import (
    AtLeastTwo,
    Number,
    NumbersOnly,
    Odd,
    PositiveFloat,
    PositiveInt,
)


class Rescale(Section):
    """``x * scale + offset``."""

    step: Literal["rescale"] = "rescale"
    """Tells this step from the others."""
    scale: Number = 1 / 255
    """Factor; the default turns 8-bit values into 0 to 1."""
    offset: Number = 0.0
    """Added after the factor."""


class Standardize(Section):
    """Zero mean and unit variance, each sample by itself."""

    step: Literal["standardize"] = "standardize"
    """Tells this step from the others."""


class Normalize(Section):
    """``(x - mean) / std`` with given values, one or one a channel."""

    step: Literal["normalize"] = "normalize"
    """Tells this step from the others."""
    mean: Annotated[list[Number], Field(min_length=1)]
    """Mean of the training images: one for all channels, or one a channel."""
    std: Annotated[list[PositiveFloat], Field(min_length=1)]
    """Standard deviation of the training images: one for all channels, or one a channel."""


class IntensityWindow(Section):
    """``low`` becomes 0, ``high`` becomes 1, what lies outside is clipped; the windows of CT."""

    step: Literal["window"] = "window"
    """Tells this step from the others."""
    low: Number
    """Value that becomes 0: level - width / 2."""
    high: Number
    """Value that becomes 1: level + width / 2."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        _refuse_reversed(self.low, self.high)
        return self


class PercentileWindow(Section):
    """A window between two percentiles of each sample."""

    step: Literal["percentile_window"] = "percentile_window"
    """Tells this step from the others."""
    low: Annotated[float, Field(ge=0, le=100), NumbersOnly] = 1.0
    """Percentile that becomes 0."""
    high: Annotated[float, Field(ge=0, le=100), NumbersOnly] = 99.0
    """Percentile that becomes 1."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        _refuse_reversed(self.low, self.high)
        return self


def _refuse_reversed(low: float | None, high: float | None) -> None:
    if low is not None and high is not None and low >= high:
        raise ValueError(f"low is {low:g}, not below high, {high:g}")


class LogCompression(Section):
    """Logarithmic compression of echo amplitudes to 0 to 1."""

    step: Literal["log_compression"] = "log_compression"
    """Tells this step from the others."""
    dynamic_range: Annotated[float, Field(gt=0, le=300), NumbersOnly] | None = 60.0
    """Decibels below the peak that become 0; null with a gain."""
    gain: PositiveFloat | None = None
    """log(1 + gain x) / log(1 + gain) in place of decibels; null: decibels."""
    peak: PositiveFloat | None = None
    """Value that becomes 1; null takes the largest of each sample."""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.dynamic_range is None) == (self.gain is None):
            raise ValueError("give one of dynamic_range and gain, and null for the other")
        return self


class LeeFilter(Section):
    """The Lee speckle filter over a square (cubic) window of ``size`` pixels."""

    step: Literal["lee_filter"] = "lee_filter"
    """Tells this step from the others."""
    size: Annotated[int, Field(ge=3), NumbersOnly, Odd] = 5
    """Side of the window in pixels, odd."""
    looks: PositiveFloat | None = None
    """Number of looks of noise that multiplies (before log compression); null: noise that is added, estimated."""


class ContrastLimitedEqualization(Section):
    """Contrast-limited adaptive histogram equalisation (CLAHE) to 0 to 1; volumes slice by slice."""

    step: Literal["equalize"] = "equalize"
    """Tells this step from the others."""
    tiles: PositiveInt = 8
    """Tiles along height and along width, each equalised by itself."""
    clip_limit: PositiveFloat = 2.0
    """Most that a bin counts, in mean counts: the larger, the more contrast and noise."""
    bins: AtLeastTwo = 256
    """Bins of the histograms."""
    low: Number | None = None
    """Centre of the first bin; null takes the smallest value of each sample."""
    high: Number | None = None
    """Centre of the last bin; null takes the largest value of each sample."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        _refuse_reversed(self.low, self.high)
        return self


PreprocessingStep = Annotated[
    Rescale
    | Standardize
    | Normalize
    | IntensityWindow
    | PercentileWindow
    | LogCompression
    | LeeFilter
    | ContrastLimitedEqualization,
    Field(discriminator="step"),
]
