"""What differs between what was written down and what is given now, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def changed_fields(before: Any, now: Any) -> list[str]:
    """One line a field of nested mappings that differs; one that is absent counts as None.

    Examples
    --------
    >>> changed_fields({"training": {"epochs": 1, "seed": 0}}, {"training": {"epochs": 2, "seed": 0}})
    ['training.epochs: it was 1, now it is 2']
    """
    old, new = dict(_fields(before)), dict(_fields(now))
    changed = [name for name in old | new if old.get(name) != new.get(name)]
    return [f"{name}: it was {old.get(name)!r}, now it is {new.get(name)!r}" for name in changed]


def _fields(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _fields(item, f"{path}.{name}" if path else str(name))
    else:
        yield path, value
