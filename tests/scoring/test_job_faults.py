"""Inputs, disks, models and processes at fault: every input has its outcome, and no work is lost."""

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from made_parts import files_of_at_most
from made_scans import scan, stopped, write_scans
from made_series import write_dicom

from tumorkeras.data.images import read_image
from tumorkeras.errors import DataError, TumorKerasError
from tumorkeras.scoring import job, score
from tumorkeras.scoring.inputs import files

pytestmark = pytest.mark.usefixtures("quick_calls")


@pytest.fixture
def output(tmp_path):
    return tmp_path / "found.parquet"


# ------------------------------------------------------------------------------------------- the disk and the model


def test_a_full_disk_stops_the_job_which_goes_on_later(tumours, output, before_calls, monkeypatch):
    images = np.random.default_rng(0).integers(0, 255, (1000, 9, 9, 1), dtype="uint8")
    parts = stopped(tumours, images, output, before_calls)
    size = max(path.stat().st_size for path in parts.iterdir())
    with files_of_at_most(size // 2), pytest.raises(DataError, match="cannot be written: File too large") as caught:
        score(tumours, images, batch_size=2, output=output)
    assert "the parts in found.parquet.parts stay, and once that is mended the same call goes on" in str(caught.value)
    with files_of_at_most(2 * size), pytest.raises(DataError, match=r"found.parquet: cannot be written"):
        score(tumours, images, batch_size=2, output=output)  # the parts find room, and not all of them in one file
    before_calls(lambda batch: pytest.fail("all was scored"), monkeypatch)
    found = pd.read_parquet(score(tumours, images, batch_size=2, output=output))
    assert found["id"].tolist() == list(range(1000))


def test_where_the_model_fails_on_a_batch_its_rows_are_scored_one_by_one(tumours, scans, scanned, before_calls):
    sizes = []

    def fail(batch):
        sizes.append(len(batch))
        if len(batch) > 1:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor\n\nmore words")
        if batch.shape[1:3] == scan(38).shape:
            raise MemoryError

    before_calls(fail)
    found = score(tumours, [*scans.glob("03*"), *scans.glob("03*")], batch_size=2)
    assert set(sizes) == {1, 2}
    failed = found["path"].str.endswith("038.tif")
    assert found.index[found["status"] == "error"].tolist() == found.index[failed].tolist()
    assert set(found.loc[failed, "error"]) == {"the model failed on it: there is not enough memory for it"}
    wanted = scanned.set_index("path").loc[found["path"][~failed], "probability_benign"]
    np.testing.assert_allclose(found["probability_benign"][~failed], wanted, rtol=1e-5)


def test_a_model_that_always_fails_gives_errors_with_every_runtime(tumours, scans, before_calls, monkeypatch):
    def fail(batch):
        raise tf.errors.InternalError(None, None, "")

    before_calls(fail, monkeypatch)
    assert set(score(tumours, scans / "00[0-5].*")["error"]) == {"the model failed on it: "}
    monkeypatch.undo()
    monkeypatch.setattr("tumorkeras.serving.formats._loaded", lambda *_: _Broken())
    found = score(tumours, np.zeros((3, 8, 8, 1)), runtime="onnx")
    assert found["error"][0].startswith("the model failed on it: ")
    assert "no such kernel" in found["error"][0]


class _Broken:
    inputs = {"inputs": (None, None, None, 1)}

    def run(self, inputs):
        raise RuntimeError("no such kernel")


# ------------------------------------------------------------------------------------------- inputs at fault


def test_a_folder_of_everything(tumours, tmp_path, output):
    images = tmp_path / "images"
    images.mkdir()
    good = cv2.imencode(".png", scan(0))[1].tobytes()
    wide = cv2.imencode(".png", np.zeros((1, 60_000), "uint8"))[1].tobytes()
    files = {
        "cut.png": lambda path: path.write_bytes(good[:-30]),
        "dangling.png": lambda path: path.symlink_to("none.png"),
        "empty.png": lambda path: path.write_bytes(b""),
        "gone.png": lambda path: path.write_bytes(good),
        "loop.png": lambda path: path.symlink_to("loop.png"),
        "nan.tif": lambda path: cv2.imwrite(str(path), np.full((9, 9), np.nan, "float32")),
        "pipe.npy": os.mkfifo,
        "pipe.png": os.mkfifo,
        "text.png": lambda path: path.write_text("no image"),
        "zip.npz": lambda path: path.write_bytes(b"PK\3\4"),
        # These can be scored.
        'a, "b"\n.png': lambda path: path.write_bytes(good),
        "deep/good.png": lambda path: path.write_bytes(good),
        "wide.png": lambda path: path.write_bytes(wide),
        "x" * 240 + ".png": lambda path: path.write_bytes(good),
        "ü 漢字😀.png": lambda path: path.write_bytes(good),
        os.fsdecode(b"\xff\xe9.png"): lambda path: path.write_bytes(good),
    }
    (images / "deep").mkdir()
    (images / "folder.png").mkdir()
    (images / "deep" / "above").symlink_to(images)
    for name, make in files.items():
        make(images / name)
    paths = [str(images / name) for name in files]
    given = [*sorted(paths), images / "folder.png", images / ("y" * 300 + ".png"), *paths[-3:]]
    found = pd.read_parquet(score(tumours, given, batch_size=2, output=output))
    assert found["path"].tolist() == [os.fspath(path).encode(errors="backslashreplace").decode() for path in given]
    failed = {Path(path).name for path in found.loc[found["status"] == "error", "path"]}
    assert failed == {*list(files)[:10], "y" * 300 + ".png", "folder.png"} - {"gone.png"}
    reasons = found.set_index("path")["error"]
    for name, words in {"empty": "the file is empty", "pipe": "is a pipe", "dangling": "no such file"}.items():
        assert words in reasons[f"{images}/{name}.png"]
    assert (found["error"].isna() == (found["status"] == "ok")).all()
    pd.testing.assert_frame_equal(found, score(tumours, given, batch_size=2), check_exact=True)
    # The folder itself gives what is in it, and goes no link round.
    of_folder = score(tumours, images, batch_size=2)
    assert of_folder["path"].tolist() == [path.encode(errors="backslashreplace").decode() for path in sorted(paths)]


def test_a_file_that_vanishes_in_the_middle_is_an_outcome(tumours, tmp_path, before_calls):
    images = write_scans(tmp_path, 40)
    before_calls(lambda batch: (images / "039.png").unlink(missing_ok=True))
    found = score(tumours, images, batch_size=1)
    assert len(found) == 40
    # Perhaps it was read ahead of the model.
    assert found["error"][39] == "there is no such file" or found["status"][39] == "ok"
    assert found["status"].drop([7, 39]).eq("ok").all()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser reads every file")
def test_a_file_that_may_not_be_read_is_an_outcome(tumours, scans, tmp_path):
    shutil.copy(scans / "000.png", tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    assert "Permission denied" in score(tumours, tmp_path)["error"][0]


MUTATED = ("a.png", "b.png", "a.jpg", "a.tif", "a.dcm")


def mutated(folder, count):
    """Files with bytes flipped, cut short, and with the beginning of another."""
    generator = np.random.default_rng(5)
    pixels = generator.integers(0, 255, (7, 9), dtype="uint8")
    contents = []
    for name in MUTATED:
        if name.endswith("dcm"):
            write_dicom(folder / name, pixels)
        else:
            image = np.repeat(pixels[..., None], 3, axis=-1) if name == "b.png" else pixels
            assert cv2.imwrite(str(folder / name), image)
        contents.append((folder / name).read_bytes())
        (folder / name).unlink()
    for number in range(count):
        kind = number % len(MUTATED)
        content = bytearray(contents[kind])
        if number % 7 == 5:
            content = content[: generator.integers(1, len(content))]
        if number % 7 == 6:
            other = contents[generator.integers(len(contents))]
            content[: generator.integers(40)] = other[: generator.integers(40)]
        for place in generator.integers(0, len(content), generator.integers(0, 5)):
            content[place] = generator.integers(256)
        (folder / f"{number:04}-{MUTATED[kind]}").write_bytes(content)


def why_not(path):
    try:
        image = read_image(path, 1)
    except TumorKerasError as error:
        return str(error)
    count = (~np.isfinite(image)).sum()
    return f"holds {count} non-finite values" if count else None


def test_mutated_files_are_all_accounted_for(tumours, tmp_path):
    mutated(tmp_path, 1100)
    found = score(tumours, tmp_path, batch_size=32)
    assert found["path"].tolist() == sorted(map(str, tmp_path.iterdir()))
    ok = found["status"] == "ok"
    assert 300 < ok.sum() < 900
    assert found["error"][~ok].str.len().gt(5).all()
    numbers = found[["probability_benign", "probability_malignant"]]
    assert (numbers.isna().any(axis=1) == ~ok).all()
    np.testing.assert_allclose(numbers[ok].sum(axis=1), 1, atol=1e-5)
    for row in range(0, 1100, 11):  # those that the own process reads, and no others
        reason = why_not(found["path"][row])
        assert (reason is None) == ok[row]
        assert reason is None or reason.endswith(found["error"][row])


def test_a_process_that_is_killed_in_the_middle_loses_nothing(tumours, scans, scanned, before_calls, monkeypatch):
    monkeypatch.setattr(job, "reading_of", files.reading_of)  # with processes of its own
    started, calls = [], []

    class Watched(files.Readers):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            started.append(self)

    def kill(batch):
        calls.append(len(batch))
        if len(calls) in (1, 9):
            os.kill(started[0].pids[0], 9)

    monkeypatch.setattr(files, "Readers", Watched)
    before_calls(kill)
    pd.testing.assert_frame_equal(score(tumours, scans, batch_size=2), scanned, check_exact=True)
