"""The audit of the data that a spec names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from tumorkeras.auditing.batch_effects import catalog_batch_effects
from tumorkeras.auditing.checks import Checks
from tumorkeras.auditing.contact_sheet import pictures_of
from tumorkeras.auditing.duplicates import duplicate_findings
from tumorkeras.auditing.facts import Facts, collect_facts
from tumorkeras.auditing.faults import fault_findings
from tumorkeras.auditing.findings import Finding, counted, fault
from tumorkeras.auditing.fingerprint import fingerprint, fingerprint_findings
from tumorkeras.auditing.leaks import leak_findings
from tumorkeras.auditing.plan import Plan, propose_plan
from tumorkeras.auditing.report import AuditReport
from tumorkeras.auditing.shortcuts import shortcut_findings
from tumorkeras.data.catalog import Catalog, catalog_of
from tumorkeras.data.parts import with_parts
from tumorkeras.data.similarity import confirmed, near_duplicates
from tumorkeras.errors import DataError, MissingExtraError
from tumorkeras.progress import progress_bar
from tumorkeras.spec import DataSpec

FAULTS_SHOWN = 5  # of a source that cannot be read, each as a finding; more come in one
UNREADABLE = "Nothing can be trained on it, and nothing else is known of it."
WITHOUT_GROUPS = "Training stops before it begins; the rest was checked without groups."


def audit_spec(spec: DataSpec, *, progress: bool = True) -> AuditReport:
    """Audit the samples that a spec names.

    Parameters
    ----------
    spec : DataSpec
        What is audited; a source that cannot be read becomes findings.
    progress : bool, optional
        False for no progress bar.
    """
    checks = Checks()
    catalog, findings = _listed(spec)
    checks.findings += findings
    if catalog is None:
        return AuditReport(spec.name, tuple(checks.findings))
    catalog, findings = _parted(catalog)
    checks.findings += findings
    facts = collect_facts(catalog, progress=progress)
    numbers, plan = _checked(checks, catalog, facts, progress)
    seen = catalog.kind != "tracks"
    pictures = pictures_of(checks.findings, catalog.table["id"], facts.thumbnails) if seen else {}
    counts = _counts(catalog, facts)
    return AuditReport(spec.name, tuple(checks.findings), counts, numbers, plan, checks.seconds, pictures)


def _checked(checks: Checks, catalog: Catalog, facts: Facts, shown: bool) -> tuple[dict[str, Any] | None, Plan | None]:
    """Make every check; what comes back are the data in numbers and the plan."""
    numbers = checks.value("fingerprint", lambda: fingerprint(catalog, facts))
    plan = checks.value("fingerprint", lambda: propose_plan(catalog, facts))
    steps: dict[str, Callable[[], list[Finding]]] = {
        "faults": lambda: fault_findings(catalog, facts),
        "duplicates": lambda: _duplicates(catalog, facts),
        "leaks": lambda: leak_findings(catalog, facts),
        "shortcuts": lambda: shortcut_findings(catalog, facts),
        "batch_effects": lambda: catalog_batch_effects(catalog, facts),
        "fingerprint": lambda: fingerprint_findings(catalog, facts, plan),
    }
    with progress_bar(len(steps), "checking", "check", shown=shown) as bar:
        for name, check in steps.items():
            checks.run(name, check)
            bar.update()
    return numbers, plan


def _listed(spec: DataSpec) -> tuple[Catalog | None, list[Finding]]:
    """The catalog; where only the column of the groups is at fault, without groups."""
    try:
        return catalog_of(spec), []
    except (DataError, MissingExtraError) as error:
        found = _unreadable(error)
    if spec.splits.group is None:
        return None, found
    try:
        return catalog_of(_with_splits(spec, group=None)), [replace(one, effect=WITHOUT_GROUPS) for one in found]
    except (DataError, MissingExtraError):
        return None, found


def _with_splits(spec: DataSpec, **changes: Any) -> DataSpec:
    return spec.model_copy(update={"splits": spec.splits.model_copy(update=changes)})


def _unreadable(error: DataError | MissingExtraError) -> list[Finding]:
    """A finding for each fault of a source that cannot be listed."""
    if isinstance(error, MissingExtraError):
        return [fault("missing_package", "error", str(error), (), UNREADABLE, "Install the package.")]
    lines = [f"{error.heading}: {words}" for words in error.faults] or [error.heading]
    shown, rest = lines[:FAULTS_SHOWN], lines[FAULTS_SHOWN:]
    mend = "Mend the spec or the file."
    found = [fault("source_unreadable", "error", line, (), UNREADABLE, mend) for line in shown]
    if rest:
        title, listed = f"{counted(len(rest), 'more fault')} of the source", [{"fault": line} for line in rest]
        found.append(fault("source_unreadable", "error", title, (), UNREADABLE, mend, faults=listed))
    return found


def _parted(catalog: Catalog) -> tuple[Catalog, list[Finding]]:
    """The catalog with its parts as training will have them; where that fails, with those that are given."""
    used = _used(catalog)
    try:
        return _put_back(catalog, _as_trained(used)), []
    except DataError as error:
        title = f"the parts cannot be made: {error.heading}: {'; '.join(error.faults)}"
    effect = "Training stops before it begins."
    found = [
        fault("parts_impossible", "error", title, (), effect, "Change splits in the spec, or the parts of the data.")
    ]
    return _put_back(catalog, used.table.assign(split=_given_parts(used))), found


def _used(catalog: Catalog) -> Catalog:
    """What training reads: of images with boxes those that are labelled."""
    known = np.ones(len(catalog), dtype=bool) if catalog.boxes is None else catalog.table["labelled"].to_numpy(bool)
    return catalog if known.all() or not known.any() else catalog.select(np.flatnonzero(known))


def _as_trained(catalog: Catalog) -> pd.DataFrame:
    """The table with the parts that training draws."""
    if catalog.kind == "tracks" and catalog.spec is not None:
        from tumorkeras.data.samples import load_samples  # late: it loads TensorFlow, which crops and draws the tracks

        try:
            return load_samples(catalog.spec).table
        except DataError:  # of the parts, it is told by what follows
            pass
    return with_parts(catalog).table


def _put_back(catalog: Catalog, used: pd.DataFrame) -> Catalog:
    """The whole catalog with the parts, and the joined groups, of the samples that are used; others have no part."""
    assert catalog.spec is not None
    table = catalog.table
    changes = {"split": _by_id(used, "split", table["id"], [None] * len(table))}
    if catalog.spec.splits.duplicates == "together" and catalog.kind != "tracks":
        changes["group"] = _by_id(used, "group", table["id"], table["id"])
    return replace(catalog, table=table.assign(**changes))


def _by_id(used: pd.DataFrame, column: str, ids: pd.Series, otherwise: Iterable[str | None]) -> np.ndarray:
    known = dict(zip(used["id"], used[column], strict=True))
    return np.array([known.get(name, other) for name, other in zip(ids, otherwise, strict=True)], dtype=object)


def _given_parts(catalog: Catalog) -> Any:
    """The parts that are named by the data or in files, whether or not they keep groups whole."""
    assert catalog.spec is not None
    spec, table = catalog.spec, catalog.table
    if spec.splits.files is None:
        names = spec.splits.given or {}
        return table["given_split"].map(lambda name: names.get(name, name)).where(table["given_split"].notna(), None)
    alone = replace(catalog, table=table.assign(group=None), spec=_with_splits(spec, group=None, duplicates="apart"))
    try:
        return with_parts(alone).table["split"]
    except DataError:
        return table["split"]


def _duplicates(catalog: Catalog, facts: Facts) -> list[Finding]:
    if catalog.kind == "tracks":  # whose copies the check of faults tells by their positions
        return []
    valid = (facts.table["readable"] & ~facts.table["constant"]).to_numpy(dtype=bool)
    pairs = near_duplicates(facts.thumbnails, valid=valid)
    if catalog.kind == "volumes":
        pairs = confirmed(pairs, lambda row: catalog.read(row).array)
    table = catalog.table
    return duplicate_findings(table["id"], pairs, table["split"], table["class_name"])


def _counts(catalog: Catalog, facts: Facts) -> dict[str, Any]:
    table = catalog.table
    counts: dict[str, Any] = {catalog.kind: len(table), "readable": int(np.sum(facts.table["readable"]))}
    if catalog.boxes is not None:
        counts["boxes"] = len(catalog.boxes)
    if table["group"].notna().any():
        counts["groups"] = int(table["group"].nunique())
    counts["classes"] = {str(name): int(count) for name, count in table["class_name"].value_counts().items()}
    counts["parts"] = {str(name): int(count) for name, count in table["split"].value_counts().items()}
    return counts
