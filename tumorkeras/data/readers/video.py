"""Videos as volumes, a frame a slice, decoded by OpenCV's FFmpeg."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tumorkeras.data.readers.formats import FileFault, Format, Options, Reading, with_notes
from tumorkeras.data.readers.limits import check_pixels

# FFmpeg writes to the terminal by itself; OpenCV reads this when it opens the first video.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

MATROSKA, MPEG_STREAM, ASF, FLASH = (
    b"\x1a\x45\xdf\xa3",
    b"\x00\x00\x01\xba",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    b"FLV\1",
)
BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
LETTERS = 0x20202020  # the size of a first box is less: four letters make a text
TRANSPORT_STEP, TRANSPORT_SYNC = 188, 0x47
# Counts in a header are often off by a frame or two; far fewer frames mean that the rest of the file is missing.
ENOUGH = 0.9


def read_video(path: Path, options: Options) -> Reading:
    """Frames (depth, height, width, 3) uint8, red, green, blue; turned as the file says.

    ``metadata["fps"]`` is frames a second, None where the file does not say. There is no spacing.

    Raises
    ------
    FileFault
        If no frame can be decoded, far fewer than declared, or there are too many.
    """
    with path.open("rb") as file:
        # FFmpeg opens whatever it is given, playlists of addresses too: only known containers reach it.
        if not is_video(file.read(4 * TRANSPORT_STEP)):
            raise FileFault("is named like a video, but its content is none (AVI, MP4, MOV, MKV, WebM, MPEG, ASF, FLV)")
    capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise FileFault("is damaged, or a video that OpenCV does not decode")
        declared = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        count = int(declared) if math.isfinite(declared) and declared > 0 else 0
        size = [int(capture.get(key)) for key in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)]
        check_pixels((max(count, 1), *size), options.max_pixels)
        frames = list(_frames(capture, options.max_pixels))
        fps = capture.get(cv2.CAP_PROP_FPS)
    finally:
        capture.release()
    if len(frames) < max(1, count * ENOUGH):
        raise FileFault(f"is truncated: {len(frames)} of {count} frames can be decoded")
    notes = [f"declares {count} frames, {len(frames)} are there"] if count and count != len(frames) else []
    return Reading(np.stack(frames), None, with_notes(_metadata(fps), notes))


def _frames(capture: Any, max_pixels: int) -> Iterator[np.ndarray]:
    pixels = 0
    while True:
        there, frame = capture.read()
        if not there:
            return
        pixels += frame.shape[0] * frame.shape[1]
        check_pixels((pixels,), max_pixels)
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def _metadata(fps: float) -> dict[str, Any]:
    return {"format": "video", "bits": 8, "fps": fps if math.isfinite(fps) and fps > 0 else None}


def is_video(head: bytes) -> bool:
    """Whether a file starts like a video container."""
    if head.startswith(b"RIFF"):
        return head[8:12] == b"AVI "
    if head.startswith((MATROSKA, MPEG_STREAM, ASF, FLASH)):
        return True
    if head[4:8] in BOXES:
        return int.from_bytes(head[:4], "big") < LETTERS
    return len(head) > 2 * TRANSPORT_STEP and all(head[k * TRANSPORT_STEP] == TRANSPORT_SYNC for k in range(3))


FORMATS = (
    Format(
        "video",
        (".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv"),
        is_video,
        read_video,
        ("volume",),
    ),
)
