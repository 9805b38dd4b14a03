"""Scoring as users meet it: what is given, what comes back, and that an output is the table."""

import json
import logging

import cv2
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from made_scans import CLASSES, scan, scans_spec, tiny_classifier
from made_series import write_series

from tumorkeras.data.images import read_image
from tumorkeras.errors import DataError, MissingExtraError, ModelError
from tumorkeras.scoring import score
from tumorkeras.spec import DataSpec
from tumorkeras.training import TrainedModel
from tumorkeras.training.folder import save_model

COLUMNS = ["path", "id", "status", "error", "class_id", "class_name", "probability_benign", "probability_malignant"]
NUMBERS = COLUMNS[4:]


pytestmark = pytest.mark.usefixtures("quick_calls")


@pytest.fixture(scope="module")
def images():
    """Seven arrays of one size, in float32."""
    return np.random.default_rng(0).uniform(0, 255, (7, 12, 20, 1)).astype("float32")


@pytest.fixture(scope="module")
def of_images(tumours, images):
    return score(tumours, images)


# ------------------------------------------------------------------------------------------- the table and the output


def test_a_folder_gives_a_row_a_file_whatever_its_size(scanned, scans):
    assert scanned.columns.tolist() == COLUMNS
    assert scanned["path"].tolist() == sorted(map(str, scans.iterdir()))
    assert scanned.index[scanned["status"] == "error"].tolist() == [7]
    assert "truncated" in scanned["error"][7] or "damaged" in scanned["error"][7]
    assert scanned.loc[7, ["id", *NUMBERS]].isna().all()
    assert scanned["id"].isna().all()
    model = tiny_classifier().model
    for row in (0, 1, 2, 38):
        image = read_image(scanned["path"][row], 1)
        wanted = np.asarray(score(model, image[None])["probability_1"])
        np.testing.assert_allclose(scanned["probability_malignant"][row], wanted, atol=1e-6)
    assert scanned["probability_malignant"].std() > 0.01
    assert scanned["class_name"].dropna().tolist() == [CLASSES[k] for k in scanned["class_id"].dropna()]


def test_an_output_is_the_table(tumours, scans, scanned, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "tumorkeras"):
        path = score(tumours, scans, batch_size=2, output=tmp_path / "found.parquet")
    assert path == tmp_path / "found.parquet"
    assert caplog.messages == ["scored 40 inputs, 1 of them with errors"]
    read = pd.read_parquet(path)
    pd.testing.assert_frame_equal(read, scanned, check_exact=True)
    settings = {"model": "tumours", "version": 1, "signature": "serving_default", "batch_size": 2}
    assert scanned.attrs["scoring"].items() >= settings.items()
    assert len(scanned.attrs["scoring"]["sha256"]) == 64
    assert read.attrs["scoring"].items() >= scanned.attrs["scoring"].items()
    assert json.loads(pq.read_schema(path).metadata[b"tumorkeras"]) == read.attrs["scoring"]
    path = score(tumours, scans, batch_size=2, output=str(tmp_path / "found.csv"))
    assert path.read_text() == scanned.to_csv(index=False)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["found.csv", "found.parquet"]


def test_a_growing_output_can_be_read(tumours, scans, scanned, tmp_path, before_calls):
    parts, seen = tmp_path / "found.parquet.parts", []
    before_calls(lambda batch: seen.append(len(pd.read_parquet(parts)) if list(parts.glob("part*")) else 0))
    score(tumours, scans, batch_size=2, output=tmp_path / "found.parquet")
    assert seen[0] == 0
    assert seen[-1] == 32
    # What was there before is replaced whole.
    path = score(tumours, scans, batch_size=2, output=tmp_path / "found.parquet", resume=False)
    pd.testing.assert_frame_equal(pd.read_parquet(path), scanned)


def test_nothing_to_score_is_a_table_without_rows(tumours, scanned, tmp_path):
    table = score(tumours, [])
    pd.testing.assert_series_equal(table.dtypes, scanned.dtypes)
    path = score(tumours, [], output=tmp_path / "none.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(path), table)
    assert score(tumours, [], output=tmp_path / "none.csv").read_text() == ",".join(COLUMNS) + "\n"


# ------------------------------------------------------------------------------------------- inputs


def test_folder_pattern_list_and_table_give_the_same(tumours, scans, scanned):
    files = sorted(scans.iterdir())
    for given in (str(scans), scans / "*.*", f"{scans}/**", files, iter(map(str, files)), [f"{scans}/*"]):
        pd.testing.assert_frame_equal(score(tumours, given, batch_size=2), scanned)
    carried = pd.DataFrame({"patient": [f"p{k % 7}" for k in range(40)], "path": files, "age": range(40)}).iloc[::-1]
    table = score(tumours, carried, batch_size=2)
    assert table.columns.tolist() == [*COLUMNS, "patient", "age"]
    assert table["age"].tolist() == list(range(39, -1, -1))
    assert table["patient"].tolist() == carried["patient"].tolist()
    same = table.sort_values("age", ignore_index=True)[COLUMNS]
    pd.testing.assert_frame_equal(same, scanned, rtol=1e-5)
    with pytest.raises(DataError, match=r"inputs.status: is the name of a column of the result"):
        score(tumours, carried.assign(status="?"))


def test_every_row_of_an_archive_carries_what_stands_beside_its_path(tumours, images, of_images, tmp_path):
    np.savez(tmp_path / "two.npz", a=images[:2], b=images[2], labels=np.arange(3))
    np.save(tmp_path / "rest.npy", images[3:, ..., 0])
    given = pd.DataFrame({"path": [tmp_path / "two.npz", tmp_path / "rest.npy"], "site": ["east", "west"]})
    table = score(tumours, given, output=tmp_path / "found.parquet", batch_size=4)
    table = pd.read_parquet(table)
    names = [f"{tmp_path}/two.npz#a"] * 2 + [f"{tmp_path}/two.npz#b"] + [f"{tmp_path}/rest.npy"] * 4
    assert table["path"].tolist() == names
    assert table["id"].tolist() == [0, 1, 0, 0, 1, 2, 3]
    assert table["site"].tolist() == ["east"] * 3 + ["west"] * 4
    pd.testing.assert_frame_equal(table[NUMBERS], of_images[NUMBERS], rtol=1e-5)


def test_data_sets_of_tensorflow(tumours, images, of_images, tmp_path):
    samples = tf.data.Dataset.from_tensor_slices(images)
    sets = {
        "one by one": samples,
        "in batches": samples.batch(3),
        "with labels": samples.map(lambda image: (image, 1, 2)).batch(2),
        "of unknown length": samples.filter(lambda image: True),
    }
    for name, given in sets.items():
        table = score(tumours, given, batch_size=2)
        assert set(table["path"]) == {"dataset"}, name
        pd.testing.assert_frame_equal(table[["id", *NUMBERS]], of_images[["id", *NUMBERS]], rtol=1e-5)
    whole = pd.read_parquet(score(tumours, samples, batch_size=2, output=tmp_path / "found.parquet"))
    pd.testing.assert_frame_equal(whole, table)
    for wrong, fault in {
        samples.repeat(): "has no end; take",
        samples.map(lambda image: image[:, 0]): r"shape=\(12, 1\).* expected samples \(None, None, 1\)",
        samples.map(lambda image: {"image": image}): "tf.data set of {'image'",
        samples.map(lambda image: "a.png"): "dtype=tf.string",
    }.items():
        with pytest.raises(DataError, match=fault):
            score(tumours, wrong)


def test_a_data_set_that_fails_has_an_outcome_for_each_of_its_samples(tumours, images, of_images):
    samples = tf.data.Dataset.from_tensor_slices(images)
    numbered = tf.data.Dataset.zip(tf.data.Dataset.range(7), samples)

    def failing(number, image):
        with tf.control_dependencies([tf.debugging.assert_none_equal(number, np.int64(2), message="number two")]):
            return tf.identity(image)

    table = score(tumours, numbered.map(failing), batch_size=2)
    assert table.index[table["status"] == "error"].tolist() == [2]
    assert table["error"][2].startswith("the tf.data set failed on it: ")
    assert "number two" in table["error"][2]
    np.testing.assert_allclose(table["probability_benign"].drop(2), of_images["probability_benign"].drop(2), rtol=1e-5)
    with pytest.raises(DataError, match=r"fails where its samples are counted: .*number two"):
        score(tumours, numbered.map(failing).filter(lambda image: True))


def test_a_data_set_that_is_shorter_the_second_time(tumours, images):
    passes = []

    def generate():
        passes.append(None)
        yield from images[: 7 if len(passes) == 1 else 3]

    dataset = tf.data.Dataset.from_generator(generate, output_signature=tf.TensorSpec((12, 20, 1)))
    table = score(tumours, dataset, batch_size=2)
    assert table["status"].tolist() == ["ok"] * 3 + ["error"] * 4
    assert set(table["error"][3:]) == {"the tf.data set ended before it"}


def test_a_spec_gives_what_the_files_of_its_folder_give(tumours, tmp_path):
    for number in range(8):
        place = tmp_path / "scans" / CLASSES[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(place / f"{number}.png"), scan(number))
    of_spec = score(tumours, scans_spec(tmp_path / "scans")).sort_values("id", ignore_index=True)
    of_files = score(tumours, tmp_path / "scans")
    assert of_spec["id"].tolist() == [path.removeprefix(f"{tmp_path}/scans/") for path in of_files["path"]]
    # Both are brought to the canvas, by OpenCV and by TensorFlow: a grey level here and there.
    np.testing.assert_allclose(of_spec["probability_benign"], of_files["probability_benign"], atol=2e-3)


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """A model of volumes, with the spec of a folder of DICOM series and NIfTI files."""
    import keras
    import nibabel

    folder = tmp_path_factory.mktemp("volumes")
    voxels = np.random.default_rng(2).integers(0, 255, (6, 6, 8, 10), dtype="uint8")
    for number, pixels in enumerate(voxels):
        place = folder / CLASSES[number % 2]
        if number < 4:
            write_series(place / f"{number}", pixels, 2.0 + number)
        else:
            image = nibabel.Nifti1Image(pixels.transpose(), np.diag([1, 1, 3, 1]))
            nibabel.save(image, place / f"{number}.nii.gz")
    source = {"kind": "image_folder", "path": str(folder)}
    values = {"name": "ct", "source": source, "input": {"shape": [4, 6, 6, 1], "spacing": [2, 1, 1]}}
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 6, 6, 1))
    features = keras.layers.Flatten(name="features")(keras.layers.Rescaling(1 / 255)(inputs))
    outputs = keras.layers.Dense(2, activation="softmax", name="probabilities")(features)
    card = {"kind": "classifier", "classes": CLASSES}
    return TrainedModel(keras.Model(inputs, outputs), DataSpec.from_dict(values), card, pd.DataFrame())


def test_volumes_are_those_of_the_training(volumes):
    folder = volumes.spec.source.path
    of_files, of_spec = score(volumes, folder), score(volumes, volumes.spec)
    names = ["benign/0", "benign/2", "benign/4.nii.gz", "malignant/1", "malignant/3", "malignant/5.nii.gz"]
    assert of_files["path"].tolist() == [f"{folder}/{name}" for name in names]
    assert set(of_files["status"]) == {"ok"}
    of_spec = of_spec.sort_values("id", ignore_index=True)
    pd.testing.assert_frame_equal(of_spec[NUMBERS], of_files[NUMBERS], rtol=1e-5)
    assert of_files["probability_benign"].std() > 0.01


# ------------------------------------------------------------------------------------------- models and signatures


def test_a_model_in_memory_and_a_trained_folder_answer_as_the_export(scans, scanned, tmp_path):
    trained = tiny_classifier()
    save_model(trained, tmp_path / "tumours")
    for model in (trained, tmp_path / "tumours"):
        table = score(model, scans, batch_size=2)
        pd.testing.assert_frame_equal(table, scanned, rtol=1e-5)
        assert table.attrs["scoring"]["version"] is None
    bare = score(trained.model, scans, batch_size=2)
    assert bare.columns.tolist() == [*COLUMNS[:5], "probability_0", "probability_1"]
    np.testing.assert_allclose(bare["probability_1"], scanned["probability_malignant"], rtol=1e-5)


def test_features_are_the_layer_of_that_name(tumours, scans, scanned):
    table = score(tumours, scans, signature="features", batch_size=2)
    assert table.columns.tolist() == [*COLUMNS[:4], "feature_0", "feature_1", "feature_2", "feature_3"]
    pd.testing.assert_frame_equal(table[COLUMNS[:4]], scanned[COLUMNS[:4]])
    weights, bias = tiny_classifier().model.get_layer("probabilities").get_weights()
    logits = table.filter(like="feature_").to_numpy() @ weights + bias
    wanted = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    # Whole grey levels are for serving_uint8, which is not asked here.
    np.testing.assert_allclose(wanted, scanned["probability_malignant"], atol=2e-3)


def test_the_model_decodes_files_itself(tumours, scans, scanned, images, tmp_path):
    table = score(tumours, scans, signature="serving_bytes", batch_size=4)
    tiff = scanned["path"].str.endswith(".tif")
    failed = tiff | (scanned.index == 7)
    assert (table["status"] == "error").tolist() == failed.tolist()
    assert set(table.loc[failed, "error"]) == {"could not be decoded by the model's serving_bytes"}
    assert table.loc[failed, NUMBERS].isna().all(axis=None)
    # Two decoders of JPEG: a grey level here and there.
    pd.testing.assert_frame_equal(table[~failed][NUMBERS], scanned[~failed][NUMBERS], atol=2e-3)
    np.save(tmp_path / "a.npy", images)
    lost = [tmp_path / "none.png", tmp_path, tmp_path / "a.npy"]
    table = score(tumours, lost, signature="serving_bytes", output=tmp_path / "found.parquet")
    errors = pd.read_parquet(table)["error"].tolist()
    assert errors[0] == "there is no such file"
    assert set(errors[1:]) == {"is an array, and the signature reads encoded images"}
    with pytest.raises(ModelError, match="reads encoded images, and ndarray was given"):
        score(tumours, images, signature="serving_bytes")


def test_a_batch_size_may_be_an_integer_of_numpy(tumours, images, tmp_path):
    written = score(tumours, images, batch_size=np.int64(2), output=tmp_path / "found.parquet")
    np.testing.assert_array_equal(pd.read_parquet(written)["id"], score(tumours, images, batch_size=2)["id"])


def test_whole_grey_levels_are_asked_for(tumours, images, scans, scanned, tmp_path):
    levels = images.astype("uint8")
    pd.testing.assert_frame_equal(score(tumours, levels, signature="serving_uint8"), score(tumours, levels))
    assert cv2.imwrite(str(tmp_path / "deep.png"), (images[0] * 200).astype("uint16"))
    np.save(tmp_path / "float.npy", images)
    given = [tmp_path / "deep.png", tmp_path / "float.npy", scans / "000.png"]
    table = score(tumours, given, signature="serving_uint8")
    assert table["error"][0] == "holds uint16 values, and the model learnt from uint8; bring them to that range"
    assert set(table["error"][1:8]) == {"holds float32 values, and the signature reads whole grey levels (uint8)"}
    assert table["status"][8] == "ok"
    np.testing.assert_allclose(table["probability_benign"][8], scanned["probability_benign"][0], rtol=1e-5)
    assert set(score(tumours, images, signature="serving_uint8")["status"]) == {"error"}


def test_another_runtime_answers_alike(tumours, images, of_images, scans, scanned):
    pd.testing.assert_frame_equal(score(tumours, images, runtime="onnx"), of_images, atol=1e-5)
    of_files = score(tumours, scans, runtime="onnx")
    # It has no signature for whole grey levels.
    pd.testing.assert_frame_equal(of_files, scanned, atol=2e-3)


def test_a_model_that_reads_one_size_says_so_of_other_images(tmp_path):
    function = tf.function(lambda x: {"probabilities": tf.reduce_mean(x, (1, 2)) / 255})
    concrete = function.get_concrete_function(tf.TensorSpec((None, 16, 16, 3), tf.float32, name="x"))
    tf.saved_model.save(tf.Module(), str(tmp_path / "fixed" / "1"), signatures={"serving_default": concrete})
    sizes = [(16, 16), (9, 16), (16, 16)]
    for number, size in enumerate(sizes):
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), np.full(size, 51, "uint8"))
    table = score(tmp_path / "fixed", tmp_path / "*.png")
    assert table["error"][1] == "has the shape (9, 16, 3), the signature reads (16, 16, 3)"
    assert table["probability_2"].tolist()[::2] == pytest.approx([0.2, 0.2])


# ------------------------------------------------------------------------------------------- wrong calls


@pytest.mark.parametrize(
    ("options", "kind", "fault"),
    [
        ({"engine": "dask", "on_error": "skip", "batch_size": 1.5}, DataError, "3 faults"),
        ({"engine": "dask"}, DataError, "engine: 'dask' found, expected 'local' or 'spark'"),
        ({"on_error": "skip"}, DataError, "on_error: 'skip' found, expected 'row' or 'raise'"),
        ({"batch_size": True}, DataError, "batch_size: True found, expected a positive integer or 'auto'"),
        ({"runtime": "caffe"}, ModelError, "there is no 'caffe'"),
        ({"runtime": "litert"}, ModelError, "is not there; export with format='litert'"),
        ({"runtime": "onnx", "signature": "features"}, ModelError, r"has the signatures \['serving_default'\]"),
        ({"signature": "classify"}, ModelError, "'serving_uint8'], expected classify"),
        ({"split": "test"}, DataError, "split: only a spec or samples have parts"),
        ({"output": "found.xlsx"}, DataError, r"found.xlsx: ends in '.xlsx', expected .parquet or .csv"),
        ({"output": "found.json"}, DataError, r"found.json: ends in '.json', expected .parquet or .csv"),
        ({"output": "none/found.csv"}, DataError, "there is no folder none; make it first"),
    ],
)
def test_wrong_arguments_are_named_before_any_work(tumours, images, options, kind, fault, before_calls):
    before_calls(lambda batch: pytest.fail("the model was called"))
    with pytest.raises(kind, match=fault):
        score(tumours, images, **options)


def test_a_runtime_that_is_not_installed_says_what_installs_it(tumours, images, monkeypatch):
    monkeypatch.setattr("tumorkeras.serving.formats.find_spec", lambda module: None)
    with pytest.raises(MissingExtraError, match=r"tumorkeras\[formats\]"):
        score(tumours, images, runtime="onnx")


def test_an_input_that_cannot_be_scored_is_raised_where_that_is_wanted(tumours, scans, tmp_path):
    with pytest.raises(DataError, match=r"007.jpg: (is truncated|is damaged)"):
        score(tumours, scans, on_error="raise", batch_size=2)
    with pytest.raises(DataError, match=r"none.png: there is no such file"):
        score(tumours, [scans / "000.png", tmp_path / "none.png"], on_error="raise", output=tmp_path / "found.csv")
    (tmp_path / "none.png").write_bytes((scans / "000.png").read_bytes())
    # What was scored before it is kept.
    path = score(tumours, [scans / "000.png", tmp_path / "none.png"], output=tmp_path / "found.csv")
    assert pd.read_csv(path)["status"].tolist() == ["ok", "ok"]
