"""The parts of a detector once more, in plain loops over NumPy arrays: what the layers are held against."""

from __future__ import annotations

import math

import numpy as np

from tumorkeras.boxes import letterbox


def iou(one, other):
    """IoU of two boxes, 0 where either has no area."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = np.prod(np.maximum(high - low, 0.0))
    areas = [np.prod(np.maximum(box[2:] - box[:2], 0.0)) for box in (one, other)]
    return float(shared / (sum(areas) - shared)) if min(areas) > 0 else 0.0


def encode(box, reference, spread=(1.0, 1.0, 1.0, 1.0)):
    """Deltas of one box, in Girshick's letters."""
    (px, py, pw, ph), (gx, gy, gw, gh) = (_center_form(each) for each in (reference, box))
    deltas = [(gx - px) / pw, (gy - py) / ph, math.log(gw / pw), math.log(gh / ph)]
    return np.array(deltas) / spread


def decode(deltas, reference, spread=(1.0, 1.0, 1.0, 1.0)):
    """The box that deltas lead to; a side grows at most by 1000 / 16."""
    (px, py, pw, ph), (dx, dy, dw, dh) = _center_form(reference), np.asarray(deltas) * spread
    x, y = px + dx * pw, py + dy * ph
    w, h = (side * min(math.exp(min(growth, 100)), 1000 / 16) for side, growth in ((pw, dw), (ph, dh)))
    return np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])


def _center_form(box):
    x0, y0, x1, y1 = (float(value) for value in box)
    return (x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, 1e-3), max(y1 - y0, 1e-3)


def cut(box, window):
    """A box cut at the edges of a window, xyxy."""
    left, top, right, bottom = window
    return np.clip(box, [left, top, left, top], [right, bottom, right, bottom])


def placed_anchors(strides, shapes, canvas):
    """Anchors level by level, row by row, in the order of the shapes (width, height) of a cell."""
    found = []
    for stride, own in zip(strides, shapes, strict=True):
        for row, column in np.ndindex(math.ceil(canvas[0] / stride), math.ceil(canvas[1] / stride)):
            middle = np.array([column + 0.5, row + 0.5]) * stride
            found += [np.concatenate([middle - shape / 2, middle + shape / 2]) for shape in own]
    return np.array(found)


def suppress(boxes, scores, threshold, most):
    """Rows that greedy non-maximum suppression keeps, best first; scores of 0 are none."""
    kept = []
    for row in np.argsort(-np.asarray(scores), kind="stable"):
        if scores[row] > 0 and len(kept) < most and all(iou(boxes[row], boxes[k]) <= threshold for k in kept):
            kept.append(int(row))
    return kept


def proposals(logits, deltas, anchors, canvas, candidates, most, nms_iou):
    """Proposals (most, 4) of one image."""
    rows = np.argsort(-logits, kind="stable")[:candidates]
    boxes = [cut(decode(deltas[row], anchors[row]), (0, 0, canvas[1], canvas[0])) for row in rows]
    scores = [1 / (rank + 1) if min(box[2:] - box[:2]) >= 1 else 0 for rank, box in enumerate(boxes)]
    found = np.zeros((most, 4))
    for place, row in enumerate(suppress(boxes, scores, nms_iou, most)):
        found[place] = boxes[row]
    return found


def detections(logits, deltas, regions, size, canvas, score_threshold, nms_iou, most):
    """Detections of one image as rows (box, score, class), best first."""
    place, found = letterbox(size, canvas), []
    window = place.apply(np.array([[0, 0, size[1], size[0]]], "float32"))[0]
    real = [row for row, region in enumerate(regions) if np.any(region)]
    boxes = {row: cut(decode(deltas[row], regions[row], (0.1, 0.1, 0.2, 0.2)), window) for row in real}
    boxes = {row: box for row, box in boxes.items() if min(box[2:] - box[:2]) > 0}
    for label in range(logits.shape[1] - 1):
        chance = {row: np.exp(logits[row, label]) / np.exp(logits[row]).sum() for row in boxes}
        good = [row for row in boxes if chance[row] > score_threshold]
        for k in suppress([boxes[row] for row in good], [chance[row] for row in good], nms_iou, most):
            box = place.invert(boxes[good[k]][None].astype("float32"))[0]
            found.append((box, chance[good[k]], label))
    return sorted(found, key=lambda each: -each[1])[:most]


def roi_align(level, box, stride, size, samples):
    """One region (size, size, channels), point by point, and the share of each cell in each bin.

    The shares, (size, size, height, width), are the derivative of the region by the map.
    """
    height, width = level.shape[:2]
    shares = np.zeros((size, size, height, width))
    low, sides = np.asarray(box[:2]) / stride, (np.asarray(box[2:]) - box[:2]) / stride
    for row, column, i, j in np.ndindex(size, size, samples, samples):
        x = low[0] + sides[0] * (column + (j + 0.5) / samples) / size
        y = low[1] + sides[1] * (row + (i + 0.5) / samples) / size
        for cell_y, share_y in _neighbours(y, height):
            for cell_x, share_x in _neighbours(x, width):
                shares[row, column, cell_y, cell_x] += share_y * share_x / samples**2
    return np.einsum("ijyx,yxc->ijc", shares, level), shares


def _neighbours(place, count):
    """The cells whose middles lie on either side of a place (in cells), and their shares."""
    if not -0.5 <= place <= count + 0.5:
        return []
    left = math.floor(place - 0.5)
    share = place - 0.5 - left
    return [(min(max(left, 0), count - 1), 1 - share), (min(max(left + 1, 0), count - 1), share)]


def level_of(box, strides):
    """The coarsest level on which a box is 14 cells wide or more, else the finest."""
    size = math.sqrt(max(box[2] - box[0], 0) * max(box[3] - box[1], 0))
    return max([k for k, stride in enumerate(strides) if size >= 14 * stride], default=0)


def match(boxes, truth, is_object, negative, positive, every_object):
    """(kind, column) of each box: 1 for an object, 0 for background, -1 for neither."""
    overlap = np.array([[iou(box, own) if real else 0.0 for own, real in zip(truth, is_object, strict=True)]
                        for box in boxes]).reshape(len(boxes), len(truth))  # fmt: skip
    best = overlap.max(axis=1, initial=0.0)
    kind = np.where(best >= positive, 1, np.where(best < negative, 0, -1))
    column = overlap.argmax(axis=1) if len(truth) else np.zeros(len(boxes), int)
    if every_object and len(boxes):
        for k in reversed(range(len(truth))):  # where two objects want one box, the first has it
            row = overlap[:, k].argmax()
            if overlap[row, k] > 0:
                kind[row], column[row] = 1, k
    return kind, column
