"""The clinical table that a spec names, brought to the order of the samples."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from tumorkeras.data.folds import Folds
from tumorkeras.data.samples import Samples
from tumorkeras.data.tables import infinite_columns, read_table
from tumorkeras.errors import DataError, shortened

logger = logging.getLogger(__name__)


def check_patients(samples: Samples, folds: Folds) -> None:
    """See that no patient of the clinical table stands in training and test rows of a fold.

    Raises
    ------
    DataError
        With how many do: their columns are the same on both sides, and would be recognised. Or if the spec has no
        clinical table, or the samples have not its column.
    """
    ids = _patients(samples)
    column, patients = ids.name, pd.factorize(ids)[0]
    shared = [len(np.intersect1d(patients[training], patients[test])) for training, test in folds]
    if any(shared):
        fault = f"{max(shared)} patients ({column}) are in training and test rows of a fold"
        raise DataError("splits.group", [f"{fault}: set splits.group to {column}, which keeps them together"])


def clinical_features(samples: Samples) -> pd.DataFrame:
    """The clinical columns of each sample, as numbers or text.

    The spec's section ``clinical`` names the table, its column of patients, and the samples' column that holds the
    same; ids go no further than this function.

    Returns
    -------
    pandas.DataFrame
        A row a sample, in order; missing values where the table has none, or does not have the patient.

    Raises
    ------
    DataError
        If the spec has no such section, the table lacks a column or names a patient twice, values are infinite, or no
        sample is in it.

    Examples
    --------
    >>> import tempfile; from pathlib import Path; folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "clinic.csv").write_text("patient,age\\np1,50\\np2,61\\n")
    >>> _ = (folder / "cells.csv").write_text("exam\\np2\\np1\\np2\\n")
    >>> np.savez(folder / "cells.npz", all_images=np.ones((3, 4, 4, 4)), all_labels=[0, 1, 0])
    >>> from tumorkeras.data.samples import load_samples
    >>> from tumorkeras.spec import DataSpec
    >>> spec = DataSpec.from_dict({"name": "cells", "input": {"shape": [4, 4, 4, 1]},
    ...     "source": {"kind": "npz", "path": "cells.npz", "table": "cells.csv"},
    ...     "splits": {"fractions": {"train": 1, "val": 0, "test": 0}},
    ...     "clinical": {"path": "clinic.csv", "id_column": "patient", "sample_column": "exam"}}, folder=folder)
    >>> clinical_features(load_samples(spec))["age"].tolist()
    [61, 50, 61]
    """
    ids, section = _patients(samples), samples.spec.clinical
    assert section is not None
    path = samples.spec.resolve(section.path)
    table = read_table(path, text=[section.id_column])
    wanted = section.columns or [str(name) for name in table if name != section.id_column]
    faults = [
        f"has no column {name!r}; it has {list(table)}" for name in [section.id_column, *wanted] if name not in table
    ]
    if faults:
        raise DataError(str(path), faults)
    repeated = int(table[section.id_column].duplicated().sum())
    if repeated:
        raise DataError(str(path), [f"{repeated} rows name a patient ({section.id_column}) that another names"])
    return _aligned(table.set_index(section.id_column)[wanted], ids, str(path))


def _patients(samples: Samples) -> pd.Series:
    """The patient of each sample."""
    section, own = samples.spec.clinical, samples.table
    if section is None:
        raise DataError("clinical", ["the spec names no clinical table"])
    if section.sample_column not in own:
        fault = f"{section.sample_column!r} is no column of the samples; they have {list(own)}"
        raise DataError("clinical.sample_column", [fault])
    return own[section.sample_column]


def _as_text(ids: pd.Series) -> pd.Series:
    """Ids as they stand in a file: pandas makes 12.0 of 12 where another row has none."""
    if pd.api.types.is_float_dtype(ids) and (ids.dropna() % 1 == 0).all():
        ids = ids.astype("Int64")
    return ids.astype("string")


def _aligned(table: pd.DataFrame, ids: pd.Series, path: str) -> pd.DataFrame:
    if infinite := infinite_columns(table):
        raise DataError(path, [f"infinite values in {', '.join(shortened(infinite))}"])
    names = _as_text(ids)
    absent = int((~names.isin(table.index)).sum())
    if absent == len(ids):
        raise DataError(path, ["has none of the samples' patients; is clinical.sample_column the right one?"])
    if absent:
        logger.warning("%s: %d of %d samples are of patients that it does not have", path, absent, len(ids))
    return table.reindex(names).reset_index(drop=True)
