"""The second part of a detector: shallow and deep maps joined from the top down."""

from __future__ import annotations

from collections.abc import Iterable

import keras
from keras import layers

from tumorkeras.layers.pyramid_levels import MOMENTUM


def top_down_pyramid(
    levels: dict[int, keras.KerasTensor], strides: Iterable[int], width: int
) -> dict[int, keras.KerasTensor]:
    """Join the maps of a backbone: what the deep ones know, at the places of the shallow ones.

    Each map is brought to ``width`` channels, the next coarser one is doubled and added, and a 3x3 convolution follows.

    Parameters
    ----------
    levels : dict of int to KerasTensor
        By stride.
    strides : iterable of int
        Strides that are wanted beyond the coarsest map: each is made from the one before, halved.
    width : int
        Channels of every map.

    Returns
    -------
    dict of int to KerasTensor
        By stride, finest first.

    Examples
    --------
    >>> maps = {4: keras.Input((16, 16, 8)), 8: keras.Input((8, 8, 16))}
    >>> {stride: level.shape[1:] for stride, level in top_down_pyramid(maps, [16], width=4).items()}
    {4: (16, 16, 4), 8: (8, 8, 4), 16: (4, 4, 4)}

    References
    ----------
    Lin et al., *Feature Pyramid Networks for Object Detection*, CVPR 2017.
    """
    joined: dict[int, keras.KerasTensor] = {}
    above = None
    for stride in sorted(levels, reverse=True):
        lateral = _lateral(levels[stride], width, stride)
        above = lateral if above is None else layers.Add(name=f"joined_{stride}")([lateral, _doubled(above, lateral)])
        joined[stride] = _smoothed(above, width, stride)
    return _extended(dict(sorted(joined.items())), strides)


def deepest_level(
    levels: dict[int, keras.KerasTensor], strides: Iterable[int], width: int
) -> dict[int, keras.KerasTensor]:
    """Leave the shallow maps aside: the coarsest one alone, brought to ``width`` channels."""
    stride = max(levels)
    lateral = _lateral(levels[stride], width, stride)
    return _extended({stride: _smoothed(lateral, width, stride)}, strides)


# Normalised: without, the pyramid and what reads it learn slowly from random weights (He, Girshick & Dollar,
# "Rethinking ImageNet Pre-training", ICCV 2019).
def _lateral(x: keras.KerasTensor, width: int, stride: int) -> keras.KerasTensor:
    x = layers.Conv2D(width, 1, use_bias=False, name=f"lateral_{stride}")(x)
    return layers.BatchNormalization(momentum=MOMENTUM, name=f"lateral_normalisation_{stride}")(x)


def _smoothed(x: keras.KerasTensor, width: int, stride: int) -> keras.KerasTensor:
    x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"smoothed_{stride}")(x)
    x = layers.BatchNormalization(momentum=MOMENTUM, name=f"smoothed_normalisation_{stride}")(x)
    return layers.ReLU(name=f"pyramid_{stride}")(x)


def _doubled(x: keras.KerasTensor, like: keras.KerasTensor) -> keras.KerasTensor:
    """Nearest upsampling by 2, cut to the size of a map whose side may be odd."""
    doubled = layers.UpSampling2D(2)(x)
    surplus = [have - want for have, want in zip(doubled.shape[1:3], like.shape[1:3], strict=True)]
    return layers.Cropping2D([(0, extra) for extra in surplus])(doubled) if any(surplus) else doubled


def _extended(levels: dict[int, keras.KerasTensor], strides: Iterable[int]) -> dict[int, keras.KerasTensor]:
    while (stride := max(levels)) < max(strides, default=0):
        levels[2 * stride] = layers.MaxPooling2D(1, 2, padding="same", name=f"pyramid_{2 * stride}")(levels[stride])
    return levels
