"""Answers of a format, held against those of the SavedModel."""

import numpy as np

from tumorkeras.errors import ModelError
from tumorkeras.serving.formats.checks import held
from tumorkeras.serving.warm_up import Request

INPUTS = np.arange(8, dtype="float32").reshape(4, 2)


def doubled(inputs):
    return {"outputs": inputs["inputs"] * 2}


def test_every_request_is_run_in_batches_of_1_and_3_and_its_own():
    seen = []

    def run(inputs):
        seen.append(len(inputs["inputs"]))
        return doubled(inputs)

    requests = [Request("", {"inputs": INPUTS[:size]}, {"outputs": 2 * INPUTS[:size]}) for size in (4, 2)]
    assert held(run, requests) == ({"outputs": 0.0}, [])
    assert seen == [1, 3, 4, 1, 2, 3]


def test_the_largest_difference_of_each_output_and_every_fault():
    def run(inputs):
        return {**doubled(inputs), "probabilities": inputs["inputs"] / 16 + 2**-10}

    expected = {"outputs": 2 * INPUTS - 0.25, "probabilities": INPUTS / 16, "class_name": np.array([b"a"] * 4, object)}
    differences, faults = held(run, [Request("", {"inputs": INPUTS}, expected)])
    assert differences == {"outputs": 0.25, "probabilities": 2**-10}
    assert len(faults) == 6  # two outputs, three batches
    assert faults[0].startswith("'outputs' is 0.25 off, expected ")
    assert faults[0].endswith(" at most, for inputs (2,) in a batch of 1")


def test_a_lost_output_and_a_call_that_fails_are_faults():
    def run(inputs):
        if len(inputs["inputs"]) > 1:
            raise ModelError("model.onnx: the batch is not open")
        return {}

    request = Request("", {"inputs": INPUTS[:1]}, {"outputs": 2 * INPUTS[:1]})
    lost = "output 'outputs' is missing, for inputs (2,) in a batch of 1"
    assert held(run, [request])[1] == [lost, "model.onnx: the batch is not open"]
