"""The methods of the comparison.

A new method is one function ``train(fold)`` that gives a predictor, and one entry here.
"""

from __future__ import annotations

from tumorkeras.comparison import classical, networks
from tumorkeras.comparison.method import Method

BASELINES = ("majority", "trivial")  # always in the table

METHODS: dict[str, Method] = {
    "majority": Method("none", classical.train_majority),
    "trivial": Method("trivial", classical.train_trivial),
    "svm_linear": Method("features", classical.svm_linear),
    "svm_poly": Method("features", classical.svm_poly),
    "svm_rbf": Method("features", classical.svm_rbf),
    "ann": Method("features", classical.ann),
    "random_forest": Method("features", classical.random_forest),
    "cnn": Method("pixels", networks.cnn),
    "autoencoder_cnn": Method("pixels", networks.autoencoder_cnn),
    "cnn_ensemble": Method("pixels", networks.train_ensemble),
}
USUAL = tuple(name for name in METHODS if name != "cnn_ensemble")  # which takes several times as long as a network
