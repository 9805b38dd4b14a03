import cv2
import numpy as np
import pytest

from tumorkeras.data.readers import read
from tumorkeras.errors import DataError


@pytest.fixture
def frames(picture):
    return np.stack([np.roll(picture, 3 * k, axis=1) for k in range(12)])


def write(path, frames, code, fps=25):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), fps, frames.shape[2:0:-1])
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame[..., ::-1])
    writer.release()
    return path


@pytest.mark.parametrize("name", ["a.avi", "a.mkv"])
def test_frames_are_the_depth(tmp_path, frames, name):
    reading = read(write(tmp_path / name, frames, "FFV1"))
    assert reading.array.shape == frames.shape
    assert np.abs(reading.array.astype(int) - frames).mean() < 3  # FFV1 keeps the colours in YUV
    assert (reading.spacing, reading.metadata) == (None, {"format": "video", "bits": 8, "fps": 25.0})


@pytest.mark.parametrize(("name", "code"), [("a.avi", "MJPG"), ("a.mp4", "mp4v"), ("a.mov", "mp4v"), ("a.mkv", "MJPG")])
def test_common_containers(tmp_path, frames, name, code):
    reading = read(write(tmp_path / name, frames, code, fps=10))
    assert reading.array.shape == frames.shape
    assert reading.metadata["fps"] == 10.0
    assert np.abs(reading.array[0].astype(int) - frames[0]).mean() < 10


def test_a_percent_sign_in_the_name_is_no_pattern(tmp_path, frames):
    assert read(write(tmp_path / "a.avi", frames, "MJPG").rename(tmp_path / "100%02d.avi")).array.shape == frames.shape


@pytest.mark.parametrize("share", [0.1, 0.5, 0.85])
def test_truncated(tmp_path, frames, share):
    for name, code in (("a.avi", "MJPG"), ("a.mp4", "mp4v")):
        path = write(tmp_path / name, frames, code)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        with pytest.raises(DataError, match=r"is truncated|is damaged"):
            read(path)


def test_too_many_frames_are_refused_before_they_are_decoded(tmp_path, frames):
    with pytest.raises(DataError, match="declares 12 x 48 x 64 = 36,864 pixels; the limit is 10,000"):
        read(write(tmp_path / "a.avi", frames, "MJPG"), max_pixels=10_000)


@pytest.mark.parametrize("name", ["a.mp4", "a.avi"])
@pytest.mark.parametrize("text", ["#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "ffconcat version 1.0\nfile 'b.avi'\n"])
def test_playlists_never_reach_the_decoder(tmp_path, frames, name, text):
    write(tmp_path / "b.avi", frames, "MJPG")
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match="is named like a video, but its content is none"):
        read(tmp_path / name)
