"""The third and fourth part of a detector: what proposes regions, and what reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras
from keras import layers

from tumorkeras.anchors import Anchors
from tumorkeras.layers import RegionProposals
from tumorkeras.models.blocks import convolution_blocks, dense_blocks


def propose(
    levels: Iterable[keras.KerasTensor], anchors: Anchors, canvas: tuple[int, int], width: int, **options: Any
) -> keras.KerasTensor:
    """Regions (batch, n, 4) on the canvas, from a small network that slides over every level.

    Parameters
    ----------
    levels : iterable of KerasTensor
        The maps that the anchors lie on, in their order.
    anchors : Anchors
    canvas : tuple of int
        (height, width).
    width : int
        Channels of its hidden layer.
    options
        Of :class:`tumorkeras.layers.RegionProposals`.

    References
    ----------
    Ren et al., *Faster R-CNN*, NeurIPS 2015.
    """
    count = len(anchors.sizes[0]) * len(anchors.ratios)
    start = keras.initializers.RandomNormal(stddev=0.01)
    hidden = layers.Conv2D(width, 3, padding="same", activation="relu", name="rpn_hidden")
    objectness = layers.Conv2D(count, 1, kernel_initializer=start, dtype="float32", name="rpn_objectness")
    shift = layers.Conv2D(4 * count, 1, kernel_initializer=start, dtype="float32", name="rpn_shift")
    flat, boxes = layers.Reshape((-1,), name="rpn_flat"), layers.Reshape((-1, 4), name="rpn_boxes")
    seen = [hidden(level) for level in levels]
    logits, deltas = [flat(objectness(x)) for x in seen], [boxes(shift(x)) for x in seen]
    if len(seen) > 1:
        logits = [layers.Concatenate(axis=1, dtype="float32", name="rpn_logits")(logits)]
        deltas = [layers.Concatenate(axis=1, dtype="float32", name="rpn_deltas")(deltas)]
    layer = RegionProposals(canvas, anchors.strides, anchors.sizes, anchors.ratios, name="proposals", **options)
    return layer(logits[0], deltas[0])


def region_head(
    shape: Sequence[int], num_classes: int, *, filters: Sequence[int], dense: Sequence[int], dropout: float
) -> keras.Model:
    """What a region shows and where it ends, as a model of single regions.

    A region of one level, (size, size, channels), goes straight to the dense layers; one of several levels, stacked as
    depth, goes through the Conv3D and MaxPool3D blocks of the classifier first.

    Returns
    -------
    keras.Model
        From (batch * n, *shape) to ``logits`` (batch * n, num_classes + 1), background last, and ``deltas``
        (batch * n, 4), both float32.
    """
    regions = keras.Input(tuple(shape), name="regions")
    x = convolution_blocks(regions, filters) if len(shape) == 4 else regions
    x = layers.Flatten(name="flatten")(x)
    x = dense_blocks(x, dense, dropout=dropout, normalise=True)
    start = keras.initializers.RandomNormal(stddev=0.001)
    logits = layers.Dense(num_classes + 1, dtype="float32", name="logits")(x)
    deltas = layers.Dense(4, kernel_initializer=start, dtype="float32", name="deltas")(x)
    return keras.Model(regions, {"logits": logits, "deltas": deltas}, name="region_head")
