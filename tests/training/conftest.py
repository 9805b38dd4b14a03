"""What the tests of trained detectors share."""

from __future__ import annotations

import pytest
from made_detectors import detection_spec

from tumorkeras.data.detection import load_detection


@pytest.fixture(scope="session")
def lesions():
    """Twenty images with boxes; only read."""
    return load_detection(detection_spec())
