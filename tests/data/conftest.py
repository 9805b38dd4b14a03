"""Files of known content and geometry, written by the libraries that others write them with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

AXIAL = [1, 0, 0, 0, 1, 0]
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def dicom_dataset(values, *, syntax=None, **tags):
    """A dataset of grey (h, w), (frames, h, w) or colour (..., 3) values, uncompressed."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, generate_uid

    syntax = syntax or ExplicitVRLittleEndian
    values = np.asarray(values)
    colour = tags.get("PhotometricInterpretation", "").startswith(("RGB", "YBR"))
    size = values.shape[-3:-1] if colour else values.shape[-2:]
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CT_IMAGE
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Doe^Jane", "P-4711", "19700131"
    dataset.Modality, dataset.PhotometricInterpretation = "OT", "MONOCHROME2"
    dataset.Rows, dataset.Columns = size
    dataset.SamplesPerPixel = 3 if colour else 1
    if colour:
        dataset.PlanarConfiguration = 0
    if values.ndim > 2 + colour:
        dataset.NumberOfFrames = len(values)
    bits = values.dtype.itemsize * 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    for tag, value in tags.items():
        setattr(dataset, tag, value)
    stored = values.astype(values.dtype.newbyteorder(">" if syntax == ExplicitVRBigEndian else "<"))
    dataset.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    return dataset


@pytest.fixture(scope="session")
def make_dataset():
    return dicom_dataset


@pytest.fixture
def write_dicom(tmp_path):
    """Write a dataset of values and tags; gives its path."""

    def write(values, name="image.dcm", folder=None, **tags):
        path = Path(folder or tmp_path, name)
        path.parent.mkdir(exist_ok=True, parents=True)
        syntax = tags.get("syntax")
        implicit = syntax is not None and syntax == "1.2.840.10008.1.2"
        big = syntax is not None and syntax == "1.2.840.10008.1.2.2"
        dicom_dataset(values, **tags).save_as(
            path, enforce_file_format=True, implicit_vr=implicit, little_endian=not big
        )
        return path

    return write


@pytest.fixture
def write_series(write_dicom, tmp_path):
    """Write a volume (depth, h, w) as one axial series, its files in another order than its slices."""

    def write(volume, *, step=2.5, spacing=(0.5, 0.75), folder=None, seed=3, **tags):
        folder = Path(folder or tmp_path / "series")
        names = np.random.default_rng(seed).permutation(len(volume))
        tags = {"SeriesInstanceUID": "1.2.3", "ImageOrientationPatient": AXIAL, "PixelSpacing": list(spacing)} | tags
        for k, values in enumerate(volume):
            place = [-20, -30, 100 + k * step]
            write_dicom(values, f"{names[k]:03}.dcm", folder, **({"ImagePositionPatient": place} | tags))
        return folder

    return write


@pytest.fixture(scope="session")
def picture():
    """A colour image (48, 64, 3) uint8 with something to see in it."""
    rows, columns = np.mgrid[:48, :64]
    return np.stack([rows * 4, columns * 3, 255 - rows * 2 - columns], axis=-1).clip(0, 255).astype(np.uint8)
