"""A small double of the protocol of TF Serving, not TF Serving: its REST and gRPC interfaces over SavedModels.

The rules are those of its sources: http_rest_api_handler.cc and json_tensor.cc for REST, predict_util.cc and
get_model_status_impl.cc for both. It can also fail on purpose.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

PREDICT = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?:predict")
STATUS = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(/metadata)?")
HTTP = {"NOT_FOUND": 404, "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "UNAVAILABLE": 503}
KINDS = {"f": (int, float), "i": (int,), "u": (int,), "b": (bool,), "O": (str,)}


class ServerError(Exception):
    """What a server answers instead."""

    def __init__(self, code, words):
        super().__init__(words)
        self.code = code


class Double:
    """Models by name and version, what was asked of them, and how to fail next.

    ``fail_next`` is used up from the front, an entry a request for a prediction: a status code of gRPC by name, "hang",
    "half" (an answer that stops), "drop" (the connection), "no output", or bytes to answer with.
    """

    def __init__(self, models, most_rows=None):
        self.models = {
            name: {n: tf.saved_model.load(str(p)) for n, p in found.items()} for name, found in models.items()
        }
        self.graphs = {name: {n: _signature_defs(path) for n, path in found.items()} for name, found in models.items()}
        self.most_rows = most_rows  # as server batching has it
        self.loading = set()
        self.fail_next = []
        self.asked = []
        self.released = threading.Event()

    def versions(self, name):
        if name not in self.models:
            raise ServerError("NOT_FOUND", f"Could not find any versions of model {name}")
        return {version: "LOADING" if name in self.loading else "AVAILABLE" for version in self.models[name]}

    def version(self, name, version):
        found = self.models.get(name, {})
        if not found or name in self.loading or (version is not None and version not in found):
            which = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise ServerError("NOT_FOUND", f"Servable not found for request: {which}")
        return max(found) if version is None else version

    def signature_def(self, name, version, signature):
        version = self.version(name, version)
        defs = self.graphs[name][version]
        if signature not in defs:
            raise ServerError("INVALID_ARGUMENT", f'Serving signature name: "{signature}" not found in signature def')
        return defs[signature]

    def run(self, name, version, signature, inputs):
        version, definition = self.version(name, version), self.signature_def(name, version, signature)
        if set(inputs) != set(definition.inputs):
            raise ServerError("INVALID_ARGUMENT", f"input size does not match signature: {sorted(inputs)}")
        rows = len(next(iter(inputs.values())))
        self.asked[-1] += (rows,)
        if self.most_rows is not None and rows > self.most_rows:
            words = f"Task size {rows} is larger than maximum input batch size {self.most_rows}"
            raise ServerError("INVALID_ARGUMENT", words)
        try:
            outputs = self.models[name][version].signatures[signature](
                **{key: tf.constant(value, definition.inputs[key].dtype) for key, value in inputs.items()}
            )
        except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
            raise ServerError("INVALID_ARGUMENT", str(error)) from None
        return {key: value.numpy() for key, value in outputs.items()}

    def failure(self):
        """The next one on purpose, None for none."""
        failure = self.fail_next.pop(0) if self.fail_next else None
        if failure == "hang":
            self.released.wait(10)
        return failure


def _signature_defs(path):
    message = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    return message.meta_graphs[0].signature_def


# ------------------------------------------------------------------------------------------------ JSON and tensors


def tensors_of(body, signature_def_of):
    """The signature's name, its inputs, and whether they came in rows."""
    try:
        content = json.loads(body)
    except ValueError as error:
        raise ServerError("INVALID_ARGUMENT", f"JSON Parse error: {error}") from None
    if not isinstance(content, dict) or ("instances" in content) == ("inputs" in content):
        raise ServerError("INVALID_ARGUMENT", "expecting only one of 'inputs' or 'instances' keys to exist")
    signature = content.get("signature_name", "serving_default")
    infos = signature_def_of(signature).inputs
    in_rows = "instances" in content
    columns = _columns(content["instances"], infos) if in_rows else content["inputs"]
    if not isinstance(columns, dict) or set(columns) == {"b64"}:
        if len(infos) > 1:
            raise ServerError("INVALID_ARGUMENT", "inputs is a plain value/list, but expecting an object")
        columns = {next(iter(infos)): columns}
    if missing := set(infos) - set(columns):
        raise ServerError("INVALID_ARGUMENT", f"Missing named input: {min(missing)} in 'inputs' object.")
    return signature, {name: _tensor(columns[name], infos[name].dtype) for name in infos}, in_rows


def _columns(rows, infos):
    if not (isinstance(rows, list) and rows):
        raise ServerError("INVALID_ARGUMENT", "No values in 'instances' array")
    named = isinstance(rows[0], dict) and set(rows[0]) != {"b64"}
    if not named:
        return rows
    if any(not isinstance(row, dict) or set(row) != set(infos) for row in rows):
        raise ServerError("INVALID_ARGUMENT", f"keys must be equal to: {','.join(sorted(infos))}")
    return {name: [row[name] for row in rows] for name in infos}


def _tensor(value, dtype):
    shape, first = [], value
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
    numpy_dtype = np.dtype(tf.as_dtype(dtype).as_numpy_dtype)
    leaves = []
    _fill(value, shape, 0, KINDS[numpy_dtype.kind], leaves)
    array = np.empty(len(leaves), numpy_dtype)
    array[:] = leaves
    return array.reshape(shape)


def _fill(value, shape, level, kinds, leaves):
    if isinstance(value, list):
        if level >= len(shape) or len(value) != shape[level]:
            raise ServerError(
                "INVALID_ARGUMENT", f"Encountered list at unexpected size: {len(value)} at level: {level}"
            )
        for each in value:
            _fill(each, shape, level + 1, kinds, leaves)
        return
    if isinstance(value, dict) and set(value) == {"b64"} and str in kinds:
        leaves.append(base64.b64decode(value["b64"]))
    elif level != len(shape) or type(value) not in kinds:
        raise ServerError("INVALID_ARGUMENT", f"JSON Value: {json.dumps(value)} is not of expected type")
    else:
        leaves.append(value.encode() if isinstance(value, str) else value)


def answer_of(outputs, in_rows):
    """The body of an answer, with what is no text as it is."""
    values = {name: _plain(name, array.tolist()) for name, array in outputs.items()}
    if len(values) == 1:
        (content,) = values.values()
    elif in_rows:
        content = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    else:
        content = values
    text = json.dumps({"predictions" if in_rows else "outputs": content}, ensure_ascii=False)
    return text.encode("utf-8", "surrogateescape")


def _plain(name, value):
    if isinstance(value, list):
        return [_plain(name, each) for each in value]
    if not isinstance(value, bytes):
        return value
    return (
        {"b64": base64.b64encode(value).decode()} if name.endswith("_bytes") else value.decode(errors="surrogateescape")
    )


# ----------------------------------------------------------------------------------------------------- the servers


def _handler(double):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments):
            pass

        def do_GET(self):
            double.asked.append(("GET", self.path))
            match = STATUS.fullmatch(self.path)
            self._answered(lambda: _described(double, *match.groups()) if match else _malformed(self))

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            double.asked.append(("POST", self.path))
            if double.fail_next[:1] in (["drop"], ["half"]):
                return self._broken_off(double.fail_next.pop(0))
            match = PREDICT.fullmatch(self.path)
            self._answered(lambda: self._predicted(*match.groups(), body) if match else _malformed(self))

        def _predicted(self, name, version, body):
            failure, version = double.failure(), version and int(version)
            if failure in HTTP:
                raise ServerError(failure, "on purpose")
            if failure == "hang":
                return b""
            if isinstance(failure, bytes):
                return failure
            name_of, inputs, in_rows = tensors_of(body, lambda key: double.signature_def(name, version, key))
            outputs = double.run(name, version, name_of, inputs)
            if failure == "no output":
                outputs.popitem()
            return answer_of(outputs, in_rows)

        def _broken_off(self, failure):
            self.close_connection = True
            if failure == "half":
                self.send_response(200)
                self.send_header("Content-Length", "100")
                self.end_headers()
                self.wfile.write(b'{"outputs"')
                double.released.wait(10)

        def _answered(self, work):
            try:
                code, content = 200, work()
            except ServerError as error:
                code, content = HTTP[error.code], json.dumps({"error": str(error)}).encode()
            with suppress(ConnectionError):  # a client that waits no longer
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

    return Handler


def _malformed(request):
    raise ServerError("INVALID_ARGUMENT", f"Malformed request: {request.command} {request.path}")


def _described(double, name, version, metadata):
    version = version and int(version)
    if not metadata:
        status = {"error_code": "OK", "error_message": ""}
        listed = [{"version": str(n), "state": state, "status": status} for n, state in double.versions(name).items()]
        return json.dumps({"model_version_status": listed}).encode()
    version = double.version(name, version)
    content = MessageToDict(
        get_model_metadata_pb2.SignatureDefMap(signature_def=double.graphs[name][version]),
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    spec = {"name": name, "signature_name": "", "version": str(version)}
    return json.dumps({"model_spec": spec, "metadata": {"signature_def": content}}).encode()


class _Grpc(prediction_service_pb2_grpc.PredictionServiceServicer, model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, double):
        self.double = double

    def _answered(self, context, work):
        try:
            return work()
        except ServerError as error:
            context.abort(grpc.StatusCode[error.code], str(error))

    @staticmethod
    def _version(request):
        return request.model_spec.version.value if request.model_spec.HasField("version") else None

    def Predict(self, request, context):
        self.double.asked.append(("Predict", request.model_spec.name))
        return self._answered(context, lambda: self._predicted(request))

    def _predicted(self, request):
        failure, spec = self.double.failure(), request.model_spec
        if failure in HTTP:
            raise ServerError(failure, "on purpose")
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        outputs = self.double.run(spec.name, self._version(request), spec.signature_name or "serving_default", inputs)
        if failure == "no output":
            outputs.popitem()
        return predict_pb2.PredictResponse(outputs={key: tf.make_tensor_proto(each) for key, each in outputs.items()})

    def GetModelMetadata(self, request, context):
        return self._answered(context, lambda: self._metadata(request))

    def _metadata(self, request):
        name = request.model_spec.name
        version = self.double.version(name, self._version(request))
        answer = get_model_metadata_pb2.GetModelMetadataResponse()
        answer.model_spec.name = name
        content = get_model_metadata_pb2.SignatureDefMap(signature_def=self.double.graphs[name][version])
        answer.metadata["signature_def"].Pack(content)
        return answer

    def GetModelStatus(self, request, context):
        return self._answered(context, lambda: self._status(request))

    def _status(self, request):
        answer = get_model_status_pb2.GetModelStatusResponse()
        for version, state in self.double.versions(request.model_spec.name).items():
            code = get_model_status_pb2.ModelVersionStatus.State.Value(state)
            answer.model_version_status.add(version=version, state=code)
        return answer


@contextmanager
def serving(double):
    """The addresses (REST, gRPC) of a double that runs."""
    rest = ThreadingHTTPServer(("127.0.0.1", 0), _handler(double))
    thread = threading.Thread(target=rest.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    remote = grpc.server(ThreadPoolExecutor(4), options=options)
    servicer = _Grpc(double)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(servicer, remote)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(servicer, remote)
    port = remote.add_insecure_port("127.0.0.1:0")
    remote.start()
    try:
        yield f"http://127.0.0.1:{rest.server_address[1]}", f"grpc://127.0.0.1:{port}"
    finally:
        double.released.set()
        rest.shutdown()
        rest.server_close()
        remote.stop(None).wait()
        thread.join()
