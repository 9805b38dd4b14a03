"""The graph of a model however it was put together, and what makes its outputs."""

import keras
import pytest

from tumorkeras.models import build_detector
from tumorkeras.models.graphs import graph_of, nodes_of, output_layers

LAYERS = keras.layers


def inner():
    return keras.Sequential([keras.Input((3,)), LAYERS.Dense(4), LAYERS.Dense(2, name="last")], name="inner")


def test_a_sequential_and_its_graph_are_one():
    model = inner()
    graph = graph_of(model)
    assert graph.name == "inner"
    assert [id(variable) for variable in graph.variables] == [id(variable) for variable in model.variables]
    functional = keras.Model(model.inputs, model.outputs)
    assert graph_of(functional) is functional


@pytest.mark.parametrize("model", [keras.Sequential([LAYERS.Dense(2)]), keras.Model(), LAYERS.Dense(2), "model", None])
def test_what_has_no_graph(model):
    assert graph_of(model) is None


def test_the_maker_of_an_output_may_lie_two_models_deep():
    deep = keras.Sequential([keras.Input((3,)), keras.Sequential([keras.Input((3,)), inner()])])
    assert [layer.name for layer in output_layers(graph_of(deep))] == ["last"]
    detector = build_detector((64, 64, 1), 1)
    assert {layer.name for layer in output_layers(detector)} == {"detections"}


def test_a_layer_that_two_models_share_is_that_of_the_model_asked():
    shared, one, other = LAYERS.Dense(2, name="shared"), keras.Input((3,)), keras.Input((3,))
    keras.Model(one, shared(one))
    model = keras.Model(other, LAYERS.Dense(1)(shared(other)))
    (given,) = nodes_of(model)["shared"].input_tensors
    assert given is other
