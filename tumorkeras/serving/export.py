"""Export: a Keras model becomes ``DIRECTORY/NAME/VERSION``, checked before anyone can load it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from tumorkeras.errors import ModelError
from tumorkeras.files import write_whole
from tumorkeras.serving.decoding import MOST_PIXELS
from tumorkeras.serving.formats import check_formats, write_formats
from tumorkeras.serving.golden import golden_requests, warm_up_requests
from tumorkeras.serving.publishing import hidden_folder, next_version, publish
from tumorkeras.serving.quiet import quiet
from tumorkeras.serving.signatures import Endpoint, endpoints
from tumorkeras.serving.source import UNKNOWN, Source, Threshold, source_of, with_choices
from tumorkeras.serving.uncertainty import PASSES, SEED, Uncertainty
from tumorkeras.serving.verify import ExportReport, verify_export
from tumorkeras.serving.warm_up import FOLDER, Request, write_warm_up

if TYPE_CHECKING:
    from tumorkeras.training import TrainedModel

# Not hidden, and nothing that a shell or a URL reads in its own way.
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
CARD, SPEC, CLASSES = "model_card.json", "data_spec.yaml", "classes.json"


def export(
    model: keras.Model | TrainedModel | str | Path,
    directory: str | Path,
    name: str | None = None,
    version: int | None = None,
    samples: np.ndarray | Mapping[str, np.ndarray] | None = None,
    *,
    calibrated: bool = False,
    threshold: Threshold = None,
    class_names: bool = False,
    max_pixels: int = MOST_PIXELS,
    largest_batch: int = 8,
    format: str | Sequence[str] = (),
    uncertainty: str | Sequence[str] = (),
    passes: int = PASSES,
    seed: int = SEED,
) -> Path:
    """Write a model as a SavedModel that TF Serving loads as it is.

    The export is written to a hidden folder, loaded by TensorFlow's C library in a new process, held against the
    model's own answers, and only then renamed into place. A failed export leaves nothing behind.

    Parameters
    ----------
    model : keras.Model, trained model, str or Path
        A functional classifier, autoencoder or detector of this package, trained or not, what :func:`tumorkeras.load`
        gave, or the folder of a trained model. From a trained model the class names, the spec and the model card go
        along, in ``assets.extra``.
    directory : str or Path
        Where exports are kept; made if it is not there.
    name : str, optional
        Letters, digits, ``_``, ``-`` and ``.``; by default the name of the model's folder, else of the model.
    version : int, optional
        Positive; by default one more than the largest that is there.
    samples : ndarray or mapping of str to ndarray, optional
        ``(n, *input_shape)``, real inputs for the check and the warm-up, or an array for each input by its name; by
        default seeded synthetic ones, of images several sizes. Images to which a detector's own answer hangs on the
        last digits of its numbers are left out; that nothing is found in the others is warned of.
    calibrated : bool, default False
        Probabilities of a classifier at the temperature of its card, which was fitted to the validation part. The most
        probable class stays the same, and the threshold in the export's card is moved along. That card
        then says ``calibrated``.
    threshold : float or "tuned", optional
        Of two classes ``class_id`` is 1 from this probability on; a detector gives detections from this score on.
        "tuned" is that of the model's card. By default ``class_id`` is the most probable class, and detections come
        from the score on that the model was built with.
    class_names : bool, default False
        Adds ``class_name``, strings, to the outputs of classifiers and detectors.
    max_pixels : int, default 2**25
        Encoded images with more pixels are not decoded: ``status`` 1.
    largest_batch : int, default 8
        Of the warm-up; give the ``max_batch_size`` of the server.
    format : str or sequence of str, optional
        Further forms of ``serving_default``, each run against the SavedModel: "onnx", "litert", "openvino", in the
        folder ``formats`` of the version. Needs the extra ``formats``.
    uncertainty : str or sequence of str, optional
        Of classifiers: a signature ``uncertainty_<method>`` each. "dropout" is the spread of the answers over networks
        that lack some units, "augmentation" that over the flips and turns of a sample that ``training.augment`` of the
        spec names.
    passes : int, default 20
        Networks that dropout makes, 2 or more.
    seed : int, default 0
        Of the units that each of them lacks. The card keeps both.

    Returns
    -------
    Path
        ``DIRECTORY/NAME/VERSION``. Its signatures are those of :func:`tumorkeras.serving.signatures.endpoints`:
        ``serving_default`` for arrays, ``serving_uint8`` and ``serving_bytes`` for images and encoded images,
        ``features``, and the uncertainties that were asked for. ``assets.extra`` holds ``tf_serving_warmup_requests``,
        requests of every signature with the answers of the model, which :func:`tumorkeras.verify_export` holds the
        export to wherever it is.

    Raises
    ------
    ModelError
        If an argument is wrong, the model's card does not bear a choice, the version is there already, the disk is
        full, or the export does not pass :func:`tumorkeras.verify_export`.
    MissingExtraError
        If a format needs a package that is not there.

    Examples
    --------
    >>> import tempfile
    >>> inputs = keras.Input((4, 8, 8, 1))
    >>> features = keras.layers.GlobalAveragePooling3D(name="features")(inputs)
    >>> outputs = keras.layers.Dense(2, activation="softmax", name="probabilities")(features)
    >>> folder = export(keras.Model(inputs, outputs), tempfile.mkdtemp(), name="cells")
    >>> folder.parts[-2:]
    ('cells', '1')
    """
    source = source_of(model)
    name = source.name if name is None else name
    formats = [format] if isinstance(format, str) else list(format)
    base = _check_arguments(Path(directory), name, version, largest_batch)
    check_formats(formats)
    methods = (uncertainty,) if isinstance(uncertainty, str) else tuple(uncertainty)
    source = with_choices(
        source,
        calibrated=calibrated,
        threshold=threshold,
        class_names=class_names,
        max_pixels=max_pixels,
        uncertainty=Uncertainty(methods, passes, seed),
    )
    functions = endpoints(source.model, source.choices)
    requests = golden_requests(functions, samples)
    with hidden_folder(Path(directory), name) as hidden:
        draft = hidden / str(version or next_version(base))
        try:
            _write(source, name, functions, [*requests, *warm_up_requests(requests, largest_batch)], draft)
        except (OSError, tf.errors.OpError) as error:
            raise ModelError(f"{base}: cannot be written ({error}); nothing was published") from None
        report = verify_export(draft)
        if not report.ok:
            raise ModelError(f"{name}: the export is not fit to be served; nothing was published", report.faults)
        agreement = write_formats(draft, formats, requests)
        facts = {"warm_up": "synthetic" if samples is None else "samples given", "largest_batch": largest_batch}
        _write_card(source, name, {**facts, **_found(report), "formats": agreement}, draft)
        return publish(draft, base, version)


def _check_arguments(directory: Path, name: str, version: int | None, largest_batch: int) -> Path:
    """Give the folder of the name's versions."""
    faults = []
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        faults.append(f"name: {name!r} found, expected letters, digits, '_', '-' and '.', '.' not first")
    for field, value in (("version", version), ("largest_batch", largest_batch)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            faults.append(f"{field}: {value!r} found, expected a positive integer")
    if faults:
        raise ModelError("export", faults)
    base = directory / name
    if base.exists() and not base.is_dir():
        raise ModelError(f"{base}: is a file, expected a folder of versions")
    if version is not None and (base / str(version)).exists():
        raise ModelError(f"{base / str(version)}: is there already; take another version or leave it out")
    return base


def _write(
    source: Source, name: str, functions: Mapping[str, Endpoint], requests: Iterable[Request], folder: Path
) -> None:
    archive = keras.export.ExportArchive()
    archive.track(source.model)
    for signature, endpoint in functions.items():
        archive.add_endpoint(signature, endpoint.function, input_signature=endpoint.inputs)
    with quiet():  # TensorFlow says where its assets are, of which there are none
        archive.write_out(str(folder), verbose=False)
    extra = folder / FOLDER
    write_warm_up(extra, name, requests)
    if source.classes is not None:
        write_whole(extra / CLASSES, json.dumps(source.classes, ensure_ascii=False))
    if source.spec is not None:
        source.spec.save(extra / SPEC)


def _found(report: ExportReport) -> dict[str, Any]:
    return {"checked_by": report.loader, "largest_difference": report.largest_difference}


def _write_card(source: Source, name: str, facts: dict[str, Any], folder: Path) -> None:
    """The card of the model, and what the export made of it."""
    card = source.card or {"kind": source.kind, "name": name, "training": UNKNOWN}
    chosen = source.choices
    facts = {
        "threshold": chosen.threshold,
        "temperature": chosen.temperature,
        "max_pixels": chosen.max_pixels,
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
        **chosen.uncertainty.facts(),
        **facts,
    }
    write_whole(folder / FOLDER / CARD, json.dumps({**card, "export": facts}, indent=2, ensure_ascii=False))
