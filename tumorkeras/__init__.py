"""tumorkeras: from a folder of medical images to a served tumour detector, on Keras.

The public names are loaded when they are first used, so that ``import tumorkeras`` starts no TensorFlow.

Examples
--------
>>> import tumorkeras
>>> tumorkeras.simulate_motility("random_walk", n=2, frames=5, seed=0).shape
(2, 5, 2)
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tumorkeras import explain as explain
    from tumorkeras import plots as plots
    from tumorkeras.auditing import audit as audit
    from tumorkeras.cohort import cohort_table as cohort_table
    from tumorkeras.comparison import compare as compare
    from tumorkeras.data.annotations import read_annotations as read_annotations
    from tumorkeras.data.annotations import write_annotations as write_annotations
    from tumorkeras.data.detection import load_detection as load_detection
    from tumorkeras.data.loading import load_data as load_data
    from tumorkeras.data.mimic import mimic_motility as mimic_motility
    from tumorkeras.data.phantoms import simulate_ultrasound as simulate_ultrasound
    from tumorkeras.data.phantoms import write_ultrasound as write_ultrasound
    from tumorkeras.data.proposals import propose_regions as propose_regions
    from tumorkeras.data.readers import read as read
    from tumorkeras.data.samples import load_samples as load_samples
    from tumorkeras.data.simulate import simulate_motility as simulate_motility
    from tumorkeras.features import FeatureExtractor as FeatureExtractor
    from tumorkeras.installation import doctor as doctor
    from tumorkeras.layout import init as init
    from tumorkeras.models.autoencoder import build_autoencoder as build_autoencoder
    from tumorkeras.models.autoencoder import encoder_of as encoder_of
    from tumorkeras.models.classifier import build_classifier as build_classifier
    from tumorkeras.models.detector import build_detector as build_detector
    from tumorkeras.models.freezing import freeze as freeze
    from tumorkeras.models.receptive_field import receptive_field as receptive_field
    from tumorkeras.scoring.job import score as score
    from tumorkeras.scoring.large import predict_large as predict_large
    from tumorkeras.scoring.spark.udf import score_udf as score_udf
    from tumorkeras.scoring.uncertainty import predict_uncertainty as predict_uncertainty
    from tumorkeras.serving.client import ServingClient as ServingClient
    from tumorkeras.serving.export import export as export
    from tumorkeras.serving.verify import verify_export as verify_export
    from tumorkeras.spec import DataSpec as DataSpec
    from tumorkeras.training import load as load
    from tumorkeras.training.detect import detect as detect
    from tumorkeras.training.from_spec import evaluate as evaluate
    from tumorkeras.training.from_spec import train as train
    from tumorkeras.workflow import run as run

    __version__: str

# A public function is never called as a module of the package: importing that module would put it in the
# function's place (so `compare` lives in comparison.py and `run` in workflow.py).
_HOMES = {
    "DataSpec": "spec",
    "FeatureExtractor": "features",
    "ServingClient": "serving.client",
    "audit": "auditing",
    "build_autoencoder": "models.autoencoder",
    "build_classifier": "models.classifier",
    "build_detector": "models.detector",
    "cohort_table": "cohort",
    "compare": "comparison",
    "detect": "training.detect",
    "doctor": "installation",
    "encoder_of": "models.autoencoder",
    "evaluate": "training.from_spec",
    "explain": "explain",
    "export": "serving.export",
    "freeze": "models.freezing",
    "init": "layout",
    "load": "training",
    "load_data": "data.loading",
    "load_detection": "data.detection",
    "load_samples": "data.samples",
    "mimic_motility": "data.mimic",
    "plots": "plots",
    "predict_large": "scoring.large",
    "predict_uncertainty": "scoring.uncertainty",
    "propose_regions": "data.proposals",
    "read": "data.readers",
    "read_annotations": "data.annotations",
    "receptive_field": "models.receptive_field",
    "run": "workflow",
    "score": "scoring.job",
    "score_udf": "scoring.spark.udf",
    "simulate_motility": "data.simulate",
    "simulate_ultrasound": "data.phantoms",
    "train": "training.from_spec",
    "verify_export": "serving.verify",
    "write_annotations": "data.annotations",
    "write_ultrasound": "data.phantoms",
}

__all__ = sorted(_HOMES)

# What is found without TensorFlow; for the others it is started first, quietly.
_LIGHT = {
    "DataSpec",
    "ServingClient",
    "audit",
    "cohort_table",
    "doctor",
    "init",
    "mimic_motility",
    "plots",
    "propose_regions",
    "read",
    "read_annotations",
    "simulate_motility",
    "simulate_ultrasound",
    "write_annotations",
    "write_ultrasound",
}

# Rooms that import TensorFlow: `from tumorkeras import comparison` asks here first, and so starts it quietly, too.
_ROOMS = {"comparison", "layers", "models", "scoring", "serving", "training"}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in _HOMES and name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _LIGHT:
        from tumorkeras.starting import start_tensorflow

        start_tensorflow()
    place = _HOMES.get(name, name)
    home = import_module(f"{__name__}.{place}")
    value = home if name == place else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


def _version() -> str:
    try:
        return version(__name__)
    except PackageNotFoundError:  # a checkout that is not installed
        return "0+unknown"
