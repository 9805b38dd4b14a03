"""The method beside what people used before it, on the same folds."""

from tumorkeras.comparison.methods import METHODS, Method, Problem
from tumorkeras.comparison.table import compare, outer_folds

__all__ = ["METHODS", "Method", "Problem", "compare", "outer_folds"]
