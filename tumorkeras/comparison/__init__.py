"""The method beside what people used before it, on the same folds."""

from tumorkeras.comparison.detection import compare_detectors
from tumorkeras.comparison.method import Method
from tumorkeras.comparison.methods import METHODS
from tumorkeras.comparison.outer_folds import outer_folds
from tumorkeras.comparison.predictions import fold_predictions
from tumorkeras.comparison.problem import Fold, Problem
from tumorkeras.comparison.region_classifier import RegionClassifier
from tumorkeras.comparison.region_training import train_region_classifier
from tumorkeras.comparison.table import check_comparison, compare

__all__ = [
    "METHODS",
    "Fold",
    "Method",
    "Problem",
    "RegionClassifier",
    "check_comparison",
    "compare",
    "compare_detectors",
    "fold_predictions",
    "outer_folds",
    "train_region_classifier",
]
