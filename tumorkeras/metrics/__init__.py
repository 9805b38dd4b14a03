"""How good a result is, with its interval: NumPy and pandas in, pandas out."""

from tumorkeras.metrics.calibration import calibration_error, reliability_table
from tumorkeras.metrics.classification import classification_metrics, confusion_matrix
from tumorkeras.metrics.clustering import clustering_agreement
from tumorkeras.metrics.detection import compare_detections, detection_metrics
from tumorkeras.metrics.detection_ap import AveragePrecision, average_precision
from tumorkeras.metrics.detection_curves import Threshold, froc_points, precision_recall_points, tune_threshold
from tumorkeras.metrics.error_threshold import ErrorThreshold, error_threshold
from tumorkeras.metrics.intervals import (
    BootstrapResult,
    Interval,
    PairedTest,
    bootstrap,
    corrected_resampled_t,
    mean_interval,
)
from tumorkeras.metrics.operating_point import OperatingPoint, threshold_for_sensitivity
from tumorkeras.metrics.paired import paired_bootstrap
from tumorkeras.metrics.ranking import roc_points, weighted_auc
from tumorkeras.metrics.temperature import Temperature, apply_temperature, fit_temperature

__all__ = [
    "AveragePrecision",
    "BootstrapResult",
    "ErrorThreshold",
    "Interval",
    "OperatingPoint",
    "PairedTest",
    "Temperature",
    "Threshold",
    "apply_temperature",
    "average_precision",
    "bootstrap",
    "calibration_error",
    "classification_metrics",
    "clustering_agreement",
    "compare_detections",
    "confusion_matrix",
    "corrected_resampled_t",
    "detection_metrics",
    "error_threshold",
    "fit_temperature",
    "froc_points",
    "mean_interval",
    "paired_bootstrap",
    "precision_recall_points",
    "reliability_table",
    "roc_points",
    "threshold_for_sensitivity",
    "tune_threshold",
    "weighted_auc",
]
