"""What the signatures read and answer, before anything is written."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from made_detectors import small_detector, small_encoder
from made_encoded import encoded, picture

from tumorkeras.data.canvas import letterbox, with_channels
from tumorkeras.models import build_autoencoder, build_classifier
from tumorkeras.serving.served import Choices, emptied
from tumorkeras.serving.signatures import endpoints

SIZES = [(40, 61), (24, 32), (9, 5)]
IMAGES = [picture(height, width, 1, seed=height) for height, width in SIZES]
CONTENTS = tf.constant([encoded(IMAGES[0]), b"junk", encoded(IMAGES[1]), encoded(IMAGES[2], ".png")])
ROWS = [0, 2, 3]  # of the images among the contents
THRESHOLD = 0.335  # above some scores of untrained weights


def run(model, choices=None):
    return {name: endpoint.compiled() for name, endpoint in endpoints(model, choices).items()}


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((24, 32, 1))
    flat = keras.layers.Flatten(name="features")(keras.layers.AveragePooling2D(8)(inputs))
    flat = keras.layers.Rescaling(1 / 100)(flat)
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax", name="probabilities")(flat))


@pytest.fixture(scope="module")
def served(classifier):
    return run(classifier)


def test_images_of_any_size_are_letterboxed_as_files_are_read(classifier, served):
    canvases = np.stack([letterbox(image, 24, 32) for image in IMAGES]).astype("float32")
    wanted = classifier(canvases, training=False).numpy()
    found = served["serving_bytes"](CONTENTS)
    assert found["status"].numpy().tolist() == [0, 1, 0, 0]
    # OpenCV rounds twice where it scales: a grey level here and there.
    np.testing.assert_allclose(found["probabilities"].numpy()[ROWS], wanted, atol=5e-3)
    for row, image in enumerate(IMAGES):
        levels = served["serving_uint8"](tf.constant(image[None]))
        np.testing.assert_allclose(levels["probabilities"][0], found["probabilities"][ROWS[row]], atol=1e-6)
        floats = served["serving_default"](tf.constant(image[None].astype("float32")))
        np.testing.assert_allclose(floats["probabilities"][0], wanted[row], atol=5e-3)
    # An image that has the size of the canvas stays as it is.
    np.testing.assert_allclose(found["probabilities"][2], wanted[1], atol=1e-6)


def test_a_failed_row_is_empty(classifier):
    found = run(classifier, Choices(class_names=["benign", "malignant"]))["serving_bytes"](CONTENTS)
    assert found["probabilities"].numpy()[1].tolist() == [0, 0]
    assert found["class_id"].numpy()[1] == -1
    names = [b"benign", b"malignant"]
    assert found["class_name"].numpy().tolist() == [
        b"" if row == 1 else names[found["class_id"].numpy()[row]] for row in range(4)
    ]


def test_a_row_that_is_no_number_has_no_class_and_harms_no_other(served):
    images = np.stack([letterbox(image, 24, 32) for image in IMAGES]).astype("float32")
    whole = served["serving_default"](tf.constant(images))
    images[1, 3, 3] = np.nan
    found = served["serving_default"](tf.constant(images))
    assert found["class_id"].numpy()[1] == -1
    for row in (0, 2):
        np.testing.assert_array_equal(found["probabilities"][row], whole["probabilities"][row])


@pytest.mark.parametrize("threshold", [0.0, 0.35, 0.8, 1.0])
def test_the_threshold_of_two_classes(classifier, threshold):
    images = np.random.default_rng(0).uniform(0, 255, (20, 24, 32, 1)).astype("float32")
    found = run(classifier, Choices(threshold=threshold))["serving_default"](tf.constant(images))
    np.testing.assert_array_equal(found["class_id"], found["probabilities"].numpy()[:, 1] >= threshold)


def test_autoencoders_of_images_measure_on_the_canvas():
    model = build_autoencoder((8, 12, 3), filters=(2,), bottleneck=4)
    image = picture(20, 20)
    found = run(model)["serving_bytes"](tf.constant([b"", encoded(image)]))
    canvas = letterbox(image, 8, 12)[None].astype("float32")
    assert found["reconstruction"].shape == (2, 8, 12, 3)
    np.testing.assert_allclose(found["reconstruction"][1], model(canvas)[0], rtol=0.05, atol=1.5)
    assert found["reconstruction_error"].numpy()[0] == 0
    assert not np.any(found["reconstruction"][0])
    assert {name: value.shape.as_list() for name, value in found.items()} == {
        "reconstruction": [2, 8, 12, 3],
        "reconstruction_error": [2],
        "features": [2, 4],
        "status": [2],
    }


def test_volumes_have_a_size_of_their_own_and_no_bytes():
    assert sorted(endpoints(build_classifier((4, 8, 8, 1), 2, filters=(2,), dense=(4,)))) == [
        "features",
        "serving_default",
    ]


def test_images_of_other_channels_are_not_encoded():
    inputs = keras.Input((8, 8, 2))
    flat = keras.layers.Flatten(name="features")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax", name="probabilities")(flat))
    assert sorted(endpoints(model)) == ["features", "serving_default", "serving_uint8"]


# ------------------------------------------------------------------------------------------------------ detectors


@pytest.fixture(scope="module")
def detector():
    keras.utils.set_random_seed(0)
    return small_detector(backbone=small_encoder())


@pytest.fixture(scope="module")
def found(detector):
    return run(detector, Choices(threshold=THRESHOLD, class_names=["cyst", "mass"]))["serving_bytes"](CONTENTS)


def test_boxes_of_mixed_sizes_are_those_of_each_image_alone(detector, found):
    assert found["status"].numpy().tolist() == [0, 1, 0, 0]
    for image, row in zip(IMAGES, ROWS, strict=True):
        alone = {name: value.numpy()[0] for name, value in detector(image[None].astype("float32")).items()}
        kept = alone["scores"] >= THRESHOLD
        assert found["num_detections"].numpy()[row] == kept.sum()
        for name, nothing in (("boxes", 0), ("scores", 0), ("classes", -1)):
            mask = kept.reshape(-1, *[1] * (alone[name].ndim - 1))
            np.testing.assert_allclose(found[name][row], np.where(mask, alone[name], nothing), atol=1e-4)
    assert sum(found["num_detections"].numpy()) > 0
    assert (found["num_detections"].numpy()[ROWS] < 10).any()  # the threshold does leave out some


def test_a_failed_image_has_no_detection(found):
    for name, nothing in (("boxes", 0), ("scores", 0), ("classes", -1), ("num_detections", 0), ("class_name", b"")):
        assert (found[name].numpy()[1] == nothing).all(), name
    names = np.array([b"cyst", b"mass", b""], dtype=object)
    np.testing.assert_array_equal(found["class_name"].numpy(), names[found["classes"].numpy()])


def test_colour_becomes_grey_before_the_detector(detector):
    image = picture(31, 44, 3)
    from_bytes = run(detector)["serving_bytes"](tf.constant([encoded(image)]))
    alone = detector(with_channels(image, 1)[None].astype("float32"))
    np.testing.assert_allclose(from_bytes["boxes"], alone["boxes"], atol=1e-4)


def test_emptying_leaves_what_has_fewer_axes():
    counts = tf.constant([3, 4])
    found = emptied({"num_detections": counts, "scores": tf.ones((2, 3))}, tf.constant([[True, False, True]] * 2))
    np.testing.assert_array_equal(found["num_detections"], counts)
    np.testing.assert_array_equal(found["scores"], [[1, 0, 1]] * 2)
