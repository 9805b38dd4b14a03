"""Jobs that cannot be done: said by name, before anything is written."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import yaml

from tumorkeras import DataSpec, run
from tumorkeras.errors import DataError, ModelError, SpecError
from tumorkeras.jobs.prepared import prepare

VALUES = {
    "name": "tiny",
    "tasks": ["detect"],
    "source": {"kind": "phantoms", "samples": 24, "lesions": ["malignant"]},
    "input": {"shape": [64, 64, 1]},
    "detector": {"backbone": "autoencoder"},
}
BESIDE = {
    "name": "beside",
    "tasks": ["autoencode"],
    "source": {"kind": "simulation", "samples_per_class": 6, "frames": 4},
    "input": {"shape": [4, 8, 8, 1], "spacing": [1, 8, 8]},
}


def changed(**values):
    return DataSpec.from_dict({**VALUES, **values})


def test_the_models_of_a_job_and_what_each_learns_from(tmp_path):
    filters = {"filters": [4, 4, 8, 8]}
    job = prepare(changed(autoencoder=filters), tmp_path)
    assert (job.kind, job.kinds, job.pretrained, job.part) == ("detector", ["autoencoder", "detector"], True, "test")
    assert job.images.table["id"].tolist() == job.samples.table["id"].tolist()
    alone = prepare(changed(detector={}), tmp_path)
    assert (alone.kinds, alone.pretrained) == (["detector"], False)
    both = prepare(changed(detector={}, tasks=["autoencode", "detect"]), tmp_path)
    assert (both.kinds, both.pretrained) == (["autoencoder", "detector"], False)
    assert list(tmp_path.iterdir()) == []


def test_jobs_beside_jobs_lie_in_folders_of_their_names(tmp_path):
    first = specs(tmp_path, a=["b.yaml", "d.yaml"], b=["c.yaml"], c=[], d=[])
    job = prepare(DataSpec.from_yaml(first), tmp_path / "out")
    places = [each.folder.relative_to(tmp_path).as_posix() for each in job.all()]
    assert places == ["out", "out/b", "out/b/c", "out/d"]


def refused(spec, folder):
    with pytest.raises(DataError) as caught:
        run(spec, folder / "out", progress=False)
    assert not (folder / "out").exists()
    return caught.value.faults


@pytest.mark.parametrize(
    ("values", "faults"),
    [
        (
            {"source": {"kind": "phantoms", "samples": 20, "without": 1.0}},
            ["no image of the part 'train' has an object", "no image of the part 'test' has an object"],
        ),
        (
            {"source": {"kind": "phantoms", "samples": 1, "without": 0.0, "lesions": ["benign"]}},
            ["1 sample is too few to split a part off"],
        ),
        (
            {"splits": {"fractions": {"train": 1, "val": 0, "test": 0}}},
            [
                "no sample is left to read the result on, in 'test' or 'val'; there are "
                "{'train': 24, 'val': 0, 'test': 0}"
            ],
        ),
    ],
)
def test_data_that_are_not_enough_leave_no_folder(values, faults, tmp_path):
    assert refused(changed(**values), tmp_path) == faults


def test_a_class_without_a_box_is_named(tmp_path):
    (tmp_path / "images").mkdir()
    rows = ["image,class,xmin,ymin,xmax,ymax"]
    for k in range(12):
        cv2.imwrite(str(tmp_path / "images" / f"{k}.png"), np.full((40, 40), 20 * k, "uint8"))
        rows.append(f"{k}.png,cyst,5,5,30,30")
    (tmp_path / "boxes.csv").write_text("\n".join(rows))
    source = {"kind": "detection", "path": str(tmp_path / "images"), "annotations": str(tmp_path / "boxes.csv")}
    spec = changed(source=source, classes=["cyst", "mass"])
    assert refused(spec, tmp_path) == ["class 'mass' has no box in the part 'train'"]


def test_an_autoencoder_without_the_levels_of_a_detector_is_refused_before_its_training(tmp_path):
    spec = changed(autoencoder={"filters": [4, 4]})
    with pytest.raises(ModelError, match="backbone: has maps of strides 1, 2, expected 4, 8"):
        run(spec, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def specs(folder, **also):
    """Specs by name, each with the files that it names."""
    for name, files in also.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({**BESIDE, "name": name, "also": files}))
    return folder / f"{next(iter(also))}.yaml"


@pytest.mark.parametrize(
    ("also", "fault"),
    [
        ({"a": ["b.yaml"], "b": ["a.yaml"]}, "names, in the end, itself"),
        ({"a": ["a.yaml"]}, "names, in the end, itself"),
        ({"a": ["models.yaml"], "models": []}, "the name of models.yaml, models, is that of one of the results"),
        ({"a": ["lost.yaml"]}, "lost.yaml; leave the field out for this job alone"),
    ],
)
def test_jobs_that_cannot_stand_beside_each_other(also, fault, tmp_path):
    with pytest.raises(SpecError) as caught:
        run(specs(tmp_path, **also), tmp_path / "out", progress=False)
    assert fault in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_two_jobs_of_one_name_are_refused(tmp_path):
    first = specs(tmp_path, a=["b.yaml", "c.yaml"], b=[], c=[])
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({**BESIDE, "name": "b"}))
    with pytest.raises(SpecError, match=r"also\[1\]: the name of c.yaml, b, is another job's"):
        run(first, tmp_path / "out", progress=False)


def test_data_at_fault_beside_leave_no_folder(tmp_path):
    first = specs(tmp_path, a=["b.yaml"], b=[])
    splits = {"fractions": {"train": 1, "val": 0, "test": 0}}
    (tmp_path / "b.yaml").write_text(yaml.safe_dump({**BESIDE, "name": "b", "splits": splits}))
    refused(DataSpec.from_yaml(first), tmp_path)
