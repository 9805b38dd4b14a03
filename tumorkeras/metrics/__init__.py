"""How good a result is, with its interval: NumPy and pandas in, pandas out."""

from tumorkeras.metrics.classification import classification_metrics, confusion_matrix
from tumorkeras.metrics.intervals import (
    BootstrapResult,
    Interval,
    PairedTest,
    bootstrap,
    corrected_resampled_t,
    mean_interval,
)
from tumorkeras.metrics.ranking import roc_points, weighted_auc

__all__ = [
    "BootstrapResult",
    "Interval",
    "PairedTest",
    "bootstrap",
    "classification_metrics",
    "confusion_matrix",
    "corrected_resampled_t",
    "mean_interval",
    "roc_points",
    "weighted_auc",
]
