"""What every test shares: a quiet TensorFlow on the CPU, fixed random examples, the folder of real data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Read once, when TensorFlow or matplotlib is first imported, hence before any test module.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
from hypothesis import settings

CHECKOUT = Path(__file__).resolve().parents[1]

settings.register_profile("tumorkeras", deadline=None, derandomize=True)
settings.load_profile("tumorkeras")


@pytest.fixture(scope="session")
def checkout() -> Path:
    """Folder of the repository."""
    return CHECKOUT


@pytest.fixture(scope="session")
def data_folder() -> Iterator[Path]:
    """Folder of the real data, named in TUMORKERAS_DATA for the specs that the test reads."""
    given = os.environ.get("TUMORKERAS_DATA")
    folder = Path(given) if given else CHECKOUT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is no folder; set TUMORKERAS_DATA to the one that holds motility/")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUMORKERAS_DATA", str(folder))
        yield folder
