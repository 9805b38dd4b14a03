import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from tumorkeras.data.readers import read
from tumorkeras.errors import DataError, MissingExtraError

VALUES = np.arange(12, dtype=np.uint16).reshape(3, 4) * 100


def item(**tags):
    dataset = Dataset()
    for tag, value in tags.items():
        setattr(dataset, tag, value)
    return dataset


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_values_and_spacing(write_dicom, syntax, dtype):
    values = (VALUES // 100 - (5 if dtype == np.int16 else 0)).astype(dtype)
    reading = read(write_dicom(values, syntax=syntax, PixelSpacing=[0.5, 0.75]))
    np.testing.assert_array_equal(reading.array[..., 0], values)
    assert (reading.array.dtype, reading.array.dtype.isnative, reading.spacing) == (dtype, True, (0.5, 0.75))
    assert reading.metadata == {
        "format": "dicom",
        "bits": values.dtype.itemsize * 8,
        "modality": "OT",
        "photometric": "MONOCHROME2",
    }


def test_a_deflated_file(make_dataset, tmp_path):
    dataset = make_dataset(VALUES, syntax=DeflatedExplicitVRLittleEndian)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(read(tmp_path / "a.dcm").array[..., 0], VALUES)


def test_a_deflated_bomb(make_dataset, tmp_path):
    """16 MiB of a text, where 16 bytes are allowed for each of 12 pixels, and 16 MiB for any file."""
    dataset = make_dataset(VALUES, syntax=DeflatedExplicitVRLittleEndian, TextValue="x" * 2**24)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert (tmp_path / "a.dcm").stat().st_size < 2**16
    with pytest.raises(DataError, match="unpacks to more than 16,777,216 bytes; the limit on pixels is 12"):
        read(tmp_path / "a.dcm", max_pixels=12)


def test_a_deflated_bomb_behind_a_long_header(make_dataset, tmp_path):
    dataset = make_dataset(VALUES, syntax=DeflatedExplicitVRLittleEndian)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    content = (tmp_path / "a.dcm").read_bytes()
    long = b"\2\0\1\0OB\0\0" + (2**17).to_bytes(4, "little") + bytes(2**17)
    (tmp_path / "a.dcm").write_bytes(content[:132] + long + content[132:])
    with pytest.raises(DataError, match="its file meta information is longer than any can be"):
        read(tmp_path / "a.dcm")


def test_a_file_of_old_without_preamble(make_dataset, tmp_path):
    dataset = make_dataset(VALUES, syntax=ImplicitVRLittleEndian)
    del dataset.file_meta
    dataset.save_as(tmp_path / "scan", implicit_vr=True, little_endian=True, enforce_file_format=False)
    np.testing.assert_array_equal(read(tmp_path / "scan").array[..., 0], VALUES)


@pytest.mark.parametrize("plug_in", ["pydicom", "pylibjpeg"])
@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_packed_values(make_dataset, tmp_path, syntax, plug_in):
    dataset = make_dataset(VALUES.repeat(16, 0).repeat(16, 1))
    if plug_in == "pydicom" and syntax == JPEG2000Lossless:
        plug_in = "pylibjpeg"
    dataset.compress(syntax, encoding_plugin=plug_in)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(read(tmp_path / "a.dcm").array[..., 0], VALUES.repeat(16, 0).repeat(16, 1))


def packed(dataset, stream, syntax):
    from pydicom.encaps import encapsulate

    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


JPEG_BASELINE, JPEG_LOSSLESS = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"
JPEG_LS, JPEG_2000 = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.91"


@pytest.mark.parametrize("syntax", [JPEG_BASELINE, JPEG_LOSSLESS, JPEG_LS, JPEG_2000])
def test_grey_streams_of_every_kind(make_dataset, tmp_path, picture, syntax):
    import imagecodecs

    grey = np.ascontiguousarray(picture[..., 0])
    encode = {
        JPEG_BASELINE: lambda: imagecodecs.jpeg8_encode(grey, level=100),
        JPEG_LOSSLESS: lambda: imagecodecs.jpeg8_encode(grey, lossless=True),
        JPEG_LS: lambda: imagecodecs.jpegls_encode(grey),
        JPEG_2000: lambda: imagecodecs.jpeg2k_encode(grey, codecformat="j2k", level=0),
    }[syntax]
    packed(make_dataset(grey), encode(), syntax).save_as(tmp_path / "a.dcm", enforce_file_format=True)
    array = read(tmp_path / "a.dcm").array
    assert np.abs(array[..., 0].astype(int) - grey).max() <= (2 if syntax == JPEG_BASELINE else 0)


def test_a_jpeg_in_luminance_and_colour_differences(make_dataset, tmp_path, picture):
    """The usual colour ultrasound: YBR_FULL_422, which must come back as red, green and blue."""
    import imagecodecs

    stream = imagecodecs.jpeg8_encode(picture, level=95, colorspace="RGB", outcolorspace="YCBCR", subsampling="422")
    dataset = packed(make_dataset(picture, PhotometricInterpretation="YBR_FULL_422"), stream, JPEG_BASELINE)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    array = read(tmp_path / "a.dcm").array
    assert array.shape == picture.shape
    assert np.abs(array.astype(int) - picture).mean() < 3


def test_uncompressed_luminance_and_colour_differences(write_dicom, picture):
    from PIL import Image

    stored = np.asarray(Image.fromarray(picture).convert("YCbCr"))
    array = read(write_dicom(stored, PhotometricInterpretation="YBR_FULL")).array
    assert np.abs(array.astype(int) - picture).max() <= 3


@pytest.mark.parametrize("planes", [0, 1])
def test_colour(write_dicom, picture, planes):
    stored = picture.transpose(2, 0, 1).reshape(picture.shape) if planes else picture
    path = write_dicom(stored, PhotometricInterpretation="RGB", PlanarConfiguration=planes)
    np.testing.assert_array_equal(read(path).array, picture)


@pytest.mark.parametrize(
    ("dtype", "bits", "stored", "expected"),
    [
        (np.uint8, 8, [0, 1, 255], [255, 254, 0]),
        (np.uint16, 12, [0, 1, 4095], [4095, 4094, 0]),
        (np.int16, 16, [-32768, 0, 32767], [32767, -1, -32768]),
        (np.int16, 12, [-2048, 0, 2047], [2047, -1, -2048]),
    ],
)
def test_monochrome1_is_inverted(write_dicom, dtype, bits, stored, expected):
    path = write_dicom(
        np.array([stored], dtype), PhotometricInterpretation="MONOCHROME1", BitsStored=bits, HighBit=bits - 1
    )
    reading = read(path)
    assert (reading.array.ravel().tolist(), reading.array.dtype) == (expected, dtype)
    assert reading.metadata["notes"] == ["MONOCHROME1 inverted: larger is brighter"]


def test_hounsfield_units_are_not_inverted(write_dicom):
    path = write_dicom(
        np.array([[0, 1024]], np.uint16),
        PhotometricInterpretation="MONOCHROME1",
        RescaleSlope=1,
        RescaleIntercept=-1024,
        RescaleType="HU",
    )
    reading = read(path)
    assert reading.array.ravel().tolist() == [-1024, 0]
    assert reading.metadata["notes"] == ["MONOCHROME1, not inverted: its values are Hounsfield units"]


@pytest.mark.parametrize(
    ("slope", "intercept", "expected", "dtype"),
    [(1, 0, [0, 100], np.uint16), (1, -1024, [-1024, -924], np.float32), (0.5, 1, [1, 51], np.float32)],
)
def test_rescaling(write_dicom, slope, intercept, expected, dtype):
    reading = read(write_dicom(VALUES[:1, :2], RescaleSlope=slope, RescaleIntercept=intercept))
    assert (reading.array.ravel().tolist(), reading.array.dtype) == (expected, dtype)


def test_a_modality_table(write_dicom):
    table = item(LUTDescriptor=[3, 0, 16], LUTData=[5, 50, 500], ModalityLUTType="OD")
    table["LUTData"].VR = table["LUTDescriptor"].VR = "US"
    reading = read(write_dicom(np.array([[0, 1, 2, 9]], np.uint16), ModalityLUTSequence=[table]))
    assert reading.array.ravel().tolist() == [5, 50, 500, 500]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize(
    ("entries", "expected"), [([0, 0x8080, 0xFFFF], [0, 0x80, 0xFF]), ([0, 0x80FF, 0xFFFF], [0, 0x80FF, 0xFFFF])]
)
def test_palette_colours(write_dicom, syntax, entries, expected):
    order = ">u2" if syntax == ExplicitVRBigEndian else "<u2"
    tables = {
        f"{name}PaletteColorLookupTableData": np.array(np.roll(entries, k), order).tobytes()
        for k, name in enumerate(("Red", "Green", "Blue"))
    }
    descriptors = {f"{name}PaletteColorLookupTableDescriptor": [3, 0, 16] for name in ("Red", "Green", "Blue")}
    path = write_dicom(
        np.array([[0, 1, 2]], np.uint8),
        syntax=syntax,
        PhotometricInterpretation="PALETTE COLOR",
        **tables,
        **descriptors,
    )
    array = read(path).array
    np.testing.assert_array_equal(array[0].T, [np.roll(expected, k) for k in range(3)])


@pytest.mark.parametrize(("dtype", "expected"), [(np.uint16, [0x0FFF, 1]), (np.int16, [-1, 1])])
def test_bits_beside_the_pixel_are_left_out(write_dicom, dtype, expected):
    """Files of old keep an overlay in the upper four bits."""
    stored = np.array([[0x0FFF, 0x1001]], np.uint16).view(dtype)
    reading = read(write_dicom(stored, BitsStored=12, HighBit=11))
    assert reading.array.ravel().tolist() == expected


def test_a_loop_over_time_has_no_spacing_along_time(write_dicom):
    frames = np.stack([VALUES + k for k in range(5)]).astype(np.uint8)
    region = item(
        RegionSpatialFormat=1,
        PhysicalUnitsXDirection=3,
        PhysicalUnitsYDirection=3,
        PhysicalDeltaX=0.02,
        PhysicalDeltaY=0.03,
    )
    reading = read(write_dicom(frames, FrameTime=40, Modality="US", SequenceOfUltrasoundRegions=[region]))
    np.testing.assert_array_equal(reading.array[..., 0], frames)
    assert reading.spacing is None
    assert reading.metadata["pixel_spacing"] == (0.3, 0.2)
    assert (reading.metadata["frames"], reading.metadata["fps"]) == (5, 25.0)


def region(**tags):
    usual = {"RegionSpatialFormat": 1, "PhysicalUnitsXDirection": 3, "PhysicalUnitsYDirection": 3}
    return item(**(usual | {"PhysicalDeltaX": 0.01, "PhysicalDeltaY": 0.01} | tags))


@pytest.mark.parametrize(
    ("regions", "spacing"),
    [
        ([region()], (0.1, 0.1)),
        ([region(), region(RegionSpatialFormat=3, PhysicalUnitsXDirection=4)], (0.1, 0.1)),  # a Doppler strip beside
        ([region(), region(PhysicalDeltaX=0.02)], None),
        ([region(PhysicalUnitsXDirection=0)], None),
    ],
)
def test_ultrasound_spacing(write_dicom, regions, spacing):
    assert read(write_dicom(VALUES, SequenceOfUltrasoundRegions=regions)).spacing == spacing


def test_spacing_of_the_detector_is_said(write_dicom):
    reading = read(write_dicom(VALUES, ImagerPixelSpacing=[0.2, 0.2]))
    assert reading.spacing == (0.2, 0.2)
    assert reading.metadata["notes"] == ["spacing is that of the detector: what lies in the body is smaller"]
    assert "notes" not in read(write_dicom(VALUES, ImagerPixelSpacing=[0.2, 0.2], PixelSpacing=[0.1, 0.1])).metadata


@pytest.mark.parametrize("steps", [["0", "1"], ["-1", "1"], None])
def test_spacing_that_says_nothing(write_dicom, steps):
    assert read(write_dicom(VALUES, PixelSpacing=steps)).spacing is None


def enhanced(places, lines=None):
    """Functional groups of frames, each at a place along z, in mm."""
    lines = lines or [(1, 0)] * len(places)
    per_frame = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, place])],
            PixelValueTransformationSequence=[item(RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="US")],
        )
        for place, (slope, intercept) in zip(places, lines, strict=True)
    ]
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.6], SliceThickness=9)],
    )
    return {"PerFrameFunctionalGroupsSequence": per_frame, "SharedFunctionalGroupsSequence": [shared]}


def test_frames_that_name_their_places_are_ordered(write_dicom):
    frames = np.stack([VALUES, VALUES + 1, VALUES + 2])
    reading = read(write_dicom(frames, **enhanced([4, 0, 2])))
    np.testing.assert_array_equal(reading.array[..., 0], frames[[1, 2, 0]])
    assert reading.spacing == (2.0, 0.5, 0.6)


def test_frames_have_slopes_of_their_own(write_dicom):
    frames = np.ones((3, 2, 2), np.uint16)
    array = read(write_dicom(frames, **enhanced([0, 1, 2], [(1, 0), (2, 0), (3, 5)]))).array
    assert array[:, 0, 0, 0].tolist() == [1, 2, 8]


def test_frames_at_one_place_keep_their_order(write_dicom):
    reading = read(write_dicom(np.stack([VALUES, VALUES + 1]), **enhanced([3, 3])))
    np.testing.assert_array_equal(reading.array[0, ..., 0], VALUES)
    assert reading.metadata["notes"] == ["frames do not lie evenly: kept in their order"]


def test_nobody_is_named_unless_asked_for(write_dicom, write_series):
    for path in (write_dicom(VALUES), write_series(np.stack([VALUES] * 3))):
        plain, told = read(path).metadata, read(path, identifying=True).metadata
        for name in ("Doe", "P-4711", "19700131", "1.2.3"):
            assert name not in str(plain)
        assert told["identifying"]["PatientName"] == "Doe^Jane"
        assert told["identifying"]["PatientID"] == "P-4711"
        assert told["identifying"]["PatientBirthDate"] == "19700131"
        del told["identifying"]
        assert told == plain


def test_errors_name_nobody(write_dicom, tmp_path):
    whole = write_dicom(VALUES).read_bytes()
    for k, end in enumerate(range(200, len(whole), 40)):
        path = tmp_path / f"{k}.dcm"
        path.write_bytes(whole[:end])
        with pytest.raises(DataError) as caught:
            read(path)
        assert not any(name in str(caught.value) for name in ("Doe", "P-4711", "19700131"))


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"Rows": 400}, "is truncated: 24 bytes of values are there, 3,200 are declared"),
        ({"Rows": 60_000, "Columns": 60_000}, "declares 1 x 60000 x 60000 = 3,600,000,000 pixels"),
        ({"Rows": 0}, "none at all"),
        ({"PhotometricInterpretation": "HSV"}, "its colours are HSV in 1 samples a pixel, which cannot be read"),
        ({"BitsStored": 12, "HighBit": 15}, "keeps 12 bits below bit 15, not from bit 0 on"),
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, "no slope of 0"),
    ],
)
def test_headers_that_cannot_be(write_dicom, tags, words):
    with pytest.raises(DataError, match=words):
        read(write_dicom(VALUES, **tags))


def test_a_report_is_no_image(make_dataset, tmp_path):
    dataset = make_dataset(VALUES, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    del dataset.PixelData
    dataset.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    with pytest.raises(DataError, match=r"report\.dcm: holds no pixel data \(it is Basic Text SR Storage\)"):
        read(tmp_path / "report.dcm")


def test_text_is_no_dicom(tmp_path):
    (tmp_path / "a.dcm").write_text("nothing of the kind")
    with pytest.raises(DataError, match="is named like DICOM, but its content is something else"):
        read(tmp_path / "a.dcm")


def test_a_stream_larger_than_the_file_says(make_dataset, tmp_path, picture):
    import cv2

    dataset = make_dataset(picture[:4, :4, 0].copy())
    packed(dataset, cv2.imencode(".jpg", picture[..., 0])[1].tobytes(), JPEG_BASELINE)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(DataError, match="frame 1 is packed as 64 x 48 pixels; 4 x 4 are declared"):
        read(tmp_path / "a.dcm")


def test_a_film_in_a_dicom_is_said(make_dataset, tmp_path):
    dataset = packed(make_dataset(VALUES), b"\0\0\0\1film", "1.2.840.10008.1.2.4.102")
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with pytest.raises(DataError, match=r"packed as MPEG-4 AVC/H\.264 High Profile.*, which cannot be decoded"):
        read(tmp_path / "a.dcm")


def test_a_missing_package_is_named_with_its_extra(write_dicom, monkeypatch):
    path = write_dicom(VALUES)
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    with pytest.raises(MissingExtraError, match=r"pydicom is not installed; .* 'tumorkeras\[medical\]'"):
        read(path)


def test_the_file_that_comes_with_pydicom():
    """An image that others made, with a TIFF header in its preamble: values as pydicom gives them, rescaled."""
    from pydicom.data import get_testdata_file

    path = get_testdata_file("CT_small.dcm")
    dataset = dcmread(path)
    reading = read(path)
    np.testing.assert_array_equal(reading.array[..., 0], dataset.pixel_array - 1024.0)
    assert reading.spacing == (0.661468, 0.661468)
