"""Why an answer: maps of what spoke for a class, and of what is unlike the training data, over pixels and voxels."""

from tumorkeras.explain.class_maps import grad_cam
from tumorkeras.explain.detection_maps import grad_cam_detection
from tumorkeras.explain.error_maps import reconstruction_error_map
from tumorkeras.explain.windows import occlusion

__all__ = ["grad_cam", "grad_cam_detection", "occlusion", "reconstruction_error_map"]
