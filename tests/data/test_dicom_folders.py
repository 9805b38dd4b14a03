"""Folders of DICOM: a series is a volume, a patient is a group, and nobody learns who it is."""

from __future__ import annotations

import numpy as np
import pytest

from tumorkeras.auditing import audit
from tumorkeras.data.catalog import catalog_of
from tumorkeras.data.samples import load_samples
from tumorkeras.errors import DataError
from tumorkeras.spec import DataSpec

NOBODY = "Nobody^Knows", "ID-08154711", "19010203"


@pytest.fixture
def archive(tmp_path, write_series):
    """Two series each of twelve patients, half of them in each class."""
    rng = np.random.default_rng(0)
    for patient in range(12):
        for series in range(2):
            volume = rng.integers(0, 900, (4, 8, 8)).astype("int16")
            folder = tmp_path / "scans" / ("benign", "malignant")[patient % 2] / f"exam{patient:02}_{series}"
            tags = {"PatientName": NOBODY[0], "PatientBirthDate": NOBODY[2], "PatientID": f"{NOBODY[1]}{patient}"}
            write_series(volume, folder=folder, SeriesInstanceUID=f"1.2.{patient}.{series}", **tags)
    return tmp_path


def spec_of(folder, **splits):
    values = {
        "name": "ct",
        "source": {"kind": "image_folder", "path": "scans"},
        "input": {"shape": [8, 8, 8, 1], "spacing": [1.25, 0.5, 0.75]},
        "splits": {"fractions": {"train": 0.5, "val": 0.25, "test": 0.25}, **splits},
    }
    return DataSpec.from_dict(values, folder=folder)


def test_each_folder_of_slices_is_a_volume_at_the_spacing_of_the_spec(archive):
    samples = load_samples(spec_of(archive))
    assert samples.values.shape == (24, 8, 8, 8, 1)
    assert samples.table["id"][0] == "benign/exam00_0"
    reading = catalog_of(spec_of(archive)).read(0)
    assert (reading.array.shape, reading.spacing) == ((4, 8, 8, 1), (2.5, 0.5, 0.75))


def test_a_patient_stays_in_one_part(archive):
    samples = load_samples(spec_of(archive, group="patient"))
    assert len(set(samples.groups)) == 12
    assert (samples.table.groupby("group")["split"].nunique() == 1).all()


def test_other_files_in_a_series_do_not_hide_the_patient(archive):
    for folder in (archive / "scans").glob("*/*"):
        (folder / "AAA.txt").write_text("notes")
    assert catalog_of(spec_of(archive, group="patient")).table["group"].nunique() == 12


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_damaged_slice_at_the_end_of_a_series_is_named(archive, place):
    files = sorted((archive / "scans" / "benign" / "exam00_0").glob("*.dcm"), key=lambda path: path.name)
    import pydicom

    by_place = sorted(files, key=lambda path: pydicom.dcmread(path).ImagePositionPatient[2])
    damaged = by_place[0 if place == "first" else -1]
    damaged.write_bytes(damaged.read_bytes()[:400])
    with pytest.raises(DataError, match=damaged.name):
        load_samples(spec_of(archive))


def test_nobody_is_named(archive, caplog):
    report = audit(spec_of(archive, group="patient"), progress=False)
    table = load_samples(spec_of(archive, group="patient")).table
    said = "".join([report.to_json(), report.to_html(), str(report), table.to_csv(), caplog.text])
    assert not [name for name in (*NOBODY, "Nobody") if name in said]


def test_a_patient_on_both_sides_of_a_split_is_found_without_naming_it(archive):
    lines = [path.relative_to(archive / "scans").as_posix() for path in (archive / "scans").glob("*/*")]
    for part in (0, 1):  # the first series of each patient trains, the second validates
        names = [line for line in lines if line.endswith(f"_{part}")]
        (archive / ("train.txt", "val.txt")[part]).write_text("\n".join(names))
    report = audit(spec_of(archive, files={"train": "train.txt", "val": "val.txt"}), progress=False)
    leaks = [finding for finding in report.findings if finding.check == "leaks" and finding.severity == "error"]
    assert len(leaks) == 1
    assert len(leaks[0].files) == 24
    assert not [name for name in NOBODY if name in report.to_json()]


def test_pictures_have_no_patients(tmp_path):
    import cv2

    for name in ("a", "b"):
        (tmp_path / "scans" / name).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "scans" / name / "1.png"), np.zeros((8, 8), "uint8"))
    values = {"name": "us", "source": {"kind": "image_folder", "path": "scans"}, "input": {"shape": [8, 8, 1]}}
    spec = DataSpec.from_dict({**values, "splits": {"group": "patient"}}, folder=tmp_path)
    with pytest.raises(DataError, match="no DICOM file names a patient"):
        catalog_of(spec)
