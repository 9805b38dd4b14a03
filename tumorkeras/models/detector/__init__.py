"""The detector: a Faster R-CNN in four parts, backbone, pyramid, region proposals, region head."""

from tumorkeras.models.detector.builder import build_detector
from tumorkeras.models.detector.model import Detector
from tumorkeras.models.detector.settings import TrainingSettings

__all__ = ["Detector", "TrainingSettings", "build_detector"]
