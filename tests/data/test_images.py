"""Images of a folder a class, letterboxed to one size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tumorkeras.data.catalog import catalog_of
from tumorkeras.data.images import Crop, decode_all
from tumorkeras.data.pipeline import arrays_of, training_stream
from tumorkeras.data.samples import load_samples
from tumorkeras.errors import DataError
from tumorkeras.spec import DataSpec


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def read_image_folder(folder, shape):
    spec = {"name": "us", "source": {"kind": "image_folder", "path": str(folder)}, "input": {"shape": list(shape)}}
    catalog = catalog_of(DataSpec.from_dict(spec))
    return catalog.table, decode_all(catalog, shape)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "images"
    write(root / "benign" / "wide.png", np.full((4, 8), 200, "uint8"))
    write(root / "benign" / "tall.jpg", np.full((16, 8), 100, "uint8"))
    write(root / "malignant" / "deep" / "square.tif", np.full((8, 8), 50, "uint8"))
    (root / "notes.txt").write_text("not a class")
    (root / "benign" / "notes.txt").write_text("not an image")
    (root / "benign" / "._wide.png").write_text("what file managers leave")
    (root / ".cache").mkdir()
    return root


def test_mixed_sizes_are_letterboxed(folder):
    table, images = read_image_folder(folder, (8, 8, 1))
    assert table["id"].tolist() == ["benign/tall.jpg", "benign/wide.png", "malignant/deep/square.tif"]
    assert table["class_name"].tolist() == ["benign", "benign", "malignant"]
    assert images.shape == (3, 8, 8, 1)
    assert images.dtype == np.uint8
    tall, wide, square = images[..., 0].astype(int)
    assert (wide[2:6] == 200).all()
    assert (wide[[0, 1, 6, 7]] == 0).all()
    assert (abs(tall[:, 2:6] - 100) <= 2).all()  # JPEG
    assert (tall[:, [0, 1, 6, 7]] == 0).all()
    assert (square == 50).all()


def test_grey_levels_of_more_than_8_bits_are_kept(tmp_path):
    pixels = np.arange(16, dtype="uint16").reshape(4, 4) * 273  # 12 bits: 0 to 4095
    write(tmp_path / "a" / "deep.png", pixels)
    write(tmp_path / "a" / "deep.tif", pixels)
    _, images = read_image_folder(tmp_path, (4, 4, 1))
    assert images.dtype == np.uint16
    assert (images[..., 0] == pixels).all()
    _, colours = read_image_folder(tmp_path, (4, 4, 3))
    assert colours.dtype == np.uint16
    assert (colours == pixels[..., None]).all()


def test_deep_images_become_batches_of_the_same_values(tmp_path):
    for name in ("a", "b"):
        for k in range(10):
            write(tmp_path / "images" / name / f"{k}.png", np.full((8, 8), 5000 * k, "uint16"))
    values = {"name": "us", "source": {"kind": "image_folder", "path": "images"}, "input": {"shape": [8, 8, 1]}}
    samples = load_samples(DataSpec.from_dict(values, folder=tmp_path))
    arrays = arrays_of(samples)
    assert arrays.dtype == np.float32
    assert arrays[:, 0, 0, 0].tolist() == [5000 * k for k in range(10)] * 2
    _, labels = next(iter(training_stream(samples, augment=("flip", "rotate", "shift"))))
    assert len(labels) == 20


def test_8_and_16_bits_in_one_folder_are_refused(folder):
    write(folder / "benign" / "deep.png", np.full((8, 8), 4000, "uint16"))
    with pytest.raises(DataError) as caught:
        read_image_folder(folder, (8, 8, 1))
    assert caught.value.faults == ["benign/deep.png: holds uint16 values, but most files hold uint8; give all the same"]


def test_pages_are_counted_and_refused(folder):
    assert cv2.imwritemulti(str(folder / "malignant" / "stack.tiff"), [np.full((8, 8), 9, "uint8")] * 3)
    with pytest.raises(DataError, match=r"malignant/stack\.tiff: has 3 pages, expected one image"):
        read_image_folder(folder, (8, 8, 1))


def test_values_that_are_no_grey_levels_are_kept_as_they_are(tmp_path):
    write(tmp_path / "a" / "real.tif", np.full((8, 8), -0.5, "float32"))
    _, images = read_image_folder(tmp_path, (8, 8, 1))
    assert images.dtype == np.float32
    assert (images == -0.5).all()


def test_colours_are_red_green_blue(tmp_path):
    pixels = np.zeros((4, 4, 3), "uint8")
    pixels[..., 2] = 255  # OpenCV writes blue, green, red
    write(tmp_path / "a" / "red.png", pixels)
    _, images = read_image_folder(tmp_path, (4, 4, 3))
    assert images[0, 0, 0].tolist() == [255, 0, 0]


def test_all_broken_images_are_named(folder):
    (folder / "benign" / "broken.png").write_bytes(b"not a png")
    (folder / "malignant" / "empty.jpg").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        read_image_folder(folder, (8, 8, 1))
    assert [fault.partition(":")[0] for fault in caught.value.faults] == ["benign/broken.png", "malignant/empty.jpg"]


def test_faults_of_the_folder_are_named_before_any_image_is_read(folder):
    (folder / "normal").mkdir()
    write(folder / "loose.png", np.zeros((4, 4), "uint8"))
    values = {"name": "us", "source": {"kind": "image_folder", "path": str(folder)}, "input": {"shape": [8, 8, 1]}}
    with pytest.raises(DataError) as caught:
        load_samples(DataSpec.from_dict(values))
    assert caught.value.faults == [
        "loose.png: lies above the folders that stand for class; move it, or take it out",
        "normal: is the folder of a class, but holds no sample; fill it, or take it out",
    ]


def test_wrong_folders_and_channels(tmp_path, folder):
    with pytest.raises(DataError, match="there is no such folder"):
        read_image_folder(tmp_path / "none", (8, 8, 1))
    with pytest.raises(DataError, match="holds no sample"):
        read_image_folder(folder / "malignant" / "deep", (8, 8, 1))
    with pytest.raises(DataError, match="has 4 channels; images have 1"):
        read_image_folder(folder, (8, 8, 4))


def test_a_region_is_cut_to_the_image():
    image = np.arange(12).reshape(3, 4, 1)
    assert Crop(1.5, -2, 9, 1.2).of(image)[..., 0].tolist() == [[1, 2, 3], [5, 6, 7]]
    assert Crop(5, 0, 9, 2, margin=2.0).of(image) is None
    assert Crop(1, 1, 2, 2, margin=1.0).of(image).shape == (3, 3, 1)


def test_a_folder_through_its_spec(tmp_path):
    for name in ("a", "b"):
        for k in range(10):
            write(tmp_path / "images" / name / f"{k}.png", np.full((6, 6), 10 * k, "uint8"))
    values = {"name": "us", "source": {"kind": "image_folder", "path": "images"}, "input": {"shape": [8, 8, 1]}}
    samples = load_samples(DataSpec.from_dict(values, folder=tmp_path))
    assert samples.classes == ("a", "b")
    assert samples.values.shape == (20, 8, 8, 1)
    assert not samples.are_tracks
    assert samples.counts().sum() == 20
    assert samples.groups is None


def test_volumes_without_a_spacing_are_not_stretched_in_silence(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "scans" / name).mkdir(parents=True)
        np.save(tmp_path / "scans" / name / "1.npy", np.zeros((4, 8, 8), "uint8"))
    values = {"name": "ct", "source": {"kind": "image_folder", "path": "scans"}, "input": {"shape": [4, 4, 4, 1]}}
    assert read_volumes(values, tmp_path).shape == (2, 4, 4, 4, 1)
    values["input"]["spacing"] = [1, 1, 1]
    with pytest.raises(DataError) as caught:
        read_volumes(values, tmp_path)
    assert [fault.partition(":")[0] for fault in caught.value.faults] == ["a/1.npy", "b/1.npy"]


def read_volumes(values, folder):
    return decode_all(catalog_of(DataSpec.from_dict(values, folder=folder)), tuple(values["input"]["shape"]))
