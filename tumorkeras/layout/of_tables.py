"""Tables without images: what they are, and which command is for them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tumorkeras.layout.columns import Sheet, class_column, group_columns, key_of
from tumorkeras.layout.guess import NoSpec, listed, many

LEAST_FEATURES = 5
PATIENT_KEYS = {"pid", "patient", "patientid", "subject", "subjectid", "caseid", "id", "patid", "case"}
CLINICAL_KEYS = {"age", "sex", "gender", "grade", "stage", "nodes", "meno", "status", "survival", "event", "os", "dfs"}


def explain_tables(root: Path, sheets: list[Sheet]) -> NoSpec | None:
    """The largest table of features, or of patients."""
    found = [words for sheet in sorted(sheets, key=lambda s: -s.table.size) if (words := _explain(root, sheet))]
    return found[0] if found else None


def _explain(root: Path, sheet: Sheet) -> NoSpec | None:
    table = sheet.table
    numbers = table.select_dtypes("number").columns
    keys = {key_of(name): str(name) for name in table.columns}
    patient = next((keys[key] for key in keys if key in PATIENT_KEYS and table[keys[key]].is_unique), None)
    if patient is not None and len(set(keys) & CLINICAL_KEYS) > 1:
        advice = (
            f"name it in the spec of the images that belong to it, as clinical: {{path: {sheet.path}, id_column: "
            f"{patient}}}"
        )
        return NoSpec(f"a clinical table ({sheet.path}, {many(len(table), 'row')}, a patient each)", advice)
    if len(numbers) < LEAST_FEATURES:
        return None
    label, _ = class_column(table)
    groups = group_columns(table, [label])
    command = f"tumorkeras audit {root / sheet.path}"
    if label is not None:
        command += f" --label {_quoted(label)}"
    if groups:
        command += f" --group {_quoted(groups[0])}"
    features = [name for name in numbers if name not in {label, *groups} and not key_of(name).endswith("id")]
    what = f"a table of {len(features)} features ({sheet.path}, {many(len(table), 'row')}, a sample each)"
    note = "" if label is not None else f"; --label names the column of the class, one of {listed(_labels(table))}"
    return NoSpec(what, f"it can be audited: {command}{note}")


def _labels(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table.columns if 2 <= table[name].nunique() <= 20] or list(map(str, table.columns))


def _quoted(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() else f'"{name}"'
