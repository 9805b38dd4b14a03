"""Folders with a DICOM series, and single DICOM files, of known content."""

from __future__ import annotations

from pathlib import Path

import numpy as np

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def write_series(folder: Path, volume: np.ndarray, step: float = 2.0) -> None:
    """A file a slice of a volume (depth, height, width) of uint8, ``step`` mm apart, 1 mm between pixels."""
    from pydicom.uid import generate_uid

    folder.mkdir(parents=True)
    series = generate_uid(entropy_srcs=[str(folder)])
    for number, pixels in enumerate(volume):
        dataset = _slice(pixels)
        dataset.SeriesInstanceUID, dataset.InstanceNumber = series, number + 1
        dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, number * step], [1, 0, 0, 0, 1, 0]
        dataset.PixelSpacing = [1, 1]
        dataset.save_as(folder / f"{number:03d}.dcm", enforce_file_format=True)


def write_dicom(path: Path, pixels: np.ndarray) -> None:
    """One grey image (height, width) of uint8."""
    _slice(pixels).save_as(path, enforce_file_format=True)


def _slice(pixels: np.ndarray):
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CT_IMAGE
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.PatientName, dataset.Modality, dataset.PhotometricInterpretation = "Doe^Jane", "OT", "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.size % 2)
    dataset["PixelData"].VR = "OB"
    return dataset
