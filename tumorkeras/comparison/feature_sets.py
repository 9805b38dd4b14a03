"""What the classical methods of a comparison read: hand-made, learned, clinical, or the user's own features."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tumorkeras.comparison.names import names_in, repeated, unknown
from tumorkeras.data.tables import infinite_columns
from tumorkeras.errors import DataError, SpecError, shortened
from tumorkeras.spec import DataSpec

HAND_MADE, LEARNED, CLINICAL = "hand-made", "autoencoder", "clinical"
BUILT_IN = (HAND_MADE, LEARNED, CLINICAL)
TAKEN = (*BUILT_IN, "none", "trivial", "pixels")  # the last three are what other methods read
JOINS = "+"
_NAME = re.compile(r"[\w-][\w .-]*")

Tables = Mapping[str, pd.DataFrame | ArrayLike]


def parts_of(features: str) -> list[str]:
    """The feature sets that a name joins.

    Examples
    --------
    >>> parts_of("hand-made+clinical")
    ['hand-made', 'clinical']
    """
    return [part.strip() for part in features.split(JOINS)]


def checked_tables(tables: Tables | None, samples: int) -> dict[str, pd.DataFrame]:
    """Feature tables of the user's own as DataFrames, a row a sample.

    Missing values are allowed: a method fills them in with medians of its training fold. Columns of objects that are
    all numbers are numbers.

    Raises
    ------
    DataError
        Naming every table of another length, without columns, with columns of one name or with infinite values.

    Examples
    --------
    >>> list(checked_tables({"shape": [[1.0, 2.0], [3.0, 4.0]]}, 2)["shape"])
    ['shape_0', 'shape_1']
    """
    found, faults = {}, []
    for name, given in (tables or {}).items():
        table = given if isinstance(given, pd.DataFrame) else _named(name, np.asarray(given))
        found[name] = table.reset_index(drop=True).rename(columns=str).infer_objects()
        faults += [f"features {name!r}: {fault}" for fault in _faults(name, found[name], samples)]
    if faults:
        raise DataError("compare", faults)
    return found


def _named(name: str, values: np.ndarray) -> pd.DataFrame:
    if values.ndim != 2:
        raise DataError("compare", [f"features {name!r}: found shape {values.shape}, expected (samples, features)"])
    if values.dtype.kind not in "biuf":
        mend = "give a DataFrame, whose columns have a dtype each"
        raise DataError("compare", [f"features {name!r}: found an array of {values.dtype}, expected numbers; {mend}"])
    return pd.DataFrame(values, columns=[f"{name}_{k}" for k in range(values.shape[1])])


def _faults(name: str, table: pd.DataFrame, samples: int) -> list[str]:
    faults = []
    if name in TAKEN or not _NAME.fullmatch(name):
        faults.append(f"give a name of letters, digits, space, '_', '-' and '.', other than {', '.join(TAKEN)}")
    if len(table) != samples:
        faults.append(f"has {len(table)} rows, the data have {samples} samples; give a row a sample, in their order")
    if not len(table.columns):
        faults.append("has no column")
    repeated = table.columns[table.columns.duplicated()].unique().tolist()
    if repeated:
        faults.append(f"columns {repeated} stand more than once")
        return faults
    if infinite := infinite_columns(table):
        faults.append(f"infinite values in {', '.join(shortened(infinite))}")
    return faults


def features_of(spec: DataSpec, own: Mapping[str, pd.DataFrame]) -> list[str]:
    """The feature sets of a spec, and then the user's tables that it does not name.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "frames": 16}})
    >>> features_of(spec, {"mine": pd.DataFrame()})
    ['hand-made', 'mine']
    """
    named = {part for name in spec.comparison.features for part in parts_of(name)}
    return [*spec.comparison.features, *(name for name in own if name not in named)]


def check_names(names: Sequence[str], own: Sequence[str], *, clinical: bool) -> list[str]:
    """The names of feature sets, each once.

    Parameters
    ----------
    names : sequence of str
        Feature sets, or several joined by ``+``.
    own : sequence of str
        Names of the user's tables.
    clinical : bool
        Whether the spec names a clinical table.

    Raises
    ------
    SpecError
        For an unknown name, one that stands twice, none at all, or clinical features without a clinical table.

    Examples
    --------
    >>> check_names(["hand-made", "hand-made+shape"], ["shape"], clinical=False)
    ['hand-made', 'hand-made+shape']
    """
    names, valid = names_in(names), [*BUILT_IN, *own]
    faults = unknown([part for name in names for part in parts_of(name)], valid) + repeated(names)
    faults += [f"{name!r} joins a set to itself" for name in names if len(set(parts_of(name))) < len(parts_of(name))]
    if not names:
        faults.append(f"names no feature set; expected some of {', '.join(valid)}")
    if not clinical and any(CLINICAL in parts_of(name) for name in names):
        faults.append(f"{CLINICAL!r} needs the section clinical of the spec, which names the table")
    if faults:
        raise SpecError("comparison.features", faults)
    return names
