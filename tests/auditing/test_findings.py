"""Findings: their order, and what of them reaches JSON."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tumorkeras.auditing.findings import SEVERITIES, Finding, by_severity, counted, fault, plain


def test_findings_are_in_order_of_severity_and_else_stay_as_they_came():
    kinds = ["note", "error", "warning", "error", "note"]
    found = by_severity(Finding("faults", f"f{k}", kind, "") for k, kind in enumerate(kinds))
    assert [finding.code for finding in found] == ["f1", "f3", "f2", "f0", "f4"]


def test_a_severity_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="severity: found 'fatal', expected one of error, warning, note"):
        Finding("faults", "x", "fatal", "")


def test_findings_do_not_change():
    with pytest.raises(FrozenInstanceError):
        Finding("faults", "x", "note", "").title = "y"


def test_a_fault_takes_any_names_and_figures():
    found = fault("empty", "error", "t", pd.Series(["a", "b"]), "e", "m", bytes=0)
    assert found == Finding("faults", "empty", "error", "t", ("a", "b"), "e", "m", {"bytes": 0})


def test_plain_values_of_every_kind():
    figures = {
        "auc": np.float64(0.5), "n": np.int32(3), "flags": np.array([True, False]), "low": np.nan, "high": -np.inf,
        "path": Path("a/b"), "names": {"b", "a"}, 7: ("x", None), "when": pd.Timestamp("2020-01-02"),
    }  # fmt: skip
    assert Finding("faults", "x", "note", "", figures=figures).to_dict()["figures"] == {
        "auc": 0.5, "n": 3, "flags": [True, False], "low": None, "high": None,
        "path": "a/b", "names": ["a", "b"], "7": ["x", None], "when": "2020-01-02 00:00:00",
    }  # fmt: skip


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=12,
)


@settings(max_examples=40)
@given(values)
def test_whatever_is_made_plain_is_json(value):
    once = plain(value)
    assert json.loads(json.dumps(once, allow_nan=False)) == once
    assert plain(once) == once


@given(st.integers(0, 10**9))
def test_counts_agree_with_their_noun(n):
    assert counted(n, "box", "boxes").endswith("box" if n == 1 else "boxes")


def test_the_severities_are_those_of_the_type():
    assert SEVERITIES == ("error", "warning", "note")
