"""Maps over the pixels of images and volumes, upon what they were made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from tumorkeras.errors import DataError
from tumorkeras.plots.images import Array, channel_note, checked_images, evenly, frameless, scaled, show, side_by_side
from tumorkeras.plots.style import COLORS, INK, axes_for, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

HEADING = "plots.heatmaps"
VOLUMES = ("slice", "maximum")
SIGNED = (COLORS[0], "#F7F7F7", COLORS[1])  # blue, white, vermilion: told apart with any colour vision
RISING = ("#2A0A4A", "#B5367A", "#FB8761", "#FCFDBF")  # from dark to bright, also in print without colour
RISE = 0.4  # share of the largest value from which on the colour is as dense as it gets
DENSEST = 0.85


def heatmaps(
    samples: ArrayLike,
    maps: ArrayLike,
    titles: Sequence[str] | None = None,
    ax: Axes | None = None,
    count: int = 6,
    volumes: Literal["slice", "maximum"] = "slice",
    label: str = "",
) -> Axes:
    """Draw samples, and below each the same with its map upon it; a line goes round what is above half the scale.

    The colour is the denser the larger a value is, on one scale for all maps. Maps with values below 0 have blue there,
    and the line is dashed.

    Parameters
    ----------
    samples : array-like, shape (n, height, width, channels) or (n, depth, height, width, channels)
        One channel is grey, three are red, green and blue, of others the mean is drawn; each sample from its smallest
        to its largest value. NaN is left blank.
    maps : array-like, shape (n, height, width) or (n, depth, height, width)
        As of :mod:`tumorkeras.explain`.
    titles : sequence of str, optional
        One a sample; by default the number of its row.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    count : int, default 6
        Samples drawn, evenly spread over all.
    volumes : {"slice", "maximum"}
        Of a volume the slice in which its map is farthest from 0, whose number is in the title; or the largest value
        along the depth, of the map the value that is farthest from 0.
    label : str
        What the values of the maps are, beside the colour bar.

    Returns
    -------
    matplotlib.axes.Axes
        With two images, the samples in two rows and the colours upon the lower one; the ticks below are the titles.

    Raises
    ------
    DataError
        For another shape, shapes or titles that do not fit each other, values that are not finite, or no samples.

    Examples
    --------
    >>> import numpy as np
    >>> from tumorkeras import plots
    >>> images = np.random.default_rng(0).random((2, 16, 16, 1))
    >>> ax = plots.heatmaps(images, images[..., 0] - 0.5, ["first", "second"])
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['first', 'second']
    >>> image = plots.to_png(ax)  # closes the figure
    """
    given, values, names = _checked(samples, maps, titles, count, volumes)
    flat = [_flat(*pair, volumes) for pair in zip(given, values, strict=True)]
    picture, centres = side_by_side(np.stack([image for image, _, _ in flat]))
    colors, _ = side_by_side(np.stack([own for _, own, _ in flat]))
    height, width = picture.shape[:2]
    gap = max(1, round(height / 20))
    ax = axes_for(ax, max(3.6, 1.5 * len(given) + 0.9), 3.0 * len(given) * height / width + 1.0)
    blank = np.full((gap, *picture.shape[1:]), np.nan)
    show(ax, np.concatenate([picture, blank, picture]), (0.0, 1.0))
    above = np.full((height + gap, width), np.nan)
    bar = _draw(ax, np.concatenate([above, colors]), float(np.abs(values).max()))
    ax.set_xticks(centres, [name + note for name, (_, _, note) in zip(names, flat, strict=True)])
    ax.set_yticks([(height - 1) / 2, height * 1.5 + gap - 0.5], ["sample", "map"])
    add_bar(ax, bar, label)
    title = f"Maps: {len(given)} of {len(samples)}{channel_note(given)}"  # type: ignore[arg-type]
    return frameless(finish(ax, title))


def _checked(
    samples: ArrayLike, maps: ArrayLike, titles: Sequence[str] | None, count: int, volumes: str
) -> tuple[Array, Array, list[str]]:
    """The samples, maps and titles that are drawn."""
    depth = ("depth",) if len(np.shape(samples)) == 5 else ()
    given = checked_images(HEADING, "samples", samples, ("n", *depth, "height", "width", "channels"), max(count, 1))
    shape, found = np.shape(samples), np.shape(maps)
    names = list(map(str, range(shape[0]))) if titles is None else list(map(str, titles))
    faults = [f"count: {count} is not a positive integer"] if count < 1 else []
    if volumes not in VOLUMES:
        faults.append(f"volumes: {volumes!r} is not one of {', '.join(VOLUMES)}")
    if len(names) != shape[0]:
        faults.append(f"titles: {len(names)} for {shape[0]} samples; give one each")
    if found != shape[:-1]:
        faults.append(f"maps: shape {found}, expected {shape[:-1]}, that of the samples without channels")
    if faults:
        raise DataError(HEADING, faults)
    rows = evenly(shape[0], count)
    values = np.stack([np.asarray(maps[row], np.float64) for row in rows])  # type: ignore[index]
    if lost := int((~np.isfinite(values)).sum()):
        raise DataError(HEADING, [f"maps: hold {lost} values that are NaN or infinite, expected none"])
    return given, values, [names[row] for row in rows]


def _flat(sample: Array, values: Array, volumes: str) -> tuple[Array, Array, str]:
    """A sample as a picture from 0 to 1, its map (height, width), and what to say of it."""
    finite = sample[np.isfinite(sample)]
    picture = scaled(sample, finite if finite.size else np.array([0.0, 1.0]))
    picture = picture if picture.shape[-1] == 3 else picture.mean(axis=-1)
    if values.ndim == 2:
        return picture, values, ""
    if volumes == "slice":
        place = int(np.abs(values).max(axis=(1, 2)).argmax())
        return picture[place], values[place], f"\nslice {place}"
    farthest = np.abs(values).argmax(axis=0)[None]
    return np.fmax.reduce(picture, axis=0), np.take_along_axis(values, farthest, axis=0)[0], ""


def _draw(ax: Axes, values: Array, most: float) -> ScalarMappable:
    """Colours upon the axes, with a line at half the scale; NaN is clear."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.patheffects import withStroke

    most = most or 1.0
    signed = bool(np.nanmin(values) < 0)
    colormap = LinearSegmentedColormap.from_list("map", SIGNED if signed else RISING)
    mappable = ScalarMappable(Normalize(-most if signed else 0.0, most), colormap)
    known = np.isfinite(values)
    strength = np.abs(np.where(known, values, 0.0)) / most
    painted = mappable.to_rgba(np.where(known, values, 0.0))
    painted[..., 3] = np.clip(strength / RISE, 0, 1) * DENSEST
    ax.imshow(painted, interpolation="nearest")
    for sign, dashes in ((1, "solid"), (-1, "dashed")):
        own = sign * np.where(known, values, 0.0)
        if own.max() > most / 2:
            line = ax.contour(own, levels=[most / 2], colors="white", linewidths=1.0, linestyles=dashes)
            line.set_path_effects([withStroke(linewidth=1.8, foreground=INK)])  # seen on bright tissue as well
    return mappable


def add_bar(ax: Axes, mappable: ScalarMappable, label: str) -> None:
    """Put the colour bar right of the axes, as high as the pictures."""
    bar = ax.figure.colorbar(mappable, cax=ax.inset_axes((1.02, 0.0, 0.025, 1.0)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, colors=INK, length=2)
    bar.set_label(label, fontsize=9, color=INK)
