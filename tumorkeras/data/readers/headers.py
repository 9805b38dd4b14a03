"""Size and depth of an encoded image, read from its first bytes without decoding; and whether its end is there."""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from tumorkeras.data.readers.formats import FileFault

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # colour type: grey, colour, palette, each of the others with alpha
JPEG_START = b"\xff\xd8\xff"
JPEG_END = b"\xff\xd9"
# Every start of a frame, F7 being that of JPEG-LS; C4, C8 and CC are other segments.
JPEG_FRAMES = (frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}) | {0xF7}
JPEG_HUFFMAN = {0xC0, 0xC1, 0xC2}
JPEG_2000_BOX = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
JPEG_2000_STREAM = b"\xff\x4f\xff\x51"
DEFLATE_AT_BEST = 1032  # bytes out of one byte in
PNM_HEAD = 4096  # longer comments are not looked through
BETWEEN = rb"(?:\s|#[^\n]*\n)+"
PNM = re.compile(
    rb"P(?:(?P<bitmap>[14])|(?P<kind>[2356]))"
    + rb"%s(?P<width>\d{1,9})%s(?P<height>\d{1,9})(?(kind)%s(?P<top>\d{1,5}))\s" % (BETWEEN, BETWEEN, BETWEEN)
)


class ImageHeader(NamedTuple):
    """What an encoded image says of itself.

    Examples
    --------
    >>> ImageHeader(480, 640, 3, 8).width
    640
    """

    height: int
    width: int
    channels: int
    bits: int


def png_header(content: bytes) -> ImageHeader:
    """Size of a PNG, once its chunks are walked to the end.

    Raises
    ------
    FileFault
        If the header is damaged, the end is missing, or there are too few bytes for the pixels declared.
    """
    if len(content) < 33 or content[12:16] != b"IHDR":
        raise FileFault("the PNG header is damaged")
    width, height, bits, colour = struct.unpack_from(">IIBB", content, 16)
    if colour not in PNG_CHANNELS or bits not in (1, 2, 4, 8, 16) or not width * height:
        raise FileFault("the PNG header is damaged")
    packed = _png_data_size(content)
    raw = height * ((width * bits * (1 if colour == 3 else PNG_CHANNELS[colour]) + 7) // 8)
    if packed * DEFLATE_AT_BEST < raw:
        raise FileFault(f"declares {width} x {height} pixels, but {packed} bytes of them are there")
    return ImageHeader(height, width, PNG_CHANNELS[colour], bits)


def _png_data_size(content: bytes) -> int:
    """Bytes of packed pixels."""
    place, packed = 8, 0
    while place + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        place += length + 12
        if kind == b"IDAT":
            packed += length
        elif kind == b"IEND":
            return packed
    raise FileFault("is truncated: the end of the PNG is missing")


def jpeg_header(content: bytes) -> ImageHeader:
    """Size of a JPEG (baseline, progressive or lossless), once its end is found.

    Raises
    ------
    FileFault
        If a segment is damaged, the end is missing, or there are too few bytes for the pixels declared.
    """
    place, header, frame = 2, None, 0
    while place + 4 <= len(content):
        if content[place] != 0xFF:
            raise FileFault(f"the JPEG is damaged at byte {place}")
        marker = content[place + 1]
        if marker == 0xFF:  # fill
            place += 1
            continue
        length = int.from_bytes(content[place + 2 : place + 4], "big")
        if marker in JPEG_FRAMES and place + 10 <= len(content):
            bits, height, width, channels = struct.unpack_from(">BHHB", content, place + 4)
            header, frame = ImageHeader(height, width, channels, bits), marker
        place += 2 + length
        if marker == 0xDA:
            break
    if header is None or not header.height * header.width:
        raise FileFault("is truncated or damaged: the JPEG header is incomplete")
    if content.rfind(JPEG_END, place) < 0:  # what is before, such as a thumbnail, may have an end of its own
        raise FileFault("is truncated: the end of the JPEG is missing")
    # Huffman codes take at least a bit for each block of 8 x 8 pixels.
    if frame in JPEG_HUFFMAN and (len(content) - place) * 8 < (header.height // 8) * (header.width // 8):
        size = f"{header.width} x {header.height}"
        raise FileFault(f"declares {size} pixels, but {len(content) - place} bytes of them are there")
    return header


def jpeg_2000_header(content: bytes) -> ImageHeader:
    """Size of a JPEG 2000 image, with or without its boxes, once its end is found."""
    start = content.find(JPEG_2000_STREAM)
    if start < 0 or len(content) < start + 41:
        raise FileFault("is truncated or damaged: the JPEG 2000 header is incomplete")
    right, bottom, left, top = struct.unpack_from(">4I", content, start + 8)
    channels, depth = struct.unpack_from(">HB", content, start + 40)
    if right <= left or bottom <= top:
        raise FileFault("the JPEG 2000 header is damaged")
    if JPEG_END not in content[-64:]:
        raise FileFault("is truncated: the end of the JPEG 2000 stream is missing")
    return ImageHeader(bottom - top, right - left, channels, (depth & 0x7F) + 1)


def bmp_header(content: bytes) -> ImageHeader:
    """Size of a bitmap, once all its rows are there."""
    if len(content) < 54:
        raise FileFault("is truncated: the BMP header is incomplete")
    start, size, width, height = struct.unpack_from("<IIii", content, 10)
    bits, packing = struct.unpack_from("<HI", content, 28)
    if size < 40 or width <= 0 or not height or bits not in (1, 4, 8, 16, 24, 32):
        raise FileFault("the BMP header is damaged, or older than Windows 3")
    header = ImageHeader(abs(height), width, 3 if bits > 8 else 1, 8)
    if packing in (0, 3):
        _check_size(content, start + (width * bits + 31) // 32 * 4 * abs(height))
    return header


def _check_size(content: bytes, expected: int) -> None:
    if len(content) < expected:
        raise FileFault(f"is truncated: {len(content)} bytes of {expected} are there")


def webp_header(content: bytes) -> ImageHeader:
    """Size of a WebP image, once all its bytes are there."""
    if len(content) < 30:
        raise FileFault("is truncated: the WebP header is incomplete")
    _check_size(content, int.from_bytes(content[4:8], "little") + 8)
    kind = content[12:16]
    if kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 26))
    elif kind == b"VP8L":
        sides = int.from_bytes(content[21:25], "little")
        width, height = (sides & 0x3FFF) + 1, (sides >> 14 & 0x3FFF) + 1
    elif kind == b"VP8X":
        width, height = (int.from_bytes(content[k : k + 3], "little") + 1 for k in (24, 27))
    else:
        raise FileFault("the WebP header is damaged")
    return ImageHeader(height, width, 3, 8)


def pnm_header(content: bytes) -> ImageHeader:
    """Size of a PBM, PGM or PPM image, once all its bytes are there."""
    match = PNM.match(content[:PNM_HEAD])
    if match is None:
        raise FileFault("the PNM header is damaged")
    kind, top = int(match["bitmap"] or match["kind"]), int(match["top"] or 1)
    width, height = int(match["width"]), int(match["height"])
    if not width * height or not 1 <= top <= 65535:
        raise FileFault("the PNM header is damaged")
    channels = 3 if kind in (3, 6) else 1
    values = width * height * channels
    if kind == 4:
        values = height * ((width + 7) // 8)
    _check_size(content, match.end() + values * (2 if top > 255 and kind > 3 else 1))
    return ImageHeader(height, width, channels, top.bit_length())


def stream_header(content: bytes) -> ImageHeader | None:
    """Size of a JPEG or JPEG 2000 stream that lies in another file; None for anything else.

    Examples
    --------
    >>> stream_header(b"anything else") is None
    True
    """
    if content.startswith(JPEG_START):
        return jpeg_header(content)
    if content.startswith((JPEG_2000_BOX, JPEG_2000_STREAM)):
        return jpeg_2000_header(content)
    return None
