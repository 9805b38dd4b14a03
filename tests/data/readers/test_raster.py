import cv2
import numpy as np
import pytest
from PIL import Image

from tumorkeras.data.readers import read
from tumorkeras.errors import DataError

LOSSLESS = [".png", ".bmp", ".jp2", ".ppm"]
ORIENTATION = 0x0112


@pytest.mark.parametrize("ending", LOSSLESS)
def test_colour_is_red_green_blue(tmp_path, picture, ending):
    path = tmp_path / f"image{ending}"
    settings = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000] if ending == ".jp2" else []
    cv2.imwrite(str(path), picture[..., ::-1], settings)
    array, spacing, metadata = read(path)
    np.testing.assert_array_equal(array, picture)
    assert (spacing, metadata["bits"], array.flags.c_contiguous) == (None, 8, True)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".pgm"])
def test_grey_has_one_channel(tmp_path, picture, ending):
    path = tmp_path / f"image{ending}"
    cv2.imwrite(str(path), picture[..., 0])
    array = read(path).array
    assert array.shape == (48, 64, 1)
    assert np.abs(array[..., 0].astype(int) - picture[..., 0]).max() <= (8 if ending == ".jpg" else 0)


@pytest.mark.parametrize("ending", [".png", ".pgm", ".jp2"])
def test_16_bits_are_kept(tmp_path, picture, ending):
    values = picture[..., 0].astype(np.uint16) * 257
    path = tmp_path / f"image{ending}"
    cv2.imwrite(str(path), values)
    reading = read(path)
    np.testing.assert_array_equal(reading.array[..., 0], values)
    assert (reading.array.dtype, reading.metadata["bits"]) == (np.uint16, 16)


def test_16_bit_colour(tmp_path, picture):
    values = picture.astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "image.png"), values[..., ::-1])
    np.testing.assert_array_equal(read(tmp_path / "image.png").array, values)


def test_lossless_webp(tmp_path, picture):
    Image.fromarray(picture).save(tmp_path / "image.webp", lossless=True)
    np.testing.assert_array_equal(read(tmp_path / "image.webp").array, picture)


@pytest.mark.parametrize("kind", ["webp", "webp with alpha"])
def test_webp_sizes_are_read_before_decoding(tmp_path, picture, kind):
    image = Image.fromarray(picture).convert("RGBA" if "alpha" in kind else "RGB")
    image.save(tmp_path / "image.webp", quality=90)
    assert read(tmp_path / "image.webp").array.shape == picture.shape
    with pytest.raises(DataError, match="declares 48 x 64 = 3,072 pixels; the limit is 3,071"):
        read(tmp_path / "image.webp", max_pixels=3071)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_images_are_turned_as_exif_says(tmp_path, picture, orientation, ending):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / f"image.{ending}"
    Image.fromarray(picture).save(path, exif=exif, **({"quality": 100, "subsampling": 0} if ending == "jpg" else {}))
    upright = np.asarray(Image.open(path).transpose(getattr(Image.Transpose, METHODS[orientation])))
    if orientation == 1:
        upright = np.asarray(Image.open(path))
    assert np.abs(read(path).array.astype(int) - upright).max() <= (2 if ending == "jpg" else 0)


METHODS = {
    1: "FLIP_LEFT_RIGHT",  # not used
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def test_cmyk_becomes_rgb_and_is_said(tmp_path, picture):
    path = tmp_path / "image.jpg"
    Image.fromarray(picture).convert("CMYK").save(path, quality=100)
    reading = read(path)
    assert reading.metadata["notes"] == ["CMYK, turned into RGB"]
    assert np.abs(reading.array.astype(int) - picture).max() <= 6


@pytest.mark.parametrize(("mode", "channels"), [("RGBA", 3), ("LA", 3), ("P", 3), ("1", 1), ("L", 1)])
def test_every_kind_of_png(tmp_path, picture, mode, channels):
    image = Image.fromarray(picture).convert(mode)
    image.save(tmp_path / "image.png")
    reading = read(tmp_path / "image.png")
    expected = np.asarray(image.convert("RGB" if channels == 3 else "L"))
    np.testing.assert_array_equal(reading.array, expected.reshape(48, 64, channels))
    assert ("notes" in reading.metadata) == ("A" in mode)


def test_a_bitmap_with_a_palette(tmp_path, picture):
    image = Image.fromarray(picture).convert("P")
    image.save(tmp_path / "image.bmp")
    np.testing.assert_array_equal(read(tmp_path / "image.bmp").array, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("text", ["P2\n# by hand\n3 2\n255\n0 1 2\n3 4 5\n", "P2 3 2 255 0 1 2 3 4 5\n"])
def test_pnm_as_text(tmp_path, text):
    (tmp_path / "image.pgm").write_text(text)
    assert read(tmp_path / "image.pgm").array[..., 0].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_pnm_bitmaps(tmp_path):
    (tmp_path / "image.pbm").write_bytes(b"P4\n8 2\n\xf0\x0f")
    array = read(tmp_path / "image.pbm").array
    assert array.shape == (2, 8, 1)
    assert len(np.unique(array)) == 2


def test_12_bits_of_pgm_are_not_spread(tmp_path):
    (tmp_path / "image.pgm").write_bytes(b"P5 2 1 4095\n\x0f\xff\x00\x01")
    reading = read(tmp_path / "image.pgm")
    assert (reading.array.ravel().tolist(), reading.metadata["bits"]) == ([4095, 1], 12)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".jp2", ".webp", ".ppm"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_named(tmp_path, picture, ending, share):
    whole = cv2.imencode(ending, picture)[1].tobytes()
    path = tmp_path / f"scan{ending}"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match=r"scan\.\w+: (is truncated|is damaged|is named like|the \w+ header)") as caught:
        read(path)
    assert caught.value.heading == str(path)


def test_a_thumbnail_does_not_hide_a_missing_end(tmp_path, picture):
    """Its own end marker lies in the header of the large image."""
    small = cv2.imencode(".jpg", picture[:8, :8])[1].tobytes()
    large = cv2.imencode(".jpg", picture)[1].tobytes()
    segment = b"\xff\xe1" + (len(small) + 2).to_bytes(2, "big") + small
    (tmp_path / "whole.jpg").write_bytes(large[:2] + segment + large[2:])
    (tmp_path / "cut.jpg").write_bytes(large[:2] + segment + large[2:-40])
    assert read(tmp_path / "whole.jpg").array.shape == (48, 64, 3)
    with pytest.raises(DataError, match="the end of the JPEG is missing"):
        read(tmp_path / "cut.jpg")


def test_bytes_after_the_end_do_no_harm(tmp_path, picture):
    for ending in (".jpg", ".png"):
        path = tmp_path / f"image{ending}"
        path.write_bytes(cv2.imencode(ending, picture)[1].tobytes() + b"\0" * 512)
        assert read(path).array.shape == (48, 64, 3)


def test_a_damaged_png_is_no_image(tmp_path, picture):
    content = bytearray(cv2.imencode(".png", picture)[1].tobytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "image.png").write_bytes(content)
    with pytest.raises(DataError, match="is damaged, or a kind of png that OpenCV does not decode"):
        read(tmp_path / "image.png")
