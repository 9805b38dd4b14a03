"""Everything that is wrong with a data set, in one report, before training."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tumorkeras.auditing.findings import Finding
from tumorkeras.auditing.report import AuditReport
from tumorkeras.data.tables import read_table
from tumorkeras.errors import DataError
from tumorkeras.spec import DataSpec

__all__ = ["AuditReport", "Finding", "audit"]


def audit(
    source: DataSpec | pd.DataFrame | str | Path,
    *,
    label: str | None = None,
    group: str | None = None,
    progress: bool = True,
) -> AuditReport:
    """Say what is wrong with data before training: faults, copies, leaks, shortcuts, batch effects.

    Nothing that is wrong with the data ends the audit: it becomes a finding.

    Parameters
    ----------
    source : DataSpec, path or DataFrame
        A spec or its file; or a table of features with a row a sample, or its ``.csv`` file.
    label, group : str, optional
        Of a table of features: the column with the class, and that with the patient, exam or experiment.
    progress : bool, optional
        False for no progress bar.

    Returns
    -------
    AuditReport
        The findings, the data in numbers, and a plan for training.

    Raises
    ------
    SpecError
        If the spec itself cannot be read.
    DataError
        If a table cannot be read or lacks a column that is named.

    Examples
    --------
    >>> table = pd.DataFrame({"class": ["wild", "mutant"] * 40, "speed": range(80), "day": 5})
    >>> report = audit(table, label="class")
    >>> report.ok, [finding.code for finding in report.findings if finding.check == "faults"]
    (True, ['constant'])
    """
    # Findings and reports are imported for themselves; the checks, with scikit-learn, are loaded when one audits.
    from tumorkeras.auditing.feature_tables import audit_table
    from tumorkeras.auditing.from_spec import audit_spec

    if isinstance(source, pd.DataFrame):
        return audit_table(source, "table of features", label, group)
    if isinstance(source, (str, Path)) and Path(source).suffix.lower() in (".csv", ".tsv"):
        return audit_table(read_table(source), Path(source).stem, label, group)
    named = {name: value for name, value in (("label", label), ("group", group)) if value is not None}
    if named:
        words = "goes with a table of features; a spec names its classes and groups itself"
        raise DataError("audit", [f"{name}: {words}" for name in named])
    spec = source if isinstance(source, DataSpec) else DataSpec.from_yaml(source)
    return audit_spec(spec, progress=progress)
