"""Copies of a picture that were resized, recompressed, flipped, cropped or made brighter, found from pixels alone."""

from tumorkeras.data.similarity.pairs import duplicate_groups, near_duplicates
from tumorkeras.data.similarity.thumbnails import SIDE, thumbnail

__all__ = ["SIDE", "duplicate_groups", "near_duplicates", "thumbnail"]
