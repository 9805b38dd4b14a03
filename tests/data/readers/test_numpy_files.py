import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tumorkeras.data.readers import read
from tumorkeras.errors import DataError


@pytest.mark.parametrize(
    ("stored", "given_back"),
    [
        ((4, 6), (4, 6, 1)),
        ((4, 6, 1), (4, 6, 1)),
        ((4, 6, 3), (4, 6, 3)),
        ((4, 6, 4), (4, 6, 4, 1)),
        ((5, 4, 6), (5, 4, 6, 1)),
        ((5, 4, 6, 1), (5, 4, 6, 1)),
        ((5, 4, 6, 3), (5, 4, 6, 3)),
    ],
)
def test_axes(tmp_path, stored, given_back):
    values = np.arange(np.prod(stored), dtype=np.uint16).reshape(stored)
    np.save(tmp_path / "a.npy", values)
    array = read(tmp_path / "a.npy").array
    expected = values if len(given_back) == len(stored) else values[..., None]
    np.testing.assert_array_equal(array, expected[..., : given_back[-1]])
    assert array.shape == given_back


@given(
    arrays.arrays(
        st.sampled_from(["u1", "<u2", ">u2", "<i2", ">i4", "<f2", ">f4", "<f8"]),
        arrays.array_shapes(min_dims=2, max_dims=2),
    ),
    st.booleans(),
)
def test_values_come_back_in_any_byte_order(tmp_path_factory, values, columns_first):
    path = tmp_path_factory.getbasetemp() / "property.npy"
    np.save(path, np.asfortranarray(values) if columns_first else values)
    array = read(path).array
    np.testing.assert_array_equal(array[..., 0], values)
    assert array.dtype == values.dtype.newbyteorder("=")
    assert array.dtype.isnative


def test_truth_values_become_numbers(tmp_path):
    np.save(tmp_path / "mask.npy", np.array([[True, False]]))
    array = read(tmp_path / "mask.npy").array
    assert (array.ravel().tolist(), array.dtype) == ([1, 0], np.uint8)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_with_one_array_and_spacing(tmp_path, save):
    values = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    save(tmp_path / "a.npz", volume=values, spacing=[2.0, 0.5, 0.5], label=np.array(1))
    reading = read(tmp_path / "a.npz")
    np.testing.assert_array_equal(reading.array[..., 0], values)
    assert reading.spacing == (2.0, 0.5, 0.5)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"a": np.zeros((2, 2)), "b": np.zeros((2, 2))}, r"holds a \(2, 2\), b \(2, 2\); expected one array"),
        ({"a": np.zeros((2, 2)), "spacing": [1.0]}, r"spacing is \[1.0\]; expected 2 positive numbers"),
        ({"a": np.zeros((2, 2)), "spacing": [1.0, -1.0]}, r"expected 2 positive numbers"),
        ({"a": np.zeros(2)}, "expected one array with two to four axes"),
        ({"a": np.zeros((2, 2, 2, 2, 2))}, r"holds an array \(2, 2, 2, 2, 2\)"),
        ({"a": np.array([["x", "y"]])}, "holds <U1 values; expected numbers"),
    ],
)
def test_npz_that_is_no_image(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=words):
        read(tmp_path / "a.npz")


def test_objects_are_never_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("bang").write_text, ("boom",))

    np.save(tmp_path / "a.npy", np.array([[Bomb()]], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", a=np.array([[Bomb()]], dtype=object), allow_pickle=True)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(DataError, match="objects are never unpickled"):
            read(tmp_path / name)
    assert not (tmp_path / "bang").exists()


def test_a_header_without_its_values(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((100, 100)))
    (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:-8])
    with pytest.raises(DataError, match="is truncated: 79,992 bytes of values are there, 80,000 are declared"):
        read(tmp_path / "a.npy")


def header_of(shape):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


@pytest.mark.parametrize(
    ("shape", "words"), [((30_000, 30_000), "limit is 268,435,456"), ((9_000, 9_000), "truncated")]
)
def test_a_header_that_lies(tmp_path, shape, words):
    (tmp_path / "a.npy").write_bytes(header_of(shape))
    with pytest.raises(DataError, match=words):
        read(tmp_path / "a.npy")


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    """A stream of zeros, declared small in the directory of the archive and large in the array's header."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", header_of((16_000, 16_000)) + bytes(2**20))
    with pytest.raises(DataError, match="is truncated"):
        read(tmp_path / "a.npz")


def test_other_packings_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.npy", header_of((4, 4)) + bytes(16))
    with pytest.raises(DataError, match=r"'a.npy' in it is no array as numpy.savez writes it"):
        read(tmp_path / "a.npz")
