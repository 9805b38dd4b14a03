"""The kernels of a convolution as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tumorkeras.errors import DataError
from tumorkeras.plots.heat_maps import SIGNED, add_bar
from tumorkeras.plots.images import Array, checked_images, evenly, frameless, side_by_side
from tumorkeras.plots.style import axes_for, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADING = "plots.filters"


def filters(kernels: ArrayLike, ax: Axes | None = None, count: int = 16) -> Axes:
    """Draw what the filters of a convolution look for: positive weights in vermilion, negative ones in blue.

    Parameters
    ----------
    kernels : array-like, shape (height, width, channels, filters) or (depth, height, width, channels, filters)
        As Keras has them: ``model.get_layer("conv_1").kernel``. Of several channels the mean is drawn.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    count : int, default 16
        Filters drawn, evenly spread over all.

    Returns
    -------
    matplotlib.axes.Axes
        A column a filter, with its slices along the depth from top to bottom, all on one scale.

    Raises
    ------
    DataError
        For another shape, values that are not finite, or a count that is not positive.

    Examples
    --------
    >>> from tumorkeras import plots
    >>> ax = plots.filters(np.random.default_rng(0).normal(size=(3, 3, 3, 1, 6)))
    >>> ax.get_title(loc="left"), [label.get_text() for label in ax.get_yticklabels()]
    ('Filters: 6 of 6', ['0', '1', '2'])
    >>> image = plots.to_png(ax)  # closes the figure
    """
    slices, note = _checked(kernels, count)
    chosen = evenly(len(slices), count)
    height = slices.shape[2]
    picture, across = side_by_side(np.stack([_column(slices[row]) for row in chosen]))
    from matplotlib.colors import LinearSegmentedColormap

    colors = LinearSegmentedColormap.from_list("weights", SIGNED)
    most = float(np.abs(slices[chosen]).max()) or 1.0
    ax = axes_for(
        ax, max(3.6, 0.55 * len(chosen) + 1.4), 0.55 * len(chosen) * picture.shape[0] / picture.shape[1] + 1.0
    )
    add_bar(ax, ax.imshow(picture, cmap=colors, vmin=-most, vmax=most, interpolation="nearest"), "weight")
    ax.set_xticks(across, [str(row) for row in chosen])
    depth = slices.shape[1]
    middles = [place * (height + 1) + (height - 1) / 2 for place in range(depth)]
    ax.set_yticks(middles, [str(place) for place in range(depth)])
    return frameless(finish(ax, f"Filters: {len(chosen)} of {len(slices)}{note}", "filter", "slice"))


def _checked(kernels: ArrayLike, count: int) -> tuple[Array, str]:
    """Slices (filters, depth, height, width), and what the title says of the channels."""
    depth = ("depth",) if np.ndim(kernels) == 5 else ()
    given = checked_images(HEADING, "kernels", kernels, (*depth, "height", "width", "channels", "filters"))
    faults = [f"count: {count} is not a positive integer"] if count < 1 else []
    if lost := int((~np.isfinite(given)).sum()):
        faults.append(f"kernels: hold {lost} values that are NaN or infinite, expected none")
    if faults:
        raise DataError(HEADING, faults)
    own = np.moveaxis(given, -1, 0)
    slices = own.mean(axis=-1)
    note = f", mean of {own.shape[-1]} channels" if own.shape[-1] > 1 else ""
    return slices if depth else slices[:, None], note


def _column(slices: Array) -> Array:
    """Slices (depth, height, width) below each other, with a blank line between."""
    padded = np.pad(slices, ((0, 0), (0, 1), (0, 0)), constant_values=np.nan)
    return padded.reshape(-1, slices.shape[2])[:-1]
