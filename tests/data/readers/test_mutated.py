"""Files with bytes flipped, cut off or replaced: an image or a fault, never anything else, and never a wait."""

import cv2
import imagecodecs
import nibabel
import numpy as np
import pytest
import tifffile
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLossless, JPEGLSLossless, RLELossless

from tumorkeras.data.readers import format_of, read
from tumorkeras.errors import DataError

COPIES = 40  # of each kind of file
HEADER = 700  # where most bytes have a meaning
ODD = [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\1\0"]
STREAMS = {
    "baseline.dcm": (JPEGBaseline8Bit, imagecodecs.jpeg8_encode),
    "lossless.dcm": (JPEGLossless, lambda image: imagecodecs.jpeg8_encode(image, lossless=True)),
    "ls.dcm": (JPEGLSLossless, imagecodecs.jpegls_encode),
    "2000.dcm": (JPEG2000Lossless, lambda image: imagecodecs.jpeg2k_encode(image, codecformat="j2k", level=0)),
}
RASTER = ["a.png", "a.jpg", "a.bmp", "a.webp", "a.jp2", "a.ppm"]
TIFF = {"a.tif": None, "zlib.tif": "zlib", "lzw.tif": "lzw", "jpeg.tif": "jpeg", "jpeg2000.tif": "jpeg2000"}
OTHERS = ["a.ome.tif", "a.npy", "a.npz", "a.nii", "a.nii.gz", "a.avi", "a.mp4", "a.dcm", "rle.dcm"]
NAMES = [*RASTER, *TIFF, *STREAMS, *OTHERS]


@pytest.fixture(scope="module")
def samples(tmp_path_factory, picture, make_dataset):
    """A folder with a good file of each name."""
    folder = tmp_path_factory.mktemp("good")
    grey = np.ascontiguousarray(picture[..., 0])
    for name in RASTER:
        cv2.imwrite(str(folder / name), picture)
    for name, compression in TIFF.items():
        tifffile.imwrite(folder / name, np.stack([picture] * 2), photometric="rgb", compression=compression)
    for name, (syntax, encode) in STREAMS.items():
        dataset = make_dataset(grey)
        dataset.PixelData, dataset.file_meta.TransferSyntaxUID = encapsulate([encode(grey)]), syntax
        dataset.save_as(folder / name, enforce_file_format=True)
    tifffile.imwrite(folder / "a.ome.tif", np.stack([grey] * 3), metadata={"axes": "ZYX", "PhysicalSizeX": 1.0})
    np.save(folder / "a.npy", grey)
    np.savez_compressed(folder / "a.npz", image=grey, spacing=[1.0, 1.0])
    for name in ("a.nii", "a.nii.gz"):
        nibabel.save(nibabel.Nifti1Image(np.stack([grey] * 3, axis=-1), np.eye(4)), folder / name)
    for name, code in (("a.avi", "MJPG"), ("a.mp4", "mp4v")):
        writer = cv2.VideoWriter(str(folder / name), cv2.VideoWriter.fourcc(*code), 25, (64, 48))
        for _ in range(3):
            writer.write(picture)
        writer.release()
    dataset = make_dataset(grey, PixelSpacing=[1, 1])
    dataset.save_as(folder / "a.dcm", enforce_file_format=True)
    dataset.compress(RLELossless)
    dataset.save_as(folder / "rle.dcm", enforce_file_format=True)
    return folder


def flipped(content, rng):
    for place in rng.integers(0, len(content), rng.integers(1, 9)):
        content[place] = rng.integers(256)


def cut(content, rng):
    del content[rng.integers(len(content)) :]


def replaced(content, rng):
    start = rng.integers(len(content))
    content[start : start + rng.integers(1, 64)] = rng.bytes(rng.integers(80))


def odd_number(content, rng):
    """A number in the header becomes one that programs stumble over."""
    start = rng.integers(min(len(content), HEADER))
    content[start : start + 4] = ODD[rng.integers(len(ODD))]


MUTATIONS = [flipped, cut, replaced, odd_number]


@pytest.mark.parametrize("name", NAMES)
def test_the_good_file_is_read(samples, name):
    assert read(samples / name).array.size


@pytest.mark.parametrize("name", NAMES)
def test_mutated_files_are_read_or_refused(samples, tmp_path, name):
    rng = np.random.default_rng(NAMES.index(name))
    good = (samples / name).read_bytes()
    outcomes = []
    for k in range(COPIES):
        content = bytearray(good)
        MUTATIONS[k % len(MUTATIONS)](content, rng)
        path = tmp_path / name
        path.write_bytes(content)
        format_of(path)
        outcomes.append(outcome_of(path))
    assert set(outcomes) <= {"image", "volume", "fault"}
    assert "fault" in outcomes


def outcome_of(path):
    try:
        reading = read(path)
    except DataError as error:
        said, outcome = str(error), "fault" if error.faults and error.heading == str(path) else "nothing said"
    else:
        said, outcome = str(reading.metadata), {3: "image", 4: "volume"}[reading.array.ndim]
    return "a name" if any(secret in said for secret in ("Doe", "P-4711", "19700131")) else outcome
