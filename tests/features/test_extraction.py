"""What a network sees as features: against the network's own layers, as scikit-learn wants it, on bad input."""

from __future__ import annotations

import copy
import gc
import pickle
import shutil
import weakref

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from made_detectors import CANVAS, blocks, small_detector, some_images
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

from tumorkeras import FeatureExtractor, build_autoencoder, build_classifier
from tumorkeras.boxes import CORNERS, letterbox
from tumorkeras.data import canvas
from tumorkeras.data.detection import detection_batches, load_detection
from tumorkeras.data.pipeline import arrays_of, batches
from tumorkeras.data.proposals import propose_regions
from tumorkeras.data.proposals.samples import padded
from tumorkeras.data.samples import load_samples
from tumorkeras.errors import DataError, ModelError
from tumorkeras.features import layer_outputs
from tumorkeras.models import encoder_of
from tumorkeras.serving.signatures import endpoints
from tumorkeras.spec import DataSpec
from tumorkeras.training import TrainedModel
from tumorkeras.training.folder import save_model

SHAPE = (8, 8, 1)
VOLUME = (4, 8, 8, 1)
RNG = np.random.default_rng(0)
LAYERS = keras.layers


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return build_autoencoder(SHAPE, filters=(4,), bottleneck=5)


@pytest.fixture(scope="module")
def of_volumes():
    keras.utils.set_random_seed(0)
    return build_autoencoder(VOLUME, filters=(2,), bottleneck=3)


@pytest.fixture(scope="module")
def detector():
    keras.utils.set_random_seed(0)
    return small_detector()


@pytest.fixture(scope="module")
def finder(detector):
    """One for all tests, so that it is compiled once."""
    return FeatureExtractor(detector, batch_size=2).fit(some_images())


@pytest.fixture(scope="module")
def images():
    return RNG.integers(0, 256, (7, *SHAPE)).astype("uint8")


@pytest.fixture(scope="module")
def of_sizes():
    """Images of three sizes that take turns."""
    return [RNG.integers(0, 256, (*size, 1)).astype("uint8") for size in [CANVAS, (40, 70), (90, 50)] * 2]


def trained_of(model, **changes):
    source = {"kind": "image_folder", "path": "x"}
    spec = DataSpec.from_dict({"name": "scans", "source": source, "input": {"shape": list(model.input_shape[1:])}})
    spec = DataSpec.from_dict({**spec.to_dict(), **changes})
    return TrainedModel(model, spec, {"kind": "autoencoder", "classes": ["scan"]}, pd.DataFrame({"epoch": [1]}))


def output_of(model, layer, arrays):
    return np.asarray(keras.Model(model.input, model.get_layer(layer).output)(arrays.astype("float32"), training=False))


# -------------------------------------------------------------------------------------------------- which layer, how


def test_autoencoders_and_classifiers_give_their_embedding(network, images):
    classifier = build_classifier(SHAPE, 3, filters=(2, 4), dense=(4,))
    for model, width in ((network, 5), (classifier, 8)):
        extractor = FeatureExtractor(model, batch_size=3)
        found = extractor.fit_transform(images)
        assert found.dtype == "float32"
        np.testing.assert_allclose(found, encoder_of(model)(images.astype("float32"), training=False), rtol=1e-5)
        assert extractor.get_feature_names_out().tolist() == [f"features_{k}" for k in range(width)]


def test_pooling_is_that_of_the_output(network, images):
    maps = output_of(network, "conv_1", images)
    wanted = {
        "mean": (maps.mean(axis=(1, 2)), "conv_1_3"),
        "max": (maps.max(axis=(1, 2)), "conv_1_3"),
        "mean_max": (np.concatenate([maps.mean(axis=(1, 2)), maps.max(axis=(1, 2))], axis=1), "conv_1_max_3"),
        "flatten": (maps.reshape(7, -1), "conv_1_255"),
    }
    for pool, (values, last) in wanted.items():
        extractor = FeatureExtractor(network, "conv_1", pool).fit(images)
        np.testing.assert_allclose(extractor.transform(images), values, rtol=1e-4, atol=1e-4)
        names = extractor.get_feature_names_out()
        assert names[-1] == last
        assert len(set(names)) == values.shape[1]
    flat = [FeatureExtractor(network, pool=pool).fit_transform(images) for pool in wanted]
    assert all(np.array_equal(each, flat[0]) for each in flat)


def test_detectors_give_the_means_of_their_levels_as_they_are_served(detector, finder, of_sizes):
    served = endpoints(detector)["features"].function
    found = finder.transform(of_sizes)
    for k in range(3):  # the sizes take turns
        same = np.stack(of_sizes[k::3])
        wanted = served(same.astype("float32"))["features"]
        np.testing.assert_allclose(found[k::3], wanted, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(finder.transform(same), wanted, rtol=1e-4, atol=1e-5)
    names = finder.get_feature_names_out().tolist()
    assert names == [f"P{level}_{k}" for level in (2, 3) for k in range(16)]


def two_maps(name=None):
    """Twice the image, and three times; with the bias of one."""
    layer = LAYERS.Conv2D(2, 1, name=name)
    layer.build((None, None, None, 1))
    layer.set_weights([np.array([[[[2.0, 3.0]]]]), np.ones(2)])
    return layer


def head(x):
    return LAYERS.Dense(3, activation="softmax")(x)


def small_base(**options):
    inputs = keras.Input((None, None, 1))
    x = two_maps("maps")(inputs)
    return keras.Model(inputs, LAYERS.GlobalAveragePooling2D()(x) if options.get("pooled") else x, name="base")


def with_base(base):
    """As transfer learning has it: a model used as a layer behind layers that only change pixels."""
    inputs = keras.Input(SHAPE)
    x = base(LAYERS.Rescaling(0.5)(inputs))
    return keras.Model(inputs, head(LAYERS.GlobalAveragePooling2D()(x) if len(x.shape) > 2 else x))


def sequential():
    return keras.Sequential(
        [keras.Input(SHAPE), LAYERS.Rescaling(0.5), two_maps("base"), LAYERS.Flatten(), head_layer()]
    )


def head_layer():
    return LAYERS.Dense(3)


@pytest.mark.parametrize(
    "make",
    [lambda: with_base(small_base()), lambda: with_base(small_base(pooled=True)), sequential],
    ids=["base", "pooled base", "sequential"],
)
def test_any_other_model_gives_the_end_of_its_convolutions(make, images):
    extractor = FeatureExtractor(make()).fit(images)
    means = images.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(extractor.transform(images), np.stack([means + 1, 1.5 * means + 1], axis=1), rtol=1e-5)
    assert extractor.feature_names_ == ["base_0", "base_1"]


def test_without_convolutions_it_is_what_the_last_layer_reads(images):
    inputs = keras.Input(SHAPE)
    hidden = LAYERS.Dense(4, activation="relu", name="hidden")(LAYERS.Flatten()(inputs))
    model = keras.Model(inputs, head(hidden))
    extractor = FeatureExtractor(model).fit(images)
    np.testing.assert_allclose(extractor.transform(images), output_of(model, "hidden", images), rtol=1e-5)
    assert extractor.feature_names_ == [f"hidden_{k}" for k in range(4)]


def test_a_layer_that_another_model_calls_too_answers_here(images):
    shared = two_maps("shared")
    elsewhere = keras.Input(SHAPE)
    keras.Model(elsewhere, shared(elsewhere))
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, head(LAYERS.Flatten()(shared(LAYERS.Rescaling(10.0)(inputs)))))
    found = FeatureExtractor(model, "shared").fit_transform(images)
    np.testing.assert_allclose(found[:, 0], 20 * images.mean(axis=(1, 2, 3)) + 1, rtol=1e-5)


def test_mixed_precision_and_training_flags_change_nothing_of_the_kind(images):
    inputs = keras.Input(SHAPE)
    x = LAYERS.Conv2D(2, 3, dtype="mixed_float16", name="half")(LAYERS.Dropout(0.9)(inputs))
    extractor = FeatureExtractor(keras.Model(inputs, head(LAYERS.Flatten()(x))))
    first = extractor.fit_transform(images)
    assert first.dtype == "float32"
    np.testing.assert_array_equal(first, extractor.transform(images))


def test_models_that_cannot_be_asked_are_refused(network, detector, images):
    with pytest.raises(ModelError, match=r"no layer named 'conv_9'; its layers are inputs, target, conv_1, .*features"):
        FeatureExtractor(network, "conv_9").fit(images)
    two = [keras.Input((2,), name="left"), keras.Input((2,), name="right")]
    with pytest.raises(ModelError, match=r"reads 2 inputs \(left, right\), expected one array"):
        FeatureExtractor(keras.Model(two, LAYERS.Concatenate()(two))).fit(np.zeros((1, 2)))
    for model in (keras.Sequential([LAYERS.Dense(2)]), keras.Model()):
        with pytest.raises(ModelError, match="has no graph"):
            FeatureExtractor(model).fit(images)
    with pytest.raises(
        ModelError, match=r"model: ndarray found, expected a keras\.Model, a TrainedModel or the folder"
    ):
        FeatureExtractor(images).fit(images)
    with pytest.raises(ModelError, match="nowhere: there is no such folder"):
        FeatureExtractor("nowhere").fit(images)
    with pytest.raises(ModelError, match=r"'maps' gives \(None, None, None, 2\), whose size is open; pool it"):
        FeatureExtractor(small_base(), "maps", "flatten").fit(images)
    with pytest.raises(ModelError, match="'region_head' gives 2 outputs, expected one"):
        FeatureExtractor(detector, "region_head").fit(some_images())
    inputs = keras.Input(SHAPE)
    pixels = keras.Model(inputs, LAYERS.Dense(2, name="pixels")(keras.ops.reshape(inputs, (-1, 1))))
    with pytest.raises(ModelError, match="gives 448 rows for 7 samples, expected one each"):
        FeatureExtractor(pixels, "pixels").fit_transform(images)


def test_all_wrong_parameters_are_named_at_once(network, images):
    with pytest.raises(ModelError) as error:
        FeatureExtractor(network, layer=3, pool="median", batch_size=0).fit(images)
    assert error.value.faults == [
        "layer: 3 is neither None nor the name of a layer",
        "pool: 'median' is not one of mean, max, mean_max, flatten",
        "batch_size: 0 is not a positive integer",
    ]
    with pytest.raises(NotFittedError):
        FeatureExtractor(network).transform(images)


# ----------------------------------------------------------------------------------------------------------- regions


def head_logits(detector, image, boxes):
    """What the head says of boxes of an image, by the detector's own layers, one after the other."""
    *levels, _ = detector.get_layer("roi_align").input
    maps = keras.tree.flatten(keras.Model(detector.inputs[0], levels)(image[None].astype("float32"), training=False))
    placed = letterbox(image.shape[:2], CANVAS).apply(boxes).astype("float32")
    return np.asarray(detector.get_layer("region_head")(detector.get_layer("roi_align")(maps, placed[None]))["logits"])


def test_regions_are_the_detections_and_what_the_head_saw_there(detector, finder, of_sizes):
    of_sizes = [of_sizes[k] for k in (0, 2, 3)]  # of the first size, of another, of the first
    table = finder.regions(of_sizes)
    assert table.columns.tolist() == ["image", *CORNERS, "score", "class_id", *(f"region_{k}" for k in range(32))]
    assert table.dtypes.astype(str).tolist() == ["int64"] + ["float32"] * 5 + ["int64"] + ["float32"] * 32
    kernel, bias = detector.get_layer("region_head").get_layer("logits").get_weights()
    assert table["image"].is_monotonic_increasing
    for row, image in enumerate(of_sizes):
        own, found = table[table["image"] == row], detector(image[None].astype("float32"), training=False)
        count = int(found["num_detections"][0])
        assert len(own) == count > 0
        np.testing.assert_allclose(own[CORNERS], found["boxes"][0, :count], atol=1e-3)
        np.testing.assert_allclose(own["score"], found["scores"][0, :count], atol=1e-5)
        assert own["class_id"].tolist() == found["classes"][0, :count].numpy().tolist()
        logits = own.filter(like="region_").to_numpy() @ kernel + bias
        np.testing.assert_allclose(logits, head_logits(detector, image, own[CORNERS].to_numpy()), rtol=1e-3, atol=1e-4)


def test_proposals_from_outside_and_images_without_any(finder):
    keras.utils.set_random_seed(0)
    detector, (pixels, _) = small_detector(proposals="external"), blocks(2)
    pixels[1] = 80  # where nothing stands out nothing is proposed
    extractor = FeatureExtractor(detector, batch_size=1).fit(pixels)
    proposals = padded([propose_regions(pixels[0])])
    found = detector({"images": pixels[:1].astype("float32"), "proposals": proposals}, training=False)
    table = extractor.regions(pixels)
    assert table["image"].tolist() == [0] * int(found["num_detections"][0])
    np.testing.assert_allclose(table["score"], found["scores"][0, : len(table)], atol=1e-5)
    empty = extractor.regions(pixels[1:])
    assert (len(table), len(empty)) == (10, 0)
    pd.testing.assert_series_equal(empty.dtypes, finder.regions(some_images()).dtypes)
    with pytest.raises(ModelError, match="layer: 'roi_align' reads more than images"):
        FeatureExtractor(detector, "roi_align").fit(pixels)


def test_only_detectors_find_regions(network, images):
    with pytest.raises(ModelError, match="regions: 'autoencoder' is no detector"):
        FeatureExtractor(network).fit(images).regions(images)


# ------------------------------------------------------------------------------------------------------------ inputs


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float16", "float64", ">f4"])
def test_any_number_will_do(network, images, dtype):
    given = (images // 2).astype(dtype)
    found = FeatureExtractor(network).fit_transform(given)
    np.testing.assert_allclose(found, encoder_of(network)(given.astype("float32")), rtol=1e-5, atol=1e-5)


def test_lists_tensors_and_datasets_are_read_as_arrays_are(network, images):
    extractor = FeatureExtractor(network, batch_size=4).fit(images)
    wanted = extractor.transform(images)
    plain = tf.data.Dataset.from_tensor_slices(images)
    labels = np.arange(7)
    forms = [
        list(images),
        images.tolist() and [image.tolist() for image in images],
        tf.constant(images),
        np.array([None, *images], dtype=object)[1:],
        plain.batch(3),
        tf.data.Dataset.from_tensor_slices((images, labels)).batch(3),
        tf.data.Dataset.from_tensor_slices((images, labels, labels, labels)).batch(3),
        tf.data.Dataset.from_tensor_slices({"images": images, "boxes": labels}).batch(3),
        tf.data.Dataset.from_generator(lambda: iter(np.split(images, [3])), output_types=tf.uint8),
    ]
    for form in forms:
        np.testing.assert_allclose(extractor.fit(form).transform(form), wanted, rtol=1e-5)


def test_samples_of_tracks_are_drawn_as_in_training(of_volumes):
    source = {"kind": "simulation", "samples_per_class": 20, "frames": 4}
    samples = load_samples(DataSpec.from_dict({"name": "motion", "input": {"shape": list(VOLUME)}, "source": source}))
    samples = samples.select(np.arange(0, 60, 6))
    extractor = FeatureExtractor(of_volumes, batch_size=4).fit(samples)
    wanted = extractor.transform(arrays_of(samples))
    assert np.ptp(wanted) > 0
    np.testing.assert_allclose(extractor.transform(samples), wanted, rtol=1e-5)
    np.testing.assert_allclose(extractor.transform(batches(samples, 3)), wanted, rtol=1e-5)
    with pytest.raises(DataError, match=r"X: input.shape is \(4, 8, 8, 1\), the network reads \(4, 8, 9, 1\)"):
        FeatureExtractor(build_autoencoder((4, 8, 9, 1), filters=(2,))).fit(samples)


@pytest.fixture(scope="module")
def labelled(of_sizes, tmp_path_factory):
    """Samples whose files are images of three sizes, each pixel of them three by three."""
    folder = tmp_path_factory.mktemp("labelled")
    (folder / "images").mkdir()
    for row, image in enumerate(of_sizes[:3]):
        assert cv2.imwrite(str(folder / "images" / f"{row}.png"), image.repeat(3, axis=0).repeat(3, axis=1))
    rows = [f"{row}.png,cyst,5,5,30,30" for row in range(3)]
    (folder / "boxes.csv").write_text("\n".join(["image,class,xmin,ymin,xmax,ymax", *rows]))
    source = {"kind": "detection", "path": "images", "annotations": "boxes.csv"}
    spec = {"name": "cysts", "source": source, "input": {"shape": [*CANVAS, 1]}, "tasks": ["detect"]}
    return load_detection(DataSpec.from_dict(spec, folder=folder))


def test_samples_with_boxes_are_read_without_what_lies_beside_them(finder, labelled):
    alone = [labelled.image_of(row) for row in range(3)]
    np.testing.assert_allclose(finder.transform(labelled), finder.transform(alone), rtol=1e-4, atol=1e-5)
    found, wanted = finder.regions(labelled), finder.regions(alone)
    for row in range(3):
        scaled = labelled.in_file(row, wanted.loc[wanted["image"] == row, CORNERS].to_numpy())
        np.testing.assert_allclose(found.loc[found["image"] == row, CORNERS], scaled, atol=1e-2)
    assert found.loc[found["image"] == 0, "xmax"].max() > 1.5 * CANVAS[1]  # in pixels of a file of three times the size
    canvases = finder.transform(labelled.images)
    np.testing.assert_allclose(finder.transform(labelled), canvases, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(finder.transform(detection_batches(labelled, 2)), canvases, rtol=1e-4, atol=1e-5)


def test_a_network_of_one_size_reads_the_canvases_of_samples_with_boxes(labelled):
    model = build_autoencoder((*CANVAS, 1), filters=(2,))
    extractor = FeatureExtractor(model, "conv_1").fit(labelled)
    chosen = labelled.select(np.array([2, 0]))
    np.testing.assert_allclose(extractor.transform(chosen), extractor.transform(labelled.images[[2, 0]]), rtol=1e-5)


def test_files_of_a_detector_keep_their_size(finder, of_sizes, tmp_path):
    paths = [tmp_path / f"{row}.png" for row in range(len(of_sizes))]
    for path, image in zip(paths, of_sizes, strict=True):
        assert cv2.imwrite(str(path), image)
    colour = tmp_path / "colour.bmp"
    assert cv2.imwrite(str(colour), np.repeat(of_sizes[1], 3, axis=-1))
    found = finder.transform([*paths, colour])
    wanted = finder.transform([*of_sizes, of_sizes[1]])
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    table = finder.regions(list(map(str, paths[:2])))
    np.testing.assert_allclose(table[CORNERS], finder.regions(of_sizes[:2])[CORNERS], atol=1e-3)


def test_files_come_in_the_size_of_the_network(network, tmp_path):
    pictures = [RNG.integers(0, 256, size).astype("uint8") for size in ((16, 16, 1), (8, 8, 3), (20, 10, 1))]
    paths = [tmp_path / f"{row}.png" for row in range(3)]
    for path, picture in zip(paths, pictures, strict=True):
        assert cv2.imwrite(str(path), picture[..., ::-1])
    wanted = np.stack([canvas.letterbox(canvas.with_channels(picture, 1), 8, 8) for picture in pictures])
    extractor = FeatureExtractor(network, batch_size=2).fit(paths)
    np.testing.assert_allclose(extractor.transform(paths), extractor.transform(wanted), rtol=1e-5)
    column = pd.Series(map(str, paths), index=["a", "b", "c"])
    table = extractor.set_output(transform="pandas").transform(column)
    assert table.index.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(table, extractor.transform(wanted), rtol=1e-5)
    whole = tmp_path / "whole.npy"
    np.save(whole, pictures[0][..., 0].astype("int64"))  # a kind of number that OpenCV does not scale
    np.testing.assert_allclose(extractor.transform([whole]), extractor.transform(wanted[:1]), rtol=0.05, atol=1)


def test_files_of_volumes_are_brought_to_the_spacing_of_the_spec(of_volumes, tmp_path):
    volume = RNG.random((9, 12, 10)).astype("float32")
    path = tmp_path / "scan.npz"
    np.savez(path, volume=volume, spacing=np.ones(3))
    trained = trained_of(of_volumes, input={"shape": list(VOLUME), "spacing": [2.0, 1.0, 1.0]})
    for model, wanted in ((of_volumes, None), (trained, (2.0, 1.0, 1.0))):
        fitted = canvas.fit_volume(volume[..., None], VOLUME, (1.0, 1.0, 1.0), wanted)
        extractor = FeatureExtractor(model).fit([path])
        np.testing.assert_allclose(extractor.transform([path]), extractor.transform(fitted[None]), rtol=1e-5)


def test_no_rows_are_no_rows(network, images):
    extractor = FeatureExtractor(network).fit(images)
    assert extractor.transform(images[:0]).shape == (0, 5)
    assert extractor.set_output(transform="pandas").transform(images[:0]).columns.tolist()[-1] == "features_4"


def test_arrays_of_another_kind_are_named(network, finder, images):
    fit = FeatureExtractor(network).fit
    for given, words in [
        (np.zeros((3, 8, 9, 1)), r"X: has the shape \(3, 8, 9, 1\), expected \(n, 8, 8, 1\)"),
        (np.zeros(SHAPE), r"X: has the shape \(8, 8, 1\), expected \(n, 8, 8, 1\)"),
        (np.float32(3), r"X: has the shape \(\)"),
        (np.full((1, *SHAPE), "a"), "X: has the dtype <U1, expected numbers"),
        ([], "X: an empty list found, expected arrays or paths"),
        (np.array([], dtype=object), "X: an empty list found"),
        ("scan.png", "X: str found, expected an array, a list of arrays or of paths"),
        (None, "X: NoneType found"),
        (
            tf.data.Dataset.from_tensor_slices(images),
            r"holds \(8, 8, 1\), expected batches \(n, 8, 8, 1\); dataset.batch",
        ),
        (tf.data.Dataset.from_tensors(images).repeat(), "X: the dataset never ends; dataset.take ends it"),
        (tf.data.Dataset.from_tensors({"boxes": images}), "the dataset holds None, expected batches of arrays"),
    ]:
        with pytest.raises(DataError, match=words):
            fit(given)
    with pytest.raises(DataError, match=r"\(2, 9, 9, 3\), expected \(n, None, None, 1\)"):
        finder.transform(np.zeros((2, 9, 9, 3)))


def faults_of(call, given):
    with pytest.raises(DataError) as error:
        call(given)
    return error.value.faults


def test_every_row_at_fault_is_named(network, finder, images):
    extractor = FeatureExtractor(network, batch_size=2).fit(images)
    broken = images.astype("float64")
    broken[1, 0, 0], broken[5, 2] = np.nan, 1e300
    words = "values that are NaN or infinite, expected none"
    assert faults_of(extractor.transform, broken) == [f"row 1: holds 1 {words}", f"row 5: holds 8 {words}"]
    assert faults_of(extractor.transform, tf.data.Dataset.from_tensor_slices(broken).batch(3))[1][:5] == "row 5"
    mixed = [images[0], np.zeros((8, 7, 1)), "scan.png", np.zeros((8, 8, 3))]
    assert faults_of(extractor.fit, mixed) == [
        "row 1: has the shape (8, 7, 1), expected (8, 8, 1)",
        "row 2: str found, expected an array of numbers, as in all other rows",
        "row 3: has the shape (8, 8, 3), expected (8, 8, 1)",
    ]
    batches_of_two = tf.data.Dataset.from_generator(
        lambda: iter([images[:2], images[:2, 1:], images]), output_types=tf.uint8
    )
    assert faults_of(extractor.transform, batches_of_two) == [
        "rows 2 to 3: have the shape (2, 7, 8, 1), expected (n, 8, 8, 1)"
    ]
    several = [np.full((9, 9, 1), np.inf), np.zeros((7, 7, 1)), np.full((6, 6, 1), np.nan)]
    assert sorted(fault[:5] for fault in faults_of(finder.transform, several)) == ["row 0", "row 2"]


def test_every_file_at_fault_is_named(network, finder, of_sizes, of_volumes, tmp_path):
    good, lost, notes, pages = (tmp_path / name for name in ("good.png", "lost.png", "notes.png", "pages.npy"))
    assert cv2.imwrite(str(good), of_sizes[0])
    notes.write_text("no image")
    np.save(pages, np.zeros((2, 9, 9, 1), "uint8"))
    nan = tmp_path / "nan.npy"
    np.save(nan, np.full((9, 9), np.nan))
    for extractor in (FeatureExtractor(network), clone(finder)):
        faults = faults_of(extractor.fit_transform, [good, lost, notes, pages])
        assert [str(path) in fault for path, fault in zip((lost, notes, pages), faults, strict=True)] == [True] * 3
        assert "there is no such file" in faults[0]
        assert "has 2 pages, expected one image" in faults[2]
        (fault,) = faults_of(extractor.transform, [nan])
        assert str(nan) in fault
    inputs = keras.Input((4,))
    with pytest.raises(DataError, match=r"paths found, but files are images or volumes, and the network reads \(4,\)"):
        FeatureExtractor(keras.Model(inputs, head(inputs))).fit([good])


# ------------------------------------------------------------------------------------------------------ scikit-learn


@pytest.fixture(scope="module")
def of_classes():
    """Dark and bright images."""
    y = np.array(["dark", "bright"])[RNG.permutation(np.repeat([0, 1], 12))]
    return RNG.normal(np.where(y == "dark", 20, 60)[:, None, None, None], 8, (24, *SHAPE)), y


def test_a_pipeline_learns_and_a_search_chooses(network, of_classes, monkeypatch):
    X, y = of_classes
    compiled, made = layer_outputs._compile, []
    monkeypatch.setattr(layer_outputs, "_compile", lambda *given: made.append(given[1:]) or compiled(*given))
    twin = keras.models.clone_model(network)  # nothing of it is compiled yet
    pipeline = make_pipeline(FeatureExtractor(twin), LogisticRegression(max_iter=1000))
    assert pipeline.fit(X, y).score(X, y) > 0.9
    assert cross_val_score(pipeline, list(X), y, cv=3).mean() > 0.8
    grid = {"featureextractor__layer": [None, "conv_1"], "featureextractor__pool": ["mean", "max"]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
    assert search.best_score_ > 0.9
    best = search.best_estimator_[0]
    assert best.model is twin
    assert len(best.get_feature_names_out()) == {None: 5, "conv_1": 4}[best.layer]
    # Once each, however many folds and candidates there are.
    assert sorted(made, key=str) == sorted([(a, b) for a in (None, "conv_1") for b in ("mean", "max")], key=str)


def test_parameters_go_round_and_clones_share_the_network(network, images):
    extractor = FeatureExtractor(network, "conv_1", "max", 2).set_output(transform="pandas").fit(images)
    given = {"model": network, "layer": "conv_1", "pool": "max", "batch_size": 2}
    assert extractor.get_params() == given
    twin = clone(extractor)
    assert twin.get_params() == given
    assert twin.model is network
    assert not hasattr(twin, "network_")
    twin.set_params(pool="mean_max").set_output(transform="default")
    assert extractor.pool == "max"
    table = extractor.transform(images)
    assert table.columns.tolist() == [f"conv_1_{k}" for k in range(4)]
    assert isinstance(clone(extractor).fit(images).transform(images), pd.DataFrame)
    extractor.set_params(**FeatureExtractor(network).get_params())
    assert extractor.get_params() == FeatureExtractor(network).get_params()
    assert extractor.transform(images).columns.tolist() == table.columns.tolist()  # of the fit, until the next


def test_batches_are_no_larger_than_asked(network, images, monkeypatch):
    extractor, sizes = FeatureExtractor(network, batch_size=3).fit(images), []
    graph = layer_outputs.FeatureGraph
    seen = graph.features_of
    monkeypatch.setattr(graph, "features_of", lambda self, batch: sizes.append(len(batch)) or seen(self, batch))
    extractor.transform(images)
    extractor.transform(list(images))
    assert sizes == [3, 3, 1] * 2


def test_a_network_goes_when_nobody_needs_it(images):
    model = sequential()
    gone = weakref.ref(model)
    FeatureExtractor(model).fit_transform(images)
    del model
    gc.collect()
    assert gone() is None


# ----------------------------------------------------------------------------------------------------------- pickles


def test_pickles_hold_the_network_once(network, images):
    extractor = FeatureExtractor(network, "conv_1").fit(images)
    content = pickle.dumps(extractor)
    read = pickle.loads(content)
    np.testing.assert_allclose(read.transform(images), extractor.transform(images), rtol=1e-5)
    assert read.model is read.network_
    assert read.model is not network
    assert (read.layer, read.feature_names_) == ("conv_1", extractor.feature_names_)
    unfitted = pickle.loads(pickle.dumps(FeatureExtractor(network)))
    np.testing.assert_allclose(unfitted.fit_transform(images), encoder_of(network)(images.astype("float32")), rtol=1e-5)
    with pytest.raises(NotFittedError):
        pickle.loads(pickle.dumps(clone(extractor))).transform(images)


def test_pickles_of_detectors(finder):
    finder.regions(some_images())  # compiled, which no pickle holds
    read = pickle.loads(pickle.dumps(finder))
    assert read.feature_names_ == finder.feature_names_
    for weight, own in zip(read.network_.get_weights(), finder.network_.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, own)


def test_trained_models_and_their_folders(network, images, tmp_path):
    wanted = FeatureExtractor(network).fit_transform(images)
    trained, folder = trained_of(network), tmp_path / "model"
    save_model(trained, folder)
    read = []
    for model in (trained, folder, str(folder)):
        extractor = FeatureExtractor(model).fit(images)
        np.testing.assert_allclose(extractor.transform(images), wanted, rtol=1e-5)
        assert clone(extractor).model is model
        read.append(pickle.dumps(extractor))
    shutil.rmtree(folder)  # a fitted one does not need it
    for content in read:
        extractor = pickle.loads(content)
        np.testing.assert_allclose(extractor.transform(images), wanted, rtol=1e-5)
        assert extractor.spec_.input == trained.spec.input
    assert isinstance(pickle.loads(read[0]).model, TrainedModel)


def test_code_in_a_pickled_network_is_refused(images):
    called = []
    inputs = keras.Input(SHAPE)
    x = LAYERS.Lambda(lambda x: called.append(1) or x, output_shape=SHAPE)(inputs)
    model = keras.Model(inputs, head(LAYERS.Flatten()(x)))
    for extractor in (
        FeatureExtractor(model),
        FeatureExtractor(model).fit(images),
        FeatureExtractor(trained_of(model)),
    ):
        content = pickle.dumps(extractor)
        called.clear()
        with pytest.raises(ModelError, match=r"(?is)pickled network: cannot be read: .*lambda"):
            pickle.loads(content)
        assert not called


def test_copies(network, images):
    extractor = FeatureExtractor(network).fit(images)
    shallow, deep = copy.copy(extractor), copy.deepcopy(extractor)
    assert shallow.network_ is network
    assert deep.network_ is deep.model
    assert deep.model is not network
    for other in (shallow, deep):
        np.testing.assert_allclose(other.transform(images), extractor.transform(images), rtol=1e-5)
