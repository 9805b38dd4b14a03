"""Where objects may lie in an image, whatever their class: blobs, stable regions and contours, the best first."""

from tumorkeras.data.proposals.proposing import METHODS, propose_regions
from tumorkeras.data.proposals.ranking import edge_steadiness, suppress

__all__ = ["METHODS", "edge_steadiness", "propose_regions", "suppress"]
