"""The rows of a comparison: a method, and what it reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

from tumorkeras.comparison.feature_sets import HAND_MADE
from tumorkeras.comparison.methods import BASELINES, METHODS
from tumorkeras.comparison.names import names_in, repeated, unknown
from tumorkeras.errors import SpecError


class Entry(NamedTuple):
    """A method, and the feature sets it reads, joined by ``+``, or whatever else it reads."""

    method: str
    features: str

    @property
    def key(self) -> str:
        """What the entry is called on disk.

        Examples
        --------
        >>> Entry("svm_rbf", "hand-made").key, Entry("svm_rbf", "clinical").key, Entry("cnn", "pixels").key
        ('svm_rbf', 'svm_rbf@clinical', 'cnn')
        """
        usual = METHODS[self.method].reads != "features" or self.features == HAND_MADE
        return self.method if usual else f"{self.method}@{self.features}"

    @classmethod
    def of(cls, key: str) -> Self:
        """The entry that has a key; a method that is not known here is one of features.

        Examples
        --------
        >>> Entry.of("svm_rbf@clinical"), Entry.of("cnn")
        (Entry(method='svm_rbf', features='clinical'), Entry(method='cnn', features='pixels'))
        """
        method, _, features = key.partition("@")
        reads = METHODS[method].reads if method in METHODS else "features"
        return cls(method, features or (HAND_MADE if reads == "features" else reads))


def entries_of(methods: Sequence[str], features: Sequence[str]) -> list[Entry]:
    """A row a method, of the classical ones a row a method and feature set; the baselines first where they are missing.

    Raises
    ------
    SpecError
        For unknown methods, methods that stand twice, or none.

    Examples
    --------
    >>> [entry.key for entry in entries_of(["ann", "cnn"], ["hand-made", "autoencoder"])]
    ['majority', 'trivial', 'ann', 'ann@autoencoder', 'cnn']
    """
    names = names_in(methods)
    faults = unknown(names, METHODS) + repeated(names)
    if not names:
        faults.append(f"names no method; expected some of {', '.join(METHODS)}")
    if faults:
        raise SpecError("comparison.methods", faults)
    names = [*(name for name in BASELINES if name not in names), *names]
    read = {name: features if METHODS[name].reads == "features" else [METHODS[name].reads] for name in names}
    return [Entry(name, each) for name in names for each in read[name]]
