"""Backbones of KerasCV as a layer: their maps, what is trained, and how it is saved."""

from __future__ import annotations

import keras
import keras_cv
import numpy as np
import pytest

from tumorkeras.errors import ModelError
from tumorkeras.layers import PyramidLevels

SHAPE = (None, None, 1)


def csp_darknet():
    return keras_cv.models.CSPDarkNetBackbone(
        stackwise_channels=[4, 8, 8], stackwise_depth=[1, 1, 1], include_rescaling=False, input_shape=SHAPE
    )


def mobile_net():
    """Ends in layers that belong to no level."""
    return keras_cv.models.MobileNetV3Backbone(
        stackwise_expansion=[1, 2, 2], stackwise_filters=[8, 8, 16], stackwise_kernel_size=[3, 3, 5],
        stackwise_stride=[2, 2, 2], stackwise_se_ratio=[0.25, None, 0.25],
        stackwise_activation=["relu", "relu", "hard_swish"], include_rescaling=False, input_shape=SHAPE,
    )  # fmt: skip


def images(batch=2, sides=(32, 48)):
    return np.random.default_rng(0).random((batch, *sides, 1), dtype="float32")


def test_levels_are_the_ends_of_the_stages():
    backbone = csp_darknet()
    layer = PyramidLevels(backbone)
    ends = [backbone.get_layer(name).output for name in backbone.pyramid_level_inputs.values()]
    expected = keras.Model(backbone.input, ends)(images())
    found = layer(images())
    assert layer.level_names == ["P2", "P3", "P4"]
    assert [tuple(level.shape) for level in found] == [(2, 8, 12, 4), (2, 4, 6, 8), (2, 2, 3, 8)]
    for own, level in zip(found, expected, strict=True):
        np.testing.assert_array_equal(own, level)


def test_levels_may_be_chosen():
    found = PyramidLevels(csp_darknet(), levels=["P3"])(keras.Input((32, 48, 1)))
    assert [level.shape for level in found] == [(None, 4, 6, 8)]
    chosen = PyramidLevels(csp_darknet(), levels=["P4", "P2"])(images())
    assert [level.shape[1] for level in chosen] == [2, 8]


def test_a_frozen_level_is_frozen_with_all_before_it():
    backbone = csp_darknet()
    layer = PyramidLevels(backbone, frozen="P2")
    end = backbone.pyramid_level_inputs["P2"]
    before = {each.name for each in keras.Model(backbone.input, backbone.get_layer(end).output).layers}
    assert {each.name for each in backbone.layers if not each.trainable} == before
    names = [weight.path for weight in layer.trainable_variables]
    assert names
    assert not any("stem" in name or "dark2" in name for name in names)


def test_frozen_normalisation_keeps_its_statistics():
    for frozen, moves in ((False, True), (True, False)):
        layer = PyramidLevels(csp_darknet(), frozen=frozen)
        assert bool(layer.trainable_variables) is moves
        before = [np.asarray(weight) for weight in layer.non_trainable_variables]
        plain, trained = layer(images(), training=False), layer(images(), training=True)
        after = layer.non_trainable_variables
        changed = any((np.asarray(new) != old).any() for new, old in zip(after, before, strict=True))
        assert changed is moves
        assert np.allclose(plain[0], trained[0], atol=1e-6) is not moves


def test_layers_that_no_level_needs_are_not_trained():
    layer = PyramidLevels(mobile_net())
    frozen = {each.name for each in layer.backbone.layers if not each.trainable}
    assert {"Conv_1", "Conv_1_BatchNorm"} <= frozen
    assert not any(name.startswith(("stem", "expanded")) for name in frozen)
    assert not [weight.path for weight in layer.trainable_variables if "Conv_1" in weight.path]


def test_the_configuration_names_the_backbone_and_nothing_inside_it():
    config = PyramidLevels(csp_darknet(), levels=["P2", "P3"], frozen="P2").get_config()
    assert config["backbone"]["class_name"] == "CSPDarkNetBackbone"
    assert "Lambda" not in str(config)
    twin = PyramidLevels.from_config(config)
    assert (twin.level_names, twin.frozen) == (["P2", "P3"], "P2")
    assert len(twin.trainable_variables) == len(PyramidLevels.from_config(twin.get_config()).trainable_variables) > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"levels": ["P2", "P9"]}, "level 'P9' is not one of P2, P3, P4"),
        ({"frozen": "P1"}, "frozen: 'P1' is neither a truth value nor one of P2, P3, P4"),
    ],
)
def test_bad_arguments_are_told(arguments, words):
    with pytest.raises(ModelError, match=words):
        PyramidLevels(csp_darknet(), **arguments)


def test_other_models_are_refused():
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)])
    with pytest.raises(ModelError, match="Sequential has no pyramid_level_inputs"):
        PyramidLevels(model)
