"""What the builders share: checks of their arguments, preprocessing, pooling and its inverse."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any

import keras

from tumorkeras.errors import ModelError
from tumorkeras.layers import (
    ContrastLimitedEqualization,
    IntensityWindow,
    LeeFilter,
    LogCompression,
    Normalize,
    PercentileWindow,
    Standardize,
    activate,
    pieces,
)
from tumorkeras.layers.pyramid_levels import MOMENTUM

CONV = {2: keras.layers.Conv2D, 3: keras.layers.Conv3D}
CONV_TRANSPOSE = {2: keras.layers.Conv2DTranspose, 3: keras.layers.Conv3DTranspose}
MAX_POOL = {2: keras.layers.MaxPooling2D, 3: keras.layers.MaxPooling3D}
UPSAMPLING = {2: keras.layers.UpSampling2D, 3: keras.layers.UpSampling3D}
CROPPING = {2: keras.layers.Cropping2D, 3: keras.layers.Cropping3D}


def _rescale(scale: float = 1 / 255, offset: float = 0.0, **kwargs: Any) -> keras.layers.Layer:
    return keras.layers.Rescaling(scale, offset, **kwargs)


_STEPS: dict[str, Callable[..., keras.layers.Layer]] = {
    "rescale": _rescale,
    "standardize": Standardize,
    "normalize": Normalize,
    "window": IntensityWindow,
    "percentile_window": PercentileWindow,
    "log_compression": LogCompression,
    "lee_filter": LeeFilter,
    "equalize": ContrastLimitedEqualization,
}


def is_positive(value: Any) -> bool:
    """Tell whether a value is an integer of 1 or more.

    Examples
    --------
    >>> is_positive(3), is_positive(2.5), is_positive(True), is_positive(None)
    (True, False, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) > 0


def spatial_rank(input_shape: Sequence[int]) -> int:
    """Count the spatial axes: 2 for (height, width, channels), 3 for (depth, height, width, channels).

    Raises
    ------
    ModelError
        If the shape has another number of axes, or an axis that is not a positive integer.

    Examples
    --------
    >>> spatial_rank((32, 48, 48, 1))
    3
    """
    shape = tuple(input_shape)
    faults = []
    if len(shape) not in (3, 4):
        faults.append(
            f"input_shape: {shape} has {len(shape)} axes, expected (height, width, channels) "
            "or (depth, height, width, channels)"
        )
    if not all(map(is_positive, shape)):
        faults.append(f"input_shape: {shape} has an axis that is not a positive integer")
    if faults:
        raise ModelError("the model's input", faults)
    return len(shape) - 1


def per_axis(size: int | Sequence[int], rank: int) -> tuple[int, ...]:
    """Repeat one size for every axis; a size an axis stays as it is.

    Examples
    --------
    >>> per_axis(2, rank=3), per_axis((1, 2, 2), rank=3)
    ((2, 2, 2), (1, 2, 2))
    """
    return tuple(size) if isinstance(size, Sequence) else (size,) * rank


def block_faults(
    input_shape: Sequence[int],
    filters: Sequence[int],
    kernel_size: int | Sequence[int],
    padding: str,
    pool: int | Sequence[int] | None,
    stride: int = 1,
) -> list[str]:
    """Everything wrong with the arguments of a stack of convolution and pooling blocks, in words.

    ``stride`` is that of the first convolution in height and width.
    """
    rank = spatial_rank(input_shape)
    kernel, window = per_axis(kernel_size, rank), per_axis(1 if pool is None else pool, rank)
    faults = []
    if not isinstance(filters, Sequence) or not filters or not all(map(is_positive, filters)):
        faults.append(f"filters: {filters} is not a list of positive integers")
    for name, sizes in (("kernel_size", kernel), ("pool", window)):
        if len(sizes) != rank or not all(map(is_positive, sizes)):
            faults.append(f"{name}: {sizes} is not {rank} positive integers, one a spatial axis")
    if padding not in ("same", "valid"):
        faults.append(f"padding: {padding!r} is neither 'same' nor 'valid'")
    if not is_positive(stride):
        faults.append(f"stride: {stride} is not a positive integer")
    return faults or _size_faults(input_shape, len(filters), kernel, padding, window, stride)


def _size_faults(
    input_shape: Sequence[int],
    blocks: int,
    kernel: tuple[int, ...],
    padding: str,
    window: tuple[int, ...],
    stride: int,
) -> list[str]:
    faults = []
    for axis, size in enumerate(input_shape[:-1]):
        left, edge = size, kernel[axis] - 1 if padding == "valid" else 0
        for block in range(1, blocks + 1):
            step = stride if block == 1 and axis >= len(input_shape) - 3 else 1
            needed = edge + (window[axis] - 1) * step + 1
            if left < needed:
                faults.append(
                    f"input_shape: axis {axis} has {size} pixels, {left} left at block {block}, "
                    f"which needs {needed}; give fewer filters (blocks), a smaller kernel_size, or pool=1"
                )
                break
            left = math.ceil(math.ceil((left - edge) / step) / window[axis])
    return faults


def negative_faults(**values: float) -> list[str]:
    """Name the values that are not finite numbers from zero up.

    Examples
    --------
    >>> negative_faults(noise=0.1, sparsity=-1.0)
    ['sparsity: -1.0 is not a number of 0 or more']
    """
    return [
        f"{name}: {value} is not a number of 0 or more" for name, value in values.items() if not 0 <= value < math.inf
    ]


def preprocess(x: keras.KerasTensor, steps: Iterable[Mapping[str, Any] | Any]) -> keras.KerasTensor:
    """Apply preprocessing steps in order; the result is the output of a layer named ``"target"``.

    The layers work in float32 under any precision policy.

    Parameters
    ----------
    x : KerasTensor
        (batch, [depth,] height, width, channels).
    steps : iterable of mappings (or of sections of a spec)
        ``{"step": "rescale", "scale": ..., "offset": ...}`` (``x * scale + offset``), or the name of another step
        with the arguments of its layer: ``standardize``, ``normalize``, ``window`` (IntensityWindow),
        ``percentile_window``, ``log_compression``, ``lee_filter``, ``equalize`` (ContrastLimitedEqualization).

    Returns
    -------
    KerasTensor
        Same shape, float32.

    Raises
    ------
    ModelError
        Naming every step that is not known or whose arguments do not fit.

    Examples
    --------
    >>> preprocess(keras.Input((48, 48, 1)), [{"step": "rescale"}, {"step": "standardize"}]).shape
    (None, 48, 48, 1)
    """
    made, faults = [], []
    for number, step in enumerate(steps, start=1):
        options = dict(step)
        kind = options.pop("step", None)
        if kind not in _STEPS:
            faults.append(f"preprocessing step {number}: {kind!r} is not one of {', '.join(_STEPS)}")
            continue
        try:
            made.append(_STEPS[kind](**options, name=f"{kind}_{number}", dtype="float32"))
        except (TypeError, ValueError) as error:
            faults.append(f"preprocessing step {number}: {kind}: {error}")
    if faults:
        raise ModelError("preprocessing", faults)
    for layer in made:
        x = layer(x)
    return keras.layers.Identity(name="target", dtype="float32")(x)


def max_pool(x: keras.KerasTensor, pool: int | Sequence[int] | None, name: str) -> keras.KerasTensor:
    """Max pooling of the spatial axes; ``None`` or 1 leaves ``x`` as it is.

    An axis that ``pool`` does not divide keeps its last pixels in a window of their own: 7 pixels become 4.

    Examples
    --------
    >>> max_pool(keras.Input((7, 8, 8, 4)), 2, "pool_1").shape
    (None, 4, 4, 4, 4)
    """
    rank = len(x.shape) - 2
    window = per_axis(pool or 1, rank)
    if max(window) == 1:
        return x
    dtype = "float32" if rank == 3 else None  # processors pool volumes of half precision not at all
    return MAX_POOL[rank](window, padding="same", name=name, dtype=dtype)(x)


def unpool(x: keras.KerasTensor, pool: int | Sequence[int] | None, size: Sequence[int], name: str) -> keras.KerasTensor:
    """Undo :func:`max_pool`: nearest upsampling, cropped to the spatial ``size`` from before the pooling.

    Examples
    --------
    >>> unpool(keras.Input((4, 4, 4, 4)), 2, (7, 8, 8), "unpool_1").shape
    (None, 7, 8, 8, 4)
    """
    rank = len(x.shape) - 2
    window = per_axis(pool or 1, rank)
    if max(window) > 1:
        x = UPSAMPLING[rank](window, name=name)(x)
    surplus = [have - want for have, want in zip(x.shape[1:-1], size, strict=True)]
    if any(surplus):
        x = CROPPING[rank]([(0, extra) for extra in surplus], name=f"{name}_crop")(x)
    return x


def convolution_blocks(
    x: keras.KerasTensor,
    filters: Sequence[int],
    kernel_size: int | Sequence[int] = 3,
    pool: int | Sequence[int] | None = 2,
    *,
    stride: int = 1,
    activation: str = "relu",
    padding: str = "same",
    regularizer: Any = None,
) -> keras.KerasTensor:
    """A convolution, an activation and max pooling for each entry of ``filters``.

    The layers are called "conv_1", "activation_1", "pool_1" and so on. ``stride`` is that of the first convolution in
    height and width.

    Examples
    --------
    >>> convolution_blocks(keras.Input((4, 8, 8, 3)), [16, 32]).shape
    (None, 1, 2, 2, 32)
    """
    rank = len(x.shape) - 2
    for k, channels in enumerate(filters, start=1):
        x = CONV[rank](
            channels * pieces(activation),
            per_axis(kernel_size, rank),
            strides=(1,) * (rank - 2) + (stride, stride) if k == 1 else 1,
            padding=padding,
            kernel_initializer="he_normal",
            kernel_regularizer=regularizer,
            name=f"conv_{k}",
        )(x)
        x = activate(x, activation, name=f"activation_{k}")
        x = max_pool(x, pool, name=f"pool_{k}")
    return x


def dense_blocks(
    x: keras.KerasTensor,
    units: Sequence[int],
    *,
    dropout: float,
    activation: str = "relu",
    regularizer: Any = None,
    normalise: bool = False,
) -> keras.KerasTensor:
    """A dense layer, its activation and dropout for each entry of ``units``.

    The layers are called "dense_1", "dense_activation_1", "dropout_1" and so on. ``normalise`` puts a batch
    normalisation before each activation.

    Examples
    --------
    >>> dense_blocks(keras.Input((20,)), [8, 4], dropout=0.3).shape
    (None, 4)
    """
    for k, count in enumerate(units, start=1):
        x = keras.layers.Dense(count * pieces(activation), kernel_regularizer=regularizer, name=f"dense_{k}")(x)
        x = keras.layers.BatchNormalization(momentum=MOMENTUM, name=f"dense_normalisation_{k}")(x) if normalise else x
        x = activate(x, activation, name=f"dense_activation_{k}")
        x = keras.layers.Dropout(dropout, name=f"dropout_{k}")(x)
    return x
