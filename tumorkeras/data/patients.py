"""Which DICOM files are of one patient, without saying who it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from tumorkeras.data.readers.dicom import header_value

PATIENT = "patient"


def patient_numbers(paths: Iterable[str]) -> pd.Series:
    """A number for each patient, in the order of the files; missing where a file names none.

    Only the PatientID is read, and it does not leave this function.

    Parameters
    ----------
    paths : iterable of str
        DICOM files, or folders with one series each.

    Returns
    -------
    pandas.Series
        Text such as "patient 1".
    """
    ids = pd.Series([_patient_id(Path(path)) for path in paths], dtype=object)
    codes, _ = pd.factorize(ids)
    return pd.Series([f"{PATIENT} {code + 1}" if code >= 0 else None for code in codes], dtype=object)


def _patient_id(path: Path) -> str | None:
    """The first PatientID of a file, or of the files of a folder; what is wrong with them is said elsewhere."""
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    found = (str(header_value(file, "PatientID") or "").strip() for file in files)
    return next((name for name in found if name), None)
