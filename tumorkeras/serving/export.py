"""Export: a Keras model becomes ``DIRECTORY/NAME/VERSION``, checked before anyone can load it."""

from __future__ import annotations

import errno
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from tumorkeras.errors import ModelError
from tumorkeras.metrics import apply_temperature
from tumorkeras.serving.golden import golden_batches
from tumorkeras.serving.signatures import Endpoint, endpoints, model_kind
from tumorkeras.serving.verify import verify_golden
from tumorkeras.spec import DataSpec

if TYPE_CHECKING:
    from tumorkeras.training import TrainedModel

# Not hidden, and nothing that a shell or a URL reads in its own way.
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_EXTRA = "assets.extra"


@dataclass(frozen=True)
class _Source:
    """The model with what is known about it."""

    model: keras.Model
    name: str
    spec: DataSpec | None = None
    card: dict[str, Any] | None = None
    classes: list[str] | None = None
    temperature: float = 1.0


def export(
    model: keras.Model | TrainedModel | str | Path,
    directory: str | Path,
    name: str | None = None,
    version: int | None = None,
    samples: np.ndarray | Mapping[str, np.ndarray] | None = None,
    *,
    calibrated: bool = False,
) -> Path:
    """Write a model as a SavedModel that TF Serving loads as it is.

    The export is written to a hidden folder, run in a new process that has TensorFlow alone, held against the
    model's own answers, and only then renamed into place. A failed export leaves nothing behind.

    Parameters
    ----------
    model : keras.Model, trained model, str or Path
        A functional classifier, autoencoder or detector of this package, what :func:`tumorkeras.load` gave, or the
        folder of a trained model. From a trained model the class names, the spec and the model card, with the
        threshold that was tuned, go along, in ``assets.extra``.
    directory : str or Path
        Where exports are kept; made if it is not there.
    name : str, optional
        Letters, digits, ``_``, ``-`` and ``.``; by default the name of the model's folder, else of the model.
    version : int, optional
        Positive; by default one more than the largest that is there.
    samples : ndarray or mapping of str to ndarray, optional
        (n, *input_shape), real inputs for the check, or an array for each input by its name; by default seeded
        synthetic ones, for a detector of several sizes. Images to which a detector's own answer hangs on the last
        digits of its numbers are left out; that nothing is found in the others is warned of.
    calibrated : bool, default False
        Probabilities of a classifier at the temperature of its card, which was fitted to the validation part. The most
        probable class stays the same, and the threshold in the export's card is moved along. That card
        then says ``calibrated``.

    Returns
    -------
    Path
        ``DIRECTORY/NAME/VERSION``. Every signature reads ``inputs``, (batch, *input_shape) float32. Of a
        classifier, ``serving_default`` gives ``probabilities`` (batch, classes) and ``class_id`` (batch,)
        int64; of an autoencoder, ``reconstruction``, ``reconstruction_error`` (batch,) and ``features``; of a
        detector, which reads images of any height and width, ``boxes`` (batch, n, 4) float32, xyxy in pixels of
        these images, ``scores`` (batch, n) float32, ``classes`` (batch, n) int32 and ``num_detections`` (batch,)
        int32, best first, padded with box 0, score 0 and class -1. One with ``proposals="external"`` also reads
        ``proposals`` (batch, m, 4) float32. The signature ``features`` gives ``features`` (batch, k).

    Raises
    ------
    ModelError
        If an argument is wrong, there is no temperature for ``calibrated``, the version is there already, or the export
        does not pass :func:`verify_export`.

    Examples
    --------
    >>> import tempfile
    >>> inputs = keras.Input((8, 8, 1))
    >>> features = keras.layers.GlobalAveragePooling2D(name="features")(inputs)
    >>> outputs = keras.layers.Dense(2, activation="softmax", name="probabilities")(features)
    >>> folder = export(keras.Model(inputs, outputs), tempfile.mkdtemp(), name="cells")
    >>> folder.parts[-2:]
    ('cells', '1')
    """
    source = _calibrated(_source(model)) if calibrated else _source(model)
    name = source.name if name is None else name
    base = _check_arguments(Path(directory), name, version)
    functions = endpoints(source.model, source.temperature)
    golden = golden_batches(functions, samples)
    with _hidden_folder(Path(directory), name) as hidden:
        draft = hidden / str(version or _next_version(base))
        _write(source, functions, draft)
        report = verify_golden(draft, golden)
        if not report.ok:
            raise ModelError(f"{name}: the export is not fit to be served; nothing was published", report.faults)
        return _publish(draft, base, version)


def _source(model: Any) -> _Source:
    if isinstance(model, keras.Model):
        return _Source(model, model.name)
    if isinstance(model, str | Path):
        from tumorkeras.training import load  # Nothing else here needs it.

        model = load(model)
    if not all(hasattr(model, part) for part in ("model", "spec", "card", "folder")):
        found = type(model).__name__
        raise ModelError("export", [f"model: {found} found, expected a keras.Model, a trained model or its folder"])
    kind = model_kind(model.model)
    name = f"{model.spec.name}-{kind}" if model.folder is None else Path(model.folder).name
    classes = None if kind == "autoencoder" else model.card.get("classes")
    _check_classes(name, classes, model.model)
    return _Source(model.model, name, model.spec, model.card, classes)


def _calibrated(source: _Source) -> _Source:
    """With the temperature of its card, which then also says that the export has it, and where its threshold lies."""
    found = (source.card or {}).get("temperature")
    if found is None:
        known = "it has no card" if source.card is None else "its card has none"
        mend = "train a classifier with a validation part of both classes that tells one"
        raise ModelError(source.name, [f"calibrated: needs a temperature, and {known}; {mend}"])
    assert source.card is not None
    card = {**source.card, "calibrated": True}
    if "threshold" in card:
        card["threshold"] = float(apply_temperature([card["threshold"]], found["value"])[0])
    return replace(source, card=card, temperature=found["value"])


def _check_classes(name: str, classes: list[str] | None, model: keras.Model) -> None:
    from tumorkeras.training.networks import classes_of

    if classes is not None and len(classes) != classes_of(model):
        raise ModelError(
            f"{name}: {len(classes)} class names for {classes_of(model)} outputs; the model folder's card and model "
            "do not belong together"
        )


def _check_arguments(directory: Path, name: str, version: int | None) -> Path:
    """Give the folder of the name's versions."""
    faults = []
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        faults.append(f"name: {name!r} found, expected letters, digits, '_', '-' and '.', '.' not first")
    if version is not None and (not isinstance(version, int) or isinstance(version, bool) or version < 1):
        faults.append(f"version: {version!r} found, expected a positive integer")
    if faults:
        raise ModelError("export", faults)
    base = directory / name
    if base.exists() and not base.is_dir():
        raise ModelError(f"{base}: is a file, expected a folder of versions")
    if version is not None and (base / str(version)).exists():
        raise ModelError(f"{base / str(version)}: is there already; take another version or leave it out")
    return base


@contextmanager
def _hidden_folder(directory: Path, name: str) -> Iterator[Path]:
    """Give a hidden folder of this call's own; in the end it is gone, as are empty folders made for it."""
    made = [folder for folder in (directory, *directory.parents) if not folder.exists()]
    hidden = None
    try:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            hidden = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=directory))
        except OSError as error:
            raise ModelError(f"{directory}: cannot be written ({error.strerror}); give another") from None
        yield hidden
    finally:
        if hidden is not None:
            shutil.rmtree(hidden, ignore_errors=True)
        for folder in made:
            with suppress(OSError):  # Not empty: the export is in it, or somebody else's.
                folder.rmdir()


def _write(source: _Source, functions: Mapping[str, Endpoint], folder: Path) -> None:
    archive = keras.export.ExportArchive()
    archive.track(source.model)
    for name, endpoint in functions.items():
        archive.add_endpoint(name, endpoint.function, input_signature=endpoint.inputs)
    archive.write_out(str(folder), verbose=False)
    extra = folder / _EXTRA
    extra.mkdir(exist_ok=True)
    if source.classes is not None:
        (extra / "classes.json").write_text(json.dumps(source.classes, ensure_ascii=False), encoding="utf-8")
    if source.spec is not None:
        source.spec.save(extra / "spec.yaml")
    if source.card is not None:
        text = json.dumps(source.card, indent=2, ensure_ascii=False)
        (extra / "model_card.json").write_text(text, encoding="utf-8")


def _next_version(base: Path) -> int:
    taken = [int(path.name) for path in base.glob("*") if path.name.isascii() and path.name.isdecimal()]
    return max(taken, default=0) + 1


def _publish(draft: Path, base: Path, version: int | None) -> Path:
    """Rename a checked export into place; where another exporter was faster, take the next version."""
    base.mkdir(exist_ok=True)
    while True:
        target = base / str(version or _next_version(base))
        try:
            draft.rename(target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            if version is not None:
                raise ModelError(f"{target}: another exporter has just published this version") from None
        else:
            return target
