"""Keras layers of the package: registered for saving, each usable alone, in 2D and 3D."""

from tumorkeras.layers.activations import activate, activation_fault, pieces
from tumorkeras.layers.contrast import ContrastLimitedEqualization
from tumorkeras.layers.intensity import IntensityWindow, LogCompression, Normalize, PercentileWindow, Standardize
from tumorkeras.layers.letterbox import Letterbox, LetterboxBoxes, letterbox_boxes, restore_boxes
from tumorkeras.layers.maxout import Maxout
from tumorkeras.layers.speckle import LeeFilter
from tumorkeras.layers.tied import TiedConv, TiedDense

__all__ = [
    "ContrastLimitedEqualization",
    "IntensityWindow",
    "LeeFilter",
    "Letterbox",
    "LetterboxBoxes",
    "LogCompression",
    "Maxout",
    "Normalize",
    "PercentileWindow",
    "Standardize",
    "TiedConv",
    "TiedDense",
    "activate",
    "activation_fault",
    "letterbox_boxes",
    "pieces",
    "restore_boxes",
]
