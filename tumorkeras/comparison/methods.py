"""The methods of the comparison, by name; each stands, with its entry, in the module of its kind."""

from __future__ import annotations

from tumorkeras.comparison import classical, networks
from tumorkeras.comparison.method import Method

BASELINES = ("majority", "trivial")  # always in the table

METHODS: dict[str, Method] = {**classical.METHODS, **networks.METHODS}
USUAL = tuple(name for name in METHODS if name != "cnn_ensemble")  # which takes several times as long as a network
