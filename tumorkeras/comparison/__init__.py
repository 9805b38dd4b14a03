"""The method beside what people used before it, on the same folds."""

from tumorkeras.comparison.methods import METHODS, Method, Problem
from tumorkeras.comparison.region_classifier import RegionClassifier
from tumorkeras.comparison.region_training import train_region_classifier
from tumorkeras.comparison.table import compare, outer_folds

__all__ = ["METHODS", "Method", "Problem", "RegionClassifier", "compare", "outer_folds", "train_region_classifier"]
