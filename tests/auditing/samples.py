"""Folders of small pictures and specs for the audit: clean ones, in which tests then plant faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tumorkeras.auditing.facts import Facts, collect_facts
from tumorkeras.auditing.findings import Finding
from tumorkeras.data.catalog import Catalog, catalog_of
from tumorkeras.data.parts import with_parts
from tumorkeras.spec import DataSpec

CLASSES = ("benign", "malignant")
SIDE = 48


def picture(seed: int, height: int = SIDE, width: int = SIDE) -> np.ndarray:
    """A grey picture (height, width) uint8 with blobs of its own; no value at the ends of the range."""
    generator = np.random.default_rng(seed)
    coarse = generator.uniform(40, 200, (6, 6)).astype("float32")
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + generator.normal(0, 4, (height, width)), 5, 250).astype("uint8")


def write(path: Path, image: np.ndarray) -> Path:
    """Write a picture in the format of its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


def write_dicom(path: Path, image: np.ndarray | None, **values: Any) -> Path:
    """Write a picture (height, width) uint8 as a DICOM file with further tags; without pixels where it is None."""
    dicom = pytest.importorskip("pydicom")
    meta = dicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = dicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = dicom.uid.SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = dicom.uid.generate_uid(entropy_srcs=[str(path)])
    path.parent.mkdir(parents=True, exist_ok=True)
    data = dicom.dataset.FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.Rows, data.Columns = (SIDE, SIDE) if image is None else image.shape
    for name, value in values.items():
        setattr(data, name, value)
    if image is not None:
        data.PixelData = image.tobytes()
    data.save_as(path)
    return path


def write_classes(folder: Path, each: int = 80, classes: tuple[str, ...] = CLASSES) -> Path:
    """``each`` different pictures in a folder a class: folder/images/CLASS/000.png ..."""
    for number, name in enumerate(classes):
        for k in range(each):
            write(folder / "images" / name / f"{k:03}.png", picture(1000 * number + k))
    return folder


def write_boxes(folder: Path, images: int = 40, extra: tuple[str, ...] = ()) -> Path:
    """Pictures with one box each in folder/images and folder/boxes.csv; ``extra`` are further lines of the CSV."""
    lines = ["image,class,xmin,ymin,xmax,ymax"]
    for k in range(2 * images):
        write(folder / "images" / f"{k:03}.png", picture(k))
        lines.append(f"{k:03}.png,{CLASSES[k % 2]},{4 + k % 5},6,{24 + k % 7},{30 + k % 3}")
    (folder / "boxes.csv").write_text("\n".join([*lines, *extra]) + "\n", encoding="utf-8")
    return folder


def spec_of(folder: Path, source: dict[str, Any] | None = None, **sections: Any) -> DataSpec:
    """A spec of folder/images, a folder a class where no other source is given."""
    values = {"name": "scans", "source": {"kind": "image_folder", "path": "images"}, "input": {"shape": [32, 32, 1]}}
    return DataSpec.from_dict({**values, **({} if source is None else {"source": source}), **sections}, folder=folder)


def detection_spec(folder: Path, **sections: Any) -> DataSpec:
    """A spec of folder/images with folder/boxes.csv."""
    source = {"kind": "detection", "path": "images", "annotations": "boxes.csv"}
    return spec_of(folder, source, tasks=["autoencode"], **sections)


def catalog_and_facts(spec: DataSpec, parts: bool = True) -> tuple[Catalog, Facts]:
    """What a spec names, and what its samples are."""
    catalog = catalog_of(spec)
    catalog = with_parts(catalog) if parts else catalog
    return catalog, collect_facts(catalog, progress=False)


def by_code(findings: list[Finding] | tuple[Finding, ...], check: str = "faults") -> dict[str, tuple[str, ...]]:
    """The files of each finding of a check, by its code."""
    return {finding.code: finding.files for finding in findings if finding.check == check}
