"""Copies of a picture that were resized, recompressed, flipped, cropped or made brighter, found from pixels alone."""

from tumorkeras.data.similarity.pairs import duplicate_groups, near_duplicates
from tumorkeras.data.similarity.thumbnails import SIDE, thumbnail
from tumorkeras.data.similarity.volumes import confirmed

__all__ = ["SIDE", "confirmed", "duplicate_groups", "near_duplicates", "thumbnail"]
