"""A table of predictions, one row per sample."""

from tumorkeras.scoring.local import score
from tumorkeras.scoring.table import check_place, write_predictions

__all__ = ["check_place", "score", "write_predictions"]
