"""The mirrored and turned forms of a sample that a training held to be the same thing."""

from __future__ import annotations

from collections.abc import Collection
from itertools import product
from typing import NamedTuple

import tensorflow as tf

from tumorkeras.data.agreement import are_tracks
from tumorkeras.spec import DataSpec


class View(NamedTuple):
    """One way to lay a plane down: rows and columns exchanged or not, then each reversed or not.

    Examples
    --------
    >>> image = tf.reshape(tf.range(4), (1, 2, 2, 1))
    >>> View(transposed=True, down=False, across=True)(image)[0, ..., 0].numpy().tolist()
    [[2, 0], [3, 1]]
    """

    transposed: bool
    down: bool
    across: bool

    def __call__(self, arrays: tf.Tensor) -> tf.Tensor:
        """Images or volumes (n, ..., height, width, channels), their planes laid down so."""
        rank = arrays.shape.rank
        if self.transposed:
            arrays = tf.transpose(arrays, [*range(rank - 3), rank - 2, rank - 3, rank - 1])
        axes = [axis for axis, reverse in ((rank - 3, self.down), (rank - 2, self.across)) if reverse]
        return tf.reverse(arrays, axes) if axes else arrays

    @property
    def mirrors(self) -> bool:
        """Whether it shows a mirror image, which no turn does."""
        return (self.transposed + self.down + self.across) % 2 == 1


def views(kinds: Collection[str], *, square: bool, tracks: bool = False) -> list[View]:
    """The views that random changes of training give, each once, the sample as it is first.

    Parameters
    ----------
    kinds : collection of str
        Of the spec's ``training.augment``; "flip" and "rotate" make views, others none.
    square : bool
        Whether a plane looks the same turned by a quarter.
    tracks : bool, default False
        Whether the samples are drawn from tracks, which "flip" mirrors left and right alone, and "rotate" turns on
        any plane. Volumes and images are mirrored on each axis, and turned on square planes only. Depth stays as it is.

    Returns
    -------
    list of View
        1, 2, 4 or 8.

    Examples
    --------
    >>> [len(views(kinds, square=True)) for kinds in (["shift"], ["flip"], ["rotate"], ["flip", "rotate"])]
    [1, 4, 4, 8]
    >>> views(["flip"], square=True, tracks=True)
    [View(transposed=False, down=False, across=False), View(transposed=False, down=False, across=True)]
    """
    flips, turns = "flip" in kinds, "rotate" in kinds and (square or tracks)

    def is_harmless(view: View) -> bool:
        if view.transposed and not (turns and square):
            return False
        if turns:
            return flips or not view.mirrors
        return not (tracks and view.down) if flips else not any(view)

    return [view for view in map(View._make, product((False, True), repeat=3)) if is_harmless(view)]


def views_of(spec: DataSpec) -> list[View]:
    """The views of the samples of a spec, as its training changed them.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "frames": 16}, "training": {"augment": ["rotate"]}})
    >>> len(views_of(spec))
    4
    """
    *_, height, width, _ = spec.input.shape
    spacing = spec.input.spacing or [1.0, 1.0]
    tracks = are_tracks(spec)
    # A track is turned before it is drawn; arrays are turned as they are, whatever the size of a pixel.
    square = height == width and (not tracks or spacing[-1] == spacing[-2])
    return views(spec.training.augment, square=square, tracks=tracks)
