"""A table of predictions, a row a sample."""

from tumorkeras.scoring.local import score
from tumorkeras.scoring.table import write_predictions

__all__ = ["score", "write_predictions"]
