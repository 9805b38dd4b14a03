"""Whether data are of the kind that a model was trained with."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tumorkeras.errors import ModelError
from tumorkeras.spec import DataSpec, SimulationSource, TracksSource

if TYPE_CHECKING:  # arrays and files are scored without the readers of samples
    from tumorkeras.data.detection import DetectionSamples
    from tumorkeras.data.parted import Parted
    from tumorkeras.data.samples import Samples

    S = TypeVar("S", Samples, DetectionSamples)

logger = logging.getLogger(__name__)

Shape = tuple[int | None, ...]

DEPTHS = {"uint8", "uint16"}  # of image files


@dataclass(frozen=True)
class ModelOrigin:
    """What is known of the data that a model was trained with.

    Attributes
    ----------
    name : str
        The model in messages: its folder, else its name.
    shape : tuple
        Shape of one sample, channels last; None is open.
    outputs : int or None
        Number of classes; None for an autoencoder.
    classes : tuple of str or None
        Names by class id, where they are known.
    spec : DataSpec or None
        The spec that the model was trained with.
    data_sha256 : str or None
        :func:`data_hash` of the samples that it was trained with.
    pixel_dtype : str or None
        Of the images that it was trained with.
    """

    name: str
    shape: Shape
    outputs: int | None = None
    classes: tuple[str, ...] | None = None
    spec: DataSpec | None = None
    data_sha256: str | None = None
    pixel_dtype: str | None = None

    def depth_fault(self, dtype: str | None) -> str | None:
        """What is wrong with grey levels of another depth than the model learnt from: their range is another one.

        Examples
        --------
        >>> origin = ModelOrigin("lesions", (64, 64, 1), pixel_dtype="uint8")
        >>> origin.depth_fault("uint16")
        'holds uint16 values, and the model learnt from uint8; bring them to that range'
        >>> origin.depth_fault("float32") is None
        True
        """
        if {dtype, self.pixel_dtype} != DEPTHS:
            return None
        return f"holds {dtype} values, and the model learnt from {self.pixel_dtype}; bring them to that range"


def data_hash(samples: Parted) -> str:
    """SHA-256 of the samples' values, labels and parts: models with the same hash had the same data.

    Examples
    --------
    >>> from tumorkeras.data.samples import load_samples
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "samples_per_class": 4, "frames": 16}})
    >>> len(data_hash(load_samples(spec))), data_hash(load_samples(spec)) == data_hash(load_samples(spec))
    (64, True)
    """
    digest = hashlib.sha256()
    add_content(digest, samples)
    digest.update("".join(samples.table["split"]).encode())
    return digest.hexdigest()


def add_content(digest: Any, samples: Parted) -> None:
    """Add all that a model sees of some samples, in their order, to a hash."""
    for piece in samples.content():
        digest.update(np.ascontiguousarray(piece).data)


def chosen_samples(origin: ModelOrigin, samples: S, part: str | None) -> S:
    """The samples of a part (None: all), once it is sure that the model can read them.

    Held-out parts of other data than the model's own are read with a warning: another split or another seed
    may have moved samples from the model's training part into them.

    Raises
    ------
    ModelError
        If classes, shape, spacing or, for tracks, the rendering are not those of the model; every field that
        differs is named.
    DataError
        If the part has no sample.
    """
    faults = [
        f"{field}: the model has {own!r}, the data have {found!r}"
        for field, own, found in _differences(origin, samples)
    ]
    if faults:
        raise ModelError(f"{origin.name} does not fit the data of the spec {samples.spec.name!r}", faults)
    # A single part alone tells nothing of the whole, and the hash is of the whole.
    whole = (samples.counts() > 0).sum() > 1
    if part in ("val", "test") and whole and origin.data_sha256 not in (None, data_hash(samples)):
        logger.warning(
            "%s was trained with other data, or with other parts of them: samples of the part %r may have been "
            "among its training samples",
            origin.name,
            part,
        )
    return samples if part is None else samples.part(part)


def are_tracks(spec: DataSpec) -> bool:
    """Whether the samples of a spec are positions that are drawn as volumes."""
    return isinstance(spec.source, SimulationSource | TracksSource)


def fits(found: Sequence[int], shape: Shape) -> bool:
    """Whether an array of shape ``found`` is one sample of ``shape``."""
    return len(found) == len(shape) and all(wanted in (None, size) for size, wanted in zip(found, shape, strict=True))


def _differences(origin: ModelOrigin, samples: Samples | DetectionSamples) -> Iterator[tuple[str, Any, Any]]:
    """Each field that differs: its path in a spec, the model's value, and the data's."""
    if origin.classes is not None and origin.classes != samples.classes:
        yield "classes", list(origin.classes), list(samples.classes)
    elif origin.outputs not in (None, len(samples.classes)):
        yield "number of classes", origin.outputs, len(samples.classes)
    if not fits(samples.spec.input.shape, origin.shape):
        yield "input.shape", list(origin.shape), samples.spec.input.shape
    if origin.depth_fault(samples.pixel_dtype):
        yield "grey levels", origin.pixel_dtype, samples.pixel_dtype
    if origin.spec is None:
        return
    own, found = _look(origin.spec), _look(samples.spec)
    for field in [name for name in own if name in found]:
        if own[field] != found[field]:
            yield field, own[field], found[field]


def _look(spec: DataSpec) -> dict[str, Any]:
    """What decides how large a thing is in the array, and for tracks how it is drawn."""
    look: dict[str, Any] = {"input.spacing": spec.input.spacing or [1.0] * (len(spec.input.shape) - 1)}
    if are_tracks(spec):
        look |= {f"rendering.{name}": value for name, value in spec.rendering.model_dump(mode="json").items()}
    return look
