"""Simulated breast ultrasound with lesions: data that are always there, with boxes that are right."""

from tumorkeras.data.phantoms.files import write_ultrasound
from tumorkeras.data.phantoms.simulate import Phantom, Ultrasound, simulate_ultrasound

__all__ = ["Phantom", "Ultrasound", "simulate_ultrasound", "write_ultrasound"]
