"""PNG, JPEG, JPEG 2000, BMP, WebP and PNM, decoded by OpenCV."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tumorkeras.data.readers.formats import START, FileFault, Format, Options, Reading, with_notes
from tumorkeras.data.readers.headers import (
    JPEG_2000_BOX,
    JPEG_2000_STREAM,
    JPEG_START,
    PNG_SIGNATURE,
    PNM,
    PNM_HEAD,
    ImageHeader,
    bmp_header,
    jpeg_2000_header,
    jpeg_header,
    png_header,
    pnm_header,
    webp_header,
)
from tumorkeras.data.readers.limits import check_pixels

# Depth as stored, alpha dropped, turned as EXIF says; grey where the file is, or red, green, blue.
AS_STORED = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
COLOUR = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR_RGB


def read_raster(
    path: Path, options: Options, name: str, starts: Callable[[bytes], bool], header: Callable[[bytes], ImageHeader]
) -> Reading:
    """An image (height, width, 1 or 3), uint8 or uint16.

    Bits below 8 are spread over 0 to 255, a palette is applied, CMYK becomes RGB. There is no spacing: the dots an
    inch that such files hold are those of a printer.

    Raises
    ------
    FileFault
        If the file is of another kind, truncated, damaged or too large.
    """
    content = options.start if 0 < len(options.start) < START else path.read_bytes()
    if not starts(content):
        raise FileFault(f"is named like {name}, but its content is something else")
    found = header(content)
    check_pixels((found.height, found.width), options.max_pixels)
    try:
        flags = AS_STORED if found.channels == 1 else COLOUR
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        raise FileFault(f"OpenCV cannot decode the {name}: {error.err}") from None
    if image is None:
        raise FileFault(f"is damaged, or a kind of {name} that OpenCV does not decode")
    if image.ndim == 3 and flags == AS_STORED:  # the palette of a bitmap
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    image = image[..., None] if image.ndim == 2 else image
    return Reading(image, None, with_notes({"format": name, "bits": found.bits}, _notes(name, found)))


def _notes(name: str, header: ImageHeader) -> list[str]:
    if name == "jpeg" and header.channels == 4:
        return ["CMYK, turned into RGB"]
    if name in ("png", "jpeg2000") and header.channels in (2, 4):
        return ["transparency dropped"]
    return []


def _starting(*starts: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(starts)


def _is_webp(head: bytes) -> bool:
    return head.startswith(b"RIFF") and head[8:12] == b"WEBP"


def _is_bmp(head: bytes) -> bool:
    return head.startswith(b"BM") and head[6:10] == bytes(4)  # BM alone starts many a text


def _is_pnm(head: bytes) -> bool:
    return PNM.match(head[:PNM_HEAD]) is not None


def _format(name: str, endings: tuple[str, ...], starts: Callable[[bytes], bool], header: Any) -> Format:
    return Format(name, endings, starts, partial(read_raster, name=name, starts=starts, header=header), ("image",))


FORMATS = (
    _format("png", (".png",), _starting(PNG_SIGNATURE), png_header),
    _format("jpeg", (".jpg", ".jpeg", ".jpe", ".jfif"), _starting(JPEG_START), jpeg_header),
    _format("jpeg2000", (".jp2", ".j2k"), _starting(JPEG_2000_BOX, JPEG_2000_STREAM), jpeg_2000_header),
    _format("bmp", (".bmp",), _is_bmp, bmp_header),
    _format("webp", (".webp",), _is_webp, webp_header),
    _format("pnm", (".pnm", ".pgm", ".ppm", ".pbm"), _is_pnm, pnm_header),
)
