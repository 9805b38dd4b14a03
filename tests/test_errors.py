"""The errors tell every fault, in one line or in a list."""

from __future__ import annotations

import pickle

import pytest

from tumorkeras.errors import DataError, MissingExtraError, ModelError, SpecError, TumorKerasError


@pytest.mark.parametrize("kind", [SpecError, DataError, ModelError])
def test_every_kind_is_a_tumorkeras_error_and_a_value_error(kind):
    error = kind("volumes.npz", ["train_labels: missing"])
    assert isinstance(error, TumorKerasError)
    assert isinstance(error, ValueError)
    assert (error.heading, error.faults) == ("volumes.npz", ["train_labels: missing"])


def test_without_faults_the_heading_is_the_message():
    assert str(DataError("images: holds no image")) == "images: holds no image"


def test_one_fault_stands_in_one_line():
    assert str(DataError("images", ["a.png: is empty"])) == "images: a.png: is empty"


def test_several_faults_are_counted_and_listed():
    assert str(DataError("images", ["a.png: is empty", "b.png: is empty"])) == (
        "images: 2 faults\n  - a.png: is empty\n  - b.png: is empty"
    )


def test_faults_are_a_copy():
    faults = ["a.png: is empty"]
    error = DataError("images", faults)
    faults.append("b.png: is empty")
    assert error.faults == ["a.png: is empty"]


@pytest.mark.parametrize(
    "error",
    [SpecError("spec.yaml"), DataError("images", ["a", "b"]), MissingExtraError("pydicom", "medical")],
)
def test_errors_cross_process_borders(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert copy.__dict__ == error.__dict__


def test_missing_extra_holds_the_line_that_installs_it():
    error = MissingExtraError("pydicom", "medical")
    assert isinstance(error, ImportError)
    assert str(error) == "pydicom is not installed; install it with: pip install 'tumorkeras[medical]'"
