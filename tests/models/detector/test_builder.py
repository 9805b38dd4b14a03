"""The detector as it answers: shapes, pixels, heads, proposals from outside, and what it refuses."""

from __future__ import annotations

import detector_reference as reference
import keras
import numpy as np
import pytest
import tensorflow as tf
from made_detectors import ANCHORS, CANVAS, SMALL, small_detector, small_encoder, some_images, some_proposals
from model_check import check_models

from tumorkeras.anchors import Anchors
from tumorkeras.errors import ModelError
from tumorkeras.models.detector import TrainingSettings, build_detector

SIZES = [(64, 96), (200, 130), (31, 90)]
KEYS = {"boxes", "scores", "classes", "num_detections"}


@pytest.fixture(scope="module")
def detector():
    keras.utils.set_random_seed(1)
    return small_detector(num_classes=3)


@pytest.fixture(scope="module")
def external():
    keras.utils.set_random_seed(1)
    return small_detector(proposals="external", head="volume")


def heads_of(model):
    """Logits, deltas and regions, before they become detections."""
    return keras.Model(model.input, list(model.get_layer("detections").input[:3]))


def assert_are_those_of_the_heads(model, inputs, size):
    found = {key: np.asarray(value) for key, value in model(inputs, training=False).items()}
    logits, deltas, regions = (np.asarray(each) for each in heads_of(model)(inputs, training=False))
    layer = model.get_layer("detections")
    for image, own in enumerate(regions):
        rows = slice(image * len(own), (image + 1) * len(own))
        options = (layer.score_threshold, layer.nms_iou, layer.most)
        expected = reference.detections(logits[rows], deltas[rows], own, size, CANVAS, *options)
        count = found["num_detections"][image]
        assert count == len(expected) > 0
        np.testing.assert_allclose(found["boxes"][image, :count], [box for box, _, _ in expected], atol=0.02)
        np.testing.assert_allclose(found["scores"][image, :count], [score for _, score, _ in expected], rtol=1e-4)
    return found


@pytest.mark.slow
def test_every_form_runs_trains_saves_and_loads(tmp_path):
    images, proposals = some_images(3, (50, 70)), some_proposals(3, (50, 70))
    forms = {
        "level": {"preprocessing": [{"step": "lee_filter", "size": 3}, {"step": "standardize"}], "frozen": "P2"},
        "volume": {"backbone": small_encoder(), "head": "volume", "fusion": "deepest"},
        "external": {"backbone": small_encoder(), "proposals": "external", "head": "volume"},
    }
    inputs = dict.fromkeys(forms, images) | {"external": {"images": images, "proposals": proposals}}
    builders = {name: lambda arguments=arguments: small_detector(**arguments) for name, arguments in forms.items()}
    check_models(builders, tmp_path, inputs, loss=training_loss)


def training_loss(model, x):
    """Detections themselves have no gradient."""
    truth = {"boxes": np.array([[[10, 10, 30, 24.0]]] * 3, "float32"), "classes": np.zeros((3, 1), "int32")}
    return tf.add_n(list(model.losses_of(x, truth, tf.constant([0, 1], tf.int64), training=False).values()))


def test_outputs_share_their_batch_and_have_their_dtypes(detector):
    assert {key: value.shape for key, value in detector.output.items()} == {
        "boxes": (None, 10, 4),
        "scores": (None, 10),
        "classes": (None, 10),
        "num_detections": (None,),
    }
    for batch in (1, 4):
        found = detector(some_images(batch))
        assert {key: value.dtype.name for key, value in found.items()} == {
            "boxes": "float32",
            "scores": "float32",
            "classes": "int32",
            "num_detections": "int32",
        }
        assert {value.shape[0] for value in found.values()} == {batch}


@pytest.mark.parametrize("size", SIZES)
def test_boxes_are_in_pixels_of_the_image_that_came_in(detector, size):
    found = assert_are_those_of_the_heads(detector, some_images(2, size), size)
    real = found["boxes"][found["classes"] >= 0]
    assert real.min() >= 0
    assert (real[:, [0, 2]] <= size[1]).all()
    assert (real[:, [1, 3]] <= size[0]).all()
    assert real[:, 2].max() > 0.7 * size[1]  # not those of the canvas
    assert set(found["classes"][found["classes"] >= 0]) <= {0, 1, 2}


@pytest.mark.parametrize("size", SIZES)
def test_proposals_from_outside_are_in_those_pixels_too(external, size):
    inputs = {"images": some_images(2, size), "proposals": some_proposals(2, size)}
    assert_are_those_of_the_heads(external, inputs, size)


def test_images_without_proposals_have_no_detections(external):
    for proposals in (np.zeros((2, 0, 4), "float32"), np.zeros((2, 5, 4), "float32")):
        found = external({"images": some_images(), "proposals": proposals})
        assert found["num_detections"].numpy().tolist() == [0, 0]


def test_an_image_on_the_canvas_is_found_at_its_scale(detector):
    """Twice as large by repeated pixels, it is the same on the canvas: its boxes are twice as large."""
    image = some_images(2)
    small, large = detector(image), detector(image.repeat(2, axis=1).repeat(2, axis=2))
    np.testing.assert_allclose(large["boxes"], 2 * small["boxes"], atol=1e-2)
    np.testing.assert_allclose(large["scores"], small["scores"], rtol=1e-4)


def test_pixels_may_be_of_any_dtype(detector):
    image = some_images()
    expected = detector(image.astype("float32"))
    for dtype in ("uint8", "uint16", "int32", "float64"):
        found = detector(image.astype(dtype))
        for key, value in expected.items():
            np.testing.assert_array_equal(found[key], value)


def test_four_parts_in_a_row():
    level, volume = small_detector(), small_detector(head="volume")
    names = [layer.name for layer in level.layers]
    order = [names.index(name) for name in ("letterbox", "backbone", "proposals", "roi_align", "region_head")]
    assert order == sorted(order)
    assert level.get_layer("region_head").input_shape == (None, 4, 4, 16)
    assert volume.get_layer("region_head").input_shape == (None, 2, 4, 4, 16)
    kinds = [type(layer).__name__ for layer in volume.get_layer("region_head").layers]
    assert "Conv3D" in kinds
    assert "MaxPooling3D" in kinds
    assert level.get_layer("region_head").output["logits"].shape == (None, 3)
    assert (level.canvas, level.num_classes) == (CANVAS, 2)


def test_anchors_of_the_model_are_those_of_its_levels(detector):
    expected = reference.placed_anchors(ANCHORS.strides, ANCHORS.shapes(), CANVAS)
    np.testing.assert_allclose(detector.anchors, expected, atol=1e-4)
    layer = detector.get_layer("proposals")
    assert layer.input[0].shape == (None, len(expected))


def test_anchors_are_read_from_their_place():
    """A map that is bright in one cell alone: the anchors of that cell, and only they, have another objectness."""
    model = small_detector(anchors=Anchors((4,), ((12.0, 20.0),), (0.5, 1.0, 2.0)), preprocessing=())
    logits = model.get_layer("proposals").input[0]
    level = next(layer.output for layer in model.layers if layer.name == "pyramid_4")
    head = keras.Model(level, logits)
    one = np.zeros((1, 16, 24, 16), "float32")
    one[0, 5, 7] = 3.0
    moved = (head(one) != head(np.zeros_like(one))).numpy()[0]
    middles = model.anchors.numpy()[moved].reshape(-1, 2, 2).mean(axis=1)
    assert len(middles) > 6
    assert set(map(tuple, middles)) <= {(4 * x + 2, 4 * y + 2) for x in (6, 7, 8) for y in (4, 5, 6)}
    assert (30.0, 22.0) in set(map(tuple, middles))


def test_the_deepest_map_alone_bears_the_anchors_of_all_levels():
    model = small_detector(fusion="deepest")
    layer = model.get_layer("proposals")
    assert layer.pyramid == Anchors((8,), ((12.0, 28.0),), (0.75, 1.5))
    assert model.get_layer("roi_align").strides == [8]
    assert_are_those_of_the_heads(model, some_images(), CANVAS)


def test_levels_beyond_the_backbone_are_made_for_the_anchors():
    anchors = Anchors((4, 8, 16, 32), ((8.0,), (16.0,), (32.0,), (64.0,)), (1.0,))
    model = small_detector(anchors=anchors)
    assert model.get_layer("roi_align").strides == [4, 8, 16, 32]
    assert len(model.anchors) == 16 * 24 + 8 * 12 + 4 * 6 + 2 * 3


@pytest.mark.parametrize("canvas", [(240, 320), (34, 50)])
def test_canvases_need_not_be_multiples_of_a_stride(canvas):
    model = build_detector((*canvas, 1), 1, fusion_width=8, dense=(8,), rpn_proposals=5, max_detections=3)
    assert model.get_layer("roi_align").strides == [4, 8, 16, 32, 64]
    assert model.get_layer("proposals").input[0].shape[1] == len(model.anchors)
    assert set(model(np.zeros((1, 40, 30, 1)))) == KEYS


def test_everything_by_default_and_settings_that_are_kept():
    assert build_detector((64, 64, 1), 1).settings == TrainingSettings()
    model = small_detector(training=TrainingSettings(region_samples=5), name="finder")
    twin = type(model).from_config(model.get_config())
    assert twin.settings == model.settings == TrainingSettings(region_samples=5)
    assert twin.name == "finder"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"input_shape": (64, 64)}, r"input_shape: \(64, 64\) is not \(height, width, channels\)"),
        ({"input_shape": (64, 64.0, 1)}, "three positive integers"),
        ({"input_shape": (64, 31, 1)}, r"input_shape: \(64, 31, 1\) has a side below 32 pixels"),
        ({"input_shape": (64, 65, 1)}, r"input_shape: \(64, 65, 1\) has an odd side"),
        ({"num_classes": 0}, "num_classes: 0 is not a positive integer"),
        ({"fusion": "sum"}, "fusion: 'sum' is not one of top_down, deepest"),
        ({"fusion_width": 0}, "fusion_width: 0"),
        ({"proposals": "edges"}, "proposals: 'edges' is not one of rpn, external"),
        ({"head": "flat"}, "head: 'flat' is not one of level, volume"),
        ({"region_size": 2.5}, "region_size: 2.5"),
        ({"rpn_candidates": 0}, "rpn_candidates: 0"),
        ({"rpn_proposals": -1}, "rpn_proposals: -1"),
        ({"rpn_nms_iou": 0.0}, "rpn_nms_iou: 0.0 is not above 0 to 1"),
        ({"max_detections": True}, "max_detections: True"),
        ({"filters": ()}, r"filters: \(\) is not a list of positive integers"),
        ({"dense": 64}, "dense: 64 is not a list of positive integers"),
        ({"dropout": 1.0}, "dropout: 1.0 is not from 0 to below 1"),
        ({"dropout": "no"}, "dropout: 'no'"),
        ({"score_threshold": -0.1}, "score_threshold: -0.1 is not from 0 to below 1"),
        ({"nms_iou": 1.5}, "nms_iou: 1.5 is not above 0 to 1"),
        ({"anchors": [(8, 8)]}, "is no tumorkeras.anchors.Anchors"),
        ({"anchors": Anchors((2, 4), ((8,), (16,)), (1.0,))}, r"strides \(2, 4\) begin below 4"),
        ({"anchors": Anchors((), (), (1.0,))}, r"strides \(\) begin below 4"),
        ({"anchors": Anchors((4, 8), ((8.0,),), (1.0,))}, "not equally many for each of the strides"),
        ({"anchors": Anchors((4, 8), ((8.0,), (16.0, 20.0)), (1.0,))}, "not equally many"),
        ({"anchors": Anchors((4,), ((8.0,),), ())}, "sizes and ratios are positive numbers"),
        ({"anchors": Anchors((4,), ((8.0,),), (0.0,))}, "sizes and ratios are positive numbers"),
        ({"anchors": Anchors((5,), ((8.0,),), (1.0,))}, r"have strides \(5,\), but the maps have \(4, 8, 16, 32\)"),
        ({"preprocessing": [{"step": "sharpen"}]}, "'sharpen' is not one of"),
        ({"frozen": "P9"}, "frozen: 'P9' is neither a truth value nor one of P2, P3"),
        ({"backbone": 3}, "backbone: 3 is neither a model, the name of a preset, nor None"),
    ],
)
def test_bad_arguments_are_told(arguments, words):
    with pytest.raises(ModelError, match=words):
        build_detector(**{"input_shape": (64, 64, 1), "num_classes": 2, **SMALL, **arguments})


def test_all_bad_arguments_are_told_at_once():
    with pytest.raises(ModelError) as caught:
        build_detector((64, 64, 1), 0, head="no", dropout=2, nms_iou=0, rpn_proposals=0)
    assert [fault.partition(":")[0] for fault in caught.value.faults] == [
        "num_classes",
        "rpn_proposals",
        "head",
        "dropout",
        "nms_iou",
    ]
