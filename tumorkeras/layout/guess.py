"""A guess at what a folder holds: the values of a spec, how certain they are, and what is to be said of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

CLOSE = 0.15  # a guess that is less certain by no more than this is mentioned


@dataclass
class Guess:
    """The fields of a spec that fit a layout.

    Attributes
    ----------
    what : str
        The layout in words: "images with a box around every object (Pascal VOC)".
    certainty : float
        0 to 1; the highest of all layouts is taken.
    values : dict
        Fields of :class:`tumorkeras.DataSpec` but the name; files are ``DataPath`` from the surveyed folder.
    comments : dict of str to list of str
        What is said above a field, by its path such as ``"splits.group"``.
    unsure : list of str
        What the data do not tell: a person must look at it.
    blocks : list of tuple
        Parts of another spec (a heading and its values), written as comments that can be switched on.
    stands_alone : bool
        Whether annotations or tables of the folder itself speak for the guess, and not only how it is named.
    """

    what: str
    certainty: float
    values: dict[str, Any]
    comments: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    unsure: list[str] = field(default_factory=list)
    blocks: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    stands_alone: bool = True

    def say(self, where: str, *lines: str) -> None:
        """Add comments above a field."""
        self.comments[where] += lines


@dataclass(frozen=True)
class NoSpec:
    """Data that were recognised, but that no spec describes: what they are, and what to do with them."""

    what: str
    advice: str
    certainty: float = 0.0


def best_of(guesses: Iterable[Guess]) -> Guess | None:
    """The most certain guess, with a word on those that come close."""
    ranked = sorted(guesses, key=lambda guess: -guess.certainty)
    if not ranked:
        return None
    best = ranked[0]
    for other in ranked[1:]:
        if other.what != best.what and best.certainty - other.certainty <= CLOSE:
            best.unsure.append(f"It might also be: {other.what}.")
    return best


def listed(names: Iterable[Any], most: int = 8) -> str:
    """Names in one line, of many the first and the count of the rest.

    Examples
    --------
    >>> listed(["a", "b"]), listed(range(12), most=3)
    ('a, b', '0, 1, 2 and 9 more')
    """
    names = [str(name) for name in names]
    rest = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def many(number: int, noun: str) -> str:
    """A count with its noun in the right number.

    Examples
    --------
    >>> many(1, "image"), many(1200, "image"), many(2, "class"), many(2, "box")
    ('1 image', '1,200 images', '2 classes', '2 boxes')
    """
    ending = "es" if noun.endswith(("s", "x")) else "s"
    return f"{number:,} {noun}{'' if number == 1 else ending}"
