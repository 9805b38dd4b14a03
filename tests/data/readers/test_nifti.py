import gzip
import itertools

import nibabel
import numpy as np
import pytest

from tumorkeras.data.readers import read
from tumorkeras.errors import DataError

DEPTH, HEIGHT, WIDTH = 3, 4, 5
VOLUME = np.arange(DEPTH * HEIGHT * WIDTH, dtype=np.int16).reshape(DEPTH, HEIGHT, WIDTH)
# The array as (x, y, z) with x to the right, y to the front, z to the head: what nibabel calls RAS.
RAS = VOLUME[:, ::-1, ::-1].transpose(2, 1, 0)
RAS_AFFINE = np.diag([0.5, 0.75, 2.0, 1.0])


def save(path, values, affine=RAS_AFFINE, unit="mm", kind=nibabel.Nifti1Image):
    image = kind(values, affine)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_axes_and_spacing(tmp_path, name, kind):
    reading = read(save(tmp_path / name, RAS, kind=kind))
    np.testing.assert_array_equal(reading.array[..., 0], VOLUME)
    assert (reading.array.dtype, reading.spacing) == (np.int16, (2.0, 0.75, 0.5))
    assert reading.array.flags.c_contiguous
    assert {key: reading.metadata[key] for key in ("format", "bits", "orientation")} == {
        "format": "nifti",
        "bits": 16,
        "orientation": "SPL",
    }


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", list(itertools.product([1, -1], repeat=3)))
def test_any_orientation_gives_the_same_volume(tmp_path, order, flips):
    """The same body stored along other axes, with the affine that says so."""
    canonical = nibabel.Nifti1Image(RAS, RAS_AFFINE)
    turned = canonical.as_reoriented(np.stack([order, flips], axis=1))
    nibabel.save(turned, tmp_path / "a.nii")
    reading = read(tmp_path / "a.nii")
    np.testing.assert_array_equal(reading.array[..., 0], VOLUME)
    np.testing.assert_allclose(reading.spacing, (2.0, 0.75, 0.5))


def test_an_oblique_volume_goes_to_the_closest_axes_and_keeps_its_places(tmp_path):
    angle = np.radians(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-0.5, 0.75, 2.0])
    affine[:3, 3] = [10, -20, 30]
    reading = read(save(tmp_path / "a.nii", RAS, affine))
    assert reading.spacing == pytest.approx((2.0, 0.75, 0.5), rel=1e-6)
    assert reading.metadata["notes"] == ["lies obliquely: axes are the closest to the patient's"]
    to_world = np.array(reading.metadata["affine"])
    for voxel in [(0, 0, 0), (4, 1, 2), (2, 3, 1)]:
        (place,) = np.argwhere(reading.array[..., 0] == RAS[voxel])
        np.testing.assert_allclose(to_world @ [*place, 1], affine @ [*voxel, 1], atol=1e-4)


def test_the_same_scan_as_dicom_gives_the_same_array(tmp_path, write_series):
    """An axial DICOM series counts to the left and to the back, NIfTI to the right and to the front."""
    series = read(write_series(VOLUME, step=2.0, spacing=(0.75, 0.5)))
    volume = read(save(tmp_path / "a.nii", RAS))
    np.testing.assert_array_equal(series.array, volume.array)
    np.testing.assert_allclose(series.spacing, volume.spacing)


@pytest.mark.parametrize(("unit", "millimetres"), [("mm", 1), ("meter", 1000), ("micron", 0.001)])
def test_units_become_millimetres(tmp_path, unit, millimetres):
    spacing = read(save(tmp_path / "a.nii", RAS, unit=unit)).spacing
    assert spacing == pytest.approx((2.0 * millimetres, 0.75 * millimetres, 0.5 * millimetres))


def test_what_the_header_does_not_say_is_a_note(tmp_path):
    path = save(tmp_path / "a.nii", RAS, unit="unknown")
    assert read(changed(path, 252, [0, 0], "<i2")).metadata["notes"] == [
        "names no unit of length: taken as millimetres",
        "names no orientation: taken as it is stored",
    ]


def test_two_spacings_in_one_header_are_a_note(tmp_path):
    reading = read(changed(save(tmp_path / "a.nii", RAS), 80, [1, 1, 1]))
    assert reading.spacing == (2.0, 0.75, 0.5)
    assert reading.metadata["notes"] == ["its header names two spacings: that of the affine is taken"]


@pytest.mark.parametrize(
    ("slope", "offset", "dtype"),
    [(np.nan, np.nan, np.int16), (1, 0, np.int16), (0, 9, np.int16), (0.5, -3, np.float32)],
)
def test_scaling(tmp_path, slope, offset, dtype):
    path = changed(save(tmp_path / "a.nii", RAS), 112, [slope, offset])
    array = read(path).array
    assert array.dtype == dtype
    np.testing.assert_array_equal(array[..., 0], VOLUME * 0.5 - 3 if dtype == np.float32 else VOLUME)
    np.testing.assert_allclose(array[..., 0], np.asarray(nibabel.load(path).dataobj)[::-1, ::-1].transpose(2, 1, 0))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8"])
def test_types_and_byte_orders(tmp_path, order, dtype):
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(dtype)
    nibabel.save(nibabel.Nifti1Image(RAS.astype(dtype), RAS_AFFINE, header), tmp_path / "a.nii")
    array = read(tmp_path / "a.nii").array
    np.testing.assert_array_equal(array[..., 0], VOLUME)
    assert array.dtype == np.dtype(dtype)


def test_a_fourth_axis_becomes_the_channels(tmp_path):
    values = np.stack([RAS, RAS + 100], axis=-1)
    np.testing.assert_array_equal(read(save(tmp_path / "a.nii", values)).array, np.stack([VOLUME, VOLUME + 100], -1))
    np.testing.assert_array_equal(read(save(tmp_path / "b.nii", RAS[..., None])).array[..., 0], VOLUME)


def test_colours(tmp_path):
    values = np.zeros(RAS.shape, [(name, "u1") for name in "RGB"])
    for k, name in enumerate("RGB"):
        values[name] = RAS + k
    array = read(save(tmp_path / "a.nii", values)).array
    np.testing.assert_array_equal(array, np.stack([VOLUME + k for k in range(3)], axis=-1))


def test_a_single_slice_is_a_volume_of_one(tmp_path):
    assert read(save(tmp_path / "a.nii", RAS[:, :, 0])).array.shape == (1, HEIGHT, WIDTH, 1)


def changed(path, place, values, kind="<f4"):
    whole = path.read_bytes()
    packed = path.suffix == ".gz"
    content = bytearray(gzip.decompress(whole) if packed else whole)
    new = np.array(values, kind).tobytes()
    content[place : place + len(new)] = new
    path.write_bytes(gzip.compress(content) if packed else content)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize(
    ("place", "value", "kind", "words"),
    [
        (42, [3000, 3000, 3000], "<i2", "limit is 268,435,456"),
        (42, [500, 500, 500], "<i2", "truncated|cannot hold"),
        (42, [-5], "<i2", "none at all"),
        (40, [5, 2, 2, 2, 2, 2], "<i2", "has 5 axes"),
        (70, [32], "<i2", "holds complex64 values"),
        (70, [999], "<i2", "damaged"),
        (108, [3e38], "<f4", "the header is damaged"),
        (108, [0], "<f4", "the header is damaged"),
        (280, [np.nan], "<f4", "its affine is no map of three axes"),
        (280, [0, 0, 0], "<f4", "its affine is no map of three axes"),
    ],
)
def test_headers_that_cannot_be(tmp_path, name, place, value, kind, words):
    path = save(tmp_path / name, RAS)
    with pytest.raises(DataError, match=words):
        read(changed(path, place, value, kind))


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_truncated(tmp_path, name):
    whole = save(tmp_path / name, RAS).read_bytes()
    for end in range(1, len(whole), 7):
        (tmp_path / name).write_bytes(whole[:end])
        with pytest.raises(DataError, match=r"a\.nii"):
            read(tmp_path / name)


def test_a_packed_file_whose_checksum_is_wrong(tmp_path):
    path = save(tmp_path / "a.nii.gz", RAS)
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="CRC check failed"):
        read(path)


def test_an_extension_that_lies_is_passed_over(tmp_path):
    """Its length, less than nothing, would make a reader of extensions unpack the whole file."""
    image = nibabel.Nifti1Image(RAS, RAS_AFFINE)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"Jane Doe"))
    nibabel.save(image, tmp_path / "a.nii")
    reading = read(changed(tmp_path / "a.nii", 352, [-16], "<i4"))
    np.testing.assert_array_equal(reading.array[..., 0], VOLUME)
    assert "Doe" not in str(reading.metadata)


def test_a_file_of_another_name_is_told_by_its_content(tmp_path):
    save(tmp_path / "a.nii.gz", RAS).rename(tmp_path / "scan")
    assert read(tmp_path / "scan").metadata["format"] == "nifti"
    (tmp_path / "b.nii").write_bytes(bytes(400))
    with pytest.raises(DataError, match="is named like NIfTI, but its header is something else"):
        read(tmp_path / "b.nii")
