"""A finding of the audit: what is wrong, with which files, what it would do to the result, and how to mend it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal, get_args

import numpy as np

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True)
class Finding:
    """One thing that the audit found.

    Attributes
    ----------
    check : str
        The check that found it: "faults", "duplicates", "leaks", "shortcuts", "batch_effects" or "fingerprint".
    code : str
        Stable name of what was found, for programs: "unreadable", "box_outside" ...
    severity : str
        "error" for what breaks the training or makes its result wrong, "warning" for what may make it wrong, "note" for
        what one should know.
    title : str
        What was found, in one line, with the counts.
    files : tuple of str
        The ids of the samples that it is about, all of them; no group and no patient.
    effect : str
        What it would do to the result.
    mend : str
        How to mend it.
    figures : dict
        The numbers behind it.

    Examples
    --------
    >>> Finding("faults", "unreadable", "error", "1 file cannot be read", files=("a.png",)).severity
    'error'
    """

    check: str
    code: str
    severity: Severity
    title: str
    files: tuple[str, ...] = ()
    effect: str = ""
    mend: str = ""
    figures: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity: found {self.severity!r}, expected one of {', '.join(SEVERITIES)}")

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain values for JSON; numbers that are not finite become None.

        Examples
        --------
        >>> found = Finding("faults", "mixed_bits", "note", "two bit depths", figures={"mean": float("nan")})
        >>> found.to_dict()["figures"]
        {'mean': None}
        """
        return {
            "check": self.check,
            "code": self.code,
            "severity": self.severity,
            "title": self.title,
            "effect": self.effect,
            "mend": self.mend,
            "files": list(self.files),
            "figures": plain(self.figures),
        }


def fault(
    code: str, severity: Severity, title: str, files: Iterable[str], effect: str, mend: str, **figures: Any
) -> Finding:
    """A finding of the check for faults.

    Examples
    --------
    >>> fault("empty", "error", "1 image holds nothing", ["a.png"], "Training stops.", "Copy it.", bytes=0).figures
    {'bytes': 0}
    """
    return Finding("faults", code, severity, title, tuple(files), effect, mend, figures)


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Findings with the worst first; those of one severity stay in their order.

    Examples
    --------
    >>> note, error = (Finding("faults", "x", kind, "") for kind in ("note", "error"))
    >>> [finding.severity for finding in by_severity([note, error])]
    ['error', 'note']
    """
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def plain(value: Any) -> Any:
    """A value in the types that JSON has: dict, list, str, int, float, bool, None.

    NaN and infinities, which JSON has not, become None; keys and what is unknown become text.

    Examples
    --------
    >>> plain({"auc": np.float32(0.5), "ids": np.array([1, 2]), "low": float("nan"), 3: (True, None)})
    {'auc': 0.5, 'ids': [1, 2], 'low': None, '3': [True, None]}
    """
    if isinstance(value, (np.generic, np.ndarray)):
        return plain(value.tolist())
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in (sorted(value, key=str) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return value.as_posix() if isinstance(value, PurePath) else str(value)


def counted(n: int, one: str, many: str = "") -> str:
    """A count with its noun.

    Examples
    --------
    >>> counted(1, "image"), counted(1200, "image"), counted(2, "box", "boxes")
    ('1 image', '1,200 images', '2 boxes')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"
