"""What lies ready for those who run TF Serving: settings that its own messages read, and clients that run."""

import inspect
import io
import runpy
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow_serving.config import model_server_config_pb2

from tests.serving.double import Double, serving
from tests.serving.tiny_exports import write_classifier, write_detector
from tumorkeras.serving.client import ServingClient

SCRIPTS = ("client_rest.py", "client_grpc.py")


@pytest.fixture(scope="module")
def folder(checkout):
    return checkout / "serving"


@pytest.fixture(scope="module")
def compose(folder):
    return yaml.safe_load((folder / "docker-compose.yml").read_text(encoding="utf-8"))["services"]


@pytest.fixture(scope="module")
def flags(compose):
    return dict(flag.removeprefix("--").split("=", 1) for flag in compose["serving"]["command"])


def message(name, fields):
    """A message whose schema is in none of the installed packages, with the fields of its .proto: name -> type."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package="mirror", syntax="proto3")
    file.dependency.append("google/protobuf/wrappers.proto")
    described = file.message_type.add(name=name)
    for number, (field, kind) in enumerate(fields.items(), 1):
        added = described.field.add(name=field, number=number, label=1)
        if isinstance(kind, str):
            added.type, added.type_name = 11, kind
        else:
            added.type = kind
    from google.protobuf import wrappers_pb2

    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"mirror.{name}"))()


def test_the_images_are_pinned_and_every_file_is_there(compose, flags, folder):
    for service in compose.values():
        assert service["image"].rpartition(":")[2] not in ("", "latest")
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])  # the server knows no passwords
    assert ".:/config:ro" in compose["serving"]["volumes"]
    named = [value for value in flags.values() if value.startswith("/config/")]
    assert len(named) == 3
    own = [volume.split(":")[0] for service in compose.values() for volume in service["volumes"] if volume[0] == "."]
    for file in [*(name.removeprefix("/config/") for name in named), *own]:
        assert (folder / file).exists(), file


def test_the_models_are_read_by_the_servers_own_message(folder, compose, flags):
    text = (folder / flags["model_config_file"].removeprefix("/config/")).read_text(encoding="utf-8")
    models = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
    assert models
    assert any(volume.endswith(":/models:ro") for volume in compose["serving"]["volumes"])
    for model in models:
        assert (model.base_path, model.model_platform) == (f"/models/{model.name}", "tensorflow")
    # What is there to be uncommented, too.
    loose = text.replace("# model_version_policy", "model_version_policy").replace("# version_labels", "version_labels")
    (model,) = text_format.Parse(loose, model_server_config_pb2.ModelServerConfig()).model_config_list.config
    assert list(model.model_version_policy.specific.versions) == [3, 4]
    assert dict(model.version_labels) == {"stable": 3, "canary": 4}


def test_batches_are_as_large_as_clients_send_and_never_padded(folder, flags):
    wrapped = ".google.protobuf.Int64Value"
    names = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    parameters = message("BatchingParameters", {**dict.fromkeys(names, wrapped), "pad_variable_length_inputs": 8})
    text = (folder / flags["batching_parameters_file"].removeprefix("/config/")).read_text(encoding="utf-8")
    text_format.Parse(text, parameters)
    assert flags["enable_batching"] == "true"
    assert all(parameters.HasField(name) for name in names)
    assert parameters.max_batch_size.value == inspect.signature(ServingClient).parameters["batch_size"].default
    assert all(runpy.run_path(str(folder / script))["AT_ONCE"] == parameters.max_batch_size.value for script in SCRIPTS)
    assert not parameters.pad_variable_length_inputs


def test_prometheus_reads_where_the_server_writes(folder, flags):
    text = (folder / flags["monitoring_config_file"].removeprefix("/config/")).read_text(encoding="utf-8")
    inner = message("PrometheusConfig", {"enable": 8, "path": 9})
    text_format.Parse(text[text.index("{") + 1 : text.rindex("}")], inner)
    (job,) = yaml.safe_load((folder / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    assert (inner.enable, inner.path) == (True, job["metrics_path"])
    assert job["static_configs"] == [{"targets": ["serving:8501"]}]


# ------------------------------------------------------------------------------------------------------ the clients


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    root = tmp_path_factory.mktemp("exports")
    models = {"cells": {1: write_classifier(root / "cells" / "1")}, "tumours": {3: write_detector(root / "t" / "3")}}
    double = Double(models, most_rows=8)
    with serving(double) as urls:
        yield double, urls[0], urls[1].removeprefix("grpc://")


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Nine images, more than one request takes, the second of them none."""
    root = tmp_path_factory.mktemp("scans")
    for number in range(9):
        assert cv2.imwrite(str(root / f"{number}.png"), np.full((20, 30), 25 * number, "uint8"))
    (root / "1.png").write_bytes(b"none")
    return root


def run(script, folder, scans, *options):
    files = sorted(file.name for file in scans.iterdir())
    command = [sys.executable, str(folder / script), *options, *files]
    return subprocess.run(command, capture_output=True, text=True, cwd=scans)


def check_detections(done):
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(io.StringIO(done.stdout))
    assert list(table.columns) == ["path", "status", "class", "score", "xmin", "ymin", "xmax", "ymax"]
    assert table[table["path"] == "1.png"]["status"].tolist() == ["error"]
    assert table[table["path"] == "0.png"].iloc[:, 2:].isna().all(axis=None)  # dark: nothing is found
    bright = table[table["path"] == "8.png"]
    assert bright["class"].tolist() == [1, 0]
    np.testing.assert_allclose(bright["score"], [200 / 255, 100 / 255], rtol=1e-6)
    assert bright.iloc[:, 4:].to_numpy().tolist() == [[2, 2, 6, 6], [0, 0, 8, 8]]


def test_detections_over_rest_from_a_server_that_is_busy_at_first(running, folder, scans):
    double, rest, _ = running
    double.fail_next[:] = ["UNAVAILABLE"]
    check_detections(run("client_rest.py", folder, scans, "--server", rest, "--model", "tumours/versions/3"))
    assert not double.fail_next


def test_detections_over_grpc_from_a_server_that_is_busy_at_first(running, folder, scans):
    double, _, remote = running
    double.fail_next[:] = ["UNAVAILABLE"]
    check_detections(run("client_grpc.py", folder, scans, "--server", remote, "--model", "tumours", "--version", "3"))
    assert not double.fail_next


def test_a_refusal_over_rest_ends_with_the_servers_words(running, folder, scans):
    done = run("client_rest.py", folder, scans, "--server", running[1], "--model", "none")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the server refused (status 404): Servable not found for request: Latest(none)" in done.stderr


def test_a_refusal_over_grpc_ends_with_the_servers_words(running, folder, scans):
    """In this process: TensorFlow starts slowly."""
    script = runpy.run_path(str(folder / "client_grpc.py"))
    with (
        script["connect"](running[2], 0) as channel,
        pytest.raises(SystemExit, match=r"none: .*\(NOT_FOUND\): Servable not found for request: Latest\(none\)"),
    ):
        script["ask"](channel, "none", None, [scans / "0.png"], 5)


def test_probabilities_are_the_models_either_way(running, folder, scans):
    _, rest, remote = running
    files = [scans / "1.png", scans / "8.png"]
    scripts = [runpy.run_path(str(folder / script)) for script in SCRIPTS]
    with scripts[0]["connect"](0) as session, scripts[1]["connect"](remote, 0) as channel:
        outputs = [
            scripts[0]["ask"](session, f"{rest}/v1/models/cells:predict", files, 5),
            scripts[1]["ask"](channel, "cells", None, files, 5),
        ]
    tables = [script["as_table"](files, output) for script, output in zip(scripts, outputs, strict=True)]
    pd.testing.assert_frame_equal(*tables, rtol=1e-6)
    assert list(tables[0].columns) == ["path", "status", "class_id", "probability_0", "probability_1", "probability_2"]
    assert tables[0]["class_id"].tolist() == [pd.NA, 2]


def test_the_table_is_made_alike_in_both(folder):
    """Each can be pasted alone, so each has its own copy."""
    parts = [(folder / script).read_text(encoding="utf-8").partition("def as_table")[2] for script in SCRIPTS]
    rest, remote = (part.partition("def main")[0] for part in parts)
    assert rest == remote
    assert len(rest) > 500
