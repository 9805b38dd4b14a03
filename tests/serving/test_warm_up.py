"""The warm-up file: what is written comes back, and is what TF Serving reads."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tumorkeras.errors import ModelError
from tumorkeras.serving.warm_up import FILE, Request, read_warm_up, write_warm_up

STRINGS = np.array([b"\x89PNG\x00\x00", b"", "Zürich".encode()], object)
REQUESTS = [
    Request("serving_default", {"inputs": np.linspace(0, 1, 12, dtype="float32").reshape(2, 3, 2)}, None),
    Request(
        "serving_bytes",
        {"image_bytes": STRINGS},
        {"class_id": np.array([1, -1, 0]), "status": np.array([0, 1, 0], "int32"), "class_name": STRINGS},
    ),
    Request("serving_uint8", {"inputs": np.zeros((0, 4), "uint8")}, {"ok": np.array([True])}),
]


def assert_same(found, expected):
    assert list(found) == sorted(expected)
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


def test_what_is_written_comes_back(tmp_path):
    write_warm_up(tmp_path / "assets.extra", "cells", REQUESTS)
    found = read_warm_up(tmp_path)
    assert [request.signature for request in found] == [request.signature for request in REQUESTS]
    for request, expected in zip(found, REQUESTS, strict=True):
        assert_same(request.inputs, expected.inputs)
        assert (request.outputs is None) == (expected.outputs is None)
        assert_same(request.outputs or {}, expected.outputs or {})


def test_the_records_are_those_that_the_server_reads(tmp_path):
    file = write_warm_up(tmp_path / "assets.extra", "cells", REQUESTS)
    assert file == tmp_path / "assets.extra" / "tf_serving_warmup_requests"
    logs = [
        prediction_log_pb2.PredictionLog.FromString(record)
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
    ]
    calls = [log.predict_log.request for log in logs]
    assert [call.model_spec.name for call in calls] == ["cells"] * 3
    assert [call.model_spec.signature_name for call in calls] == [request.signature for request in REQUESTS]
    assert list(calls[1].inputs["image_bytes"].string_val) == list(STRINGS)
    assert [log.predict_log.HasField("response") for log in logs] == [False, True, True]


def test_an_export_without_the_file_has_no_requests(tmp_path):
    assert read_warm_up(tmp_path) == []


def write_records(folder, *records):
    (folder / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(folder / "assets.extra" / FILE)) as writer:
        for record in records:
            writer.write(record)


def test_calls_of_other_kinds_are_passed_over_and_an_unnamed_signature_is_the_default(tmp_path):
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.inputs["x"].CopyFrom(tf.make_tensor_proto([1.0]))
    other = prediction_log_pb2.PredictionLog()
    other.classify_log.request.model_spec.name = "cells"
    write_records(tmp_path, other.SerializeToString(), log.SerializeToString())
    (request,) = read_warm_up(tmp_path)
    assert (request.signature, request.outputs) == ("serving_default", None)


def test_all_broken_records_are_named(tmp_path):
    write_records(tmp_path, b"\xff\xff", prediction_log_pb2.PredictionLog().SerializeToString(), b"\xff")
    with pytest.raises(ModelError, match=FILE) as raised:
        read_warm_up(tmp_path)
    assert [fault.split(":")[0] for fault in raised.value.faults] == ["record 0", "record 2"]


def test_a_broken_tensor_is_named(tmp_path):
    log = prediction_log_pb2.PredictionLog()
    tensor = log.predict_log.request.inputs["x"]
    tensor.CopyFrom(tf.make_tensor_proto(np.zeros((2, 2), "float32")))
    tensor.tensor_content = b"abc"
    write_records(tmp_path, log.SerializeToString())
    with pytest.raises(ModelError, match="record 0: holds a tensor that cannot be read"):
        read_warm_up(tmp_path)


@pytest.mark.parametrize("cut", [0.0, 0.5])
def test_a_file_that_is_no_record_file_or_ends_early(cut, tmp_path):
    file = write_warm_up(tmp_path / "assets.extra", "cells", REQUESTS)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * cut)] if cut else b"text" * 20)
    with pytest.raises(ModelError, match="cannot be read"):
        read_warm_up(tmp_path)


def test_too_many_records_and_a_folder_that_cannot_be(tmp_path):
    (request, *_) = REQUESTS
    with pytest.raises(ModelError, match="1001 requests given, expected 1000 at most"):
        write_warm_up(tmp_path / "assets.extra", "cells", [request] * 1001)
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        write_warm_up(tmp_path / "file" / "assets.extra", "cells", [request])
