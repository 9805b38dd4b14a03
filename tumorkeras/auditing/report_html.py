"""The report of the audit as HTML: a section for notebooks and pages, or a page of its own."""

from __future__ import annotations

import json
from collections import Counter
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from tumorkeras import markup
from tumorkeras.auditing.findings import SEVERITIES, Finding, Severity, counted, plain

if TYPE_CHECKING:
    from tumorkeras.auditing.report import AuditReport

MOST_LISTED = 1000  # files a list: a page with a million lines cannot be opened
FIGURES_SHOWN = 8

# Nothing is told by colour alone: the word and the sign say the same.
SIGNS: dict[Severity, str] = {"error": "✕", "warning": "▲", "note": "i"}
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 2rem auto; padding: 0 1.2rem; max-width: 60rem; font: 16px/1.5 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{section}
</main>
</body>
</html>
"""


def page(report: AuditReport) -> str:
    """The report as a page that needs neither network nor script."""
    return PAGE.format(title=escape(f"Audit of {report.name}"), section=section(report))


def section(report: AuditReport) -> str:
    """The report as a section; see :meth:`AuditReport.to_html`."""
    parts = [_head(report), *(_card(finding, report.pictures.get(finding.code)) for finding in report.findings)]
    parts += [_plan(report), _fingerprint(report), _checks(report)]
    style = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    counts = ", ".join(f"{value:,} {name}" for name, value in report.counts.items() if isinstance(value, int))
    return markup.card(f"{report.name}: {counts}" if counts else report.name, parts, "tk-audit", style)


def _head(report: AuditReport) -> str:
    found = Counter(finding.severity for finding in report.findings)
    chips = "".join(_badge(kind, counted(found[kind], kind), bool(found[kind])) for kind in SEVERITIES)
    said = (
        "Nothing was found that breaks training or makes its result wrong."
        if report.ok
        else ("Mend the errors before training: they break it, or make its result wrong.")
    )
    return f'<div class="chips">{chips}</div>\n<p>{said}</p>'


def _badge(severity: Severity, words: str, filled: bool = True) -> str:
    kind = severity if filled else "none"
    return f'<span class="badge {kind}"><b aria-hidden="true">{SIGNS[severity]}</b>{escape(words)}</span>'


def _card(finding: Finding, picture: bytes | None) -> str:
    parts = [f'<p class="title">{_badge(finding.severity, finding.severity)}{escape(finding.title)}</p>']
    for label, words in (("Effect", finding.effect), ("To mend it", finding.mend)):
        if words:
            parts.append(f"<p><b>{label}:</b> {escape(words)}</p>")
    parts.append(_scalars(finding.figures))
    if picture is not None:
        words = "Thumbnails, two and two a pair" if finding.figures.get("pairs") else "Thumbnails"
        parts.append(markup.figure(picture, f"{words}: {finding.title}", words, photo=True, ratio=1))
    parts += [_tables(finding.figures), _files(finding)]
    body = "\n".join(part for part in parts if part)
    return f'<div class="finding {finding.severity}">\n{body}\n</div>'


def _scalars(figures: dict[str, Any]) -> str:
    """The figures that are single numbers or words."""
    single = {name: value for name, value in plain(figures).items() if isinstance(value, (int, float, str))}
    shown = list(single.items())[:FIGURES_SHOWN]
    items = "".join(
        f"<div><dt>{escape(_words(name))}</dt><dd>{escape(_value(value))}</dd></div>" for name, value in shown
    )
    return f"<dl>{items}</dl>" if items else ""


def _words(name: str) -> str:
    return name.replace("_", " ")


def _value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, dict)):
        items = value if isinstance(value, list) else [f"{name} {_value(item)}" for name, item in value.items()]
        return ", ".join(item if isinstance(item, str) else _value(item) for item in items)
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _files(finding: Finding) -> str:
    """The files, folded, each with its own reason where there is one."""
    reasons = finding.figures.get("reasons")
    reasons = reasons if isinstance(reasons, dict) else {}
    lines = [f"<code>{escape(name)}</code>{_reason(reasons.get(name))}" for name in finding.files[:MOST_LISTED]]
    if not lines:
        return ""
    lines += [_rest(len(finding.files))] if len(finding.files) > MOST_LISTED else []
    items = "".join(f"<li>{line}</li>" for line in lines)
    title = counted(len(finding.files), "sample")
    return markup.details(title, f'<ul class="files" tabindex="0">{items}</ul>')


def _reason(words: object) -> str:
    return f" {escape(str(words))}" if words else ""


def _tables(figures: dict[str, Any]) -> str:
    """The figures that are lists of records, such as boxes and probes, each a folded table."""
    lists = {name: value for name, value in plain(figures).items() if isinstance(value, list) and value}
    return "\n".join(_table(name, rows) for name, rows in lists.items() if all(isinstance(row, dict) for row in rows))


def _table(name: str, rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    head = "".join(f'<th scope="col">{escape(_words(column))}</th>' for column in columns)
    lines = [f"<tr>{''.join(_cell(row.get(column)) for column in columns)}</tr>" for row in rows[:MOST_LISTED]]
    rest = f'<p class="soft">{_rest(len(rows))}</p>' if len(rows) > MOST_LISTED else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>{rest}"
    return markup.details(f"{_words(name)}: {len(rows):,}", f'<div class="scroll" tabindex="0">{table}</div>')


def _cell(value: Any) -> str:
    right = ' class="number"' if isinstance(value, (int, float)) and not isinstance(value, bool) else ""
    return f"<td{right}>{escape(_value(value))}</td>"


def _rest(total: int) -> str:
    return f"and {total - MOST_LISTED:,} more; the JSON has all"


def _plan(report: AuditReport) -> str:
    if report.plan is None:
        return ""
    return markup.details("Proposed plan for training", markup.preformatted(report.plan.to_yaml()))


def _fingerprint(report: AuditReport) -> str:
    if report.fingerprint is None:
        return ""
    numbers = json.dumps(plain(report.fingerprint), indent=1, ensure_ascii=False)
    return markup.details("The data in numbers", markup.preformatted(numbers))


def _checks(report: AuditReport) -> str:
    """Which checks were made and how long they took, so that silence is told apart from a check not made."""
    if not report.seconds:
        return ""
    timed = ", ".join(f"{_words(name)} {seconds:.1f} s" for name, seconds in report.seconds.items())
    return f'<p class="soft">Checks made: {escape(timed)}.</p>'
