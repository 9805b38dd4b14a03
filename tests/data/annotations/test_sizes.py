"""Sizes from the heads of files are those of the decoded images."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from tumorkeras.data.annotations.pixels import read_pixels
from tumorkeras.data.annotations.sizes import image_size, image_sizes

IMAGE = np.arange(7 * 5 * 3, dtype="uint8").reshape(7, 5, 3)
# An orientation of 6: the camera was turned, so that the decoder turns the image.
EXIF = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif", "webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_format(tmp_path, ending, channels):
    cv2.imwrite(str(tmp_path / f"a.{ending}"), IMAGE[..., :channels])
    assert image_size(tmp_path / f"a.{ending}") == (7, 5)


def test_a_turned_jpeg(tmp_path):
    plain = cv2.imencode(".jpg", IMAGE)[1].tobytes()
    turned = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(EXIF) + 2) + EXIF + plain[2:]
    (tmp_path / "a.jpg").write_bytes(turned)
    assert image_size(tmp_path / "a.jpg") == read_pixels(tmp_path / "a.jpg").shape[:2]


def test_files_without_a_size(tmp_path):
    for name, content in {
        "a.png": b"",
        "b.png": b"\x89PNG\r\n\x1a\n",
        "c.jpg": b"\xff\xd8\xff\xc0",
        "d.jpg": b"\xff\xd8" * 9,
    }.items():
        (tmp_path / name).write_bytes(content)
    assert image_sizes(tmp_path, ["a.png", "b.png", "c.jpg", "d.jpg", "none.png"]) == {}


def test_the_ultrasound_images(data_folder):
    folder = data_folder / "busi" / "images"
    names = [file.name for file in sorted(folder.iterdir())[:60]]
    assert image_sizes(folder, names) == {name: read_pixels(folder / name).shape[:2] for name in names}
