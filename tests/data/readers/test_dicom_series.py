import shutil

import numpy as np
import pytest

from tumorkeras.data.readers import format_of, read
from tumorkeras.errors import DataError

VOLUME = np.arange(5 * 4 * 6, dtype=np.int16).reshape(5, 4, 6)
SAGITTAL = [0, 1, 0, 0, 0, -1]


def test_slices_are_ordered_by_position(write_series):
    folder = write_series(VOLUME, step=2.5, spacing=(0.5, 0.75))
    reading = read(folder)
    np.testing.assert_array_equal(reading.array[..., 0], VOLUME)
    assert (reading.spacing, reading.array.dtype) == ((2.5, 0.5, 0.75), np.int16)
    assert reading.metadata == {
        "format": "dicom",
        "bits": 16,
        "modality": "OT",
        "photometric": "MONOCHROME2",
        "slices": 5,
    }
    assert format_of(folder) == "dicom"


@pytest.mark.parametrize("seed", range(3))
def test_any_order_on_disk_gives_the_same_volume(write_series, tmp_path, seed):
    np.testing.assert_array_equal(
        read(write_series(VOLUME, seed=seed, folder=tmp_path / str(seed))).array[..., 0], VOLUME
    )


def test_distance_is_measured_whatever_the_header_says(write_series):
    assert read(write_series(VOLUME, step=1.25, SliceThickness=5, SpacingBetweenSlices=5)).spacing[0] == 1.25


def test_slices_of_any_direction(write_dicom, tmp_path):
    """Sagittal slices: the normal of rows (to the back) and columns (to the feet) points to the right."""
    for k, values in enumerate(VOLUME):
        place = [60 - 3 * k, -100, 50]
        write_dicom(
            values,
            f"{k}.dcm",
            tmp_path / "s",
            ImagePositionPatient=place,
            ImageOrientationPatient=SAGITTAL,
            PixelSpacing=[1, 1],
        )
    reading = read(tmp_path / "s")
    np.testing.assert_array_equal(reading.array[..., 0], VOLUME)
    assert reading.spacing == (3.0, 1.0, 1.0)


def test_rescaled_slices_are_floats_even_if_one_is_not(write_series, write_dicom):
    folder = write_series(VOLUME[:4], RescaleSlope=2, RescaleIntercept=-10)
    common = {"SeriesInstanceUID": "1.2.3", "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [0.5, 0.75]}
    write_dicom(VOLUME[4], "last.dcm", folder, ImagePositionPatient=[-20, -30, 110], **common)
    array = read(folder).array
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array[:4, ..., 0], VOLUME[:4] * 2 - 10)
    np.testing.assert_array_equal(array[4, ..., 0], VOLUME[4])


def test_what_is_no_slice_is_left_out_and_said(write_series, make_dataset):
    folder = write_series(VOLUME)
    (folder / "readme.txt").write_text("about this series")
    (folder / ".hidden").write_bytes(b"x")
    (folder / "DICOMDIR").write_bytes(b"an index")
    report = make_dataset(VOLUME[0], SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    del report.PixelData, report.Rows, report.Columns
    report.save_as(folder / "report.dcm", enforce_file_format=True)
    reading = read(folder)
    np.testing.assert_array_equal(reading.array[..., 0], VOLUME)
    assert reading.metadata["notes"] == [
        "files left out, as they are no DICOM: 1",
        "files left out, as they have no pixel data: 1",
    ]


def test_a_missing_slice_is_a_gap(write_series):
    folder = write_series(VOLUME)
    heights = {path.name: read_height(path) for path in folder.iterdir()}
    below, lost, above = sorted(heights, key=heights.get)[1:4]
    (folder / lost).unlink()
    with pytest.raises(DataError) as caught:
        read(folder)
    assert caught.value.faults == [f"{below} and {above} are 5 mm apart, most are 2.5 mm"]


def read_height(path):
    from pydicom import dcmread

    return float(dcmread(path).ImagePositionPatient[2])


@pytest.mark.parametrize(("shift", "notes"), [(0.001, 0), (0.1, 1)])
def test_gaps_that_differ_a_little_are_a_note(write_dicom, tmp_path, shift, notes):
    for k, z in enumerate([0, 2, 4 + shift, 6, 8]):
        place = {"ImagePositionPatient": [0, 0, z], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
        write_dicom(VOLUME[k], f"{k}.dcm", tmp_path / "s", PixelSpacing=[1, 1], **place)
    reading = read(tmp_path / "s")
    assert reading.spacing[0] == pytest.approx(2.0)
    assert len(reading.metadata.get("notes", [])) == notes


def test_two_slices_at_one_place(write_series, tmp_path):
    folder = write_series(VOLUME)
    shutil.copy(folder / "000.dcm", folder / "twice.dcm")
    with pytest.raises(DataError, match=r"000\.dcm and twice\.dcm lie at one place; keep one phase or repetition"):
        read(folder)


def test_a_tilted_gantry_is_said(write_dicom, tmp_path):
    for k, values in enumerate(VOLUME):
        place = {"ImagePositionPatient": [0, 0.5 * k, 2.0 * k], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
        write_dicom(values, f"{k}.dcm", tmp_path / "s", PixelSpacing=[1, 1], **place)
    reading = read(tmp_path / "s")
    assert reading.spacing == (2.0, 1.0, 1.0)
    assert reading.metadata["notes"] == ["slices are shifted against one another (tilted gantry): not resampled"]


def test_everything_that_is_mixed_is_named_at_once(write_series, write_dicom):
    folder = write_series(VOLUME)
    write_dicom(
        np.zeros((2, 3), np.uint8),
        "x.dcm",
        folder,
        SeriesInstanceUID="9.8.7",
        PixelSpacing=[1, 1],
        ImagePositionPatient=[0, 0, 300],
        ImageOrientationPatient=SAGITTAL,
    )
    with pytest.raises(DataError) as caught:
        read(folder)
    assert caught.value.faults == [
        "more than one series (000.dcm and 4 more; x.dcm); keep one in a folder",
        "more than one size (000.dcm and 4 more: 6 x 4; x.dcm: 3 x 2); keep one in a folder",
        "more than one kind of pixels (000.dcm and 4 more: MONOCHROME2 16 bit signed; "
        "x.dcm: MONOCHROME2 8 bit unsigned); keep one in a folder",
        "more than one pixel spacing (000.dcm and 4 more: 0.5 x 0.75; x.dcm: 1.0 x 1.0); keep one in a folder",
        "more than one direction (000.dcm and 4 more: 1.0 x 0.0 x 0.0 x 0.0 x 1.0 x 0.0; "
        "x.dcm: 0.0 x 1.0 x 0.0 x 0.0 x 0.0 x -1.0); keep one in a folder",
    ]


def test_slices_without_positions_go_by_number(write_dicom, tmp_path):
    for k, values in enumerate(VOLUME):
        write_dicom(values, f"{9 - k}.dcm", tmp_path / "s", InstanceNumber=k + 1, PixelSpacing=[1, 2])
    reading = read(tmp_path / "s")
    np.testing.assert_array_equal(reading.array[..., 0], VOLUME)
    assert reading.spacing is None
    assert reading.metadata["pixel_spacing"] == (1.0, 2.0)
    assert reading.metadata["notes"] == ["slices without positions: in the order of their numbers"]


@pytest.mark.parametrize("number", [None, 1])
def test_slices_that_nothing_orders(write_dicom, tmp_path, number):
    for k, values in enumerate(VOLUME):
        write_dicom(values, f"{k}.dcm", tmp_path / "s", InstanceNumber=number)
    with pytest.raises(DataError, match="neither positions nor numbers"):
        read(tmp_path / "s")


def test_slices_of_which_some_have_no_position(write_series, write_dicom):
    folder = write_series(VOLUME)
    common = {"SeriesInstanceUID": "1.2.3", "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [0.5, 0.75]}
    write_dicom(VOLUME[0], "lost.dcm", folder, **common)
    with pytest.raises(DataError, match=r"lost\.dcm: has no ImagePositionPatient, the others have one"):
        read(folder)


def test_broken_slices_are_all_named(write_series):
    folder = write_series(VOLUME)
    for name in ("000.dcm", "003.dcm"):
        (folder / name).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        read(folder)
    assert caught.value.faults == ["000.dcm: the file is empty", "003.dcm: the file is empty"]


def test_a_slice_without_all_of_its_pixels(write_series):
    folder = write_series(VOLUME)
    (folder / "002.dcm").write_bytes((folder / "002.dcm").read_bytes()[:-10])
    with pytest.raises(DataError, match=r"002\.dcm: is truncated"):
        read(folder)


@pytest.mark.parametrize("thickness", [None, 4])
def test_one_slice_is_a_volume_of_one(write_dicom, tmp_path, thickness):
    write_dicom(VOLUME[0], "a.dcm", tmp_path / "s", PixelSpacing=[1, 2], SliceThickness=thickness)
    reading = read(tmp_path / "s")
    assert reading.array.shape == (1, 4, 6, 1)
    assert reading.spacing == (None if thickness is None else (4.0, 1.0, 2.0))


def test_one_file_of_several_frames_is_the_volume(write_dicom, tmp_path):
    write_dicom(VOLUME, "a.dcm", tmp_path / "s")
    np.testing.assert_array_equal(read(tmp_path / "s").array[..., 0], VOLUME)
    write_dicom(VOLUME, "b.dcm", tmp_path / "s")
    with pytest.raises(DataError, match=r"2 faults\n.*a\.dcm: has several frames, a volume of its own"):
        read(tmp_path / "s")


def test_folders_without_dicom(tmp_path):
    with pytest.raises(DataError, match="is a folder without DICOM files"):
        read(tmp_path)
    assert format_of(tmp_path) is None


def test_too_many_slices_are_refused_before_they_are_decoded(write_series):
    with pytest.raises(DataError, match="declares 5 x 4 x 6 = 120 pixels; the limit is 100"):
        read(write_series(VOLUME), max_pixels=100)
