"""A table of predictions, one row per sample or detection, of a few arrays or of an archive."""

from tumorkeras.scoring.job import score
from tumorkeras.scoring.output.coco import write_coco_results
from tumorkeras.scoring.output.final import check_place, write_predictions
from tumorkeras.scoring.output.outcomes import count_outcomes, read_predictions
from tumorkeras.scoring.overlays import write_overlays
from tumorkeras.scoring.uncertainty import predict_uncertainty
from tumorkeras.scoring.views import detections_per_image

__all__ = [
    "check_place",
    "count_outcomes",
    "detections_per_image",
    "predict_uncertainty",
    "read_predictions",
    "score",
    "write_coco_results",
    "write_overlays",
    "write_predictions",
]
