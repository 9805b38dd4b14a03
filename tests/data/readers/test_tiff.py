import struct
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from tumorkeras.data.readers import read
from tumorkeras.data.readers.tiff import turned
from tumorkeras.errors import DataError, MissingExtraError

VOLUME = np.arange(5 * 32 * 48, dtype=np.uint16).reshape(5, 32, 48)
GREY = {"photometric": "minisblack"}


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "u4", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_grey_images(tmp_path, dtype, order, bigtiff):
    values = VOLUME[0].astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", values, byteorder=order, bigtiff=bigtiff, **GREY)
    reading = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(reading.array[..., 0], values)
    assert (reading.array.dtype, reading.array.dtype.isnative) == (np.dtype(dtype), True)
    assert reading.metadata == {"format": "tiff", "bits": np.dtype(dtype).itemsize * 8}


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits", "zstd", "jpeg2000", "jpeg"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colour_packed_in_many_ways(tmp_path, picture, compression, tile, planar):
    values = picture if planar == "contig" else np.ascontiguousarray(picture.transpose(2, 0, 1))
    arguments = {"level": 100, "outcolorspace": "rgb"} if compression == "jpeg" else None
    tifffile.imwrite(
        tmp_path / "a.tif",
        values,
        photometric="rgb",
        compression=compression,
        compressionargs=arguments,
        tile=tile,
        planarconfig=planar,
    )
    reading = read(tmp_path / "a.tif")
    assert reading.array.shape == picture.shape
    assert np.abs(reading.array.astype(int) - picture).max() <= (3 if compression == "jpeg" else 0)


@pytest.mark.parametrize("how", ["one block", "a page each", "packed", "another program", "ImageJ", "OME"])
def test_pages_are_a_volume(tmp_path, how):
    path = tmp_path / ("a.ome.tif" if how == "OME" else "a.tif")
    settings = {
        "packed": {"compression": "zlib"},
        "ImageJ": {"imagej": True, "metadata": {"axes": "ZYX"}},
        "OME": {"metadata": {"axes": "ZYX"}},
    }
    if how == "another program":
        pages = [Image.fromarray(page) for page in VOLUME]
        pages[0].save(path, save_all=True, append_images=pages[1:])
    elif how == "a page each":
        with tifffile.TiffWriter(path) as writer:
            for page in VOLUME:
                writer.write(page, contiguous=False, metadata=None, **GREY)
    else:
        tifffile.imwrite(path, VOLUME, **settings.get(how, {}), **GREY)
    reading = read(path)
    np.testing.assert_array_equal(reading.array[..., 0], VOLUME)


@pytest.mark.parametrize(
    ("unit", "size", "millimetres"), [("µm", 0.5, 0.0005), ("mm", 0.5, 0.5), ("nm", 500, 0.0005), ("cm", 0.05, 0.5)]
)
def test_spacing_of_ome(tmp_path, unit, size, millimetres):
    sizes = {f"PhysicalSize{axis}": size * k for k, axis in enumerate("XYZ", start=1)}
    units = {f"PhysicalSize{axis}Unit": unit for axis in "XYZ"}
    tifffile.imwrite(tmp_path / "a.ome.tif", VOLUME, metadata={"axes": "ZYX", **sizes, **units}, **GREY)
    assert read(tmp_path / "a.ome.tif").spacing == pytest.approx((3 * millimetres, 2 * millimetres, millimetres))


def test_channels_of_ome_are_the_last_axis(tmp_path):
    values = np.stack([VOLUME, VOLUME + 1], axis=1)
    tifffile.imwrite(tmp_path / "a.ome.tif", values, metadata={"axes": "ZCYX"}, **GREY)
    np.testing.assert_array_equal(read(tmp_path / "a.ome.tif").array, np.stack([VOLUME, VOLUME + 1], axis=-1))


def test_two_axes_of_pages_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", np.stack([VOLUME, VOLUME]), metadata={"axes": "TZYX"}, **GREY)
    with pytest.raises(
        DataError, match="has the axes T 2, Z 5, Y 32, X 48; expected height and width, one axis of pages"
    ):
        read(tmp_path / "a.ome.tif")


def test_spacing_of_imagej(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        VOLUME,
        imagej=True,
        resolution=(2, 4),
        metadata={"axes": "ZYX", "unit": "um", "spacing": 3},
        **GREY,
    )
    assert read(tmp_path / "a.tif").spacing == pytest.approx((0.003, 0.00025, 0.0005))


@pytest.mark.parametrize(
    ("resolution", "unit", "spacing"),
    [((100, 50), "CENTIMETER", (0.2, 0.1)), ((254, 254), "INCH", (0.1, 0.1)), ((254, 254), "NONE", None)],
)
def test_spacing_of_the_resolution(tmp_path, resolution, unit, spacing):
    tifffile.imwrite(tmp_path / "a.tif", VOLUME[0], resolution=resolution, resolutionunit=unit, metadata=None, **GREY)
    found = read(tmp_path / "a.tif").spacing
    assert found == (spacing and pytest.approx(spacing))


@pytest.mark.parametrize(
    ("dots", "unit"), [(72, "INCH"), (96, "INCH"), (300, "INCH"), (28.35, "CENTIMETER"), (1, "INCH")]
)
def test_the_resolution_of_a_printer_is_no_spacing(tmp_path, dots, unit):
    tifffile.imwrite(tmp_path / "a.tif", VOLUME[0], resolution=(dots, dots), resolutionunit=unit, metadata=None, **GREY)
    reading = read(tmp_path / "a.tif")
    assert reading.spacing is None
    assert reading.metadata["notes"][0].endswith("dots an inch are for printing: no spacing")


def test_white_is_zero(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", VOLUME[0], photometric="miniswhite")
    reading = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(reading.array[..., 0], 65535 - VOLUME[0])
    assert reading.metadata["notes"] == ["MINISWHITE inverted: larger is brighter"]


@pytest.mark.parametrize(("photometric", "expected"), [("minisblack", [0, 255]), ("miniswhite", [255, 0])])
def test_one_bit(tmp_path, photometric, expected):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[False, True]] * 3), photometric=photometric)
    reading = read(tmp_path / "a.tif")
    assert (reading.array[0].ravel().tolist(), reading.metadata["bits"]) == (expected, 1)


def test_palette(tmp_path, picture):
    image = Image.fromarray(picture).convert("P")
    image.save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read(tmp_path / "a.tif").array, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_dropped(tmp_path, picture, mode):
    image = Image.fromarray(picture).convert(mode)
    image.save(tmp_path / "a.tif")
    reading = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(reading.array, np.asarray(image)[..., :-1])
    assert reading.metadata["notes"] == ["transparency dropped"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(tmp_path, picture, orientation):
    from PIL import ImageOps

    path = tmp_path / "a.tif"
    Image.fromarray(picture).save(path, tiffinfo={274: orientation, 282: 100.0, 283: 50.0, 296: 3})
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(picture).save(tmp_path / "a.png", exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.png")))
    reading = read(path)
    np.testing.assert_array_equal(reading.array, upright)
    assert reading.spacing == pytest.approx((0.2, 0.1) if orientation < 5 else (0.1, 0.2))
    np.testing.assert_array_equal(turned(picture, orientation), upright)


def test_further_series_are_said(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(VOLUME[0], metadata=None, **GREY)
        writer.write(VOLUME[0, :8, :8], metadata=None, **GREY)
    reading = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(reading.array[..., 0], VOLUME[0])
    assert reading.metadata["notes"] == ["series left out after the first: 1"]


@pytest.mark.parametrize("compression", [None, "zlib", "jpeg"])
@pytest.mark.parametrize("pages", [1, 5])
def test_truncated(tmp_path, compression, pages):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, (VOLUME[:pages] // 32).astype("u1"), compression=compression, metadata=None, **GREY)
    whole = path.read_bytes()
    for share in (0.001, 0.1, 0.5, 0.9, 0.99):
        path.write_bytes(whole[: max(4, int((len(whole) - 1) * share))])
        with pytest.raises(DataError, match=r"is truncated|has no page|not there|is damaged"):
            read(path)


def test_pages_that_run_in_a_circle(tmp_path):
    """Longer than the hundred pages after which others look for one."""
    pages = 150
    places = [8 + 6 * k for k in range(pages)]
    directories = b"".join(struct.pack("<HI", 0, places[(k + 1) % pages]) for k in range(pages))
    (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<I", 8) + directories)
    with pytest.raises(DataError, match="its pages run in a circle"):
        read(tmp_path / "a.tif")


def test_a_size_that_cannot_be(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, VOLUME[0], metadata=None, compression="zlib", **GREY)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tiff.pages[0].tags[name].overwrite(60_000)
    with pytest.raises(DataError, match="declares 60000 x 60000 = 3,600,000,000 pixels"):
        read(path)


def test_planes_in_other_files_are_not_looked_for(tmp_path):
    """The description names a second file, here one that lies outside of the folder."""
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, VOLUME[:2], metadata={"axes": "ZYX"}, **GREY)
    with tifffile.TiffFile(path) as tiff:
        xml = tiff.pages[0].description
    data = '<TiffData IFD="0" FirstZ="{z}" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{z}</UUID></TiffData>'
    parts = data.format(z=0, name="a.ome.tif") + data.format(z=1, name="../b.ome.tif")
    start, end = xml.index("<TiffData"), xml.index("</Pixels>")
    tifffile.imwrite(path, VOLUME[:1], description=xml[:start] + parts + xml[end:], metadata=None, **GREY)
    tifffile.imwrite(tmp_path.parent / "b.ome.tif", VOLUME[1], description="", metadata=None, **GREY)
    reading = read(path)
    np.testing.assert_array_equal(reading.array[..., 0], VOLUME[0])
    assert reading.metadata["notes"][0].startswith("its description names other files or is damaged")


def test_entities_are_not_read(tmp_path):
    bomb = '<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><OME>&b;</OME>'
    tifffile.imwrite(tmp_path / "a.ome.tif", VOLUME[0], description=bomb, metadata=None, **GREY)
    with pytest.raises(DataError, match="its XML description declares entities, which are not read"):
        read(tmp_path / "a.ome.tif")


def test_a_small_tile_with_a_huge_jpeg(tmp_path, picture):
    """The tile's own header says 60,000 x 60,000."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture, photometric="rgb", compression="jpeg", metadata=None)
    content = path.read_bytes()
    start = content.index(b"\xff\xc0")
    path.write_bytes(content[: start + 5] + struct.pack(">HH", 60_000, 60_000) + content[start + 9 :])
    with pytest.raises(DataError, match="declares 60000 x 60000"):
        read(path)


@pytest.mark.parametrize("photometric", ["separated", "cielab"])
def test_colours_that_are_not_read(tmp_path, picture, photometric):
    values = np.concatenate([picture, picture[..., :1]], -1) if photometric == "separated" else picture
    tifffile.imwrite(tmp_path / "a.tif", values, photometric=photometric)
    with pytest.raises(DataError, match=rf"its colours are {photometric.upper()}; expected one of MINISWHITE"):
        read(tmp_path / "a.tif")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", VOLUME[0], **GREY)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(MissingExtraError, match="tifffile is not installed"):
        read(tmp_path / "a.tif")


def test_a_missing_decoder_is_named(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", VOLUME[0], compression="zstd", **GREY)
    without = (
        "import sys; sys.modules['imagecodecs'] = None; from tumorkeras.data.readers import read; read(sys.argv[1])"
    )
    done = subprocess.run([sys.executable, "-c", without, tmp_path / "a.tif"], capture_output=True, text=True)
    assert (
        "MissingExtraError: imagecodecs is not installed; install it with: pip install 'tumorkeras[medical]'"
        in done.stderr
    )
