"""A small problem of a comparison: noisy balls of two sizes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tumorkeras import DataSpec


def balls(counts, seed=0):
    """Noisy balls on background 0; the second class is bigger and its middle brighter."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    distance = np.sqrt(((np.indices((12, 12, 12)) - 5.5) ** 2).sum(axis=0))
    radii = rng.normal(3 + labels, 0.6).clip(1.5, 5.5)
    inside = distance < radii[:, None, None, None]
    light = 80 + 40 * labels[:, None, None, None] * (distance < 2) + rng.normal(0, 20, inside.shape)
    return (inside * light.clip(1, 255)).astype("uint8"), labels


def volume_spec(folder, counts=(24, 24), folds=2, groups=None, **sections):
    volumes, labels = balls(counts)
    np.savez(folder / "balls.npz", all_images=volumes, all_labels=labels)
    source = {"kind": "npz", "path": "balls.npz"}
    splits = {"folds": folds, "fractions": {"train": 0.75, "val": 0.25, "test": 0.0}}
    if groups is not None:
        pd.DataFrame({"exam": groups}).to_csv(folder / "balls.csv", index=False)
        source, splits = source | {"table": "balls.csv"}, splits | {"group": "exam"}
    values = {
        "name": "balls",
        "source": source,
        "input": {"shape": [12, 12, 12, 1]},
        "splits": splits,
        "preprocessing": [{"step": "rescale"}],
        "autoencoder": {"filters": [4], "bottleneck": 8, "epochs": 1},
        "classifier": {"filters": [4], "dense": [8]},
        "training": {"epochs": 2, "batch_size": 8},
        "comparison": {"trials": 2},
    }
    return DataSpec.from_dict(values | sections, folder=folder)
