"""Plots of what goes into a model: tracks, volumes, and what an autoencoder makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tumorkeras.errors import DataError
from tumorkeras.metrics.checks import check_labels, rows_of
from tumorkeras.plots.style import axes_for, color_of, finish, legend_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


def tracks(
    tracks: ArrayLike,
    labels: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    ax: Axes | None = None,
    per_class: int = 12,
) -> Axes:
    """Draw paths of cells in the plane, in one colour per class, with a dot where each path ends.

    Parameters
    ----------
    tracks : array-like of float, shape (n, frames, 2)
        x and y over time. NaN is a gap in a path; a path of NaN only is not drawn.
    labels : array-like of int, shape (n,), optional
        Class ids; one class without it.
    classes : sequence of str, optional
        Class names; the ids stand in for them.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    per_class : int, default 12
        Paths drawn of each class, evenly spread over its samples.

    Returns
    -------
    matplotlib.axes.Axes
        One line per path, in the order of the classes.

    Raises
    ------
    DataError
        For another shape, no finite position at all, or labels that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from tumorkeras import plots
    >>> paths = np.random.default_rng(0).normal(size=(30, 50, 2)).cumsum(axis=1)
    >>> ax = plots.tracks(paths, np.arange(30) % 2, ["myoblast", "MuSC"], per_class=5)
    >>> len(ax.lines)
    10
    >>> image = plots.to_png(ax)  # closes the figure
    """
    paths, ids, names = checked_tracks("plots.tracks", tracks, labels, classes, per_class)
    ax = axes_for(ax, 6.2, 4.4)
    drawable = np.isfinite(paths[..., 0] + paths[..., 1]).any(axis=1)
    for class_id in np.unique(ids):
        rows = np.flatnonzero((ids == class_id) & drawable)
        shown = rows[evenly(len(rows), per_class)]
        of_all = f"({len(shown)} of {int((ids == class_id).sum())})"
        label = f"{names[class_id]} {of_all}" if names else f"paths {of_all}"
        ends = []
        for path in paths[shown]:
            ax.plot(path[:, 0], path[:, 1], color=color_of(class_id), linewidth=0.9, alpha=0.75, label=label)
            ends.append(path[np.isfinite(path).all(axis=1)][-1])
            label = "_"
        if ends:
            x, y = np.transpose(ends)
            ax.scatter(x, y, s=12, color=color_of(class_id), zorder=3, linewidths=0)
    ax.set_aspect("equal", adjustable="datalim")
    legend_beside(ax)
    return finish(ax, "Tracks", "x", "y")


def checked_tracks(
    heading: str, tracks: ArrayLike, labels: ArrayLike | None, classes: Sequence[str] | None, per_class: int
) -> tuple[Array, NDArray[np.int64], list[str]]:
    """Paths (n, frames, 2), the class of each, and the names of the classes, without any where none are given.

    Raises
    ------
    DataError
        Under `heading`, with all faults.
    """
    paths = np.asarray(tracks, dtype=np.float64)
    if paths.ndim != 3 or paths.shape[2] != 2 or 0 in paths.shape:
        raise DataError(heading, [f"tracks: shape {paths.shape} is not (n, frames, 2) with n, frames > 0"])
    faults = []
    if not np.isfinite(paths).all(axis=2).any():
        faults.append("tracks: no finite position in any of them")
    if per_class < 1:
        faults.append(f"per_class: {per_class} is not a positive integer")
    ids = np.zeros(len(paths), np.int64)
    label_faults: list[str] = []
    if labels is not None:
        ids, label_faults = check_labels(labels, len(classes) if classes else None)
        if len(ids) != len(paths):
            label_faults.append(f"labels: {len(ids)} for {len(paths)} tracks; give one per track")
    if faults or label_faults:
        raise DataError(heading, faults + label_faults)
    if labels is None and not classes:
        return paths, ids, []
    return paths, ids, [str(name) for name in classes or range(int(ids.max()) + 1)]


def volume_montage(volume: ArrayLike, ax: Axes | None = None, slices: int = 8) -> Axes:
    """Draw slices of a volume side by side, on one grey scale.

    Parameters
    ----------
    volume : array-like, shape (depth, height, width, channels)
        One channel is grey, three are red, green and blue, of others the mean is drawn. NaN is left blank.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    slices : int, default 8
        Slices drawn, evenly spread from the first to the last.

    Returns
    -------
    matplotlib.axes.Axes
        With one image; the ticks below it are the slices' numbers.

    Raises
    ------
    DataError
        For another shape, no finite value, infinite values, or no slices.

    Examples
    --------
    >>> import numpy as np
    >>> from tumorkeras import plots
    >>> ax = plots.volume_montage(np.random.default_rng(0).random((9, 16, 16, 1)), slices=3)
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['0', '4', '8']
    >>> image = plots.to_png(ax)  # closes the figure
    """
    array = checked_images("plots.volume_montage", "volume", volume, ("depth", "height", "width", "channels"))
    if slices < 1:
        raise DataError("plots.volume_montage", [f"slices: {slices} is not a positive integer"])
    chosen = evenly(len(array), slices)
    image, centres = side_by_side(_colours(array)[chosen])
    height, width = image.shape[:2]
    ax = axes_for(ax, min(11.0, max(4.5, 1.45 * len(chosen))), min(11.0, 1.45 * len(chosen)) * height / width + 0.8)
    show(ax, image)
    ax.set_xticks(centres, [str(number) for number in chosen])
    ax.set_yticks([])
    title = f"Volume: {len(chosen)} of {len(array)} slices{channel_note(array)}"
    return frameless(finish(ax, title, "slice (depth)"))


def volume_projection(volume: ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw the maximum of a volume along its depth; of a track's volume, the whole path.

    Parameters
    ----------
    volume : array-like, shape (depth, height, width, channels)
        One channel is grey, three are red, green and blue, of others the mean is drawn. NaN is left out.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.

    Returns
    -------
    matplotlib.axes.Axes
        With one image of height and width of the volume.

    Raises
    ------
    DataError
        For another shape, no finite value, or infinite values.

    Examples
    --------
    >>> import numpy as np
    >>> from tumorkeras import plots
    >>> ax = plots.volume_projection(np.eye(8).reshape(8, 8, 1, 1))
    >>> ax.images[0].get_array().tolist() == [[1.0]] * 8
    True
    >>> image = plots.to_png(ax)  # closes the figure
    """
    array = checked_images("plots.volume_projection", "volume", volume, ("depth", "height", "width", "channels"))
    from matplotlib.ticker import MaxNLocator

    ax = axes_for(ax, 4.2, 4.2)
    show(ax, _maximum(_colours(array)))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(6, integer=True))
    title = f"Maximum of {len(array)} slices{channel_note(array)}"
    return frameless(finish(ax, title, "x (pixels)", "y (pixels)"))


def reconstructions(inputs: ArrayLike, outputs: ArrayLike, ax: Axes | None = None, count: int = 6) -> Axes:
    """Draw what an autoencoder was given above what it gave back, with the error of each pair.

    Parameters
    ----------
    inputs, outputs : array-like, shape (n, height, width, channels) or (n, depth, height, width, channels)
        Pairs in order. Volumes are drawn by their maximum along the depth. Each pair has the grey scale of
        its input; NaN is left blank.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    count : int, default 6
        Pairs drawn, evenly spread over all.

    Returns
    -------
    matplotlib.axes.Axes
        With one image; the ticks below it are the mean squared errors, over all pixels of a pair.

    Raises
    ------
    DataError
        For another shape, shapes that differ, no finite value, infinite values, or no pairs.

    Examples
    --------
    >>> import numpy as np
    >>> from tumorkeras import plots
    >>> given = np.random.default_rng(0).random((4, 8, 8, 1))
    >>> ax = plots.reconstructions(given, given + 0.1, count=2)
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['0.01', '0.01']
    >>> image = plots.to_png(ax)  # closes the figure
    """
    heading, volumetric = "plots.reconstructions", len(np.shape(inputs)) == 5
    axes_names = ("n", "depth", "height", "width", "channels") if volumetric else ("n", "height", "width", "channels")
    shapes = np.shape(inputs), np.shape(outputs)
    faults = [f"count: {count} is not a positive integer"] if count < 1 else []
    if shapes[0] != shapes[1]:
        faults.append(f"inputs and outputs: shapes {shapes[0]} and {shapes[1]}; they must be equal")
    if faults:
        raise DataError(heading, faults)
    given = checked_images(heading, "inputs", inputs, axes_names, count)
    returned = checked_images(heading, "outputs", outputs, axes_names, count)
    pairs = [_pair(*pair, volumetric) for pair in zip(given, returned, strict=True)]
    image, centres = side_by_side(np.stack(pairs))
    height, width = image.shape[:2]
    ax = axes_for(ax, max(4.0, 1.5 * len(given)), 1.5 * len(given) * height / width + 0.8)
    show(ax, image, (0.0, 1.0))
    errors = ((given - returned) ** 2).reshape(len(given), -1).mean(axis=1)
    ax.set_xticks(centres, [f"{error:.2g}" for error in errors])
    ax.set_yticks([height / 4, height * 3 / 4], ["input", "output"])
    title = f"Reconstruction: {len(given)} of {shapes[0][0]}{channel_note(given)}"
    return frameless(finish(ax, title, "mean squared error"))


def checked_images(
    heading: str, name: str, values: ArrayLike, axes: tuple[str, ...], count: int | None = None
) -> Array:
    """Images or volumes as float64, with the named axes; only ``count`` of them, evenly spread, where it is given.

    The others are then neither read nor checked: large sets lie on disk.

    Raises
    ------
    DataError
        Under `heading`, for another shape, no finite value, or infinite values.

    Examples
    --------
    >>> checked_images("plot", "image", [[1, 2]], ("height", "width")).tolist()
    [[1.0, 2.0]]
    """
    shape = np.shape(values)
    if len(shape) != len(axes) or 0 in shape:
        raise DataError(heading, [f"{name}: shape {shape} is not ({', '.join(axes)}), each above 0"])
    rows = evenly(shape[0], count or shape[0])
    own: Any = values
    array = np.asarray(own if len(rows) == shape[0] else np.stack([own[row] for row in rows]), dtype=np.float64)
    infinite = np.zeros(shape[0], bool)
    infinite[rows] = np.isinf(array).reshape(len(array), -1).max(axis=1)
    if infinite.any():
        raise DataError(heading, [f"{name}: infinite values in {rows_of(infinite)} along {axes[0]}"])
    if np.isnan(array).all():
        raise DataError(heading, [f"{name}: every value is NaN"])
    return array


def evenly(n: int, count: int) -> NDArray[np.int64]:
    """Choose at most ``count`` of ``n`` places, evenly spread from the first to the last.

    Examples
    --------
    >>> evenly(9, 3).tolist(), evenly(2, 5).tolist()
    ([0, 4, 8], [0, 1])
    """
    return np.linspace(0, n - 1, min(n, count)).round().astype(np.int64)


def _colours(array: Array) -> Array:
    """(..., channels) -> (...) grey in its own units, or (..., 3) from 0 to 1 for red, green and blue."""
    channels = array.shape[-1]
    if channels != 3:
        return array.mean(axis=-1)
    return scaled(array, array)


def scaled(array: Array, reference: Array) -> Array:
    """Bring values to 0-1 by the range of the reference; what lies beyond it is clipped.

    Examples
    --------
    >>> scaled(np.array([0.0, 3.0, 9.0]), np.array([2.0, 4.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    low, high = np.nanmin(reference), np.nanmax(reference)
    return np.clip((array - low) / (high - low if high > low else 1.0), 0, 1)


def channel_note(array: Array) -> str:
    """What a title says of channels (..., channels) that are drawn as their mean.

    Examples
    --------
    >>> channel_note(np.zeros((4, 4, 2))), channel_note(np.zeros((4, 4, 3)))
    (', mean of 2 channels', '')
    """
    return "" if array.shape[-1] in (1, 3) else f", mean of {array.shape[-1]} channels"


def _maximum(volume: Array) -> Array:
    """Largest value along the first axis, NaN only where all are."""
    return np.fmax.reduce(volume, axis=0)


def _pair(given: Array, returned: Array, volumetric: bool) -> Array:
    """Stack an input upon its output, both from 0 to 1 by the range of the input."""
    finite = given[np.isfinite(given)]
    reference = finite if finite.size else np.array([0.0, 1.0])
    images = [scaled(image, reference) for image in (given, returned)]
    images = [image if image.shape[-1] == 3 else image.mean(axis=-1) for image in images]
    if volumetric:
        images = [_maximum(image) for image in images]
    gap = np.full((_gap(images[0]), *images[0].shape[1:]), np.nan)
    return np.concatenate([images[0], gap, images[1]])


def _gap(image: Array) -> int:
    return max(1, round(image.shape[1] / 20))


def side_by_side(images: Array) -> tuple[Array, list[float]]:
    """Images (n, height, width[, 3]) as one image with blank gaps, and the x of each part's centre.

    Examples
    --------
    >>> side_by_side(np.ones((2, 1, 3)))
    (array([[ 1.,  1.,  1., nan,  1.,  1.,  1.]]), [1.0, 5.0])
    """
    width, gap = images.shape[2], _gap(images[0])
    blank = np.full((images.shape[1], gap, *images.shape[3:]), np.nan)
    parts = [part for image in images for part in (image, blank)][:-1]
    centres = [index * (width + gap) + (width - 1) / 2 for index in range(len(images))]
    return np.concatenate(parts, axis=1), centres


def show(ax: Axes, image: Array, limits: tuple[float, float] | None = None) -> None:
    """Draw a picture, grey (height, width) between limits or by its range, or in colours from 0 to 1; NaN is blank."""
    if image.ndim == 3:
        ax.imshow(np.where(np.isnan(image), 1.0, image), interpolation="nearest")  # blank is white
        return
    low, high = limits or (np.nanmin(image), np.nanmax(image))
    ax.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")


def frameless(ax: Axes) -> Axes:
    """Take frame and tick marks away, and leave the labels."""
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.tick_params(length=0)
    return ax
