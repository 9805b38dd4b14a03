"""The report of the audit as plain text, and as a table for terminals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tumorkeras.auditing.findings import Finding

if TYPE_CHECKING:
    from tumorkeras.auditing.report import AuditReport

SHOWN = 5  # files that are named; all are in the JSON
REASONS = 3  # files whose reasons are told
# Bold and words beside colour: nobody needs to see the colour.
STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold blue"}


def text(report: AuditReport) -> str:
    """The report as plain text, without control characters, a finding a paragraph."""
    return "\n\n".join([_one_line(report.summary), *map(_paragraph, report.findings)])


def _paragraph(finding: Finding) -> str:
    mend = f"To mend it: {finding.mend}" if finding.mend else ""
    lines = [finding.title, finding.effect, mend, *_files(finding)]
    first, *rest = [_one_line(line) for line in lines if line]
    head = finding.severity.upper()
    return "\n".join([f"{head}  {first}", *(" " * (len(head) + 2) + line for line in rest)])


def _files(finding: Finding) -> list[str]:
    """The first files, with the reason of each where there is one, a line each; else in one line."""
    reasons = finding.figures.get("reasons")
    if not isinstance(reasons, dict) or not any(reasons.values()):
        return [named(finding.files)]
    lines = [f"{name}: {reasons[name]}" if reasons.get(name) else name for name in finding.files[:REASONS]]
    rest = len(finding.files) - len(lines)
    return [*lines, f"and {rest:,} more"] if rest else lines


def _one_line(words: str) -> str:
    """Without line ends and other characters that would steer a terminal: file names may hold them."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in words)


def named(files: Sequence[str], most: int = SHOWN) -> str:
    """The first names and the count of the rest.

    Examples
    --------
    >>> named(["a.png", "b.png", "c.png"], most=2)
    'a.png, b.png and 1 more'
    """
    rest = f" and {len(files) - most:,} more" if len(files) > most else ""
    return ", ".join(files[:most]) + rest


def table(report: AuditReport) -> RenderableType:
    """The report as a table of rich."""
    columns = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 1, 0))
    columns.add_column("", no_wrap=True)
    columns.add_column("Found")
    columns.add_column("Samples", justify="right", no_wrap=True)
    for finding in report.findings:
        badge = Text(finding.severity, style=STYLES[finding.severity])
        columns.add_row(badge, _cell(finding), f"{len(finding.files):,}" if finding.files else "")
    heading = Text(_one_line(report.summary), style="bold")
    return Group(heading, Text(""), columns) if report.findings else Group(heading)


def _cell(finding: Finding) -> Text:
    cell = Text(_one_line(finding.title), style="bold")
    files = [("", words) for words in _files(finding)]
    for label, words in (("", finding.effect), ("To mend it: ", finding.mend), *files):
        if words:
            cell.append(
                f"\n{label}{_one_line(words)}", style="not bold dim" if words is not finding.mend else "not bold"
            )
    return cell
