"""How much of the input one unit sees, computed from the layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

import keras

from tumorkeras.errors import ModelError
from tumorkeras.layers import LeeFilter, TiedDense

_WHOLE_INPUT = (
    keras.layers.Flatten,
    keras.layers.Dense,
    TiedDense,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.GlobalMaxPooling3D,
)


@dataclass(frozen=True)
class _View:
    """What one unit of a tensor sees, a value a spatial axis, in pixels of the input."""

    size: tuple[Fraction, ...]
    step: tuple[Fraction, ...]  # from one unit to the next
    at_conv: tuple[Fraction, ...] | None = None  # the size at the last convolution so far
    ended: bool = False

    def through(self, layer: Any) -> _View:
        """Go through a layer."""
        rank = len(self.size)
        kernel = _per_axis(_kernel(layer), rank)
        dilation = _per_axis(getattr(layer, "dilation_rate", 1), rank)
        grown = [(k - 1) * d * j for k, d, j in zip(kernel, dilation, self.step, strict=True)]
        size = tuple(s + g for s, g in zip(self.size, grown, strict=True))
        step = tuple(j * s for j, s in zip(self.step, _strides(layer, rank), strict=True))
        return _View(size, step, size if hasattr(layer, "kernel_size") else self.at_conv)

    def end(self) -> _View:
        """End the walk before a layer that reads the whole input."""
        return _View(self.size, self.step, self.at_conv, ended=True)


def receptive_field(model: keras.Model, layer: str | None = None) -> tuple[int, ...]:
    """Size of the part of the input that one unit of the last convolution sees, away from the borders.

    Convolutions, pooling, strides and dilation on the way from the inputs to the layer ``"features"`` (or to
    the outputs, where there is none) count; of parallel branches the widest does. Layers that read the whole
    input (Flatten, Dense, global pooling) end the walk.

    Parameters
    ----------
    model : keras.Model
        Functional, with image or volume inputs.
    layer : str, optional
        See from a unit of this layer instead; pooling after the last convolution then counts too.

    Returns
    -------
    tuple of int
        Pixels, one value a spatial axis.

    Raises
    ------
    ModelError
        If the model is not functional, has no image or volume input, or no layer of that name.

    Examples
    --------
    >>> x = inputs = keras.Input((32, 32, 1))
    >>> for _ in range(2):
    ...     x = keras.layers.Conv2D(4, 3, padding="valid")(x)
    >>> receptive_field(keras.Model(inputs, x))
    (5, 5)

    References
    ----------
    Equations 5-6 of doi 10.18280/ts.360510, where N = 5.
    """
    faults = _model_faults(model, layer)
    if faults:
        raise ModelError(f"receptive_field of model {getattr(model, 'name', model)!r}", faults)
    names = {candidate.name for candidate in model.layers}
    at = layer or ("features" if "features" in names else None)
    ends = keras.tree.flatten(model.get_layer(at).output) if at else model.outputs
    view = _widest(_views(model.inputs, ends))
    size = view.size if layer or view.at_conv is None else view.at_conv
    return tuple(ceil(value) for value in size)


def _model_faults(model: Any, layer: str | None) -> list[str]:
    inputs = getattr(model, "inputs", None)
    if not inputs or not getattr(model, "outputs", None):
        return ["is not a functional model: it has no graph from inputs to outputs"]
    faults = [
        f"input {tensor.name!r} has shape {tensor.shape}, expected (batch, [depth,] height, width, channels)"
        for tensor in inputs
        if len(tensor.shape) not in (4, 5)
    ]
    names = [candidate.name for candidate in model.layers]
    if layer is not None and layer not in names:
        faults.append(f"has no layer named {layer!r}; its layers are {', '.join(names)}")
    return faults


def _views(inputs: Iterable[Any], ends: Iterable[Any]) -> list[_View]:
    """Walk back from ``ends`` to ``inputs``; a tensor is visited once."""
    seen = {id(tensor): _start(tensor) for tensor in inputs}

    def visit(tensor: Any) -> _View:
        if id(tensor) not in seen:
            operation, node, _ = tensor._keras_history
            sources = operation._inbound_nodes[node].input_tensors
            seen[id(tensor)] = _behind(operation, tensor, sources, [visit(source) for source in sources])
        return seen[id(tensor)]

    return [visit(tensor) for tensor in ends]


def _behind(operation: Any, tensor: Any, sources: list[Any], views: list[_View]) -> _View:
    if not views:  # a source inside the graph that is not one of the model's inputs
        return _start(tensor)
    view = _widest(views)
    if view.ended:
        return view
    if isinstance(operation, _WHOLE_INPUT) or len(tensor.shape) != len(sources[0].shape):
        return view.end()
    if isinstance(operation, keras.Model):
        return _inside(operation, view)
    return view.through(operation)


def _inside(model: Any, view: _View) -> _View:
    """Go through a model used as a layer."""
    inner = _widest(_views(model.inputs, model.outputs))

    def outward(size: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
        return tuple(s + (i - 1) * j for s, i, j in zip(view.size, size, view.step, strict=True))

    at_conv = view.at_conv if inner.at_conv is None else outward(inner.at_conv)
    step = tuple(i * j for i, j in zip(inner.step, view.step, strict=True))
    return _View(outward(inner.size), step, at_conv, inner.ended)


def _start(tensor: Any) -> _View:
    ones = (Fraction(1),) * max(len(tensor.shape) - 2, 0)
    return _View(ones, ones)


def _widest(views: list[_View]) -> _View:
    """Join the views where branches meet: on each axis the largest."""
    views = [view for view in views if view.size] or views
    convs = [view.at_conv for view in views if view.at_conv is not None]
    return _View(
        _largest([view.size for view in views]),
        _largest([view.step for view in views]),
        _largest(convs) if convs else None,
        ended=all(view.ended for view in views),
    )


def _largest(sizes: list[tuple[Fraction, ...]]) -> tuple[Fraction, ...]:
    return tuple(max(values) for values in zip(*sizes, strict=True))


def _kernel(layer: Any) -> Any:
    if isinstance(layer, LeeFilter):
        return layer.size
    return getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None) or 1


def _strides(layer: Any, rank: int) -> tuple[Fraction, ...]:
    if isinstance(layer, keras.layers.UpSampling2D | keras.layers.UpSampling3D):
        return tuple(Fraction(1, factor) for factor in _per_axis(layer.size, rank))
    strides = _per_axis(getattr(layer, "strides", None) or 1, rank)
    if type(layer).__name__.endswith("Transpose"):
        return tuple(Fraction(1, stride) for stride in strides)
    return tuple(Fraction(stride) for stride in strides)


def _per_axis(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)
