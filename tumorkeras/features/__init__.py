"""Features of motion and of networks: extraction, selection, clustering."""

from tumorkeras.features.selection import RelevanceTreeSelector

__all__ = ["RelevanceTreeSelector"]
