"""What the audit hands back: findings, numbers and a plan, for a notebook, a terminal, a page and a program."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tumorkeras.auditing.findings import SEVERITIES, Finding, by_severity, counted, plain
from tumorkeras.errors import DataError
from tumorkeras.files import write_whole

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tumorkeras.auditing.plan import Plan

COLUMNS = ["severity", "check", "code", "title", "samples", "effect", "mend", "files"]
PAIR = ["first", "first_part", "first_class", "second", "second_part", "second_class", "similarity", "change"]


@dataclass(frozen=True, repr=False)
class AuditReport:
    """Everything that the audit of a data set found.

    Shown as a table in a terminal (:meth:`show`) and as a section with folded lists in a notebook.

    Attributes
    ----------
    name : str
        Of the data set.
    findings : tuple of Finding
        The worst first.
    counts : dict
        Samples, and how many of them are readable, in each class and part.
    fingerprint : dict or None
        The data set in numbers; None where it could not be read.
    plan : Plan or None
        What training could start from.
    seconds : dict of str to float
        How long each check took; a check that is not named was not made.
    pictures : dict of str to bytes
        PNGs by the code of the finding that they belong to.

    Examples
    --------
    >>> found = Finding("faults", "unreadable", "error", "1 of 3 images cannot be read", ("b.png",),
    ...     "Training stops at the file.", "Save it anew.")
    >>> report = AuditReport("scans", (found,), {"samples": 3})
    >>> report.ok, report.summary
    (False, 'scans: 1 error, 0 warnings, 0 notes')
    >>> print(report)
    scans: 1 error, 0 warnings, 0 notes
    <BLANKLINE>
    ERROR  1 of 3 images cannot be read
           Training stops at the file.
           To mend it: Save it anew.
           b.png
    """

    name: str
    findings: tuple[Finding, ...]
    counts: dict[str, Any] = field(default_factory=dict)
    fingerprint: dict[str, Any] | None = None
    plan: Plan | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "findings", tuple(by_severity(self.findings)))

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)

    @property
    def summary(self) -> str:
        """The name and the counts of the findings, in one line."""
        found = Counter(finding.severity for finding in self.findings)
        return f"{self.name}: " + ", ".join(counted(found[severity], severity) for severity in SEVERITIES)

    @property
    def pairs(self) -> pd.DataFrame:
        """Near-duplicates, a row a pair, the most similar first: ids, parts and classes of both, and how they differ.

        Examples
        --------
        >>> pair = {"first": "a.png", "second": "b.png", "similarity": 0.998, "change": "brightness"}
        >>> found = Finding("duplicates", "near_duplicates", "note", "1 pair", figures={"pairs": [pair]})
        >>> AuditReport("scans", (found,)).pairs[["first", "second", "change"]].to_numpy().tolist()
        [['a.png', 'b.png', 'brightness']]
        """
        copies = [finding.figures.get("pairs", ()) for finding in self.findings if finding.check == "duplicates"]
        rows = [row for pairs in copies for row in pairs]
        # A pair across parts and across classes is in two findings.
        table = pd.DataFrame(rows, columns=PAIR).drop_duplicates(["first", "second"])
        return table.sort_values("similarity", ascending=False, kind="stable", ignore_index=True)

    def to_frame(self) -> pd.DataFrame:
        """A row a finding, with the number of samples that it is about."""
        rows = [{**vars(finding), "samples": len(finding.files)} for finding in self.findings]
        return pd.DataFrame(rows, columns=COLUMNS)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; numbers that are not finite are None."""
        return {
            "name": self.name,
            "ok": self.ok,
            "summary": self.summary,
            "counts": plain(self.counts),
            "findings": [finding.to_dict() for finding in self.findings],
            "fingerprint": plain(self.fingerprint),
            "plan": None if self.plan is None else plain(self.plan.to_dict()),
            "seconds": plain(self.seconds),
        }

    def to_json(self) -> str:
        """The report as JSON text, without NaN."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)

    def to_html(self) -> str:
        """A section of HTML that stands alone in a notebook and in a page; everything that is data is escaped."""
        from tumorkeras.auditing.report_html import section

        return section(self)

    def save(self, path: str | Path) -> Path:
        """Write the report as a page (``.html``) or for programs (``.json``).

        Raises
        ------
        DataError
            If the name ends otherwise.
        """
        path = Path(path)
        if path.suffix.lower() == ".json":
            write_whole(path, self.to_json() + "\n")
        elif path.suffix.lower() in (".html", ".htm"):
            from tumorkeras.auditing.report_html import page

            write_whole(path, page(self))
        else:
            raise DataError(str(path), [f"ends in {path.suffix or 'nothing'!r}, expected .html or .json"])
        return path

    def show(self) -> None:
        """Put the report on the screen, as a table."""
        from rich.console import Console

        Console().print(self)

    def __repr__(self) -> str:
        # The findings name every file: a hundred thousand of them in a message or a log help nobody.
        return f"<AuditReport {self.summary}>"

    def __rich__(self) -> RenderableType:
        from tumorkeras.auditing.report_text import table

        return table(self)

    def __str__(self) -> str:
        from tumorkeras.auditing.report_text import text

        return text(self)

    def _repr_html_(self) -> str:
        return self.to_html()
