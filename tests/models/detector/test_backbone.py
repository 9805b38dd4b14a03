"""Backbones of the detector: an autoencoder, those of KerasCV, presets; their weights, and which are trained."""

from __future__ import annotations

import keras
import keras_cv
import numpy as np
import pytest
from made_detectors import mobile_net, small_backbone, small_detector, some_images

from tumorkeras.errors import ModelError, SpecError
from tumorkeras.models import build_autoencoder
from tumorkeras.models.detector import backbone
from tumorkeras.models.detector.backbone import backbone_levels, csp_darknet
from tumorkeras.spec import DataSpec
from tumorkeras.training.networks import detector_of

CANVAS = (32, 48)


def res_net():
    return keras_cv.models.ResNetV2Backbone(
        stackwise_filters=[8, 8],
        stackwise_blocks=[2, 2],
        stackwise_strides=[1, 2],
        include_rescaling=False,
        input_shape=(None, None, 3),
    )


def levels_of(backbone, frozen=False, canvas=CANVAS, channels=1):
    x = keras.Input((*canvas, channels))
    return x, backbone_levels(x, backbone, frozen)


def autoencoder(**options):
    keras.utils.set_random_seed(4)
    model = build_autoencoder((*CANVAS, 1), **{"filters": (3, 4, 5, 6), **options})
    for layer in model.layers:  # biases that are not all 0
        layer.set_weights([weight + 0.1 * np.arange(weight.size).reshape(weight.shape) / weight.size
                           for weight in layer.get_weights()])  # fmt: skip
    return model


@pytest.mark.parametrize("activation", ["elu", "maxout"])
@pytest.mark.parametrize("tied", [True, False])
def test_the_encoder_gives_its_maps_before_each_pooling(tied, activation):
    model = autoencoder(tied=tied, activation=activation)
    x, levels = levels_of(model)
    assert {stride: level.shape[1:] for stride, level in levels.items()} == {4: (8, 12, 5), 8: (4, 6, 6)}
    image = some_images(2, CANVAS).astype("float32") / 255
    expected = keras.Model(model.input, [model.get_layer(f"activation_{k}").output for k in (3, 4)])(image)
    for found, own in zip(keras.Model(x, list(levels.values()))(image), expected, strict=True):
        np.testing.assert_allclose(found, own, rtol=1e-5, atol=1e-5)


def test_the_encoder_is_a_copy():
    model = autoencoder()
    before = [np.array(weight) for weight in model.get_weights()]
    _, levels = levels_of(model, frozen=True)
    copy = keras.Model(*levels_of(model))
    for weight in copy.weights:
        weight.assign(weight + 1)
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    assert all(layer.trainable for layer in model.layers)
    assert len(levels) == 2


def test_an_encoder_for_another_canvas_and_with_padding_valid():
    """Weights do not depend on the size; cells must keep their places, so the padding is "same" in any case."""
    _, levels = levels_of(autoencoder(padding="valid", filters=(3, 4, 5)), canvas=(50, 70))
    assert {stride: level.shape[1:] for stride, level in levels.items()} == {4: (13, 18, 5)}


@pytest.mark.parametrize(
    ("frozen", "trained"), [(False, {1, 2, 3, 4}), ("P0", {2, 3, 4}), ("P2", {4}), ("P3", set()), (True, set())]
)
def test_what_is_frozen_of_an_encoder(frozen, trained):
    x, levels = levels_of(autoencoder(), frozen)
    weights = keras.Model(x, list(levels.values())).trainable_weights
    assert {int(weight.path.split("/")[0].removeprefix("conv_")) for weight in weights} == trained


def test_autoencoders_that_do_not_fit_are_told():
    cases = {
        "reads .* the detector images of 2 channels": (autoencoder(), {"channels": 2}),
        "reads .8, 8, 8, 1., the detector": (build_autoencoder((8, 8, 8, 1), filters=(2,)), {}),
        r"maps of strides 1, 2, expected 4, 8": (autoencoder(filters=(3, 4)), {}),
        r"maps of strides 1, expected 4, 8": (autoencoder(pool=None), {}),
        r"maps of strides 1, 4, 16, expected 4, 8": (build_autoencoder((64, 64, 1), filters=(3, 4, 5), pool=4), {}),
        r"a map of \(16, 48\) cells for a canvas of \(32, 48\)": (autoencoder(pool=(2, 1)), {}),
        "frozen: 'P4' is neither a truth value nor one of P0, P1, P2, P3": (autoencoder(), {"frozen": "P4"}),
    }
    for words, (model, options) in cases.items():
        with pytest.raises(ModelError, match=words):
            levels_of(model, **options)


@pytest.mark.parametrize(
    ("make", "channels", "sizes"),
    [
        (small_backbone, 1, {4: (8, 12, 8), 8: (4, 6, 16)}),
        (mobile_net, 1, {4: (8, 12, 8), 8: (4, 6, 16), 16: (2, 3, 16)}),
        (res_net, 3, {4: (8, 12, 32), 8: (4, 6, 32)}),
    ],
)
def test_backbones_of_keras_cv(make, channels, sizes):
    x, levels = levels_of(make(), channels=channels)
    found = {stride: level.shape[1:] for stride, level in levels.items()}
    assert {stride: shape[:2] for stride, shape in found.items()} == {stride: sizes[stride][:2] for stride in sizes}
    maps = keras.Model(x, list(levels.values()))(np.zeros((1, *CANVAS, channels)))
    assert [tuple(each.shape[1:]) for each in maps] == list(found.values())


@pytest.mark.parametrize("canvas", [(32, 32), (34, 50), (100, 68), (240, 320), (62, 130)])
def test_strides_are_powers_of_two_whatever_the_canvas(canvas):
    _, levels = levels_of(csp_darknet(1, (4, 4, 4, 4), (1, 1, 1, 1)), canvas=canvas)
    assert list(levels) == [4, 8, 16, 32]
    for stride, level in levels.items():
        assert level.shape[1:3] == tuple(-(-side // stride) for side in canvas)


def test_a_backbone_that_drops_the_last_pixels_is_told():
    dense_net = keras_cv.models.DenseNetBackbone(
        stackwise_num_repeats=[1, 1], include_rescaling=False, input_shape=(None, None, 1), growth_rate=4
    )
    assert list(levels_of(dense_net)[1]) == [4, 8]
    with pytest.raises(ModelError, match="whose sides are multiples of the coarsest stride"):
        levels_of(dense_net, canvas=(36, 44))


def test_a_grey_image_is_shown_to_a_backbone_of_colours_in_each():
    backbone = res_net()
    image = some_images(1, CANVAS).astype("float32")
    x, levels = levels_of(backbone)
    colour, expected = levels_of(backbone, channels=3)
    grey = keras.Model(x, levels[4])(image)
    np.testing.assert_allclose(grey, keras.Model(colour, expected[4])(np.repeat(image, 3, axis=-1)), rtol=1e-5)
    with pytest.raises(ModelError, match="reads 3 channels, input_shape has 2"):
        levels_of(backbone, channels=2)


def test_a_backbone_of_keras_cv_is_used_itself():
    backbone = small_backbone()
    detector = small_detector(backbone=backbone, frozen="P2")
    ours = {id(weight) for weight in detector.weights}
    assert {id(weight) for weight in backbone.weights} <= ours
    trained = {weight.path for weight in detector.trainable_weights}
    assert not any("dark2" in path or "stem" in path for path in trained)
    assert any("dark3" in path for path in trained)


def test_a_registered_backbone_is_built_by_its_name(monkeypatch):
    monkeypatch.setitem(backbone.BACKBONES, "tiny", lambda channels: csp_darknet(channels, (4, 4), (1, 1)))
    spec = DataSpec.from_dict(
        {
            "name": "lesions",
            "source": {"kind": "phantoms"},
            "input": {"shape": [64, 64, 1]},
            "detector": {"backbone": "tiny", "fusion_width": 8, "dense": [8]},
        }
    )
    built = detector_of(spec, 2).get_layer("backbone").backbone
    assert built.count_params() == csp_darknet(1, (4, 4), (1, 1)).count_params()
    monkeypatch.delitem(backbone.BACKBONES, "tiny")
    with pytest.raises(SpecError, match=r"'tiny' is unknown; expected one of csp_darknet, .*autoencoder"):
        detector_of(spec, 2)


def test_a_preset_without_a_network_is_told(monkeypatch):
    def fail(name):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(keras_cv.models.Backbone, "from_preset", fail)
    with pytest.raises(ModelError, match="preset 'resnet50_v2' cannot be had") as caught:
        levels_of("resnet50_v2")
    assert "ConnectionError: no route to host" in str(caught.value)
    assert "made of its arguments" in str(caught.value)


def test_other_models_are_told():
    with pytest.raises(ModelError, match="Sequential has no pyramid_level_inputs"):
        levels_of(keras.Sequential([keras.Input((*CANVAS, 1)), keras.layers.Conv2D(2, 3)]))
    with pytest.raises(ModelError, match="backbone: 7 is neither a model"):
        levels_of(7)
