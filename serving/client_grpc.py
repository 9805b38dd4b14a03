"""A table of what a served model finds in image files, over gRPC.

Needs nothing but ``pip install pandas tensorflow tensorflow-serving-api``; paste it and change it::

    python client_grpc.py --server localhost:8500 --model tumours scans/*.png > found.csv
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pandas as pd
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

AT_ONCE = 8  # most files in a request: the server's max_batch_size


def connect(server: str, retries: int) -> grpc.Channel:
    """A channel that asks again where the server cannot be reached or is busy, never where it refuses."""
    policy = {
        "maxAttempts": retries + 1,  # gRPC makes five at most
        "initialBackoff": "0.2s",
        "maxBackoff": "5s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    options: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
    ]
    if retries:
        options.append(("grpc.service_config", json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": policy}]})))
    return grpc.insecure_channel(server, options=options)


def ask(
    channel: grpc.Channel, model: str, version: int | None, files: Sequence[Path], timeout: float
) -> dict[str, Any]:
    """The outputs for some PNG or JPEG files, an array with a row a file under each name."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = "serving_bytes"
    if version is not None:
        request.model_spec.version.value = version
    images = np.array([file.read_bytes() for file in files], dtype=object)
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(images, dtype=tf.string))
    try:
        answer = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=timeout)
    except grpc.RpcError as error:
        sys.exit(f"{model}: the server refused or did not answer ({error.code().name}): {error.details()}")
    outputs = {name: tf.make_ndarray(tensor) for name, tensor in answer.outputs.items()}
    return {
        name: np.vectorize(bytes.decode, otypes=[object])(values) if values.dtype == object else values
        for name, values in outputs.items()
    }


def as_table(files: Sequence[Path], outputs: Mapping[str, Any]) -> pd.DataFrame:
    """A row a detection, or a row a file; status "error" where the server could not decode the file."""
    rows = []
    for number, file in enumerate(files):
        own = {name: values[number] for name, values in outputs.items()}
        row = {"path": str(file), "status": "error" if own["status"] else "ok"}
        if own["status"]:
            rows.append(row)
        elif "boxes" in own:
            names = own.get("class_name", own["classes"])
            found = [
                {**row, "class": names[k], "score": own["scores"][k]}
                | dict(zip(("xmin", "ymin", "xmax", "ymax"), own["boxes"][k], strict=True))
                for k in range(int(own["num_detections"]))
            ]
            rows += found or [row]
        else:
            row |= {name: own[name] for name in ("class_id", "class_name", "reconstruction_error") if name in own}
            rows.append(row | {f"probability_{k}": p for k, p in enumerate(own.get("probabilities", ()))})
    return pd.DataFrame(rows).convert_dtypes()


def main() -> None:
    """Read the command line, ask, write CSV to standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, help="PNG or JPEG")
    parser.add_argument("--server", default="localhost:8500")
    parser.add_argument("--model", required=True)
    parser.add_argument("--version", type=int, help="by default the largest")
    parser.add_argument("--timeout", type=float, default=10, help="seconds that an answer may take, all tries together")
    parser.add_argument("--retries", type=int, default=3, help="4 at most")
    options = parser.parse_args()
    if missing := [str(file) for file in options.files if not file.is_file()]:
        sys.exit(f"there is no file {', '.join(missing)}")
    tables = []
    with connect(options.server, options.retries) as channel:
        for start in range(0, len(options.files), AT_ONCE):
            files = options.files[start : start + AT_ONCE]
            tables.append(as_table(files, ask(channel, options.model, options.version, files, options.timeout)))
    pd.concat(tables).to_csv(sys.stdout, index=False)


if __name__ == "__main__":
    main()
