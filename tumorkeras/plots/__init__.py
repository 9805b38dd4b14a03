"""Figures of data, training and results: data first, `ax` optional, Matplotlib axes back.

Matplotlib is loaded by the first plot, not by the import. Without `ax` a plot makes its own figure.
"""

from tumorkeras.plots.anchors import anchors
from tumorkeras.plots.by_size import learning_by_size
from tumorkeras.plots.calibration import reliability
from tumorkeras.plots.clusters import clusters
from tumorkeras.plots.detection import froc, precision_recall
from tumorkeras.plots.detection_images import detections
from tumorkeras.plots.detection_worst import worst_detections
from tumorkeras.plots.feature_tree import feature_tree
from tumorkeras.plots.filters import filters
from tumorkeras.plots.heat_maps import heatmaps
from tumorkeras.plots.images import reconstructions, tracks, volume_montage, volume_projection
from tumorkeras.plots.learning import embedding, learning_curves
from tumorkeras.plots.results import comparison, confusion, roc
from tumorkeras.plots.sheets import contact_sheet
from tumorkeras.plots.space_time import tracks_in_time
from tumorkeras.plots.style import to_png

__all__ = [
    "anchors",
    "clusters",
    "comparison",
    "confusion",
    "contact_sheet",
    "detections",
    "embedding",
    "feature_tree",
    "filters",
    "froc",
    "heatmaps",
    "learning_by_size",
    "learning_curves",
    "precision_recall",
    "reconstructions",
    "reliability",
    "roc",
    "to_png",
    "tracks",
    "tracks_in_time",
    "volume_montage",
    "volume_projection",
    "worst_detections",
]
