"""The one pass over all samples: hand-worked numbers, broken files, bounded memory."""

from __future__ import annotations

import os
import threading

import cv2
import numpy as np
import pandas as pd
import pytest
from auditing.samples import picture, spec_of, write, write_classes

from tumorkeras.auditing.facts import collect_facts, in_order
from tumorkeras.auditing.measurements import measure_image, measure_track, measure_values
from tumorkeras.data.catalog import Catalog, catalog_of
from tumorkeras.data.readers import Reading
from tumorkeras.errors import DataError, MissingExtraError


def made(readings, kind="images", paths=None):
    """A catalog whose samples are arrays, readings, or errors that reading raises."""

    def reader(row):
        found = readings[row]
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, Reading) else Reading(found, None, {})

    names = [f"{k}.png" for k in range(len(readings))]
    table = pd.DataFrame({"id": names, "path": paths or [""] * len(readings)})
    return Catalog(table, None, (), kind, (), None, reader)


def facts_of(readings, **options):
    return collect_facts(made(readings, **options), progress=False)


def test_an_image_by_hand():
    array = np.zeros((16, 24, 1), np.uint8)
    array[:2, -3:] = 255  # the top right corner: an eighth of each side
    found = measure_image(Reading(array, (0.5, 0.25), {"bits": 8}))
    assert [found[name] for name in ("height", "width", "channels", "bits")] == [16, 24, 1, 8]
    assert "depth" not in found
    assert (found["spacing_0"], found["spacing_1"]) == (0.5, 0.25)
    assert [found[f"corner_{k}"] for k in range(4)] == [0, 255, 0, 0]
    strip = 16 * 24 - 12 * 18
    assert found["border_mean"] == pytest.approx(255 * 6 / strip)
    assert found["border_std"] == pytest.approx(255 * np.sqrt(6 / strip * (1 - 6 / strip)))
    assert found["mean"] == pytest.approx(255 * 6 / 384)
    assert (found["minimum"], found["maximum"], found["finite"], found["constant"]) == (0, 255, 1, 0)
    assert found["zero"] == pytest.approx(1 - 6 / 384)
    assert found["saturated"] == pytest.approx(6 / 384)
    assert found["laplacian_std"] == pytest.approx(cv2.Laplacian(array[..., 0].astype("float32"), cv2.CV_32F).std())


def test_a_volume_by_hand():
    array = np.zeros((4, 8, 8, 1), np.int16)
    array[1] = 100
    found = measure_image(Reading(array, (2.0, 0.5, 0.5), {}))
    assert [found[name] for name in ("depth", "height", "width", "bits")] == [4, 8, 8, 16]
    assert (found["spacing_0"], found["spacing_2"], found["mean"], found["border_mean"]) == (2.0, 0.5, 25, 25)
    assert found["laplacian_std"] == 0


@pytest.mark.parametrize(
    ("array", "bits", "share"),
    [
        (np.array([0, 4095, 4095, 9], np.uint16), 12, 0.5),  # 12 bits stored in 16, as DICOM does
        (np.array([0, 4095, 4095, 9], np.uint16), 16, 0),
        (np.array([-5, 32767], np.int16), 16, 0.5),
        (np.array([0.0, 1.0]), 64, 0),
        (np.array([True, True]), 8, 0),
    ],
)
def test_saturated_is_the_share_at_the_largest_value(array, bits, share):
    assert measure_values(array, bits)["saturated"] == share


def test_values_that_are_not_finite_are_left_out_of_the_numbers():
    found = measure_values(np.array([1.0, np.nan, 3.0, np.inf]), 64)
    assert (found["finite"], found["mean"], found["minimum"], found["maximum"]) == (0, 2, 1, 3)
    empty = measure_values(np.full(3, np.nan), 64)
    assert np.isnan(empty["mean"])
    assert (empty["finite"], empty["constant"]) == (0, 0)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_mean_and_spread_of_large_volumes_are_those_of_numpy(dtype):
    volume = np.random.default_rng(0).integers(0, 200, (30, 100, 101, 1)).astype(dtype)  # more than one piece
    found = measure_values(volume, 16)
    assert found["mean"] == pytest.approx(volume.mean(dtype="float64"), rel=1e-12)
    assert found["std"] == pytest.approx(volume.std(dtype="float64"), rel=1e-12)


def test_a_track_by_hand():
    found = measure_track(Reading(np.array([[0, 0], [3, 4], [3, 4], [0, 0]], float), None, {}))
    assert (found["frames"], found["mean_step"], found["net_displacement"]) == (4, 10 / 3, 0)
    assert (found["finite"], found["constant"]) == (1, 0)
    still = measure_track(Reading(np.full((5, 2), [7.0, 9.0]), None, {}))
    assert (still["mean_step"], still["constant"]) == (0, 1)
    assert measure_track(Reading(np.array([[0, 0], [np.nan, 1]]), None, {}))["finite"] == 0


def test_rows_are_in_the_order_of_the_catalog(tmp_path):
    write_classes(tmp_path, each=6)
    catalog = catalog_of(spec_of(tmp_path))
    facts = collect_facts(catalog, progress=False)
    assert facts.table["readable"].all()
    assert facts.table["mean"].tolist() == [catalog.read(row).array.mean() for row in range(12)]
    files = [tmp_path / "images" / name for name in catalog.table["id"]]
    assert facts.table["bytes"].tolist() == [file.stat().st_size for file in files]
    assert set(facts.table["format"]) == {"png"}
    assert facts.thumbnails.dtype == np.uint8
    assert len(np.unique(facts.thumbnails.reshape(12, -1), axis=0)) == 12


def test_what_is_wrong_is_in_its_row_and_stops_nothing():
    fine = picture(1)[..., None]
    facts = facts_of(
        [fine, DataError("b", ["is no image"]), fine, DataError("d", ["the file is truncated"]), np.zeros((0, 4, 1)),
         MissingExtraError("pydicom", "medical"), RuntimeError("Jane Doe"), fine]
    )  # fmt: skip
    table = facts.table
    assert table["readable"].tolist() == [True, False, True, False, False, False, False, True]
    assert table["trouble"].tolist() == [
        "", "unreadable", "", "truncated", "empty", "missing_package", "unreadable", ""
    ]  # fmt: skip
    assert table["fault"][1] == "is no image"
    assert "pip install 'tumorkeras[medical]'" in table["fault"][5]
    assert table["fault"][6] == "cannot be measured (RuntimeError)"  # the text of unknown errors may tell names
    assert table.loc[~table["readable"], ["height", "mean"]].isna().all(axis=None)
    assert not facts.thumbnails[~table["readable"]].any()


def test_files_that_are_gone_or_empty(tmp_path):
    empty, whole = tmp_path / "a.png", write(tmp_path / "b.png", picture(1))
    empty.touch()
    paths = [str(empty), str(whole), str(tmp_path / "gone.png")]
    table = facts_of([picture(k)[..., None] for k in range(3)], paths=paths).table
    assert table["trouble"].tolist() == ["empty", "", "missing"]
    assert table["bytes"].tolist()[:2] == [0, whole.stat().st_size]


def test_the_bytes_of_a_folder_are_those_of_its_files(tmp_path):
    files = [write(tmp_path / "series" / f"{k}.png", picture(k)) for k in range(2)]
    (tmp_path / "series" / "notes").mkdir()
    facts = facts_of([picture(1)[..., None]], paths=[str(tmp_path / "series")])
    assert facts.table["bytes"].tolist() == [sum(path.stat().st_size for path in files)]


def test_only_tracks_are_hashed(tmp_path):
    """Copies of images are found by what they look like; to read every file once more would be for nothing."""
    path = write(tmp_path / "a.png", picture(1))
    assert facts_of([picture(1)[..., None]], paths=[str(path)]).table["digest"].tolist() == [""]
    walk = np.cumsum(np.ones((5, 2)), axis=0)
    first, second, other = facts_of([walk, walk.copy(), 2 * walk], kind="tracks").table["digest"]
    assert first == second != other


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(tmp_path):
    path = write(tmp_path / "a.png", picture(1))
    path.chmod(0)
    assert facts_of([picture(1)[..., None]], paths=[str(path)]).table["trouble"].tolist() == ["missing"]


def test_tracks_have_no_size_and_no_thumbnail():
    facts = facts_of([np.cumsum(np.ones((5, 2)), axis=0), np.zeros((3, 2))], kind="tracks")
    assert facts.table["frames"].tolist() == [5, 3]
    assert facts.table["height"].isna().all()
    assert facts.table["constant"].tolist() == [False, True]
    assert not facts.thumbnails.any()


def test_each_sample_is_decoded_once():
    calls = []
    catalog = made([np.eye(4)[..., None]] * 20)
    counting = Catalog(catalog.table, None, (), "images", (), None, lambda row: calls.append(row) or catalog.read(row))
    collect_facts(counting, progress=False)
    assert sorted(calls) == list(range(20))


def test_no_sample():
    facts = facts_of([])
    assert len(facts.table) == 0
    assert {"readable", "fault", "height", "finite"} <= set(facts.table)


def test_work_is_done_in_threads_only_a_little_ahead():
    lock, started, ahead = threading.Lock(), [0], []

    def work(number):
        with lock:
            started[0] += 1
        return number

    for taken, number in enumerate(in_order(work, 200, workers=3)):
        assert taken == number
        ahead.append(started[0] - taken)
    assert max(ahead) <= 3 * 4 + 1


def test_work_ends_when_nobody_takes_more():
    done = []
    results = in_order(lambda number: done.append(number), 1000, workers=2)
    next(results)
    results.close()
    assert len(done) < 20
