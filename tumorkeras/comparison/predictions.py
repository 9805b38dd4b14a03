"""What the methods of a comparison said of each sample: ROC curves, and the samples that all of them get wrong."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tumorkeras.comparison.entries import Entry
from tumorkeras.comparison.store import FOLDER, read_results
from tumorkeras.errors import ModelError


def fold_predictions(output: str | Path) -> pd.DataFrame:
    """What each method of a comparison of classes said of each sample, from the fold that it was tested in.

    Parameters
    ----------
    output : path
        The folder that was given to :func:`tumorkeras.compare`; one that has not come to its end will do.

    Returns
    -------
    pandas.DataFrame
        A row a method, what it reads, and sample:

        - ``method``; ``features``, what it reads, as it was asked for: ``"hand-made"``, ``"autoencoder"``, ...; of
          other methods ``"none"``, ``"trivial"`` or ``"pixels"``;
        - ``fold``, from 1; ``row``, of the samples; ``label``, the class id;
        - ``probability_0``, ``probability_1``, ..., by class id.

    Raises
    ------
    ModelError
        If the folder holds no results of a comparison of classes, or files that are none.

    Examples
    --------
    >>> import tempfile; folder = tempfile.mkdtemp()
    >>> from tumorkeras import DataSpec, compare
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "samples_per_class": 20, "frames": 16}, "splits": {"folds": 2}})
    >>> table = compare(spec, ["majority"], folder)
    >>> fold_predictions(folder).groupby("method").size().to_dict()
    {'majority': 51, 'trivial': 51}
    """
    results = read_results(Path(output) / FOLDER)
    if not results:
        raise ModelError(str(output), ["holds no result of a comparison of classes; give the output of compare"])
    tables = []
    for found in sorted(results, key=lambda found: (found.entry, found.fold)):
        entry = Entry.of(found.entry)
        said = pd.DataFrame(found.probabilities).add_prefix("probability_")
        said.insert(0, "label", found.labels)
        said.insert(0, "row", found.rows)
        said.insert(0, "fold", found.fold)
        said.insert(0, "features", entry.features)
        said.insert(0, "method", entry.method)
        tables.append(said)
    return pd.concat(tables, ignore_index=True)
