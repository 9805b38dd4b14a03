"""Builders: arguments in, a functional ``keras.Model`` out."""

from tumorkeras.models.autoencoder import build_autoencoder, decoder_of, encoder_of, target_of
from tumorkeras.models.classifier import build_classifier
from tumorkeras.models.detector import Detector, TrainingSettings, build_detector
from tumorkeras.models.freezing import freeze
from tumorkeras.models.receptive_field import receptive_field

__all__ = [
    "Detector",
    "TrainingSettings",
    "build_autoencoder",
    "build_classifier",
    "build_detector",
    "decoder_of",
    "encoder_of",
    "freeze",
    "receptive_field",
    "target_of",
]
