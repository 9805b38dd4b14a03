"""Features of motion and of networks: extraction, selection, clustering, embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tumorkeras.features.clustering import Clusters, cluster_features
from tumorkeras.features.embedding import embed_features
from tumorkeras.features.selection import RelevanceTreeSelector
from tumorkeras.features.table import sample_features

if TYPE_CHECKING:
    from tumorkeras.features.extraction import FeatureExtractor as FeatureExtractor

__all__ = [
    "Clusters",
    "FeatureExtractor",
    "RelevanceTreeSelector",
    "cluster_features",
    "embed_features",
    "sample_features",
]


def __getattr__(name: str) -> Any:
    if name != "FeatureExtractor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tumorkeras.features.extraction import FeatureExtractor  # starts TensorFlow: on demand only

    return FeatureExtractor
