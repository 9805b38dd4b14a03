"""Decoded samples: the same numbers in memory and on disk, a file that goes by itself, faults of all rows at once."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from threading import get_ident

import numpy as np
import pytest

from tumorkeras.data import cache
from tumorkeras.data.cache import decoded, rows_of
from tumorkeras.errors import DataError

SHAPE = (4, 5, 1)


def numbered(row):
    return np.full(SHAPE, row % 256, "uint8")


@pytest.fixture
def on_disk(monkeypatch):
    monkeypatch.setattr(cache, "IN_MEMORY", 0)


def expected(n):
    return np.stack([numbered(row) for row in range(n)])


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 100])
def test_small_data_is_a_plain_array(n, tmp_path):
    rows = decoded(n, SHAPE, "uint8", numbered, tmp_path)
    assert type(rows) is np.ndarray
    assert rows.shape == (n, *SHAPE)
    assert (rows == np.arange(n).reshape(-1, 1, 1, 1)).all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("n", [1, 16, 50])
@pytest.mark.usefixtures("on_disk")
def test_large_data_is_a_file_without_a_name(n, dtype, tmp_path):
    rows = decoded(n, SHAPE, dtype, lambda row: numbered(row).astype(dtype), tmp_path, workers=3)
    assert isinstance(rows, np.memmap)
    assert rows.dtype == dtype
    np.testing.assert_array_equal(rows, expected(n))
    assert os.listdir(tmp_path) == []  # hence nothing to be left behind, whatever ends the process


@pytest.mark.usefixtures("on_disk")
def test_rows_of_reads_the_same_rows_again_and_again(tmp_path):
    rows = decoded(40, SHAPE, "uint8", numbered, tmp_path)
    for _ in range(2):
        np.testing.assert_array_equal(rows_of(rows, np.array([39, 0, 7])), expected(40)[[39, 0, 7]])
    copy = rows_of(rows, np.array([3]))
    del rows
    gc.collect()
    assert (copy == 3).all()


@pytest.mark.usefixtures("on_disk")
def test_the_file_is_freed_with_the_array(tmp_path):
    maps = Path("/proc/self/maps")
    if not maps.is_file():
        pytest.skip("the system does not tell what is mapped")
    rows = decoded(3, SHAPE, "uint8", numbered, tmp_path)
    assert str(tmp_path) in maps.read_text()
    del rows
    gc.collect()
    assert str(tmp_path) not in maps.read_text()


@pytest.mark.usefixtures("on_disk")
def test_faults_of_all_rows_come_at_once_and_leave_no_file(tmp_path):
    def fill(row):
        if row % 10 == 3:
            raise DataError(f"{row}.png", ["cannot be decoded"])
        return numbered(row)

    with pytest.raises(DataError) as caught:
        decoded(40, SHAPE, "uint8", fill, tmp_path, workers=4, description="images")
    assert caught.value.heading == "images"
    assert caught.value.faults == [f"{row}.png: cannot be decoded" for row in (3, 13, 23, 33)]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("made", [np.zeros((4, 5), "uint8"), np.zeros(SHAPE, "float32")])
def test_rows_of_another_shape_or_type_are_refused(made):
    with pytest.raises(ValueError, match=r"expected uint8 \(4, 5, 1\)"):
        decoded(1, SHAPE, "uint8", lambda row: made)


def test_a_disk_without_room_is_said_before_the_work(tmp_path):
    with pytest.raises(DataError, match=r"take 1,200,000.0 GB, but .* are free; free some, or give"):
        decoded(10**9, (1000, 400, 3), "uint8", numbered, tmp_path)


@pytest.mark.usefixtures("on_disk")
def test_a_disk_that_runs_full_in_the_middle(tmp_path):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(DataError, match="cannot be written: File too large"):
            decoded(10, (100, 100), "uint8", lambda row: np.zeros((100, 100), "uint8"), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("on_disk")
def test_a_folder_that_is_missing(tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        decoded(1, SHAPE, "uint8", numbered, tmp_path / "none")


def test_rows_are_made_in_threads():
    threads = set()

    def fill(row):
        threads.add(get_ident())
        return numbered(row)

    decoded(64, SHAPE, "uint8", fill, workers=2)
    assert get_ident() not in threads
    assert len(threads) <= 2
