"""What a detector found, upon one image; and how boxes are drawn wherever they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tumorkeras.errors import DataError
from tumorkeras.metrics.checks import check_settings
from tumorkeras.metrics.detection_checks import Floats, Ints, Objects, Padded, Scenes, read_scenes
from tumorkeras.plots.masks import draw_masks, read_masks
from tumorkeras.plots.style import axes_for, color_of, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle
    from matplotlib.text import Text

DASHED = (0, (4, 3))
MARGIN = 3  # screen pixels between a label and the edge of the axes


class View(NamedTuple):
    """Where a part of an image is drawn: its pixels times `scale`, moved by `offset` (x, y), cut by `frame`.

    Examples
    --------
    >>> View(scale=0.5, offset=(1.0, 2.0)).place(np.array([0.0, 0.0, 4.0, 6.0])).tolist()
    [1.0, 2.0, 3.0, 5.0]
    """

    scale: float = 1.0
    offset: tuple[float, float] = (0.0, 0.0)
    frame: Rectangle | None = None

    def place(self, box: Floats) -> Floats:
        """A box (xmin, ymin, xmax, ymax) of the image as it is drawn."""
        return box * self.scale + np.tile(self.offset, 2)


def detections(
    image: ArrayLike,
    truth: Padded | None,
    detections: Padded,
    classes: Sequence[str],
    ax: Axes | None = None,
    threshold: float = 0.5,
) -> Axes:
    """Draw truth and predictions upon one image: truth solid, predictions dashed, a colour a class.

    Where there are masks, they are drawn as well: outlined in the same way, and tinted.

    Parameters
    ----------
    image : array-like, shape (height, width), (height, width, 1) or (height, width, 3)
        Grey or colour, uint8 or float; other values than 0 to 255, or 0 to 1, are scaled to their range.
    truth : mapping or None
        ``boxes`` (m, 4), xyxy in pixels of the image, and ``classes`` (m,); None where it is not known.
    detections : mapping
        ``boxes`` (n, 4), ``scores`` (n,) and ``classes`` (n,). In both, class -1 is padding, and ``masks`` (objects,
        height, width), true where an object is, may come with the boxes.
    classes : sequence of str
        The k class names.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    threshold : float, default 0.5
        The lowest score of a prediction that is drawn.

    Returns
    -------
    matplotlib.axes.Axes
        With one image, a line a box (truth first, then predictions by rising score) and a text a box: the class above
        a truth, class and score below a prediction, moved where it would leave the axes. Masks are images of their own.

    Raises
    ------
    DataError
        For what :func:`tumorkeras.metrics.detection_metrics` refuses, an image of another shape, masks that do not fit
        boxes or image.

    Examples
    --------
    >>> import numpy as np
    >>> from tumorkeras import plots
    >>> truth = {"boxes": [[5, 5, 20, 20]], "classes": [0]}
    >>> found = {"boxes": [[6, 5, 21, 20], [0, 0, 9, 9]], "scores": [0.9, 0.2], "classes": [0, 0]}
    >>> ax = plots.detections(np.zeros((32, 32), np.uint8), truth, found, ["tumor"])
    >>> [text.get_text() for text in ax.texts]
    ['tumor', 'tumor 0.90']
    >>> image = plots.to_png(ax)  # closes the figure
    """
    heading = "plots.detections"
    given = {"boxes": np.zeros((0, 4)), "classes": np.zeros(0)} if truth is None else truth
    scenes = read_scenes(heading, _batch(given), _batch(detections), classes)
    faults = check_settings(threshold=threshold)
    if faults:
        raise DataError(heading, faults)
    picture = picture_of(heading, "image", image)
    height, width = picture.shape[:2]
    masks = read_masks(heading, {"truth": given, "detections": detections}, (height, width))
    scale = 6.0 / max(height, width)
    ax = axes_for(ax, max(2.5, width * scale), max(2.0, height * scale) + 0.5)
    show(ax, picture, (0, width, height, 0))
    shown = np.flatnonzero(scenes.scores >= threshold)[::-1]  # the highest score is drawn last, upon the others
    draw_masks(ax, scenes.truth, masks["truth"])
    draw_masks(ax, scenes.found[shown], masks["detections"], dashed=True)
    draw_boxes(ax, scenes.truth, View(), linewidth=1.8)
    draw_boxes(ax, scenes.found[shown], View(), dashed=True)
    _label(ax, scenes, shown)
    title = f"Predictions (dashed) from score {threshold:.3g}: {len(shown)}"
    return bare(finish(ax, title if truth is None else f"Truth (solid): {len(scenes.truth)}. {title}"))


def _batch(table: Padded) -> dict[str, Any]:
    return {key: np.asarray(value)[None] for key, value in table.items()}


def picture_of(heading: str, name: str, image: ArrayLike) -> Floats:
    """An image as (height, width) or (height, width, 3), from 0 to 1; NaN is black.

    Raises
    ------
    DataError
        For another shape.

    Examples
    --------
    >>> picture_of("plot", "image", np.full((2, 2, 1), 51, np.uint8))[0].tolist()
    [0.2, 0.2]
    >>> picture_of("plot", "image", [[-1000.0, 0.0, 1000.0]]).tolist()
    [[0.0, 0.5, 1.0]]
    """
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if 0 in array.shape or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        expected = "(height, width), (height, width, 1) or (height, width, 3)"
        raise DataError(heading, [f"{name}: shape {np.shape(image)} is not {expected}"])
    values = np.nan_to_num(array.astype(np.float64))
    if array.dtype == np.uint8:
        return values / 255
    low, high = min(0.0, float(values.min())), max(1.0, float(values.max()))
    return (values - low) / (high - low)


def flat_picture_of(heading: str, name: str, image: ArrayLike) -> Floats:
    """An image or a volume of any channels as :func:`picture_of` has it: a volume by its maximum along the depth.

    Examples
    --------
    >>> flat_picture_of("plot", "volume", np.stack([np.zeros((1, 2, 2)), np.full((1, 2, 2), [51.0, 255.0])])).tolist()
    [[1.0, 1.0]]
    """
    array = np.asarray(image)
    if array.ndim == 4 and 0 not in array.shape:
        array = np.fmax.reduce(array, axis=0)
    if array.ndim == 3 and 0 not in array.shape and array.shape[2] not in (1, 3):
        array = array.mean(axis=2)
    return picture_of(heading, name, array)


def show(ax: Axes, picture: Floats, extent: tuple[float, float, float, float]) -> None:
    """Draw a picture from 0 to 1 at (left, right, bottom, top)."""
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="nearest")


def bare(ax: Axes) -> Axes:
    """Take ticks and frame away."""
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def draw_boxes(ax: Axes, objects: Objects, view: View, *, dashed: bool = False, linewidth: float = 1.5) -> None:
    """Draw the outlines of boxes in the colours of their classes, with a white rim and white gaps between dashes.

    White shows every colour on dark tissue, and a dashed box where it lies upon a solid one.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke

    for box, label in zip(objects.boxes, objects.label.tolist(), strict=True):
        left, top, right, bottom = view.place(box)
        outline = Line2D([left, right, right, left, left], [top, top, bottom, bottom, top], color=color_of(label))
        outline.set(linestyle=DASHED if dashed else "solid", linewidth=linewidth, gapcolor="white" if dashed else None)
        outline.set_path_effects([withStroke(linewidth=linewidth + 1, foreground="white", alpha=0.8)])
        ax.add_line(outline)
        if view.frame is not None:
            outline.set_clip_path(view.frame)


def _label(ax: Axes, scenes: Scenes, shown: Ints) -> None:
    """Write the class above each truth, class and score below each prediction."""
    texts = []
    for box, label in zip(scenes.truth.boxes, scenes.truth.label.tolist(), strict=True):
        texts.append(_text(ax, box[0], box[1], scenes.names[label], label, "bottom"))
    found = scenes.found[shown]
    for box, label, score in zip(found.boxes, found.label.tolist(), scenes.scores[shown], strict=True):
        texts.append(_text(ax, box[0], box[3], f"{scenes.names[label]} {score:.2f}", label, "top"))
    _keep_inside(ax, texts)


def _text(ax: Axes, x: float, y: float, words: str, label: int, side: str) -> Text:
    from matplotlib.colors import to_rgb

    color = color_of(label)
    bright = np.dot(to_rgb(color), [0.299, 0.587, 0.114]) > 0.55
    box = {"facecolor": color, "edgecolor": "none", "pad": 1.0, "alpha": 0.85}
    style: dict[str, Any] = {"fontsize": 6.5, "color": "black" if bright else "white", "va": side, "ha": "left"}
    return ax.text(x, y, words, bbox=box, **style)


def _keep_inside(ax: Axes, texts: Sequence[Text]) -> None:
    """Move texts that reach over the edge of the axes."""
    ax.get_figure(root=True).draw_without_rendering()  # type: ignore[union-attr]  # only then texts have a size
    frame = ax.get_window_extent()
    for text in texts:
        extent, place = text.get_window_extent(), ax.transData.transform(text.get_position())
        for axis, (low, high, first, last) in enumerate(
            [(frame.x0, frame.x1, extent.x0, extent.x1), (frame.y0, frame.y1, extent.y0, extent.y1)]
        ):
            # what is wider than the axes begins at their left
            place[axis] += min(0.0, high - MARGIN - last)
            place[axis] += max(0.0, low + MARGIN - first - min(0.0, high - MARGIN - last))
        text.set_position(tuple(ax.transData.inverted().transform(place)))
