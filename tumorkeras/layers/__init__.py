"""Keras layers of the package: registered for saving, each usable alone, in 2D and 3D."""

from tumorkeras.layers.activations import activate, activation_fault, pieces
from tumorkeras.layers.contrast import ContrastLimitedEqualization
from tumorkeras.layers.detections import Detections
from tumorkeras.layers.intensity import IntensityWindow, LogCompression, Normalize, PercentileWindow, Standardize
from tumorkeras.layers.letterbox import Letterbox, LetterboxBoxes, letterbox_boxes, restore_boxes
from tumorkeras.layers.maxout import Maxout
from tumorkeras.layers.proposals import RegionProposals
from tumorkeras.layers.pyramid_levels import PyramidLevels
from tumorkeras.layers.roi_align import RoIAlign
from tumorkeras.layers.speckle import LeeFilter
from tumorkeras.layers.tied import TiedConv, TiedDense

__all__ = [
    "ContrastLimitedEqualization",
    "Detections",
    "IntensityWindow",
    "LeeFilter",
    "Letterbox",
    "LetterboxBoxes",
    "LogCompression",
    "Maxout",
    "Normalize",
    "PercentileWindow",
    "PyramidLevels",
    "RegionProposals",
    "RoIAlign",
    "Standardize",
    "TiedConv",
    "TiedDense",
    "activate",
    "activation_fault",
    "letterbox_boxes",
    "pieces",
    "restore_boxes",
]
