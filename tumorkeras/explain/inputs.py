"""What the maps are made of: the network that is asked, and its samples, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from tumorkeras.errors import DataError, ModelError, TumorKerasError
from tumorkeras.features.network_inputs import HEADING, network_inputs
from tumorkeras.features.networks import network_of
from tumorkeras.layers.float32 import is_count
from tumorkeras.spec import DataSpec

Maps = NDArray[np.float32]
RANKS = {4: "images (batch, height, width, channels)", 5: "volumes (batch, depth, height, width, channels)"}


@contextmanager
def told_by(caller: str) -> Iterator[None]:
    """Faults of models and samples under the name of the function that was called.

    Examples
    --------
    >>> with told_by("grad_cam"):
    ...     network_of(3)
    Traceback (most recent call last):
    tumorkeras.errors.ModelError: grad_cam: model: int found, expected a keras.Model, ...
    """
    try:
        yield
    except TumorKerasError as error:
        if error.heading != HEADING:
            raise
        faults = [f"samples: {fault[3:]}" if fault.startswith("X: ") else fault for fault in error.faults]
        raise type(error)(caller, faults) from None


def network_for(caller: str, model: Any) -> tuple[keras.Model, DataSpec | None]:
    """The network that a model means, and its spec where that is known."""
    with told_by(caller):
        return network_of(model)


def check_image_input(caller: str, given: keras.KerasTensor) -> None:
    """Raise a ModelError where a network reads neither images nor volumes."""
    if len(given.shape) not in RANKS:
        expected = " or ".join(RANKS.values())
        raise ModelError(caller, [f"model: reads {tuple(given.shape)}, expected {expected}"])


def check_batch_size(caller: str, batch_size: int) -> None:
    """Raise a DataError for what is no batch size."""
    if not is_count(batch_size):
        raise DataError(caller, [f"batch_size: {batch_size!r} is not a positive integer"])


def mapped(
    caller: str,
    samples: Any,
    shape: tuple[int | None, ...],
    spec: DataSpec | None,
    batch_size: int,
    explain: Callable[[np.ndarray], np.ndarray],
) -> Maps:
    """The maps (n, *spatial) of samples, in their order: ``explain`` gives those of each batch (b, *shape) float32.

    Raises
    ------
    DataError
        Naming all samples that cannot be read, have another shape or are not finite, and where they differ in size.
    """
    check_batch_size(caller, batch_size)
    found, order = [], []
    with told_by(caller):
        for rows, batch in network_inputs(samples, shape, spec).batches(batch_size):
            found.append(explain(batch))
            order.append(np.asarray(rows, "int64"))
    sizes = sorted({maps.shape[1:] for maps in found} or {tuple(side or 0 for side in shape[:-1])})
    if len(sizes) > 1:
        raise DataError(
            caller, [f"samples: have the sizes {', '.join(map(str, sizes))}; give those of one size at once"]
        )
    maps = np.empty((sum(map(len, order)), *sizes[0]), "float32")
    for places, own in zip(order, found, strict=True):
        maps[places] = own
    return maps
