"""Small folders of data in the layouts that people have, and what is said in the specs written for them."""

from __future__ import annotations

import json
import re

import cv2
import numpy as np
import pytest
import yaml

from tumorkeras.errors import DataError
from tumorkeras.layout import init
from tumorkeras.spec import DataSpec


def made(folder, output="spec.yaml"):
    """The spec that is written for a folder, and its text."""
    path = folder.parent / output
    spec = init(folder, path)
    assert DataSpec.from_yaml(path) == spec
    return spec, path.read_text(encoding="utf-8")


def refused(folder):
    """What is said of a folder that no spec is written for."""
    with pytest.raises(DataError) as caught:
        init(folder, folder.parent / "spec.yaml")
    assert not (folder.parent / "spec.yaml").exists()
    return str(caught.value)


def picture(path, *, size=(48, 64), colour=False, seed=0):
    """A noisy image; ``colour`` for one that is not grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(seed).integers(0, 255, (*size, 3 if colour else 1), dtype="uint8")
    assert cv2.imwrite(str(path), image)
    return path


def mask(path, boxes, *, size=(48, 64), values=None):
    """A mask with a filled box for each of (xmin, ymin, xmax, ymax)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.zeros(size, "uint8")
    for k, (left, top, right, bottom) in enumerate(boxes):
        image[top:bottom, left:right] = 255 if values is None else values[k]
    assert cv2.imwrite(str(path), image)


def class_folders(root, folders, count=6, **look):
    for folder in folders:
        for k in range(count):
            picture(root / folder / f"{k}.png", seed=k, **look)
    return root


def table(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")


def coco(path, names, *, first=1):
    """A COCO file with one cyst in every image."""
    images = [{"id": k, "file_name": name, "height": 48, "width": 64} for k, name in enumerate(names, start=first)]
    boxes = [
        {"id": k, "image_id": image["id"], "category_id": 7, "bbox": [4, 4, 20, 10], "area": 200, "iscrowd": 0}
        for k, image in enumerate(images, start=first)
    ]
    categories = [{"id": 9, "name": "mass"}, {"id": 7, "name": "cyst"}]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))


def voc(path, image, name="cyst"):
    path.parent.mkdir(parents=True, exist_ok=True)
    box = "<bndbox><xmin>4</xmin><ymin>5</ymin><xmax>20</xmax><ymax>30</ymax></bndbox>"
    size = "<size><width>64</width><height>48</height><depth>1</depth></size>"
    content = f"<filename>{image}</filename>{size}<object><name>{name}</name>{box}</object>"
    path.write_text(f"<annotation>{content}</annotation>")


def matrix(path, rows, frames, *, seed=0, step=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    walk = np.random.default_rng(seed).normal(0, step, (rows, frames)).cumsum(axis=1) + 100
    path.write_text("\n".join(",".join(f"{value:.3f}" for value in row) for row in walk) + "\n")


def nifti(path, shape=(12, 16, 8), spacing=(0.8, 0.8, 2.5)):
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).integers(-100, 400, shape).astype("int16")
    nibabel.save(nibabel.Nifti1Image(values, np.diag([*spacing, 1])), path)


def dicom_series(folder, *, patient, slices=4, size=(16, 24), spacing=(2.0, 0.5, 0.5), ending=".dcm"):
    """A CT series, a file a slice."""
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    series, study = generate_uid(), generate_uid()
    for k in range(slices):
        data = pydicom.Dataset()
        data.file_meta = pydicom.dataset.FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = pydicom.uid.CTImageStorage
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
        data.PatientID, data.PatientName, data.Modality = patient, f"Name^{patient}", "CT"
        data.SeriesInstanceUID, data.StudyInstanceUID, data.InstanceNumber = series, study, k + 1
        data.Rows, data.Columns = size
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
        data.PixelSpacing, data.SliceThickness = [spacing[1], spacing[2]], spacing[0]
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.ImagePositionPatient = [0, 0, k * spacing[0]]
        data.PixelData = np.random.default_rng(k).integers(0, 4000, size).astype("uint16").tobytes()
        data.save_as(folder / f"slice{k}{ending}", enforce_file_format=True)


def comments(text):
    """All that is commented, in one line."""
    return " ".join(line.strip().removeprefix("#").strip() for line in text.splitlines() if line.strip()[:1] == "#")


def off_blocks(text):
    """Blocks that are switched off."""
    blocks = [[]]
    for line in text.splitlines():
        if re.match(r"#(\w|  )", line):
            blocks[-1].append(line[1:])
        elif blocks[-1]:
            blocks.append([])
    return [yaml.safe_load("\n".join(block)) for block in blocks if block]
