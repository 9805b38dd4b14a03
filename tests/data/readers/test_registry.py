import inspect
import logging
import os
import subprocess
import sys
import threading
import warnings

import cv2
import nibabel
import numpy as np
import pytest
import tifffile

from tumorkeras.data.readers import Reading, format_of, is_readable, read
from tumorkeras.data.readers.quiet import quiet
from tumorkeras.errors import DataError


@pytest.fixture
def samples(tmp_path, picture, write_dicom):
    """A file of every format, by the name of the format."""
    folder = tmp_path / "samples"
    folder.mkdir()
    grey = np.ascontiguousarray(picture[..., 0])
    for ending in ("png", "jpg", "bmp", "webp", "jp2", "pgm"):
        cv2.imwrite(str(folder / f"a.{ending}"), grey)
    tifffile.imwrite(folder / "a.tif", grey)
    np.save(folder / "a.npy", grey)
    np.savez(folder / "a.npz", a=grey)
    nibabel.save(nibabel.Nifti1Image(grey, np.eye(4)), folder / "a.nii.gz")
    write_dicom(grey, "a.dcm", folder)
    writer = cv2.VideoWriter(str(folder / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    writer.write(picture)
    writer.release()
    return {FORMAT_OF_ENDING.get(path.suffix[1:], path.suffix[1:]): path for path in folder.iterdir()}


FORMAT_OF_ENDING = {
    "jpg": "jpeg",
    "jp2": "jpeg2000",
    "pgm": "pnm",
    "tif": "tiff",
    "gz": "nifti",
    "dcm": "dicom",
    "avi": "video",
}


def test_every_format_is_told_and_read(samples):
    assert len(samples) == 12
    for name, path in samples.items():
        reading = read(path)
        assert isinstance(reading, Reading)
        assert (format_of(path), is_readable(path), reading.metadata["format"]) == (name, True, name)
        assert reading.array.shape[-3:-1] in ((48, 64), (64, 48))
        assert reading.array.shape[-1] == (3 if name in ("webp", "video") else 1)


def test_content_goes_before_ending(samples, tmp_path):
    for name, path in samples.items():
        if name == "npz":
            continue
        wrong = tmp_path / ("b.tif" if name == "png" else "b.png")
        wrong.write_bytes(path.read_bytes())
        assert format_of(wrong) == name
        bare = tmp_path / "bare"
        bare.write_bytes(path.read_bytes())
        np.testing.assert_array_equal(read(bare).array, read(path).array)


@pytest.mark.parametrize(
    "ending", ["png", "jpg", "jp2", "bmp", "webp", "pgm", "tif", "dcm", "npy", "npz", "nii", "nii.gz", "avi"]
)
@pytest.mark.parametrize("content", [b"", b"x", b"<html>a page</html>" * 90, bytes(2000)])
def test_a_file_that_is_named_like_an_image_is_told_by_its_ending_and_refused(tmp_path, ending, content):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    assert format_of(path) is not None
    with pytest.raises(DataError) as caught:
        read(path)
    assert caught.value.heading == str(path)


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "BMW.txt", "a"])
def test_other_files_are_of_no_format(tmp_path, name):
    (tmp_path / name).write_text("BM,GIF,P5 is no image\n")
    assert format_of(tmp_path / name) is None
    assert not is_readable(tmp_path / name)
    with pytest.raises(DataError, match=r"is of no kind that can be read \(dicom, .*png, jpeg"):
        read(tmp_path / name)


def test_names_of_any_kind(tmp_path, picture):
    for name in ("übung 1.PNG", "图像.png", "a b'c\".Png"):
        path = tmp_path / name
        path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
        assert read(path).array.shape == read(str(path)).array.shape == (48, 64, 3)


def test_what_cannot_be_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "gone.png")
    for path, words in [
        (tmp_path / "none.png", "there is no such file"),
        (tmp_path / "nowhere.png", "there is no such file"),
        (tmp_path / "pipe.png", "is a pipe, not a file"),
        ("/dev/zero", "is a device, not a file"),
        (tmp_path, "is a folder without DICOM files"),
        ("a\0b.png", "cannot be opened"),
        ("x" * 5000 + ".png", "cannot be opened: File name too long"),
        (tmp_path / "pipe.png" / "a.png", "there is no such file"),
    ]:
        assert format_of(path) is None
        with pytest.raises(DataError, match=words):
            read(path)


def test_a_folder_with_a_pipe_in_it_does_not_wait(write_series):
    folder = write_series(np.zeros((3, 4, 4), np.uint8))
    os.mkfifo(folder / "pipe.dcm")
    assert read(folder).array.shape == (3, 4, 4, 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        read(tmp_path / "a.png")


def test_decoders_neither_warn_nor_log(write_dicom, caplog, capfd):
    """pydicom warns of a value that is too long, and of dates that are none."""
    from pydicom import config

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = write_dicom(np.zeros((4, 4), np.uint8), StationName="a name much longer than sixteen letters")
    caplog.clear()
    before = list(warnings.filters)
    assert config.settings.reading_validation_mode == config.WARN
    read(path, identifying=True)
    assert warnings.filters == before
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_other_threads_may_warn_and_the_filter_goes_with_the_last_reader():
    inside, done = threading.Event(), threading.Event()

    def hold():
        with quiet():
            inside.set()
            done.wait()

    before = list(warnings.filters)
    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    with quiet():
        pass
    assert warnings.filters != before
    with pytest.warns(UserWarning, match="of somebody else"):
        warnings.warn("of somebody else", UserWarning, stacklevel=2)
    with pytest.raises(AssertionError), _no_record("tifffile"):
        logging.getLogger("tifffile").error("of somebody else")
    done.set()
    thread.join()
    assert warnings.filters == before


class _no_record(logging.Handler):
    """A context in which a logger must say nothing."""

    def __init__(self, name):
        super().__init__()
        self.logger, self.records = logging.getLogger(name), []

    def emit(self, record):
        self.records.append(record)

    def __enter__(self):
        self.logger.addHandler(self)

    def __exit__(self, *_):
        self.logger.removeHandler(self)
        assert not self.records


def test_many_threads_read_at_once(samples):
    from concurrent.futures import ThreadPoolExecutor

    paths = [path for _, path in sorted(samples.items())] * 8
    alone = [read(path).array for path in paths[:12]] * 8
    with ThreadPoolExecutor(8) as pool:
        for one, other in zip(alone, pool.map(lambda path: read(path).array, paths), strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_registry_loads_no_optional_package():
    names = {"pydicom", "nibabel", "tifffile", "tensorflow", "keras"}
    check = f"import sys, tumorkeras.data.readers; print(*{names} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_options_are_by_name():
    assert [p.kind for p in inspect.signature(read).parameters.values()][1:] == [inspect.Parameter.KEYWORD_ONLY] * 2


def test_real_images_are_as_opencv_decodes_them(data_folder):
    for path in [
        *sorted((data_folder / "busi" / "images").iterdir())[:3],
        *sorted((data_folder / "bccd" / "JPEGImages").iterdir())[:2],
    ]:
        reading = read(path)
        expected = cv2.imread(str(path), cv2.IMREAD_ANYCOLOR)
        expected = expected[..., None] if expected.ndim == 2 else expected[..., ::-1]
        np.testing.assert_array_equal(reading.array, expected)
        assert reading.metadata == {"format": "jpeg", "bits": 8}
