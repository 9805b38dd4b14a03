"""The gRPC interface of TF Serving; it needs TensorFlow, for its messages.

References
----------
https://github.com/tensorflow/serving/blob/master/tensorflow_serving/apis/prediction_service.proto
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tumorkeras.serving.client_address import Address
from tumorkeras.serving.client_faults import Call, bad_answer, not_reached, not_served, refused, too_slow
from tumorkeras.serving.client_tensors import Signature, read_signatures

_SIGNATURES = "signature_def"
_RECONNECT = 100  # ms; else a repeat meets the failed connection of the try before
_OPTIONS = [
    # Images are larger than the 4 MiB that gRPC allows by default; TF Serving allows more, too.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", _RECONNECT),
    ("grpc.min_reconnect_backoff_ms", _RECONNECT),
    ("grpc.enable_retries", 0),  # they are counted here
]


class GrpcTransport:
    """One model behind the gRPC interface; see :class:`tumorkeras.ServingClient`."""

    def __init__(self, address: Address, timeout: float, retries: int, backoff: float) -> None:
        self._address, self._timeout, self._tries, self._backoff = address, timeout, retries + 1, backoff
        self._channel = grpc.insecure_channel(address.target, options=_OPTIONS)
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._models = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def signatures(self) -> dict[str, Signature]:
        """All that the model has."""
        asked = "its metadata"
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=self._spec(self._address.version), metadata_field=[_SIGNATURES]
        )
        answer = self._call(self._prediction.GetModelMetadata, request, asked)
        content = get_model_metadata_pb2.SignatureDefMap()
        if not answer.metadata[_SIGNATURES].Unpack(content):
            raise bad_answer(self._address, asked, [f"no {_SIGNATURES} came"])
        found = MessageToDict(content, preserving_proto_field_name=True)
        return read_signatures(found.get(_SIGNATURES, {}))

    def versions(self) -> dict[int, str]:
        """State by version; empty where the server has no such model."""
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=self._spec(None))
        try:
            answer = self._tried(self._models.GetModelStatus, request)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.NOT_FOUND:
                return {}
            raise self._fault(error, "its versions") from None
        name_of = get_model_status_pb2.ModelVersionStatus.State.Name
        return {
            each.version: ": ".join(filter(None, [name_of(each.state), each.status.error_message]))
            for each in answer.model_version_status
        }

    def predict(self, call: Call) -> dict[str, np.ndarray]:
        """One request."""
        inputs = {name: tf.make_tensor_proto(array) for name, array in call.inputs.items()}
        request = predict_pb2.PredictRequest(model_spec=self._spec(self._address.version, call.name), inputs=inputs)
        answer = self._call(self._prediction.Predict, request, call)
        return {name: tf.make_ndarray(tensor) for name, tensor in answer.outputs.items()}

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    def _spec(self, version: int | None, signature: str = "") -> model_pb2.ModelSpec:
        spec = model_pb2.ModelSpec(name=self._address.name, signature_name=signature)
        if version is not None:
            spec.version.value = version
        return spec

    def _call(self, method: Callable[..., Any], request: Any, asked: object) -> Any:
        try:
            return self._tried(method, request)
        except grpc.RpcError as error:
            raise self._fault(error, asked) from None

    def _tried(self, method: Callable[..., Any], request: Any) -> Any:
        """Ask again where the server is not there or busy."""
        for repeat in range(1, self._tries):
            try:
                return method(request, timeout=self._timeout)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
            time.sleep(self._backoff * 2**repeat if repeat > 1 else 0)
        return method(request, timeout=self._timeout)

    def _fault(self, error: Any, asked: object) -> Exception:
        code, words = error.code(), error.details() or ""
        if code == grpc.StatusCode.UNAVAILABLE:
            return not_reached(self._address, self._tries, words)
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return too_slow(self._address, self._timeout)
        if code == grpc.StatusCode.NOT_FOUND:
            return not_served(self._address, self.versions(), words)
        return refused(self._address, asked, words, code.name)
