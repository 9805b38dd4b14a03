import gzip
import struct
import zlib
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tumorkeras.data.readers import read
from tumorkeras.data.readers.formats import FileFault
from tumorkeras.data.readers.limits import MOST_PIXELS, check_file, check_pixels, inside
from tumorkeras.errors import DataError


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, data, bits=8, colour=0):
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (30_000, "declares 30000 x 30000 pixels, but 10 bytes of them are there"),
        (2**31 - 1, "declares 2147483647 x 2147483647 pixels, but 10 bytes of them are there"),
        (16_000, "declares 16000 x 16000 pixels, but 10 bytes of them are there"),
    ],
)
def test_a_png_that_lies(tmp_path, size, words):
    (tmp_path / "a.png").write_bytes(png(size, size, bytes(10)))
    with pytest.raises(DataError, match=words):
        read(tmp_path / "a.png")


def test_a_png_bomb(tmp_path):
    """A megabyte that would unpack to 900 megapixels."""
    (tmp_path / "a.png").write_bytes(png(30_000, 30_000, bytes(2**20)))
    with pytest.raises(DataError, match="declares 30000 x 30000 = 900,000,000 pixels; the limit is 268,435,456"):
        read(tmp_path / "a.png")


def test_a_jpeg_that_lies(tmp_path, picture):
    content = cv2.imencode(".jpg", picture)[1].tobytes()
    start = content.index(b"\xff\xc0")
    for side, words in ((60_000, "declares 60000 x 60000 pixels, but"), (16_000, "declares 16000 x 16000 pixels, but")):
        lie = content[: start + 5] + struct.pack(">HH", side, side) + content[start + 9 :]
        (tmp_path / "a.jpg").write_bytes(lie)
        with pytest.raises(DataError, match=words):
            read(tmp_path / "a.jpg")


@pytest.mark.parametrize("ending", [".bmp", ".jp2", ".pgm"])
def test_others_that_lie(tmp_path, picture, ending):
    content = bytearray(cv2.imencode(ending, picture[..., 0])[1].tobytes())
    if ending == ".bmp":
        content[18:26] = struct.pack("<ii", 60_000, 60_000)
    elif ending == ".jp2":
        start = content.index(b"\xff\x4f\xff\x51")
        content[start + 8 : start + 16] = struct.pack(">II", 60_000, 60_000)
    else:
        content[:3] = b"P5\n9999"
    (tmp_path / f"a{ending}").write_bytes(content)
    with pytest.raises(DataError, match=r"the limit is|is truncated"):
        read(tmp_path / f"a{ending}")


def test_a_nifti_bomb(tmp_path):
    """A packed volume that declares a thousand times more than its zeros unpack to, and one that unpacks to more."""
    header = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)).header
    header.set_data_shape((600, 600, 600))
    header["vox_offset"] = 352
    for zeros, words in ((1000, "cannot hold"), (2**20, "is truncated")):
        with gzip.open(tmp_path / "a.nii.gz", "wb", compresslevel=1 if zeros > 1000 else 9) as file:
            file.write(header.binaryblock + bytes(4) + bytes(zeros))
        with pytest.raises(DataError, match=f"{words}|cannot hold"):
            read(tmp_path / "a.nii.gz")


def test_more_than_declared_is_never_unpacked(tmp_path):
    header = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)).header
    header["vox_offset"] = 352
    with gzip.open(tmp_path / "a.nii.gz", "wb") as file:
        file.write(header.binaryblock + bytes(4) + bytes(2**26))
    assert read(tmp_path / "a.nii.gz").array.shape == (2, 2, 2, 1)


def test_a_hundred_megapixels_are_read(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((10_000, 10_000), np.uint8), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert read(tmp_path / "a.png").array.shape == (10_000, 10_000, 1)


def test_the_limit_can_be_moved(tmp_path, picture):
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    assert read(tmp_path / "a.png", max_pixels=48 * 64).array.shape == (48, 64, 3)
    with pytest.raises(DataError, match="declares 48 x 64 = 3,072 pixels; the limit is 3,071"):
        read(tmp_path / "a.png", max_pixels=48 * 64 - 1)


def test_a_file_larger_than_any_image(tmp_path):
    with (tmp_path / "a.dcm").open("wb") as file:
        file.write(bytes(128) + b"DICM")
        file.truncate(2**40)  # takes no room on the disk
    with pytest.raises(DataError, match="has 1,099,511,627,776 bytes, too large for the limit of 268,435,456 pixels"):
        read(tmp_path / "a.dcm")


@given(st.lists(st.integers(-2, 2**20), min_size=1, max_size=4))
def test_pixels_are_counted(shape):
    allowed = min(shape) > 0 and np.prod(shape, dtype=object) <= MOST_PIXELS
    try:
        check_pixels(shape, MOST_PIXELS)
    except FileFault:
        assert not allowed
    else:
        assert allowed


def test_an_empty_file(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(FileFault, match="the file is empty"):
        check_file(tmp_path / "a.png")


# ------------------------------------------------------------------------------------------------------- inside


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "data"
    (place / "images").mkdir(parents=True)
    (place / "images" / "1.png").touch()
    (tmp_path / "secret.png").touch()
    (place / "out").symlink_to(tmp_path)
    (place / "within").symlink_to(place / "images")
    return place


@pytest.mark.parametrize(
    "path",
    ["images/1.png", "images\\1.png", "./images/1.png", "images/../images/1.png", "within/1.png", "not there.png", ""],
)
def test_paths_that_stay(folder, path):
    assert inside(path, folder) == Path(folder, path.replace("\\", "/"))


def test_an_absolute_path_into_the_folder_stays(folder):
    assert inside(folder / "images" / "1.png", folder) == folder / "images" / "1.png"


@pytest.mark.parametrize(
    "path",
    [
        "../secret.png",
        "images/../../secret.png",
        "..\\secret.png",
        "/etc/passwd",
        "out/secret.png",
        "C:\\1.png",
        "c:/1.png",
        "\\\\host\\1.png",
    ],
)
def test_paths_that_leave(folder, path):
    with pytest.raises(DataError, match="leads out of the folder"):
        inside(path, folder)


def test_no_paths(folder):
    with pytest.raises(DataError, match="is no path of a file"):
        inside("a\0.png", folder)


def test_a_folder_behind_a_link(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert inside("images/1.png", tmp_path / "link") == tmp_path / "link" / "images" / "1.png"


@given(st.text(alphabet="ab./\\~:\0 ", max_size=20))
def test_nothing_ever_leaves(path):
    folder = Path("/srv/data")
    try:
        found = inside(path, folder)
    except DataError:
        return
    assert Path(str(found)).resolve().is_relative_to(folder)
