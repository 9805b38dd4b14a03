"""Which samples are of one patient, where no table says it."""

from __future__ import annotations

from tumorkeras.data.patients import PATIENT
from tumorkeras.layout.guess import Guess
from tumorkeras.layout.pictures import Pictures, dicom_head

HEADERS_READ = 5


def add_patients(guess: Guess, pictures: Pictures) -> None:
    """Group DICOM files by their PatientID; of other files say that nothing tells their patients."""
    files = [file for file in pictures.files if file.format == "dicom"]
    if not files:
        guess.unsure.append("Nothing tells which images are of one patient; if some are, a split between them leaks.")
        return
    step = max(1, len(files) // HEADERS_READ)
    heads = [dicom_head(pictures.root / file.path) for file in files[::step][:HEADERS_READ]]
    if not all(head.get("PatientID", "").strip() for head in heads):
        guess.unsure.append("The DICOM files do not all have a PatientID: nothing tells which are of one patient.")
        return
    guess.values.setdefault("splits", {})["group"] = PATIENT
    guess.say("splits.group", "By the PatientID of the DICOM files, which is read to group them and never shown.")
