"""Checks that are made one after another, and none of which can end the audit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeVar

from tumorkeras.auditing.findings import Finding
from tumorkeras.errors import MissingExtraError, TumorKerasError

logger = logging.getLogger(__name__)
Result = TypeVar("Result")


@dataclass
class Checks:
    """What the checks that were made so far found, and how long each took.

    Examples
    --------
    >>> checks = Checks()
    >>> checks.run("leaks", lambda: [Finding("leaks", "group_across_split", "error", "1 group in two parts")])
    >>> checks.run("shortcuts", lambda: [1 / 0])
    >>> [(finding.check, finding.code) for finding in checks.findings], list(checks.seconds)
    ([('leaks', 'group_across_split'), ('shortcuts', 'check_failed')], ['leaks', 'shortcuts'])
    """

    findings: list[Finding] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, name: str, check: Callable[[], list[Finding]]) -> None:
        """Make a check and keep what it finds."""
        self.findings += self.value(name, check) or []

    def value(self, name: str, work: Callable[[], Result]) -> Result | None:
        """What some work gives; None, and a finding that says so, where it fails."""
        start = perf_counter()
        try:
            return work()
        except Exception as error:
            logger.debug("the check for %s failed", name, exc_info=True)
            self.findings.append(_failed(name, error))
            return None
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - start


def _failed(name: str, error: Exception) -> Finding:
    # Only the errors of this package are known to tell nobody's name.
    why = str(error) if isinstance(error, (TumorKerasError, MissingExtraError)) else type(error).__name__
    return Finding(
        name,
        "check_failed",
        "warning",
        f"the check for {name.replace('_', ' ')} could not be made: {why}",
        effect="What it would have found is not known.",
        mend="Mend the other findings first and audit again.",
    )
