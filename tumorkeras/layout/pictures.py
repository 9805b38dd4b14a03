"""Which files are the samples: images, volumes or folders of slices, apart from masks that lie beside them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tumorkeras.data.annotations.masks import SUFFIX as MASK_SUFFIX
from tumorkeras.data.image_files import IMAGES, VOLUMES, Names, find_samples
from tumorkeras.data.names import without_ending
from tumorkeras.layout.looks import Look, look_at
from tumorkeras.layout.survey import File, Survey, common_folder

ALWAYS_VOLUMES = VOLUMES - IMAGES
MASK_FOLDER = re.compile(
    r"(.*[ _-])?(masks?|segmentations?|seg|gt|ground[ _-]?truth|labels?tr|labels?ts)", re.IGNORECASE
)
SERIES_TAGS = ["SeriesInstanceUID", "NumberOfFrames", "PatientID"]


@dataclass(frozen=True)
class Pictures:
    """The images or volumes of a folder.

    Attributes
    ----------
    root : Path
        The surveyed folder.
    files : tuple of File
        Files of the most frequent kind, without masks.
    masks : tuple of File
        Files that are masks, by their names or their folders.
    volumes : bool
        Whether each is a volume.
    names : tuple of str
        The samples, as paths from the root: files, or folders with the slices of a series.
    """

    root: Path
    files: tuple[File, ...]
    masks: tuple[File, ...]
    volumes: bool
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def folder(self) -> str:
        """The deepest folder that holds all samples."""
        return common_folder(File(name, "", 0) for name in self.names)

    @cached_property
    def finder(self) -> Names:
        """Finds the sample that a name in a table means."""
        return Names(self.names)

    @cached_property
    def masks_beside(self) -> bool:
        """Whether masks are told from images by their names, and lie in the same folders."""
        return bool(self.masks) and not any(map(_in_mask_folder, self.masks))

    def look(self, names: Sequence[str] | None = None) -> Look:
        """How some of them look, by default a few of all."""
        return look_at(self.root, self.names if names is None else names, volumes=self.volumes)


def pictures_of(survey: Survey) -> Pictures:
    """Tell images, volumes and masks apart.

    Examples
    --------
    >>> files = [File(f"{name}.png", "png", 9) for name in ("a", "a_mask", "b", "b_mask")]
    >>> found = pictures_of(Survey(Path("data"), tuple(files)))
    >>> found.names, len(found.masks), found.masks_beside
    (('a.png', 'b.png'), 2, True)
    """
    masks = set(_masks(survey.pictures))
    images = [file for file in survey.pictures if file not in masks]
    if not images:
        return Pictures(survey.root, (), (), False, ())
    deep = {True: [f for f in images if f.format in ALWAYS_VOLUMES]}
    deep[False] = [file for file in images if file.format not in ALWAYS_VOLUMES]
    if len(deep[True]) > len(deep[False]):
        return _pictures(survey, deep[True], masks, volumes=True)
    if Counter(file.format for file in deep[False]).most_common(1)[0][0] == "dicom" and _in_series(survey, deep[False]):
        return _pictures(survey, deep[False], masks, volumes=True)
    return _pictures(survey, deep[False], masks, volumes=False)


def _pictures(survey: Survey, files: list[File], masks: set[File], *, volumes: bool) -> Pictures:
    names = {file.path for file in files}
    if volumes and any(file.format == "dicom" for file in files):
        # Whether the files of a folder are slices of one volume is decided as it will be when the spec is read.
        samples, _ = find_samples(survey.root, volumes=True)
        names = (names | {file.folder or "." for file in files}).intersection(samples)
    return Pictures(survey.root, tuple(files), tuple(sorted(masks)), volumes, tuple(sorted(names)))


def _masks(files: list[File]) -> list[File]:
    """Masks by their folder, else by their names beside images of the same name."""
    inside = [file for file in files if _in_mask_folder(file)]
    if inside and len(inside) < len(files):
        return inside
    named = [file for file in files if MASK_SUFFIX.search(without_ending(file.name))]
    if not named:
        return []
    stems = {without_ending(file.path) for file in files}
    return [file for file in named if MASK_SUFFIX.sub("", without_ending(file.path)) in stems]


def _in_mask_folder(file: File) -> bool:
    return any(MASK_FOLDER.fullmatch(step) for step in file.folder.split("/"))


def _in_series(survey: Survey, files: list[File]) -> bool:
    """Whether DICOM files of one folder are slices of one volume, or single files hold frames."""
    dicoms = [file for file in files if file.format == "dicom"]
    heads = [dicom_head(survey.root / dicoms[0].path)]
    fellow = next((file for file in dicoms[1:] if file.folder == dicoms[0].folder), None)
    if fellow is not None:
        heads.append(dicom_head(survey.root / fellow.path))
    if int(heads[0].get("NumberOfFrames") or 1) > 1:
        return True
    series = {str(head.get("SeriesInstanceUID") or k) for k, head in enumerate(heads)}
    return len(heads) == 2 and len(series) == 1


def dicom_head(path: Path) -> dict[str, str]:
    """The tags that tell what belongs together; for decisions only, they are never shown."""
    try:
        import pydicom

        head = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=SERIES_TAGS)
        return {tag: str(head[tag].value) for tag in SERIES_TAGS if tag in head and head[tag].value is not None}
    except Exception:  # not installed or damaged: reading the files will say so
        return {}
