"""Made inputs for exports: seeded, of odd sizes, and images that show something."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

import cv2
import numpy as np

#: What open sizes become, axis by axis: once as networks like it, then odd, high and wide.
_OPEN_SIZES = ((64, 64, 64), (75, 53, 41), (45, 97, 33))
_SYNTHETIC, _BOXES = 3, 9  # inputs a batch, proposals an input
#: Height, width, channels and kind of the images that are encoded.
_IMAGES = (
    (64, 64, 1, ".png"),
    (75, 53, 3, ".jpg"),
    (45, 97, 3, ".png"),
    (31, 8, 1, ".jpg"),
    (9, 121, 1, ".png"),
    (128, 96, 3, ".jpg"),
    (17, 17, 3, ".png"),
)

Arrays = dict[str, np.ndarray]


def synthetic_inputs(
    shapes: Mapping[str, tuple[int | None, ...]], dtypes: Mapping[str, str] | None = None
) -> list[Arrays]:
    """Draw seeded batches of three for inputs of the given shapes.

    Values are uniform in [0, 1) (integers: 0 and 1). Where sizes are open there is a batch of square inputs, one of
    high and one of wide ones with odd sides. An image of open height and width shows blobs in noise in whole grey
    levels, 0 to 255, as in files: there a detector finds something. ``proposals`` are boxes in that image, two of them
    padding.

    Parameters
    ----------
    shapes : mapping of str to tuple
        Name -> shape of one sample; None is open.
    dtypes : mapping of str to str, optional
        Where they are not float32.

    Returns
    -------
    list of dict
        Name -> array (3, ...).

    Examples
    --------
    >>> [batch["inputs"].shape for batch in synthetic_inputs({"inputs": (None, None, 1)})]
    [(3, 64, 64, 1), (3, 75, 53, 1), (3, 45, 97, 1)]
    >>> [batch["inputs"].shape for batch in synthetic_inputs({"inputs": (8, 8, 1)})]
    [(3, 8, 8, 1)]
    """
    dtypes = dtypes or {}
    is_open = any(None in shape for shape in shapes.values())
    return [
        {name: _drawn(name, shape, sizes, dtypes.get(name, "float32")) for name, shape in shapes.items()}
        for sizes in (_OPEN_SIZES if is_open else _OPEN_SIZES[:1])
    ]


def _drawn(name: str, shape: tuple[int | None, ...], open_sizes: tuple[int, ...], dtype: str) -> np.ndarray:
    generator = np.random.default_rng(0)
    if name == "proposals" and shape == (None, 4):
        return _proposals(generator, open_sizes[0], open_sizes[1])
    endless = cycle(open_sizes)
    size = tuple(next(endless) if side is None else side for side in shape)
    if len(shape) == 3 and shape[:2] == (None, None):
        return np.stack([_image(generator, *size) for _ in range(_SYNTHETIC)]).astype(dtype)
    values = generator.random((_SYNTHETIC, *size))
    return (values if np.dtype(dtype).kind == "f" else values.round()).astype(dtype)


def _image(generator: np.random.Generator, height: int, width: int, channels: int) -> np.ndarray:
    """Three bright or dark blobs in noise."""
    rows, columns = np.mgrid[:height, :width]
    image = generator.normal(110, 25, (height, width, channels))
    for _ in range(3):
        (down, across), (high, wide) = generator.uniform(0.2, 0.8, 2), generator.uniform(0.08, 0.25, 2)
        inside = ((rows / height - down) / high) ** 2 + ((columns / width - across) / wide) ** 2 < 1
        image[inside] += generator.choice([-80, 100])
    return image.clip(0, 255).round()


def _proposals(generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    corner, side = generator.uniform(0, 0.6, (2, _SYNTHETIC, _BOXES, 2)) + np.array([0, 0.2])[:, None, None, None]
    boxes = np.concatenate([corner, np.minimum(corner + side, 1)], axis=-1) * [width, height, width, height]
    boxes[:, -2:] = 0
    return boxes.astype("float32")


def encoded_images() -> list[bytes]:
    """Seven PNG and JPEG files of noise, grey and in colour, each of another size.

    Examples
    --------
    >>> [image[1:4] for image in encoded_images()[::2]]
    [b'PNG', b'PNG', b'PNG', b'PNG']
    """
    generator = np.random.default_rng(0)
    return [
        cv2.imencode(kind, generator.integers(0, 256, (height, width, channels), dtype=np.uint8))[1].tobytes()
        for height, width, channels, kind in _IMAGES
    ]
