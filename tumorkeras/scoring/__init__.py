"""A table of predictions, one row per sample."""

from tumorkeras.scoring.final import check_place, write_predictions
from tumorkeras.scoring.local import score

__all__ = ["check_place", "score", "write_predictions"]
