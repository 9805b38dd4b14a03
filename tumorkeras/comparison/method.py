"""What a method of the comparison is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tumorkeras.comparison.problem import Fold

Predictor = Callable[[np.ndarray], np.ndarray]
"""From rows of the samples to their probabilities (rows, classes)."""

Trainer = Callable[[Fold], Predictor]
"""From the training rows of a fold to a predictor."""

Reads = Literal["none", "trivial", "features", "pixels"]


@dataclass(frozen=True)
class Method:
    """What a method reads, and how it is trained.

    A method that reads ``"features"`` has a row of the table for each feature set.

    Examples
    --------
    >>> coin = Method("none", lambda fold: lambda rows: np.full((len(rows), 2), 0.5))
    >>> coin.train(None)(np.arange(3)).shape
    (3, 2)
    """

    reads: Reads
    train: Trainer
