"""Keras layers of the package: registered for saving, each usable alone, in 2D and 3D."""

from tumorkeras.layers.activations import activate, activation_fault, pieces
from tumorkeras.layers.maxout import Maxout
from tumorkeras.layers.preprocessing import LeeFilter, Standardize
from tumorkeras.layers.tied import TiedConv, TiedDense

__all__ = [
    "LeeFilter",
    "Maxout",
    "Standardize",
    "TiedConv",
    "TiedDense",
    "activate",
    "activation_fault",
    "pieces",
]
