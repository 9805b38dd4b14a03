"""Fitting models: seeds, early stopping, resuming, and the folder a trained model lives in."""

from tumorkeras.data.agreement import data_hash
from tumorkeras.training.fit import fit
from tumorkeras.training.folder import TrainedModel, load
from tumorkeras.training.from_spec import evaluate, train
from tumorkeras.training.live import LiveCurves

__all__ = ["LiveCurves", "TrainedModel", "data_hash", "evaluate", "fit", "load", "train"]
