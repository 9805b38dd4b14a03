"""The samples of a spec, whatever its task reads."""

from __future__ import annotations

from pathlib import Path

from tumorkeras.data.detection import DetectionSamples, load_detection
from tumorkeras.data.samples import Samples, load_samples
from tumorkeras.spec import DataSpec


def load_data(spec: DataSpec | str | Path) -> Samples | DetectionSamples:
    """Read or simulate the samples of a spec: images with boxes where it detects, else samples with a class each.

    A data set with boxes can also be read for another task: see :func:`tumorkeras.load_samples` and
    :func:`tumorkeras.load_detection`.

    Parameters
    ----------
    spec : DataSpec or path

    Raises
    ------
    SpecError
        If the file is missing or wrong.
    DataError
        If a file of the data is missing or broken, a class is empty, or the arrays do not fit ``input.shape``.

    Examples
    --------
    >>> lesions = {"name": "lesions", "input": {"shape": [48, 64, 1]}, "source": {"kind": "phantoms", "samples": 4}}
    >>> load_data(DataSpec.from_dict(lesions))
    <DetectionSamples lesions: 4 images (48, 64, 1), objects of 2 classes; 2 train, 1 val, 1 test>
    """
    spec = spec if isinstance(spec, DataSpec) else DataSpec.from_yaml(spec)
    return load_detection(spec) if "detect" in spec.tasks else load_samples(spec)
