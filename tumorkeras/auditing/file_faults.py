"""Faults of files: what cannot be read, and what does not fit the others."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tumorkeras.auditing.findings import Finding, Severity, counted, fault

if TYPE_CHECKING:
    from tumorkeras.auditing.facts import Facts
    from tumorkeras.data.catalog import Catalog

SATURATED = 0.2  # share of the values at the largest one: more than any bright lesion or calcification takes
SAME_SPACING = 0.01  # steps that differ by less are the same, written with fewer digits

SAVE_ANEW = "Save the file anew from its origin in a common form (PNG, TIFF, DICOM, NIfTI, npy), or take it out."
# Of files that are refused, by the words of their reason: to save them anew would change nothing.
REFUSED = {
    r"limit": "Of those over the limit: take out what declares more than it holds; divide or shrink what is large.",
    r"unpickled": "Of those that hold objects: save the numbers alone where they were made, for objects can run code.",
}
# Title of one and of several, effect and mend of each kind of trouble that Facts.table names.
TROUBLES = {
    "missing": (
        "cannot be opened",
        "cannot be opened",
        "Training stops, or goes on without the sample.",
        "Put the file back, or let the account that trains read it; else take its row out of the tables.",
    ),
    "empty": (
        "holds nothing",
        "hold nothing",
        "Training stops at an empty file; it is mostly the rest of a copy that was broken off.",
        "Copy the file again from where it came, or take it out.",
    ),
    "truncated": (
        "ends before its data do",
        "end before their data do",
        "Training stops, or the missing part is read as grey or black, which a network takes for anatomy.",
        "Copy the file again from where it came, or take it out.",
    ),
    "unreadable": (
        "cannot be read",
        "cannot be read",
        "Training stops at the file.",
        SAVE_ANEW,
    ),
    "missing_package": (
        "needs a package that is not installed",
        "need a package that is not installed",
        "Nothing is known of these files, and training stops at them.",
        "Install the package; the reason of each file names the line.",
    ),
}


def file_findings(catalog: Catalog, facts: Facts) -> list[Finding]:
    """What is wrong with the files of a catalog and with the values in them.

    Parameters
    ----------
    catalog : Catalog
        What the spec names.
    facts : Facts
        What was found in each sample, row by row of the catalog.
    """
    found = facts.table.assign(id=catalog.table["id"].to_numpy())
    known = found[found["readable"]]
    what = catalog.kind.removesuffix("s")
    findings = _troubles(found, what) + _values(known, what)
    if catalog.kind == "tracks":
        return findings + _same_content(catalog, known)
    unlike = [
        _pages(catalog, known),
        *_channels(catalog, known, what),
        _bits(known, what),
        _spacing(catalog, known, what),
    ]
    return findings + [finding for finding in unlike if finding is not None]


def _troubles(found: pd.DataFrame, what: str) -> list[Finding]:
    findings = []
    for code, (single, several, effect, mend) in TROUBLES.items():
        rows = found[found["trouble"] == code]
        if len(rows):
            reasons = dict(zip(rows["id"], rows["fault"], strict=True))
            title = f"{counted(len(rows), what)} of {len(found):,} {single if len(rows) == 1 else several}"
            mend = _mend_unreadable(rows["fault"]) if code == "unreadable" else mend
            findings.append(fault(code, "error", title, rows["id"], effect, mend, reasons=reasons))
    return findings


def _mend_unreadable(reasons: pd.Series) -> str:
    """What helps against the reasons at hand."""
    refused = {words: reasons.str.contains(pattern) for pattern, words in REFUSED.items()}
    found = [words for words, those in refused.items() if those.any()]
    others = not np.logical_or.reduce(list(refused.values())).all()
    return " ".join([SAVE_ANEW] * others + found)


def _values(known: pd.DataFrame, what: str) -> list[Finding]:
    findings = []
    lost = known.loc[~known["finite"], "id"]
    if len(lost):
        title = f"{counted(len(lost), what)} with NaN or infinite values"
        effect = "One such value turns the loss into NaN, and with it all weights."
        findings.append(
            fault("not_finite", "error", title, lost, effect, "Put a number in their place, or take it out.")
        )
    return findings + _constant(known.loc[known["constant"], "id"], what) + _saturated(known, what)


def _constant(flat: pd.Series, what: str) -> list[Finding]:
    if flat.empty:
        return []
    if what == "track":
        title = f"{counted(len(flat), what)} without any motion"
        mend = "Look whether the cell was alive; else take the track out."
        return [fault("constant", "warning", title, flat, "A dead cell or a speck of dirt counts as motion.", mend)]
    title = f"{counted(len(flat), what)} of one value throughout"
    mend = "Look how it was saved: a window that leaves nothing, a mask in the image's place; else take it out."
    return [fault("constant", "error", title, flat, "There is nothing in it, and yet it is a sample.", mend)]


def _saturated(known: pd.DataFrame, what: str) -> list[Finding]:
    bright = known[(known["saturated"] > SATURATED) & ~known["constant"]]
    if bright.empty:
        return []
    all_over = len(bright) * 2 > len(known)
    title = f"{counted(len(bright), what)} with more than {SATURATED:.0%} of the values at the largest one"
    effect = "What lies above the largest value was cut off, and with it the texture inside bright tissue."
    mend = "Export again with a wider window or lower gain; nothing brings the values back afterwards."
    if all_over:
        effect = "Most samples are so: a white background is no fault, a window that cuts off tissue is."
    shares = {name: round(share, 3) for name, share in zip(bright["id"], bright["saturated"], strict=True)}
    return [fault("saturated", "note" if all_over else "warning", title, bright["id"], effect, mend, shares=shares)]


# ------------------------------------------------------------------------------------------------- unlike the others


def _pages(catalog: Catalog, known: pd.DataFrame) -> Finding | None:
    """Files of several pages where single images are wanted."""
    several = known[(known["depth"] > 1)] if catalog.kind == "images" else known[:0]
    if several.empty:
        return None
    title = f"{counted(len(several), 'image')} of several pages or frames where one is expected"
    mend = "Save each page as a file of its own, or give input.shape a depth, so that samples are volumes."
    return fault("several_pages", "error", title, several["id"], "Training stops at the file.", mend)


def _channels(catalog: Catalog, known: pd.DataFrame, what: str) -> list[Finding]:
    counts = Counter(known["channels"].astype(int).tolist())
    findings = []
    odd = known[~known["channels"].isin([1, 3])]
    if len(odd):
        title = f"{counted(len(odd), what)} with {_listed(odd['channels'])} channels, expected 1 (grey) or 3 (colour)"
        mend = "Save without transparency or further channels, or choose the channels that matter beforehand."
        findings.append(
            fault("wrong_channels", "error", title, odd["id"], "Training stops at the file.", mend, channels=counts)
        )
    usual = known[known["channels"].isin([1, 3])]
    if usual["channels"].nunique() > 1:
        fewer = usual[usual["channels"] != usual["channels"].mode()[0]]
        kind = "colour" if fewer["channels"].iat[0] == 3 else "grey"
        title = f"{counted(len(fewer), what)} in {kind}, unlike the other {len(usual) - len(fewer):,}"
        effect = "Colour may come from overlays and marks of one device or class, which a network then reads."
        mend = "See whether colour goes with the class (shortcuts); save all in grey, or all in colour."
        findings.append(fault("mixed_channels", "warning", title, fewer["id"], effect, mend, channels=counts))
    elif (
        len(usual) and catalog.spec is not None and usual["channels"].iat[0] == 3 and catalog.spec.input.shape[-1] == 1
    ):
        effect = "The colours are lost: input.shape has one channel, so grey levels are made of them."
        title, mend = (
            f"all {what}s are in colour, but input.shape asks for grey",
            "Give input.shape 3 channels, if colour tells anything.",
        )
        findings.append(fault("colour_dropped", "note", title, (), effect, mend, channels=counts))
    return findings


def _listed(values: pd.Series) -> str:
    return " or ".join(str(int(value)) for value in sorted(values.unique()))


def _bits(known: pd.DataFrame, what: str) -> Finding | None:
    forms = known["dtype"] + ", " + known["bits"].map("{:.0f} bits".format)
    if forms.nunique() < 2:
        return None
    usual = forms.mode()[0]
    fewer = known[forms != usual]
    other_type = (fewer["dtype"] != usual.split(",")[0]).any()
    title = (
        f"{counted(len(fewer), what)} {_kinds(forms[forms != usual])}, the other {len(known) - len(fewer):,} {usual}"
    )
    effect = "The same tissue has values of another scale in them: a network learns the device, not the tissue."
    if other_type:
        effect = f"Training stops: one data set holds values of one type. {effect}"
    counts = {str(name): int(count) for name, count in forms.value_counts().items()}
    mend = "Export all in the same form; or convert these, with the scale by which the values were cut down."
    severity: Severity = "error" if other_type else "warning"
    return fault("mixed_bits", severity, title, fewer["id"], effect, mend, forms=counts)


def _kinds(forms: pd.Series) -> str:
    return " or ".join(sorted(forms.unique()))


def _spacing(catalog: Catalog, known: pd.DataFrame, what: str) -> Finding | None:
    columns = ["spacing_0", "spacing_1", "spacing_2"]
    steps = known[columns].dropna(axis=1, how="all")
    if steps.empty:
        return None
    none = steps.isna().all(axis=1)
    ratio = (steps / steps.median() - 1).abs().max(axis=1)
    odd = known[none | (ratio > SAME_SPACING)]
    if odd.empty:
        return None
    ends = ", ".join(_range(steps[name]) for name in steps.columns)
    title = f"{counted(len(odd), what)} of {len(known):,} with a spacing unlike the median; along the axes {ends} mm"
    if none.any():
        title += f"; {none.sum():,} without any"
    resampled = catalog.kind == "volumes" and catalog.spec is not None and catalog.spec.input.spacing is not None
    effect = "The same tumour has another size in pixels from device to device, and size is what malignancy is told by."
    mend = "Resample to one spacing"
    mend += (
        ": input.spacing does it for volumes whose files tell theirs." if catalog.kind == "volumes" else " beforehand."
    )
    if resampled and not none.any():
        effect, mend = "None on the result: volumes are resampled to input.spacing.", "Nothing to mend."
    ranges = {name: [float(steps[name].min()), float(steps[name].max())] for name in steps.columns}
    severity: Severity = "note" if resampled and not none.any() else "warning"
    return fault("mixed_spacing", severity, title, odd["id"], effect, mend, ranges=ranges, without=int(none.sum()))


def _range(steps: pd.Series) -> str:
    low, high = steps.min(), steps.max()
    return f"{low:.3g}" if np.isclose(low, high, rtol=SAME_SPACING) else f"{low:.3g} to {high:.3g}"


def _same_content(catalog: Catalog, known: pd.DataFrame) -> list[Finding]:
    """Tracks with the very same positions; copies of images are looked for by the check of duplicates."""
    same = known[known.duplicated("digest", keep=False)]
    if same.empty:
        return []
    table = catalog.table.loc[same.index, ["class_name", "split"]].groupby(same["digest"]).nunique()
    crossing = {"classes": int((table["class_name"] > 1).sum()), "parts": int((table["split"] > 1).sum())}
    title = f"{counted(len(same), 'track')} in {counted(len(table), 'set')} of the very same positions"
    title += "".join(f", {count} across {name}" for name, count in crossing.items() if count)
    effect = "A copy in training and in test makes the result too good; under two classes, one label is wrong."
    mend = "Keep one track of each set."
    severity: Severity = "error" if any(crossing.values()) else "warning"
    sets = [list(names) for _, names in same.groupby("digest", sort=False)["id"]]
    return [fault("same_content", severity, title, same["id"], effect, mend, sets=sets, crossing=crossing)]
