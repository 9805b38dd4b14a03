"""A contact sheet of a detector's worst errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tumorkeras.errors import DataError
from tumorkeras.metrics.checks import check_settings
from tumorkeras.metrics.detection_ap import check_iou
from tumorkeras.metrics.detection_checks import Floats, Ints, Padded, Scenes, read_scenes
from tumorkeras.metrics.detection_matching import Pairs, match, overlapping_pairs
from tumorkeras.plots.detection_images import View, bare, draw_boxes, picture_of, show
from tumorkeras.plots.style import INK, axes_for, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADING = "plots.worst_detections"
KINDS = ("misses", "false_alarms")
COLUMNS = 4  # crops side by side
CONTEXT = 2.5  # side of a crop, in longer sides of its box
LEAST_SIDE = 48  # pixels of a crop
GAP, CAPTION = 0.06, 0.22  # beside and below a crop, in its sides
LONGEST_NAME = 18  # letters of a class in a caption
ANY_OVERLAP = 1e-9


class _Error(NamedTuple):
    """The row of a truth that was missed, or of a detection where nothing is, and what is written below it."""

    row: int
    caption: str


def worst_detections(
    images: Sequence[ArrayLike],
    truth: Padded,
    detections: Padded,
    classes: Sequence[str],
    kind: str = "misses",
    count: int = 12,
    ax: Axes | None = None,
    threshold: float = 0.5,
    iou: float = 0.5,
) -> Axes:
    """Draw the worst misses or false alarms, each as a crop of its image with some of what is around it.

    Parameters
    ----------
    images : sequence of array-like, each (height, width), (height, width, 1) or (height, width, 3)
        Of any sizes, uint8 or float; only those that are drawn are looked up.
    truth, detections : mapping
        Padded arrays as in :func:`tumorkeras.metrics.detection_metrics`.
    classes : sequence of str
        The k class names.
    kind : {"misses", "false_alarms"}, default "misses"
        Truths that no detection from the threshold on finds: first those that none finds at all, the least overlapped
        before the others, then those found by the lowest scores. Or detections from the threshold on that find no
        truth: those of the highest scores.
    count : int, default 12
        Errors drawn at most, the worst first.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    threshold : float, default 0.5
        The lowest score of a detection that is reported.
    iou : float, default 0.5
        Intersection over union from which a detection finds a truth.

    Returns
    -------
    matplotlib.axes.Axes
        An image a crop, with its box drawn bold, the other truths and reported detections around it thin, and a text
        below: class, score, number of the image, and the best overlap with a box of the class on the other side.

    Raises
    ------
    DataError
        For what :func:`tumorkeras.metrics.detection_metrics` refuses, another number of images than of truth, an
        image of another shape, an unknown kind.

    Examples
    --------
    >>> import numpy as np
    >>> from tumorkeras import plots
    >>> truth = {"boxes": [[[5, 5, 20, 20]], [[8, 8, 30, 30]]], "classes": [[0], [0]]}
    >>> found = {"boxes": truth["boxes"], "scores": [[0.9], [0.25]], "classes": [[0], [0]]}
    >>> ax = plots.worst_detections(np.zeros((2, 64, 64), np.uint8), truth, found, ["tumor"])
    >>> [text.get_text() for text in ax.texts]
    ['tumor, image 1\\nfound with score 0.25']
    >>> image = plots.to_png(ax)  # closes the figure
    """
    scenes = read_scenes(HEADING, truth, detections, classes)
    faults = check_settings(threshold=threshold) + check_iou(iou) + _faults(len(images), scenes.images, kind, count)
    if faults:
        raise DataError(HEADING, faults)
    matched = match(scenes, [iou])[:, 0]
    shown = np.flatnonzero(scenes.scores >= threshold)
    find = _misses if kind == "misses" else _false_alarms
    errors, total = find(scenes, matched, overlapping_pairs(scenes, ANY_OVERLAP), threshold, count)
    columns = max(1, min(COLUMNS, len(errors)))
    rows = max(1, -(-len(errors) // columns))
    ax = axes_for(ax, max(4.0, 1.9 * columns), 1.9 * (1 + CAPTION) * rows + 0.4)
    for place, error in enumerate(errors):
        corner = (place % columns * (1 + GAP), place // columns * (1 + GAP + CAPTION))
        _draw(ax, images, scenes, shown, (kind, error.row), corner)
        ax.text(corner[0] + 0.5, corner[1] + 1.03, error.caption, ha="center", va="top", fontsize=7, color=INK)
    if not errors:
        ax.text(0.5, 0.5, "none", ha="center", va="center", fontsize=9, color=INK)
    ax.set_xlim(0, columns * (1 + GAP) - GAP)
    ax.set_ylim(rows * (1 + GAP + CAPTION) - GAP, 0)
    ax.set_aspect("equal")
    named = "Misses" if kind == "misses" else "False alarms"
    title = f"{named}: {len(errors)} of {total}, score {threshold:.3g}, IoU {iou:g}"
    return bare(finish(ax, title))


def _faults(given: int, wanted: int, kind: str, count: int) -> list[str]:
    faults = []
    if given != wanted:
        faults.append(f"images: {given} for truth of {wanted}; give one each, in the same order")
    if kind not in KINDS:
        faults.append(f"kind: {kind!r} is not one of {', '.join(KINDS)}")
    if count < 1:
        faults.append(f"count: {count} is not a positive integer")
    return faults


def _misses(scenes: Scenes, matched: Ints, pairs: Pairs, threshold: float, count: int) -> tuple[list[_Error], int]:
    score, overlap = np.zeros(len(scenes.truth)), np.zeros(len(scenes.truth))
    found = matched >= 0
    score[matched[found]] = scenes.scores[found]
    reached = np.zeros(len(scenes.truth), bool)
    reached[matched[found]] = True
    np.maximum.at(overlap, pairs.truth, pairs.iou)
    missed = np.flatnonzero(~reached | (score < threshold))
    worst = missed[np.lexsort([overlap[missed], score[missed]])]
    errors = []
    for row in worst[:count]:
        note = f"found with score {score[row]:.2f}" if reached[row] else f"not found, best IoU {overlap[row]:.2f}"
        caption = f"{_name(scenes, scenes.truth.label[row])}, image {scenes.truth.image[row]}\n{note}"
        errors.append(_Error(int(row), caption))
    return errors, len(missed)


def _false_alarms(
    scenes: Scenes, matched: Ints, pairs: Pairs, threshold: float, count: int
) -> tuple[list[_Error], int]:
    overlap = np.zeros(len(scenes.found))
    np.maximum.at(overlap, pairs.found, pairs.iou)
    wrong = np.flatnonzero((matched < 0) & (scenes.scores >= threshold))  # by falling score already
    errors = []
    for row in wrong[:count]:
        caption = f"{_name(scenes, scenes.found.label[row])} {scenes.scores[row]:.2f}, image {scenes.found.image[row]}"
        errors.append(_Error(int(row), f"{caption}\nbest IoU {overlap[row]:.2f}"))
    return errors, len(wrong)


def _name(scenes: Scenes, label: int) -> str:
    name = scenes.names[label]
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _draw(
    ax: Axes,
    images: Sequence[ArrayLike],
    scenes: Scenes,
    shown: Ints,
    error: tuple[str, int],
    corner: tuple[float, float],
) -> None:
    """The crop of an error (kind, row): its own box bold, the others of the image thin."""
    kind, row = error
    missed = kind == "misses"
    own = (scenes.truth if missed else scenes.found)[np.array([row])]
    image = int(own.image[0])
    view = _crop(ax, picture_of(HEADING, f"images: image {image}", images[image]), own.boxes[0], corner)
    truths = np.flatnonzero(scenes.truth.image == image)
    found = shown[scenes.found.image[shown] == image]
    draw_boxes(ax, scenes.truth[truths[truths != row] if missed else truths], view, linewidth=0.9)
    draw_boxes(ax, scenes.found[found if missed else found[found != row]], view, dashed=True, linewidth=0.9)
    draw_boxes(ax, own, view, dashed=not missed, linewidth=2.0)


def _crop(ax: Axes, picture: Floats, box: Floats, corner: tuple[float, float]) -> View:
    """Draw a box and its surroundings into the square of side 1 at a corner; one that is cut short, in its middle."""
    from matplotlib.patches import Rectangle

    side = max(CONTEXT * float(max(box[2:] - box[:2])), LEAST_SIDE)
    window = np.array([_span(box[[axis, axis + 2]], side, picture.shape[1 - axis]) for axis in (0, 1)])  # (x, y), ends
    middle = np.asarray(corner) + 0.5 - window.mean(axis=1) / side
    view = View(1 / side, (float(middle[0]), float(middle[1])))
    left, top, right, bottom = view.place(window.T.ravel())
    (x, x_end), (y, y_end) = window.tolist()
    show(ax, picture[y:y_end, x:x_end], (left, right, bottom, top))
    frame = Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=INK, linewidth=0.5)
    ax.add_patch(frame)
    return view._replace(frame=frame)


def _span(ends: Floats, side: float, length: int) -> tuple[int, int]:
    """First and last pixel along one axis: the box in the middle, where the image has room."""
    start = int(np.clip(ends.mean() - side / 2, 0, max(0.0, length - side)))
    return start, min(length, start + int(np.ceil(side)))
