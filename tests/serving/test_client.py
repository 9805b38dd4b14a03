"""The client against a double of the protocol: what is asked, what comes back, and what is said where it does not."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
import requests

import tumorkeras
from tests.serving.double import Double, serving
from tests.serving.tiny_exports import write_classifier, write_detector, write_odd
from tumorkeras.errors import ModelError
from tumorkeras.scoring import score
from tumorkeras.serving.client import ServingClient
from tumorkeras.serving.client_tensors import TensorInfo, read_signatures

REST, GRPC = 0, 1
BOTH = pytest.mark.parametrize("way", [REST, GRPC], ids=["rest", "grpc"])


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    root = tmp_path_factory.mktemp("exports")
    return {
        "cells": {1: write_classifier(root / "cells" / "1")},
        "lesions": {3: write_detector(root / "lesions" / "3")},
        "odd": {1: write_odd(root / "odd" / "1")},
    }


@pytest.fixture(scope="module")
def running(exports):
    double = Double(exports, most_rows=8)
    with serving(double) as urls:
        yield double, urls


@pytest.fixture
def double(running):
    double, _ = running
    double.asked.clear()
    yield double
    double.fail_next.clear()
    double.loading.clear()


@pytest.fixture
def client(running):
    """Makes clients that are closed at the end."""
    made = []

    def make(way, name="cells", **options):
        made.append(ServingClient(running[1][way], name, **{"backoff": 0.01, "timeout": 5, **options}))
        return made[-1]

    yield make
    for each in made:
        each.close()


def said(caught):
    return str(caught.value)


def images(rows, size=(6, 7), seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (rows, *size, 1)).astype("float32")


def local(exports, batch, name="cells", version=1, signature="serving_default"):
    """The same signature, run here."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(exports[name][version]))
    return {key: value.numpy() for key, value in loaded.signatures[signature](inputs=tf.constant(batch)).items()}


# ------------------------------------------------------------------------------------------------------ predictions


@BOTH
def test_a_large_batch_comes_back_as_the_model_gives_it_in_requests_that_the_server_takes(way, exports, double, client):
    batch = images(19)
    found = client(way).predict(inputs=batch)
    wanted = local(exports, batch)
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_allclose(found[name], values, rtol=1e-6)
    assert [call[2] for call in double.asked if len(call) == 3] == [8, 8, 3]


@BOTH
def test_bytes_go_there_and_a_row_that_cannot_be_decoded_says_so(way, client):
    bright = cv2.imencode(".png", np.full((5, 6), 200, "uint8"))[1].tobytes()
    found = client(way, signature="serving_bytes").predict({"image_bytes": [bright, b"no image\x00"]})
    assert found["status"].tolist() == [0, 1]
    assert found["class_id"].tolist() == [2, -1]
    assert not found["probabilities"][1].any()


@BOTH
def test_strings_come_back_as_bytes(way, client):
    found = client(way, "odd", signature="words").predict(text=["é", b"", "a\x00"])
    for name in ("text", "text_bytes"):
        assert found[name].tolist() == ["é".encode(), b"", b"a\x00"]


@BOTH
def test_one_output_has_its_name_and_nothing_finite_is_needed(way, client):
    found = client(way, "odd").predict(inputs=[[np.nan, np.inf], [0.1, -np.inf]])
    np.testing.assert_array_equal(found["doubled"], np.float32([[np.nan, np.inf], [0.2, -np.inf]]))


@BOTH
def test_whole_numbers_lose_nothing(way, client):
    found = client(way, "odd", signature="whole").predict(number=np.uint8([1]))
    assert found["next"].tolist() == [2]
    found = client(way, "odd", signature="whole").predict(number=[2**53 + 1, -7])
    assert found["next"].tolist() == [2**53 + 2, -6]
    assert found["odd"].tolist() == [True, True]


@BOTH
def test_no_rows_ask_for_nothing(way, double, client):
    found = client(way).predict(inputs=images(0))
    assert found["probabilities"].shape == (0, 3)
    assert found["class_id"].dtype == "int64"
    assert not [call for call in double.asked if call[0] in ("POST", "Predict")]


@BOTH
def test_an_empty_axis_of_an_answer_keeps_the_axes_behind_it(way, client):
    found = client(way, "odd", signature="nothing").predict(inputs=[[1, 2], [3, 4]])
    assert found["boxes"].shape == (2, 0, 1)
    assert found["sum"].tolist() == [1, 3]


@BOTH
def test_signatures_and_versions_are_the_models(way, client):
    asked = client(way)
    assert list(asked.signatures) == ["features", "serving_bytes", "serving_default", "serving_uint8"]
    assert asked.signatures["serving_uint8"].inputs == {"inputs": TensorInfo("uint8", (None, None, None, 1))}
    assert asked.signatures["serving_bytes"].inputs == {"image_bytes": TensorInfo("string", (None,))}
    assert asked.tensors().outputs["class_id"] == TensorInfo("int64", (None,))
    assert asked.versions() == {1: "AVAILABLE"}
    assert client(way, "none").versions() == {}


def test_the_url_may_name_model_and_version(running, client):
    with ServingClient(f"{running[1][REST]}/v1/models/lesions/versions/3") as asked:
        assert asked.predict(inputs=images(1))["num_detections"].tolist() == [2]
    assert asked.predict(inputs=images(1))["num_detections"].tolist() == [2]  # and again after its end
    asked.close()


def test_the_double_has_the_rules_of_rest(running):
    """Else the tests above would show little."""
    url = f"{running[1][REST]}/v1/models/odd:predict"

    def answer(**body):
        response = requests.post(url, json=body, timeout=5)
        return response.status_code, response.json()

    assert answer(instances=[[1.0, 2.0]]) == (200, {"predictions": [[2.0, 4.0]]})
    assert answer(inputs=[[1.0, 2.0]]) == (200, {"outputs": [[2.0, 4.0]]})
    rows = [{"text": "a"}, {"text": {"b64": "/w=="}}]
    _, found = answer(signature_name="words", instances=rows[:1])
    assert found == {"predictions": [{"text": "a", "text_bytes": {"b64": "YQ=="}}]}
    for bad in ({"instances": [[1.0, 2.0]], "inputs": [[1.0, 2.0]]}, {}, {"inputs": [[1.0], [1.0, 2.0]]}):
        code, found = answer(**bad)
        assert (code, list(found)) == (400, ["error"])
    missing = requests.post(url.replace("odd", "none"), json={"inputs": []}, timeout=5)
    assert (missing.status_code, missing.json()) == (404, {"error": "Servable not found for request: Latest(none)"})


# ----------------------------------------------------------------------------------------------------------- scores


@BOTH
def test_a_client_scores_as_the_export_does(way, exports, client):
    batch = images(11)
    batch[4, 0, 0] = np.nan
    pd.testing.assert_frame_equal(score(client(way), batch), score(exports["cells"][1], batch), rtol=1e-6)
    named = score(client(way, classes=["a", "b", "c"]), batch)
    assert list(named.columns[-4:]) == ["class_name", "probability_a", "probability_b", "probability_c"]
    assert named["error"][4] == "holds 1 non-finite values"


@BOTH
def test_a_detector_on_a_server_finds_what_the_export_finds(way, exports, client, tmp_path):
    for number, size in enumerate([(20, 30), (31, 17), (20, 30)]):
        picture = np.full(size, 90 * number, "uint8")
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
    (tmp_path / "broken.png").write_bytes(b"no")
    found = score(client(way, "lesions"), tmp_path)
    pd.testing.assert_frame_equal(found, score(exports["lesions"][3], tmp_path))
    assert found["class"].isna().tolist() == [True, False, False, False, False, True]


def test_what_a_client_is_not_scored_with(client):
    with pytest.raises(ModelError, match="reads encoded images, and ndarray was given"):
        score(client(REST, signature="serving_bytes"), images(1))
    with pytest.raises(ModelError, match="there are 2 names of classes, the model gives 3"):
        score(client(REST, classes=["a", "b"]), images(1))


@BOTH
def test_features_of_a_server_are_a_column_each(way, exports, client):
    found = score(client(way, signature="features"), images(3))
    pd.testing.assert_frame_equal(found, score(exports["cells"][1], images(3), signature="features"), rtol=1e-6)
    assert found.columns[4:].tolist() == [f"feature_{k}" for k in range(len(found.columns) - 4)]


@BOTH
def test_a_job_ends_with_what_the_server_said(way, double, client):
    double.fail_next[:] = [None, "INVALID_ARGUMENT"]
    with pytest.raises(ModelError, match=r"model 'cells': .*was sent inputs float32 \(8, 6, 7, 1\).*'on purpose'"):
        score(client(way), images(16))


# ----------------------------------------------------------------------------------------------------------- faults


def asked_for_predictions(double):
    return sum(call[0] in ("POST", "Predict") for call in double.asked)


@BOTH
def test_a_busy_server_is_asked_again(way, double, client):
    double.fail_next[:] = ["UNAVAILABLE", "UNAVAILABLE"]
    assert client(way).predict(inputs=images(1))["class_id"].shape == (1,)
    assert asked_for_predictions(double) == 3


@BOTH
def test_a_server_that_stays_busy_is_not_asked_for_ever(way, double, client):
    double.fail_next[:] = ["UNAVAILABLE"] * 9
    with pytest.raises(ModelError, match=r"2 tries\): 'on purpose'"):
        client(way, retries=1).predict(inputs=images(1))
    assert asked_for_predictions(double) == 2


@BOTH
def test_a_refusal_is_quoted_and_not_repeated(way, double, client):
    with pytest.raises(ModelError) as caught:
        client(way, batch_size=9).predict(inputs=images(9))
    assert "Task size 9 is larger than maximum input batch size 8" in said(caught)
    assert "reads inputs float32 (None, None, None, 1) and was sent inputs float32 (9, 6, 7, 1)" in said(caught)
    assert asked_for_predictions(double) == 1


@BOTH
def test_a_bad_shape_is_quoted(way, client):
    with pytest.raises(ModelError, match=r"was sent inputs float32 \(2, 6, 7\); the server refused .*is not a matrix"):
        client(way).predict(inputs=images(2)[..., 0])


@BOTH
def test_a_slow_server_is_not_asked_again(way, double, client):
    asked = client(way, timeout=0.2)
    assert asked.tensors()
    double.fail_next[:] = ["hang"]
    with pytest.raises(ModelError, match=r"no answer within 0.2 s; raise timeout="):
        asked.predict(inputs=images(1))
    assert asked_for_predictions(double) == 1


def test_an_answer_that_stops_is_too_slow(double, client):
    asked = client(REST, timeout=0.2)
    assert asked.tensors()
    double.fail_next[:] = ["half"]
    with pytest.raises(ModelError, match=r"no answer within 0.2 s"):
        asked.predict(inputs=images(1))
    assert asked_for_predictions(double) == 1


def test_a_connection_that_is_dropped_is_made_again(double, client):
    double.fail_next[:] = ["drop", "drop"]
    assert client(REST).predict(inputs=images(1))["class_id"].shape == (1,)
    assert asked_for_predictions(double) == 3


@BOTH
def test_no_server(way, client):
    url = ["http://127.0.0.1:1", "grpc://127.0.0.1:1"][way]
    with ServingClient(url, "cells", retries=1, backoff=0) as asked, pytest.raises(ModelError) as caught:
        asked.predict(inputs=images(1))
    assert f"{url}: model 'cells': the server cannot be reached, or is busy (2 tries)" in said(caught)
    assert "refused" in said(caught)


@BOTH
def test_the_port_of_the_other_protocol(way, running):
    host = running[1][1 - way].partition("://")[2]
    url = ["http://", "grpc://"][way] + host
    with (
        ServingClient(url, "cells", retries=0, timeout=3) as asked,
        pytest.raises(ModelError, match=["8501 by default, 8500 is for gRPC", "8500 by default, 8501 is for"][way]),
    ):
        asked.tensors()


@BOTH
def test_a_model_a_version_and_a_signature_that_are_not_there(way, double, client):
    with pytest.raises(ModelError, match=r"no such model, it says 'Servable not found for request: Latest\(none\)'"):
        client(way, "none").tensors()
    with pytest.raises(ModelError, match="version 7 is not served; of its versions, 1 is AVAILABLE"):
        client(way, version=7).tensors()
    with pytest.raises(ModelError, match="'serve' found, the model has features, serving_bytes, serving_default"):
        client(way, signature="serve").predict(inputs=images(1))
    double.loading.add("cells")
    with pytest.raises(ModelError, match="no version is served; of its versions, 1 is LOADING"):
        client(way).tensors()


@BOTH
def test_an_answer_without_an_output(way, double, client):
    double.fail_next[:] = ["no output"]
    with pytest.raises(ModelError, match=r"does not fit: \w+: is missing; the answer has \w+, \w+, \w+$"):
        client(way, "lesions").predict(inputs=images(1))


@BOTH
def test_rows_that_were_lost(way, client):
    with pytest.raises(ModelError, match="a: 1 rows came for 2 that were sent"):
        client(way, "odd", signature="fewer").predict(inputs=[[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>Welcome</html>", "'<html>Welcome</html>' came with status 200, expected JSON"),
        (b"[]", r"'\[\]' came, expected 'outputs'"),
        (b'{"predictions": []}', "came, expected 'outputs'"),
        (b'{"outputs": [[1.0]]}', "one output came, without a name; expected class_id, probabilities"),
        (b'{"outputs": {"class_id": [1]}}', "probabilities: is missing; the answer has class_id"),
        (
            b'{"outputs": {"class_id": [1.5], "probabilities": [[0, 0, 1]]}}',
            r"class_id: '\[1.5\]' came, expected int64",
        ),
        (b'{"outputs": {"class_id": [null], "probabilities": [[0, 0, 1]]}}', r"'\[None\]' came, expected int64"),
        (b'{"outputs": {"class_id": [1], "probabilities": [[0, 1], [0]]}}', "probabilities: "),
        (
            b'{"outputs": {"class_id": [1], "probabilities": [[0, 1]]}}',
            r"probabilities: float32 \(1, 2\) came, expected",
        ),
    ],
)
def test_answers_that_are_none(body, words, double, client):
    double.fail_next[:] = [body]
    with pytest.raises(ModelError, match=words):
        client(REST).predict(inputs=images(1))


def test_what_rest_does_not_carry_is_not_sent(double, client):
    with pytest.raises(ModelError, match="halves: is float16, which the REST interface does not carry; use grpc://"):
        client(REST, "odd", signature="halves").predict(inputs=[[1, 2]])
    with pytest.raises(ModelError, match=r"inputs: has the shape \(2, 0\), and JSON does not carry empty axes"):
        client(REST, "odd").predict(inputs=np.ones((2, 0)))
    assert not asked_for_predictions(double)
    with pytest.raises(
        ModelError, match="no text in UTF-8; REST carries bytes only in outputs whose names end in _byt"
    ):
        client(REST, "odd", signature="words").predict(text=[b"\x89PNG"])


def test_grpc_carries_all_of_it(client):
    assert client(GRPC, "odd", signature="halves").predict(inputs=[[1, 2]])["halves"].dtype == "float16"
    found = client(GRPC, "odd", signature="words").predict(text=[b"\x89PNG\x00"])
    assert found["text"].tolist() == [b"\x89PNG\x00"]


def test_inputs_that_are_not_the_signatures_are_named_at_once(double, client):
    with pytest.raises(ModelError) as caught:
        client(REST).predict(images=images(1), boxes=images(1))
    assert len(caught.value.faults) == 3
    for signature, given, words in [
        ("whole", [1.5], "number: float64 found, expected int64"),
        ("whole", [2**63], "number: holds uint64 values that int64 cannot hold"),
        ("whole", 3, "number: a single value found, expected an array with a row a sample"),
        ("words", [3], "text: int found, expected bytes or str"),
    ]:
        name = {"whole": "number", "words": "text"}[signature]
        with pytest.raises(ModelError, match=words):
            client(REST, "odd", signature=signature).predict({name: given})
    with pytest.raises(ModelError, match="inputs: holds float64 values that float32 cannot hold"):
        client(REST).predict(inputs=np.full((1, 2, 2, 1), 1e300))
    assert not asked_for_predictions(double)


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("localhost:8501", {}, "url: 'localhost:8501' found, expected http"),
        ("http://", {}, "url: 'http://' found"),
        ("http://h:8501/v1/models/cells:predict", {}, "expected http"),
        ("http://h:8501/v1/models/cells/labels/stable", {}, "expected http"),
        ("http://h:port", {}, "'http://h:port' found"),
        ("grpc://h:8500/v1/models/cells", {}, "expected http"),
        (8501, {}, "url: 8501 found"),
        ("http://h", {"name": None}, "name: None found, expected the model's name"),
        ("http://h/v1/models/a/versions/2", {"version": 3}, "version: 3 found, but the url says 2; say it once"),
        ("http://h/v1/models/a", {}, "name: 'cells' found, but the url says 'a'"),
        ("http://h", {"version": "1"}, "version: '1' found, expected an integer"),
        ("http://h", {"timeout": 0}, "timeout: 0 found"),
        ("http://h", {"retries": -1}, "retries: -1 found"),
        ("http://h", {"batch_size": 0}, "batch_size: 0 found"),
        ("http://h", {"classes": "ab"}, "classes: 'ab' found, expected a list of names"),
    ],
)
def test_arguments_that_are_wrong(url, options, words):
    with pytest.raises(ModelError, match=words):
        ServingClient(url, **{"name": "cells", **options})


def test_all_wrong_arguments_are_named_and_no_password():
    with pytest.raises(ModelError) as caught:
        ServingClient("http://me:secret@h:8501", None, timeout=-1)
    assert len(caught.value.faults) == 3
    assert "secret" not in said(caught)


def test_a_gateway_keeps_its_path():
    address = ServingClient("https://host/hospital/v1/models/a%20b").address
    assert address.name == "a b"
    assert address.model == "https://host/hospital/v1/models/a%20b"


def test_metadata_as_the_server_writes_it():
    """Sizes are text, and what is zero or open has its own words."""
    shape = {"dim": [{"size": "-1", "name": ""}, {"size": "3", "name": ""}], "unknown_rank": False}
    found = {"inputs": {"x": {"dtype": "DT_DOUBLE", "tensor_shape": shape, "name": "x:0"}}}
    found["outputs"] = {"y": {"dtype": "DT_BFLOAT16", "tensor_shape": {"dim": [], "unknown_rank": True}, "name": "y:0"}}
    (read,) = read_signatures(json.loads(json.dumps({"f": found, "__saved_model_init_op": {}}))).values()
    assert read.inputs == {"x": TensorInfo("float64", (None, 3))}
    assert read.outputs == {"y": TensorInfo("bfloat16", None)}


def test_rest_starts_no_tensorflow(running):
    check = (
        "import sys, tumorkeras\n"
        f"with tumorkeras.ServingClient({running[1][REST]!r}, 'odd') as client:\n"
        "    print(client.predict(inputs=[[1, 2]])['doubled'].tolist())\n"
        "print(sorted({'tensorflow', 'keras', 'grpc', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[[2.0, 4.0]]", "[]"]
    assert tumorkeras.ServingClient is ServingClient
