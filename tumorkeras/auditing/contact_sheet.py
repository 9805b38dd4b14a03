"""Thumbnails side by side, so that a finding can be seen."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from tumorkeras.auditing.findings import Finding

COLUMNS, ROWS = 10, 3  # an even number of columns: the two of a pair are side by side
TILE, GAP = 72, 4  # pixels
GROUND = 128  # grey, so that black and white thumbnails both stand out
# Findings of these checks and codes are of a kind that one sees on a thumbnail.
SEEN = {"duplicates", "constant", "saturated", "mixed_channels", "unlabelled"}


def contact_sheet(thumbnails: np.ndarray) -> bytes:
    """A PNG of the first thumbnails, ten a row.

    Parameters
    ----------
    thumbnails : ndarray, shape (n, side, side), uint8, n > 0

    Examples
    --------
    >>> png = contact_sheet(np.zeros((11, 32, 32), np.uint8))
    >>> cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE).shape
    (148, 756)
    """
    shown = thumbnails[: COLUMNS * ROWS]
    step = TILE + GAP
    wide, high = min(len(shown), COLUMNS), -(-len(shown) // COLUMNS)
    sheet = np.full((high * step - GAP, wide * step - GAP), GROUND, np.uint8)
    for number, small in enumerate(shown):
        top, left = number // COLUMNS * step, number % COLUMNS * step
        sheet[top : top + TILE, left : left + TILE] = cv2.resize(small, (TILE, TILE), interpolation=cv2.INTER_CUBIC)
    return bytes(cv2.imencode(".png", sheet)[1].tobytes())


def pictures_of(findings: Iterable[Finding], ids: Iterable[str], thumbnails: np.ndarray) -> dict[str, bytes]:
    """A contact sheet for each finding that one can see, by its code.

    Parameters
    ----------
    findings : iterable of Finding
    ids : iterable of str, n of them
        Of the samples.
    thumbnails : ndarray, shape (n, side, side), uint8
    """
    rows = {name: row for row, name in enumerate(ids)}
    seen = [finding for finding in findings if finding.check in SEEN or finding.code in SEEN]
    chosen = {finding.code: [rows[name] for name in _names(finding) if name in rows] for finding in seen}
    return {code: contact_sheet(thumbnails[found]) for code, found in chosen.items() if found}


def _names(finding: Finding) -> Iterable[str]:
    """Its samples, pair by pair where it is about pairs."""
    pairs = finding.figures.get("pairs")
    return finding.files if not pairs else [pair[side] for pair in pairs for side in ("first", "second")]
