"""The endings of file names: which format they claim, and names without them."""

from __future__ import annotations

from tumorkeras.data.readers.registry import ENDINGS

__all__ = ["ENDINGS", "IMAGE_ENDINGS", "ending_of", "without_ending"]

IMAGE_ENDINGS = tuple(ending for ending, format in ENDINGS.items() if format != "video")
LONGEST_FIRST = sorted(ENDINGS, key=len, reverse=True)  # .nii.gz before .gz


def ending_of(name: str) -> str:
    """The ending that names a format, in lower case; "" where there is none.

    Examples
    --------
    >>> ending_of("scan.v2.PNG"), ending_of("ct.nii.gz"), ending_of("scan.v2")
    ('.png', '.nii.gz', '')
    """
    lower = name.lower()
    return next((end for end in LONGEST_FIRST if lower.endswith(end) and len(lower) > len(end)), "")


def without_ending(name: str) -> str:
    """A file name without the ending of a format; other dots stay.

    Examples
    --------
    >>> without_ending("a/scan.v2.PNG"), without_ending("scan.v2"), without_ending("ct.nii.gz")
    ('a/scan.v2', 'scan.v2', 'ct')
    """
    return name[: len(name) - len(ending_of(name))]
