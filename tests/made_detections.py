"""Truth and detections made up for tests: some images without either, boxes that overlap, scores that tie or not."""

from __future__ import annotations

import numpy as np

from tumorkeras.boxes import pad

SIZE = 300.0  # pixels of an image's side


def boxes_of(rng, count):
    corner, sides = rng.uniform(0, 0.8 * SIZE, (count, 2)), rng.uniform(6, 130, (count, 2))
    return np.concatenate([corner, corner + sides], axis=1)


def near(rng, boxes, count, spread):
    """Boxes beside some of the given ones, or anywhere; and which they are beside (-1: none)."""
    source = rng.integers(-1, len(boxes), count) if len(boxes) else np.full(count, -1)
    made = boxes_of(rng, count)
    beside = source >= 0
    sides = np.tile(boxes[source, 2:] - boxes[source, :2], 2) if len(boxes) else made
    moved = (boxes[source] if len(boxes) else made) + spread * sides * rng.normal(size=(count, 4))
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    return np.where(beside[:, None], moved, made), source


def made_detections(images=12, k=3, most_truths=6, most_found=15, seed=0, ties=False, spread=0.08, absent=()):
    """(truth, detections) as padded arrays; classes in ``absent`` have detections, but no truth."""
    rng = np.random.default_rng(seed)
    present = [label for label in range(k) if label not in absent]
    rows = {"truth": [], "labels": [], "found": [], "found_labels": [], "scores": []}
    for _ in range(images):
        truth = boxes_of(rng, rng.integers(0, most_truths + 1))
        labels = rng.choice(present, len(truth))
        found, source = near(rng, truth, rng.integers(0, most_found + 1), spread)
        guessed = rng.integers(0, k, len(found))
        right = (source >= 0) & (rng.random(len(found)) < 0.8)
        guessed[right] = labels[source[right]]
        scores = rng.random(len(found))
        added = (truth, labels, found, guessed, scores.round(1) if ties else scores)
        for part, value in zip(rows.values(), added, strict=True):
            part.append(value)
    boxes, classes = pad(rows["truth"], rows["labels"], most_truths)
    found, found_classes = pad(rows["found"], rows["found_labels"], most_found)
    scores = np.zeros(found.shape[:2])
    for line, own in zip(scores, rows["scores"], strict=True):
        line[: len(own)] = own
    return {"boxes": boxes, "classes": classes}, {"boxes": found, "classes": found_classes, "scores": scores}


def chosen(arrays, images):
    """The arrays of some images, in this order; an image may come more than once."""
    return {name: values[images] for name, values in arrays.items()}
