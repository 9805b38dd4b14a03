"""The errors that users see: every fault of one kind at once, in words that say how to mend it."""

from __future__ import annotations

from collections.abc import Sequence

# A file with thousands of bad cells has one cause: the first few show it.
MOST_FAULTS = 10


class TumorKerasError(ValueError):
    """A fault in what the user gave; the command line turns it into exit status 1.

    Parameters
    ----------
    heading : str
        What was being read or done, with the file's name where there is one.
    faults : sequence of str, optional
        One line a fault: the field or row, what was found, what was expected.

    Examples
    --------
    >>> error = TumorKerasError("spec.yaml", ["training.epochs: -3 is not a positive integer"])
    >>> print(error)
    spec.yaml: training.epochs: -3 is not a positive integer
    """

    def __init__(self, heading: str, faults: Sequence[str] = ()) -> None:
        self.heading = heading
        self.faults = list(faults)
        super().__init__(self._message())

    def _message(self) -> str:
        if not self.faults:
            return self.heading
        if len(self.faults) == 1:
            return f"{self.heading}: {self.faults[0]}"
        lines = "\n".join(f"  - {fault}" for fault in self.faults)
        return f"{self.heading}: {len(self.faults)} faults\n{lines}"


class SpecError(TumorKerasError):
    """A data spec that cannot be read or does not say what it must."""


class DataError(TumorKerasError):
    """Data files that are missing, broken or do not fit the spec."""


class ModelError(TumorKerasError):
    """A model, model folder or export that is missing, broken or does not fit the call."""


class MissingExtraError(ImportError):
    """An optional dependency that is not installed; the message holds the line that installs it."""

    def __init__(self, package: str, extra: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(f"{package} is not installed; install it with: pip install 'tumorkeras[{extra}]'")

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), (self.package, self.extra)


def shortened(faults: list[str], most: int = MOST_FAULTS) -> list[str]:
    """The first ``most`` faults and the count of the rest.

    Examples
    --------
    >>> shortened(["a", "b", "c"], most=2)
    ['a', 'b', 'and 1 more']
    """
    if len(faults) <= most:
        return faults
    return [*faults[:most], f"and {len(faults) - most} more"]


def first_line(error: object) -> str:
    """What a message says first, for those that go on for pages.

    Examples
    --------
    >>> first_line(ValueError("no graph\\n  at ...")), first_line(KeyError())
    ('no graph', 'KeyError')
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
