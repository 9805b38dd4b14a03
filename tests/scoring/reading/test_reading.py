"""What is in files that are decoded beside the model: what the own process would find, in order."""

import itertools
import os

import cv2
import numpy as np
import psutil
import pytest
from made_series import write_dicom, write_series

from tumorkeras.data.catalog import catalog_of
from tumorkeras.data.images import decode_all, read_image
from tumorkeras.errors import DataError
from tumorkeras.scoring.reading import Readers, Sample
from tumorkeras.spec import DataSpec

GREY = Sample((None, None, 1))


@pytest.fixture(scope="module")
def readers():
    with Readers(2, GREY) as readers:
        yield readers


def outcome_of(path):
    try:
        return read_image(path, 1)
    except DataError as error:
        return "; ".join(error.faults)


def assert_same(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert type(one) is type(other)
        if isinstance(one, str):
            assert one == other
        else:
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    coded, content = cv2.imencode(path.suffix, pixels)
    assert coded
    path.write_bytes(content)
    return path


def test_files_of_many_sizes_come_in_order(readers, tmp_path):
    rng = np.random.default_rng(0)
    kinds = [("png", "uint8"), ("png", "uint16"), ("tif", "float32"), ("jpg", "uint8")]
    paths = []
    for number, (kind, dtype) in zip(range(160), itertools.cycle(kinds), strict=False):
        height, width = rng.integers(1, 90, 2)
        pixels = (rng.random((height, width, 3 if number % 3 else 1)) * 250).astype(dtype)
        paths.append(str(write(tmp_path / f"{number}.{kind}", pixels)))
    paths += paths[:3]
    found = list(readers.read(paths))
    assert_same(found, [read_image(path, 1) for path in paths])
    assert all(image.flags.owndata or image.base.flags.owndata for image in found)
    assert all(image.flags.writeable for image in found)
    assert list(readers.read([])) == []


def test_whatever_is_no_image_has_a_reason(readers, tmp_path):
    good = write(tmp_path / "good.png", np.full((5, 4), 9, "uint8"))
    content = good.read_bytes()
    files = {
        "cut.png": lambda path: path.write_bytes(content[:-20]),
        "empty.png": lambda path: path.write_bytes(b""),
        "text.png": lambda path: path.write_text("no image"),
        "folder.png": lambda path: path.mkdir(),
        "pipe.png": os.mkfifo,
        "dangling.png": lambda path: path.symlink_to("none.png"),
        "loop.png": lambda path: path.symlink_to("loop.png"),
        "none.png": lambda path: None,
        "x" * 300 + ".png": lambda path: None,
        "null\0.png": lambda path: None,
        "\ud800.png": lambda path: None,
        "ü 漢字😀.png": lambda path: path.write_bytes(content),
        os.fsdecode(b"\xff.png"): lambda path: path.write_bytes(content),
        "/".join(["deep" * 20] * 5) + "/300.png": lambda path: write(path, np.full((5, 4), 9, "uint8")),
        "link.png": lambda path: path.symlink_to("good.png"),
    }
    for name, make in files.items():
        make(tmp_path / name)
    found = list(readers.read(tmp_path / name for name in files))
    assert_same(found, [outcome_of(tmp_path / name) for name in files])
    assert [isinstance(outcome, str) for outcome in found] == [True] * 11 + [False] * 4
    assert found[1:5] == ["the file is empty", found[2], found[3], "is a pipe, not a file"]
    assert all(str(tmp_path) not in fault for fault in found[:11])


def test_a_relative_path_and_an_image_of_several_pages(readers, tmp_path):
    np.save(tmp_path / "pages.npy", np.zeros((5, 4, 2), "uint8"))
    relative, absolute = readers.read([os.path.relpath(tmp_path / "pages.npy"), tmp_path / "pages.npy"])
    assert relative == absolute
    assert relative.startswith("pages: has 5 pages, expected one image")


def test_mutated_files_are_read_as_they_are_in_the_own_process(readers, tmp_path):
    rng = np.random.default_rng(1)
    pixels = np.repeat(np.repeat(rng.integers(0, 250, (6, 8), dtype="uint8"), 4, 0), 4, 1)
    for name in ("a.png", "a.jpg", "a.tif"):
        write(tmp_path / name, pixels)
    write_dicom(tmp_path / "a.dcm", pixels)
    paths = []
    for name, copy in itertools.product(("a.png", "a.jpg", "a.tif", "a.dcm"), range(60)):
        content = bytearray((tmp_path / name).read_bytes())
        for place in rng.integers(0, len(content), rng.integers(1, 9)):
            content[place] = rng.integers(256)
        paths.append(tmp_path / f"{copy}-{name}")
        paths[-1].write_bytes(content[: rng.integers(1, len(content))] if copy % 4 == 0 else content)
    found = list(readers.read(paths))
    assert_same(found, [outcome_of(path) for path in paths])
    assert 40 < sum(isinstance(outcome, str) for outcome in found) < 200


def test_volumes_are_those_of_the_training(tmp_path):
    volume = np.random.default_rng(2).integers(0, 255, (6, 8, 10), dtype="uint8")
    for name, step in (("a", 2.0), ("b", 3.0)):
        write_series(tmp_path / "scans" / name / "ct", volume, step)
    np.save(tmp_path / "flat.npy", volume)
    source = {"kind": "image_folder", "path": str(tmp_path / "scans")}
    values = {"name": "ct", "source": source, "input": {"shape": [4, 6, 6, 1], "spacing": [2, 1, 1]}}
    paths = [tmp_path / "scans" / "a" / "ct", tmp_path / "scans" / "b" / "ct", tmp_path / "flat.npy"]
    with Readers(1, Sample((4, 6, 6, 1), (2.0, 1.0, 1.0))) as readers:
        *found, fault = readers.read(paths)
    assert_same(found, list(decode_all(catalog_of(DataSpec.from_dict(values)), (4, 6, 6, 1))))
    assert fault.startswith("spacing: says no spacing along its three axes")


def test_a_sample_is_an_image_or_a_volume_of_a_fixed_size():
    for shape in ((3,), (None, None), (4, None, 4, 1), (1, 2, 3, 4, 5)):
        with pytest.raises(ValueError, match="is neither an image"):
            Sample(shape)
    with pytest.raises(ValueError, match="expected 1 or more"):
        Readers(0, GREY)


def test_a_process_loads_no_tensorflow_and_has_one_thread(readers):
    list(readers.read(["none.png"]))
    for pid in readers.pids:
        process = psutil.Process(pid)
        assert not [each.path for each in process.memory_maps() if "tensorflow" in each.path]
        assert process.environ()["OMP_NUM_THREADS"] == "1"
