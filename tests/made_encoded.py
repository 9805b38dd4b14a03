"""Encoded images of every kind that a server is sent, good and bad."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import cv2
import numpy as np
from PIL import Image


def picture(height: int, width: int, channels: int = 3, dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    """A smooth random image, for JPEG keeps such a one."""
    noise = np.random.default_rng(seed).random((height, width, channels))
    smooth = cv2.GaussianBlur(noise, (0, 0), 2).reshape(height, width, channels)
    smooth = (smooth - smooth.min()) / max(np.ptp(smooth), 1e-9)
    return (smooth * np.iinfo(dtype).max).astype(dtype)


def encoded(image: np.ndarray, ending: str = ".png") -> bytes:
    """By OpenCV, from red, green and blue."""
    return bytes(cv2.imencode(ending, image[..., ::-1])[1])


def exif(orientation: int, big_endian: bool = False) -> bytes:
    """A block of EXIF with three entries, the orientation the second."""
    order = ">" if big_endian else "<"
    start = b"MM\0*" if big_endian else b"II*\0"
    entries = [
        struct.pack(order + "HHII", 0x100, 4, 1, 77),
        struct.pack(order + "HHIHH", 0x112, 3, 1, orientation, 0),
        struct.pack(order + "HHII", 0x11A, 4, 1, 3),
    ]
    return start + struct.pack(order + "IH", 8, len(entries)) + b"".join(entries) + bytes(4)


def jpeg_with(jpeg: bytes, block: bytes) -> bytes:
    """A JPEG with a block of EXIF."""
    content = b"Exif\0\0" + block
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_with(png: bytes, block: bytes) -> bytes:
    """A PNG with a block of EXIF."""
    return png[:33] + chunk(b"eXIf", block) + png[33:]


def flat_png(width: int, height: int) -> bytes:
    """A black PNG, whole and valid; its height is a multiple of 100, of which each block is packed in the same way."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = bytes((width + 1) * 100)
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(rows) + packer.flush(zlib.Z_FULL_FLUSH)
    total = 1
    for _ in range(height // 100):
        total = zlib.adler32(rows, total)
    packed = b"\x78\xda" + block * (height // 100) + b"\x03\0" + struct.pack(">I", total)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def by_pillow(image: np.ndarray, mode: str, kind: str) -> bytes:
    """Forms that OpenCV does not write: CMYK and palettes."""
    target = BytesIO()
    Image.fromarray(image).convert(mode).save(target, kind)
    return target.getvalue()


def animated_gif(images: list[np.ndarray]) -> bytes:
    """A GIF of several frames."""
    first, *others = map(Image.fromarray, images)
    target = BytesIO()
    first.save(target, "GIF", save_all=True, append_images=others)
    return target.getvalue()
