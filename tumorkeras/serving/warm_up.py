"""The warm-up file of an export: requests that TF Serving runs before it answers anybody, with what must come out.

The file is a TFRecord of ``PredictionLog`` messages. TF Serving reads the requests alone; the responses that stand
beside them let :func:`~tumorkeras.serving.verify_export` hold the export to its answers wherever it has got to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from tumorkeras.errors import ModelError, shortened

FOLDER, FILE = "assets.extra", "tf_serving_warmup_requests"
#: TF Serving refuses to load an export with more.
MOST_RECORDS = 1000

_DEFAULT = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY


class Request(NamedTuple):
    """One request, with or without its answer.

    Attributes
    ----------
    signature : str
    inputs : dict of str to ndarray
        Strings are object arrays of bytes.
    outputs : dict of str to ndarray or None
        What must come out; None where that is not said.
    """

    signature: str
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray] | None


def write_warm_up(folder: Path, name: str, requests: Iterable[Request]) -> Path:
    """Write requests where TF Serving looks for them.

    Parameters
    ----------
    folder : Path
        ``NAME/VERSION/assets.extra``; made if it is not there.
    name : str
        Of the model, as it is served.
    requests : iterable of Request
        1000 at most.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ModelError
        If there are more than 1000, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> export = Path(tempfile.mkdtemp())
    >>> request = Request("serving_bytes", {"image_bytes": np.array([b"", b"a"], object)}, None)
    >>> write_warm_up(export / "assets.extra", "cells", [request]).name
    'tf_serving_warmup_requests'
    >>> read_warm_up(export)
    [Request(signature='serving_bytes', inputs={'image_bytes': array([b'', b'a'], dtype=object)}, outputs=None)]
    """
    file = folder / FILE
    logs = [_log(name, request) for request in requests]
    if len(logs) > MOST_RECORDS:
        raise ModelError(
            f"{file}: {len(logs)} requests given, expected {MOST_RECORDS} at most; TF Serving takes no more"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tf.io.TFRecordWriter(str(file)) as writer:
            for log in logs:
                writer.write(log.SerializeToString(deterministic=True))
    except (OSError, tf.errors.OpError) as error:
        raise ModelError(f"{file}: cannot be written ({error})") from None
    return file


def read_warm_up(export: Path) -> list[Request]:
    """Read the requests of an export, in their order.

    Parameters
    ----------
    export : Path
        ``NAME/VERSION``.

    Returns
    -------
    list of Request
        Empty where there is no file. Only calls of ``Predict`` are read; those of other kinds are passed over.

    Raises
    ------
    ModelError
        If the file cannot be read: every record that is no message, or holds a tensor that is none.
    """
    file = export / FOLDER / FILE
    requests, faults = [], []
    for number, log in enumerate(read_logs(export)):
        if not log.HasField("predict_log"):
            continue
        try:
            requests.append(request_of(log))
        except (TypeError, ValueError) as error:
            faults.append(f"record {number}: holds a tensor that cannot be read ({error})")
    if faults:
        raise ModelError(str(file), shortened(faults))
    return requests


def read_logs(export: Path) -> list[prediction_log_pb2.PredictionLog]:
    """Read the messages of a warm-up file as they are; empty where there is no file.

    Raises
    ------
    ModelError
        If the file is no TFRecord, or a record is no ``PredictionLog``.
    """
    file = export / FOLDER / FILE
    if not file.exists():
        return []
    logs, faults = [], []
    try:
        for number, record in enumerate(tf.data.TFRecordDataset(str(file)).as_numpy_iterator()):
            try:
                logs.append(prediction_log_pb2.PredictionLog.FromString(record))
            except DecodeError:
                faults.append(f"record {number}: cannot be decoded, expected a PredictionLog")
    except tf.errors.OpError as error:
        faults.append(
            f"cannot be read after record {len(logs) - 1} ({error.message})"
            if logs
            else f"cannot be read ({error.message})"
        )
    if faults:
        raise ModelError(str(file), shortened(faults))
    return logs


def _log(name: str, request: Request) -> prediction_log_pb2.PredictionLog:
    call = predict_pb2.PredictRequest()
    call.model_spec.name, call.model_spec.signature_name = name, request.signature
    _fill(call.inputs, request.inputs)
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(call)
    if request.outputs is not None:
        log.predict_log.response.model_spec.CopyFrom(call.model_spec)
        _fill(log.predict_log.response.outputs, request.outputs)
    return log


def _fill(tensors: Any, arrays: Mapping[str, np.ndarray]) -> None:
    for key, values in arrays.items():
        tensors[key].CopyFrom(tf.make_tensor_proto(values))


def request_of(log: prediction_log_pb2.PredictionLog) -> Request:
    """The request of a call of ``Predict``; TypeError or ValueError where a tensor of it is none."""
    call, answer = log.predict_log.request, log.predict_log.response
    inputs = {key: tf.make_ndarray(tensor) for key, tensor in sorted(call.inputs.items())}
    outputs = {key: tf.make_ndarray(tensor) for key, tensor in sorted(answer.outputs.items())}
    return Request(call.model_spec.signature_name or _DEFAULT, inputs, outputs or None)
