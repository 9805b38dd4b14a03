"""Faults of files, values, boxes, labels and parts: all at once, none hides another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tumorkeras.auditing.box_faults import box_findings
from tumorkeras.auditing.file_faults import file_findings
from tumorkeras.auditing.findings import Finding
from tumorkeras.auditing.label_faults import label_findings

if TYPE_CHECKING:
    from tumorkeras.auditing.facts import Facts
    from tumorkeras.data.catalog import Catalog


def fault_findings(catalog: Catalog, facts: Facts) -> list[Finding]:
    """Everything about single files, boxes and labels that is wrong.

    Parameters
    ----------
    catalog : Catalog
        What the spec names.
    facts : Facts
        What was found in each sample, row by row of the catalog.
    """
    return [*file_findings(catalog, facts), *box_findings(catalog, facts), *label_findings(catalog)]
