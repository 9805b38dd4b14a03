"""What may be wrong with names that choose the rows of a comparison."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def names_in(given: str | Sequence[str]) -> list[str]:
    """The names of a list; a text alone is one.

    Examples
    --------
    >>> names_in("ann"), names_in(("ann", "cnn"))
    (['ann'], ['ann', 'cnn'])
    """
    return [given] if isinstance(given, str) else list(given)


def unknown(names: Sequence[str], valid: Collection[str]) -> list[str]:
    """A fault for each name that is none of the valid ones.

    Examples
    --------
    >>> unknown(["ann", "svn"], ["ann", "svm"])
    ["'svn' is unknown; expected some of ann, svm"]
    """
    return [f"{name!r} is unknown; expected some of {', '.join(valid)}" for name in names if name not in valid]


def repeated(names: Sequence[str]) -> list[str]:
    """A fault for each name that stands twice.

    Examples
    --------
    >>> repeated(["ann", "cnn", "ann"])
    ["'ann' stands more than once"]
    """
    return [f"{name!r} stands more than once" for name in dict.fromkeys(names) if names.count(name) > 1]
