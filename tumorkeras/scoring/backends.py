"""Where a model that scores runs: an export, another runtime of it, a Keras model, a server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf

from tumorkeras.data.agreement import ModelOrigin
from tumorkeras.errors import ModelError, SpecError
from tumorkeras.serving.client import ServingClient
from tumorkeras.serving.client_tensors import Signature, TensorInfo
from tumorkeras.serving.publishing import is_version
from tumorkeras.serving.structure import read_graph, signatures_of
from tumorkeras.spec import DataSpec

if TYPE_CHECKING:  # scoring an export starts no Keras
    import keras

    from tumorkeras.serving.uncertainty import Uncertainty
    from tumorkeras.training import TrainedModel

DEFAULT = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
_MODEL_FILE = "model.keras"  # only the folder of a trained model has it
_GRAPH_FILE = "saved_model.pb"

Answer = Mapping[str, Any]
Tensors = Mapping[str, TensorInfo]


class CallError(Exception):
    """The model failed on a batch, perhaps for want of memory; it may answer a smaller one."""


class Backend(NamedTuple):
    """A model as its signatures.

    Attributes
    ----------
    origin : ModelOrigin
        What is known of the data that it was trained with; its shape is for the signature to say.
    names : collection of str
        Of the signatures.
    inputs, outputs : callable
        Name of a signature -> what it reads and what it gives.
    function : callable
        Name of a signature that reads one array -> a function from a batch of it to the outputs by name. It raises
        CallError or an error of TensorFlow where it fails on the batch, ModelError where no other would do better.
    identity : dict
        ``model``, ``version`` and ``sha256`` of what answers; None where it is not known.
    """

    origin: ModelOrigin
    names: Collection[str]
    inputs: Callable[[str], Tensors]
    outputs: Callable[[str], Tensors]
    function: Callable[[str], Callable[[Any], Answer]]
    identity: dict[str, Any]


class Asked(NamedTuple):
    """A model in memory, or the folder of a trained one, with the uncertainty that it is asked for."""

    model: Any
    uncertainty: Uncertainty


def backend_of(model: Any, runtime: str | None = None, signature: str | None = None) -> Backend:
    """The backend of a model in any form; of a model in memory, made with the signature that is wanted.

    Raises
    ------
    ModelError
        If there is no such model, it cannot be loaded, or the runtime is for exports and this is none.
    """
    if isinstance(model, str | Path) and not (Path(model) / _MODEL_FILE).is_file():
        folder = version_folder(Path(model))
        return _of_export(folder) if runtime is None else _of_format(folder, runtime)
    if runtime is not None:
        raise ModelError("score", [f"runtime: {runtime!r} found, but only an export has other formats"])
    return _of_server(model) if isinstance(model, ServingClient) else _of_keras(model, signature)


# ------------------------------------------------------------------------------------------------------------ exports


def version_folder(path: Path) -> Path:
    """The folder of an export, or of its largest version.

    Raises
    ------
    ModelError
        If there is none.
    """
    if (path / _GRAPH_FILE).is_file():
        return path
    if not path.is_dir():
        raise ModelError(
            f"{path}: there is no such folder; expected an export (NAME/VERSION or NAME) or a trained model"
        )
    versions = [folder for folder in path.iterdir() if is_version(folder.name) and (folder / _GRAPH_FILE).is_file()]
    if not versions:
        raise ModelError(f"{path}: holds no export; `tumorkeras export MODEL --output DIR` makes one")
    return max(versions, key=lambda folder: int(folder.name))


def _of_export(folder: Path) -> Backend:
    signatures = _signatures_in(folder)

    @cache
    def loaded() -> Any:
        """The model, from its first call on: the signatures alone tell what it reads."""
        try:
            return tf.saved_model.load(str(folder))
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise ModelError(f"{folder}: cannot be loaded: {error}") from None

    def function(name: str) -> Callable[[Any], Answer]:
        (key,) = signatures[name].inputs
        return lambda batch: loaded().signatures[name](**{key: tf.constant(batch)})

    return _beside(folder, list(signatures), signatures, function)


def _of_format(folder: Path, runtime: str) -> Backend:
    """Of what :func:`tumorkeras.export` wrote beside the SavedModel; it has one signature, without strings."""
    from tumorkeras.serving.formats import load_format

    signatures, run = _signatures_in(folder), load_format(folder, runtime)

    def function(name: str) -> Callable[[Any], Answer]:
        (key,) = signatures[name].inputs

        def call(batch: Any) -> Answer:
            try:
                return run({key: batch})
            except ModelError as error:
                raise CallError("; ".join(error.faults) or error.heading) from None

        return call

    return _beside(folder, [DEFAULT], signatures, function)


def _beside(
    folder: Path,
    names: Collection[str],
    signatures: Mapping[str, Signature],
    function: Callable[[str], Callable[[Any], Answer]],
) -> Backend:
    """With what lies beside the graph."""
    return Backend(
        _origin_beside(folder),
        names,
        lambda name: signatures[name].inputs,
        lambda name: signatures[name].outputs,
        function,
        _identity(folder),
    )


def _signatures_in(folder: Path) -> dict[str, Signature]:
    try:
        found = signatures_of(read_graph(folder))
    except ModelError as error:
        raise ModelError(f"{folder}: cannot be loaded: {error}") from None
    return {name: Signature(_tensors(sides["inputs"]), _tensors(sides["outputs"])) for name, sides in found.items()}


def _tensors(found: Mapping[str, Mapping[str, Any]]) -> dict[str, TensorInfo]:
    shapes = {key: None if info["shape"] is None else tuple(info["shape"]) for key, info in found.items()}
    return {key: TensorInfo(info["dtype"], shapes[key]) for key, info in found.items()}


def _origin_beside(folder: Path) -> ModelOrigin:
    """What :func:`tumorkeras.export` laid beside the graph."""
    extra = folder / "assets.extra"
    names, card, spec = (extra / name for name in ("classes.json", "model_card.json", "data_spec.yaml"))
    try:
        facts = json.loads(card.read_text(encoding="utf-8")) if card.is_file() else {}
        return ModelOrigin(
            str(folder),
            (),
            None,
            tuple(json.loads(names.read_text(encoding="utf-8"))) if names.is_file() else None,
            DataSpec.from_yaml(spec) if spec.is_file() else None,
            facts.get("data_sha256"),
            facts.get("pixel_dtype"),
        )
    except SpecError as error:  # before ValueError, of which it is one
        raise ModelError(error.heading, error.faults) from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(str(extra), [f"cannot be read: {error}; export the model anew"]) from None


def _identity(folder: Path) -> dict[str, Any]:
    """Name, version and hash of graph and variables, so that a model that was exchanged is noticed."""
    digest = hashlib.sha256()
    for path in [folder / _GRAPH_FILE, *sorted((folder / "variables").glob("*"))]:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    where = folder.resolve()
    version = int(where.name) if is_version(where.name) else None
    name = where.name if version is None else where.parent.name
    return {"model": name, "version": version, "sha256": digest.hexdigest()}


# ------------------------------------------------------------------------------------------------- models and servers


def _of_keras(model: Asked | str | Path | TrainedModel | keras.Model, signature: str | None) -> Backend:
    from tumorkeras.serving.signatures import endpoints, model_kind
    from tumorkeras.serving.source import Source, with_choices
    from tumorkeras.serving.uncertainty import METHODS, PREFIX, Uncertainty
    from tumorkeras.training.folder import TrainedModel, load, origin_of

    wanted = [method for method in METHODS if signature == f"{PREFIX}{method}"]
    model, asked = model if isinstance(model, Asked) else (model, Uncertainty(wanted))
    trained = load(model) if isinstance(model, str | Path) else model
    network = trained.model if isinstance(trained, TrainedModel) else trained
    if not (hasattr(network, "inputs") and hasattr(network, "outputs")):
        found = type(model).__name__
        raise ModelError(
            f"model: {found} found, expected the folder of an export or of a trained model, a TrainedModel, a "
            "keras.Model or a ServingClient"
        )
    known = (trained.spec, trained.card) if isinstance(trained, TrainedModel) else (None, None)
    source = Source(network, model_kind(network), network.name, *known)
    served = endpoints(network, with_choices(source, uncertainty=asked).choices)
    compiled = {name: endpoint.compiled() for name, endpoint in served.items()}

    def inputs(name: str) -> Tensors:
        return {spec.name: _info(spec) for spec in served[name].inputs}

    def outputs(name: str) -> Tensors:
        """Of a graph that is made when it is asked for: most are not."""
        found = compiled[name].get_concrete_function().structured_outputs
        return {key: _info(spec) for key, spec in found.items()}

    def function(name: str) -> Callable[[Any], Answer]:
        return lambda batch: compiled[name](tf.constant(batch))

    identity = {"model": network.name, "version": None, "sha256": _hash_of(network)}
    return Backend(origin_of(trained), list(served), inputs, outputs, function, identity)


def _info(spec: tf.TensorSpec) -> TensorInfo:
    return TensorInfo(spec.dtype.name, tuple(spec.shape))


def _hash_of(network: keras.Model) -> str:
    digest = hashlib.sha256(network.to_json().encode())
    for weights in network.get_weights():
        digest.update(np.ascontiguousarray(weights).data)
    return digest.hexdigest()


def _of_server(client: ServingClient) -> Backend:
    """Of the signature that the client calls."""
    found = client.tensors()

    def function(name: str) -> Callable[[Any], Answer]:
        (key,) = found.inputs
        return lambda batch: client.predict({key: batch})

    address = client.address
    origin = ModelOrigin(str(address), (), None, client.classes)
    identity = {"model": address.name, "version": address.version, "sha256": None}
    names = [client.signature]
    return Backend(origin, names, lambda name: found.inputs, lambda name: found.outputs, function, identity)
