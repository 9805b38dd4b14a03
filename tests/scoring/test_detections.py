"""Scoring with detectors: images of any size and kind, each with its outcome, boxes in pixels of their files."""

from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
from command_line import run_command
from made_detectors import small_detector, small_encoder, some_images, some_objects

from tumorkeras.boxes import CORNERS
from tumorkeras.data.detection import load_detection
from tumorkeras.data.samples import load_samples
from tumorkeras.errors import DataError, ModelError
from tumorkeras.scoring import count_outcomes, job, score, write_coco_results, write_predictions
from tumorkeras.scoring.table import Layout
from tumorkeras.serving.export import export
from tumorkeras.spec import DataSpec
from tumorkeras.training import load
from tumorkeras.training.detect import detect
from tumorkeras.training.folder import TrainedModel, save_model

COLUMNS = ["path", "id", "status", "error", "class", "score", *CORNERS]
CLASSES = ["benign", "malignant"]
SIZES = [(64, 96), (75, 53), (40, 97)]


@pytest.fixture(scope="module")
def images():
    """Nine images of three sizes that take turns, by the path in their folder."""
    generator = np.random.default_rng(0)
    found = {}
    for number in range(9):
        image = generator.normal(40 + 15 * number, 20, SIZES[number % 3])
        image[10:30, 8:40] += 90
        found[f"{'deep/' if number > 6 else ''}{number}.png"] = image.clip(0, 255).astype("uint8")
    return found


@pytest.fixture(scope="module")
def folder(images, tmp_path_factory):
    """The images with a broken one, and with a file that is none."""
    root = tmp_path_factory.mktemp("images")
    (root / "deep").mkdir()
    for name, image in images.items():
        assert cv2.imwrite(str(root / name), image)
    (root / "broken.png").write_bytes((root / "0.png").read_bytes()[:200])
    (root / "notes.txt").write_text("not an image")
    return root


@pytest.fixture(scope="module")
def network(images):
    """A detector after four steps of training, whose threshold lets nothing through in one of the images."""
    keras.utils.set_random_seed(0)
    model = small_detector(backbone=small_encoder(), rpn_proposals=60)
    model.compile(keras.optimizers.Adam(0.02), run_eagerly=True)
    model.fit(some_images(), some_objects(), epochs=4, verbose=0)
    best = sorted(float(model(image[None, ..., None], training=False)["scores"][0, 0]) for image in images.values())
    assert best[1] - best[0] > 1e-3  # far from what float32 loses
    model.get_layer("detections").score_threshold = (best[0] + best[1]) / 2
    return model


@pytest.fixture(scope="module")
def spec():
    source = {"kind": "phantoms", "samples": 12, "seed": 1, "lesions": CLASSES}
    return DataSpec.from_dict(
        {"name": "lesions", "source": source, "input": {"shape": [64, 96, 1]}, "tasks": ["detect"]}
    )


@pytest.fixture(scope="module")
def trained(network, spec, tmp_path_factory):
    """Saved and loaded."""
    card = {"kind": "detector", "classes": CLASSES, "threshold": 0.5}
    place = tmp_path_factory.mktemp("models") / "lesions"
    save_model(TrainedModel(network, spec, card, pd.DataFrame({"epoch": [1]})), place)
    return load(place)


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    return export(trained, tmp_path_factory.mktemp("exports"))


@pytest.fixture(scope="module")
def table(exported, folder):
    return score(exported, folder, batch_size=4)


def answers(network, image):
    """What the model itself finds in an image: names of classes, and scores with boxes."""
    found = network(image[None, ..., None], training=False)
    count = int(found["num_detections"][0])
    names = [CLASSES[k] for k in found["classes"][0, :count]]
    return names, np.column_stack([found["scores"][0, :count], np.reshape(found["boxes"][0, :count], (-1, 4))])


def test_every_file_has_the_detections_of_the_model(table, network, images, folder):
    assert table.columns.tolist() == COLUMNS
    names = sorted([*images, "broken.png"])
    assert table["path"].unique().tolist() == [str(folder / name) for name in names]
    bare = 0
    for name, image in images.items():
        rows = table[table["path"] == str(folder / name)]
        classes, values = answers(network, image)
        assert set(rows["status"]) == {"ok"}
        if not classes:
            bare += 1
            assert rows[["class", "score", *CORNERS]].isna().all(axis=None)
            assert len(rows) == 1
            continue
        assert rows["class"].tolist() == classes
        np.testing.assert_allclose(rows[["score", *CORNERS]], values, atol=1e-3)
        np.testing.assert_allclose(rows["score"], values[:, 0], atol=1e-5)
        height, width = image.shape
        assert (rows[CORNERS] >= 0).all(axis=None)
        assert (rows[["xmax", "ymax"]] <= [width, height]).all(axis=None)
    assert bare == 1
    (broken,) = table[table["status"] == "error"].to_dict("records")
    assert broken["path"] == str(folder / "broken.png")
    assert "damaged" in broken["error"] or "truncated" in broken["error"]
    assert pd.isna(broken["class"])


def test_model_folder_and_export_agree_whatever_the_batch(table, trained, exported, folder):
    for model, batch_size in ((trained, 2), (trained.folder, 1), (exported.parent, 100)):
        pd.testing.assert_frame_equal(score(model, folder, batch_size=batch_size), table, atol=1e-3)
    without_names = score(trained.model, folder)
    assert set(without_names["class"].dropna()) <= {"0", "1"}
    np.testing.assert_allclose(without_names["score"], table["score"], atol=1e-5)


def test_files_of_one_size_share_calls(trained, images, folder, monkeypatch):
    sizes, load_predictor = [], job.load_predictor

    def watched(*arguments):
        predictor = load_predictor(*arguments)
        levels = predictor.functions["uint8"]
        watching = {"uint8": lambda batch: sizes.append(batch.shape[:3]) or levels(batch)}
        return replace(predictor, functions=predictor.functions | watching)

    monkeypatch.setattr(job, "load_predictor", watched)
    score(trained, [folder / name for name in images], batch_size=2)
    # Three files of each size.
    assert sorted(sizes) == sorted((many, *size) for size in SIZES for many in (2, 1))


def test_arrays_and_archives(trained, images, folder, table, tmp_path):
    same = [name for number, name in enumerate(images) if number % 3 == 0]
    stack = np.stack([images[name] for name in same])
    wanted = table[table["path"].isin([str(folder / name) for name in same])].reset_index(drop=True)
    numbers = ["class", "score", *CORNERS]
    found = score(trained, stack)
    assert found["id"].tolist() == sorted(found["id"])
    assert set(found["id"]) == {0, 1, 2}
    pd.testing.assert_frame_equal(found[numbers], wanted[numbers], atol=1e-3)
    np.savez(tmp_path / "a.npz", images=stack[..., None], ids=np.arange(3))
    np.save(tmp_path / "b.npy", stack[0])
    of_files = score(trained, tmp_path)
    assert set(of_files["path"]) == {f"{tmp_path}/a.npz#images", f"{tmp_path}/b.npy"}
    pd.testing.assert_frame_equal(of_files.iloc[: len(wanted)][numbers], wanted[numbers], atol=1e-3)
    with pytest.raises(DataError, match=r"shape \(3, 64, 96, 3\)"):
        score(trained, np.zeros((3, 64, 96, 3)))
    with pytest.raises(DataError, match=r"shape \(3, 0, 96, 1\)"):
        score(trained, np.zeros((3, 0, 96, 1)))


def test_a_colour_image_is_read_in_the_channels_of_the_model(trained, images, folder, table, tmp_path):
    assert cv2.imwrite(str(tmp_path / "colour.bmp"), np.repeat(images["4.png"][..., None], 3, axis=-1))
    wanted = table[table["path"] == str(folder / "4.png")].reset_index(drop=True)
    numbers = ["class", "score", *CORNERS]
    pd.testing.assert_frame_equal(score(trained, tmp_path / "colour.bmp")[numbers], wanted[numbers], atol=1e-3)


def test_every_other_input_is_an_outcome(trained, tmp_path):
    pages = np.zeros((2, 3, 20, 20, 1))
    np.save(tmp_path / "pages.npy", pages)
    np.save(tmp_path / "nan.npy", np.full((2, 20, 20, 1), [[[[1.0]]], [[[np.nan]]]]))
    (tmp_path / "words.xyz").write_text("words")
    names = ["pages.npy", "nan.npy", "words.xyz", "lost.png"]
    found = score(trained, [tmp_path / name for name in names])
    errors = found.set_index("path")["error"]
    assert "has the shape (2, 3, 20, 20, 1), expected (n, None, None, 1)" in errors[str(tmp_path / "pages.npy")]
    assert errors[str(tmp_path / "nan.npy")].dropna().tolist() == ["holds 400 non-finite values"]
    assert "is of no kind that can be read" in errors[str(tmp_path / "words.xyz")]
    assert errors[str(tmp_path / "lost.png")] == "there is no such file"
    (tmp_path / "deep").mkdir()
    with pytest.raises(DataError, match="deep holds no sample"):
        score(trained, tmp_path / "deep")
    empty = score(trained, [])
    assert len(empty) == 0
    pd.testing.assert_series_equal(empty.dtypes, found.dtypes)


def test_samples_have_boxes_in_pixels_of_their_files(trained, spec):
    samples = load_detection(spec)
    found = score(trained, samples, split="test")
    part = samples.part("test")
    assert found["id"].unique().tolist() == part.table["id"].tolist()
    assert set(found["path"]) == {"lesions"}
    wanted = detect(trained.model, part)
    for row, name in enumerate(part.table["id"]):
        count = wanted["num_detections"][row]
        own = found[(found["id"] == name) & found["class"].notna()]
        np.testing.assert_allclose(own[CORNERS], wanted["boxes"][row, :count], atol=1e-3)
        np.testing.assert_allclose(own["score"], wanted["scores"][row, :count], atol=1e-5)
    pd.testing.assert_frame_equal(score(trained, spec, split="test"), found)


def test_files_and_samples_of_any_size_agree(trained, images, tmp_path):
    """Three pixels of a file for one of the canvas, so that both ways of shrinking are exact."""
    pictures = {"whole.png": images["0.png"], "flat.png": images["0.png"][:32], "narrow.png": images["3.png"][:, :40]}
    (tmp_path / "images").mkdir()
    for name, image in pictures.items():
        assert cv2.imwrite(str(tmp_path / "images" / name), image.repeat(3, axis=0).repeat(3, axis=1))
    rows = [f"{name},benign,5,5,30,30" for name in pictures]
    (tmp_path / "boxes.csv").write_text("\n".join(["image,class,xmin,ymin,xmax,ymax", *rows]))
    source = {"kind": "detection", "path": "images", "annotations": "boxes.csv"}
    values = {"name": "large", "source": source, "input": {"shape": [64, 96, 1]}, "classes": CLASSES}
    of_samples = score(trained, DataSpec.from_dict({**values, "tasks": ["detect"]}, folder=tmp_path))
    of_files = score(trained, tmp_path / "images")
    names = of_files["path"].map(lambda path: Path(path).name)
    numbers = ["class", "score", *CORNERS]
    for name, image in pictures.items():
        own = of_samples[of_samples["id"] == name][numbers].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, of_files[names == name][numbers].reset_index(drop=True), atol=1e-2)
        if image.shape == (64, 96):  # the canvas itself, whose boxes are a third
            classes, found = answers(trained.model, image)
            assert own["class"].tolist() == classes
            np.testing.assert_allclose(own[CORNERS], 3 * found[:, 1:], atol=1e-2)
    assert of_samples.loc[of_samples["id"] != "whole.png", "class"].notna().any()


def test_wrong_calls_are_named(trained, spec):
    with pytest.raises(DataError, match="Samples found, expected an array, a DataSpec, DetectionSamples, or files"):
        score(trained, load_samples(DataSpec.from_dict({**spec.to_dict(), "tasks": ["autoencode"]})))
    with pytest.raises(ModelError, match=r"classes: the model has \['benign', 'malignant'\]"):
        score(trained, DataSpec.from_dict({**spec.to_dict(), "classes": CLASSES[::-1]}))
    with pytest.raises(ModelError, match="reads inputs, proposals; only what reads one array is scored"):
        score(small_detector(proposals="external"), np.zeros((1, 9, 9, 1)))
    layout, found = Layout("detections", (1, 6), ["cyst"]), np.array([[[1, 0.5, 0, 0, 4, 4]]])
    with pytest.raises(ModelError, match="there are 1 names of classes, but the model finds class 1"):
        layout.table(["a"], [None], [None], found, [0])


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_are_written_and_read(table, tmp_path, ending):
    path = write_predictions(table, tmp_path / f"found.{ending}")
    read = pd.read_parquet(path) if ending == "parquet" else pd.read_csv(path)
    assert read.columns.tolist() == COLUMNS
    pd.testing.assert_frame_equal(read, table, check_dtype=ending == "parquet")


def test_the_verb_score(exported, folder, table, tmp_path):
    path = tmp_path / "found.parquet"
    outcome = run_command("score", exported, folder, "--output", path, "--json")
    assert outcome.status == 0, outcome.err
    assert outcome.out == f'{{"rows": {len(table)}, "errors": 1}}\n'
    pd.testing.assert_frame_equal(pd.read_parquet(path), table)


def test_an_output_is_what_is_written_of_the_table(exported, folder, table, tmp_path):
    read = pd.read_parquet(score(exported, folder, batch_size=4, output=tmp_path / "found.parquet"))
    pd.testing.assert_frame_equal(read, table, check_exact=True)
    assert read.attrs["scoring"].items() >= table.attrs["scoring"].items()
    path = score(exported, folder, batch_size=4, output=tmp_path / "found.json")
    write_coco_results(table, tmp_path / "wanted.json", classes=CLASSES)
    for ending in ("json", "images.json", "errors.csv"):
        assert (tmp_path / f"found.{ending}").read_text() == (tmp_path / f"wanted.{ending}").read_text()
    assert count_outcomes(path) == (table["score"].notna().sum(), 1)


def test_the_verb_draws_what_it_has_found(exported, folder, table, tmp_path):
    best = table.loc[table["score"].idxmax()]
    drawing = ("--overlay", tmp_path / "drawn", "--threshold", best["score"] - 1e-3)
    outcome = run_command("score", exported, folder, "--output", tmp_path / "found.csv", *drawing)
    assert outcome.status == 0, outcome.err
    names = [path.relative_to(tmp_path / "drawn").as_posix() for path in sorted((tmp_path / "drawn").rglob("*.png"))]
    assert names == [*(f"{number}.png" for number in range(7)), "deep/7.png", "deep/8.png"]
    coloured = [name for name in names if np.ptp(cv2.imread(str(tmp_path / "drawn" / name)), axis=-1).any()]
    above = table[table["score"] > best["score"] - 1e-3]
    assert coloured == [Path(path).relative_to(folder).as_posix() for path in above["path"].unique()]
