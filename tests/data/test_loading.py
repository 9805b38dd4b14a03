"""The samples of a spec, whatever its task reads."""

import pytest

from tumorkeras.data.detection import DetectionSamples
from tumorkeras.data.loading import load_data
from tumorkeras.data.samples import Samples
from tumorkeras.errors import SpecError
from tumorkeras.spec import DataSpec

PHANTOMS = {"name": "lesions", "input": {"shape": [48, 64, 1]}, "source": {"kind": "phantoms", "samples": 9}}


@pytest.mark.parametrize(
    ("tasks", "kind"),
    [(["detect"], DetectionSamples), (["autoencode"], Samples), (["autoencode", "detect"], DetectionSamples)],
)
def test_the_task_says_what_is_read(tasks, kind):
    assert isinstance(load_data(DataSpec.from_dict({**PHANTOMS, "tasks": tasks})), kind)


def test_a_file_is_read_and_a_missing_one_named(tmp_path):
    DataSpec.from_dict(PHANTOMS).save(tmp_path / "data_spec.yaml")
    assert len(load_data(tmp_path / "data_spec.yaml")) == 9
    with pytest.raises(SpecError, match=r"none\.yaml"):
        load_data(tmp_path / "none.yaml")
