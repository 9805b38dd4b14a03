"""Simulated ultrasound as the source of a spec."""

from __future__ import annotations

import annotated_types
import numpy as np
import pandas as pd
import pytest

import tumorkeras
from tumorkeras.boxes import CORNERS
from tumorkeras.data.catalog import catalog_of
from tumorkeras.data.detection import load_detection
from tumorkeras.data.phantoms import simulate_ultrasound
from tumorkeras.data.phantoms.simulate import LIMITS, MOST, Series
from tumorkeras.data.samples import load_samples
from tumorkeras.spec import DataSpec, PhantomsSource

SHAPE = (64, 80, 1)


def spec_of(samples=40, shape=SHAPE, classes=None, splits=None, **source):
    source = {"kind": "phantoms", "samples": samples, **source}
    values = {"name": "scans", "source": source, "input": {"shape": list(shape)}, "classes": classes}
    return DataSpec.from_dict({**values, "splits": splits or {}})


def test_the_catalog_holds_what_the_function_gives():
    catalog = catalog_of(spec_of(6, seed=3))
    scans = simulate_ultrasound(6, SHAPE[:2], seed=3)
    assert (catalog.kind, catalog.classes, catalog.faults) == ("images", ("benign", "malignant"), ())
    assert catalog.table["id"].tolist() == [f"phantom_0000{k}" for k in range(6)]
    assert set(catalog.table["path"]) == {""}
    assert catalog.table["labelled"].all()
    for k, (name, contents) in enumerate(zip(catalog.table["id"], catalog.table["class_name"], strict=True)):
        own = catalog.boxes[catalog.boxes["image"] == name]
        ids = scans.classes[k][scans.classes[k] >= 0]
        np.testing.assert_array_equal(own[CORNERS].to_numpy("float32"), scans.boxes[k, : len(ids)])
        assert own["class"].tolist() == [catalog.classes[i] for i in ids]
        assert contents == (" + ".join(sorted(set(own["class"]))) or "no objects")
        reading = catalog.read(k)
        np.testing.assert_array_equal(reading.array[..., 0], scans.images[k])
        assert reading.spacing == (0.625, 0.625)
    assert set(catalog.table["class_name"]) > {"no objects"}


def test_listing_draws_no_image_and_reading_draws_one(monkeypatch):
    drawn = []
    image = Series.image
    monkeypatch.setattr(Series, "image", lambda series, number: drawn.append(number) or image(series, number))
    catalog = catalog_of(spec_of(30))
    assert drawn == []
    catalog.read(7)
    catalog.read(7)
    assert drawn == [7, 7]


def test_more_samples_keep_the_first():
    few, many = (catalog_of(spec_of(count)) for count in (5, 9))
    pd.testing.assert_frame_equal(few.boxes, many.boxes[many.boxes["image"].isin(few.table["id"])])


def test_no_image_has_a_lesion():
    catalog = catalog_of(spec_of(4, without=1))
    assert (len(catalog.boxes), set(catalog.table["class_name"])) == (0, {"no objects"})
    samples = load_detection(spec_of(12, without=1))
    assert samples.boxes.shape == (0, 4)
    assert samples.most_objects == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_the_detector_gets_images_with_boxes(channels):
    samples = load_detection(spec_of(40, (*SHAPE[:2], channels), ["malignant", "benign"], seed=1))
    scans = simulate_ultrasound(40, SHAPE[:2], classes=("benign", "malignant"), seed=1)
    assert samples.counts().tolist() == [28, 6, 6]
    assert samples.classes == ("malignant", "benign")
    assert samples.images.shape == (40, *SHAPE[:2], channels)
    assert "path" not in samples.table
    for channel in range(channels):
        np.testing.assert_array_equal(samples.images[..., channel], scans.images)
    for k in range(40):
        boxes, ids = samples.boxes_of(k)
        count = int((scans.classes[k] >= 0).sum())
        np.testing.assert_array_equal(boxes, scans.boxes[k, :count])
        assert ids.tolist() == (1 - scans.classes[k, :count]).tolist()


def test_one_kind_of_lesion_is_one_class():
    samples = load_detection(spec_of(12, lesions=["malignant"]))
    assert samples.classes == ("malignant",)
    assert set(samples.class_ids) == {0}


def test_the_autoencoder_learns_from_the_whole_images():
    samples = load_samples(spec_of(60))
    assert samples.values.shape == (60, *SHAPE)
    assert set(samples.classes) == set(samples.table["class_name"])


@pytest.mark.parametrize("duplicates", ["apart", "together"])
def test_parts_are_drawn_by_their_shares(duplicates):
    samples = load_detection(
        spec_of(60, splits={"duplicates": duplicates, "fractions": {"train": 0.5, "val": 0.5, "test": 0}})
    )
    assert samples.counts()[["train", "val"]].tolist() == pytest.approx([30, 30], abs=3)


def test_the_audit_finds_no_error():
    report = tumorkeras.audit(spec_of(80, (96, 96, 1)), progress=False)
    assert report.ok, str(report)
    assert report.counts["images"] == report.counts["readable"] == 80
    assert report.counts["boxes"] == len(catalog_of(spec_of(80, (96, 96, 1))).boxes)


def test_calipers_are_a_choice_of_the_source():
    plain, marked = (catalog_of(spec_of(5, without=0, calipers=calipers)) for calipers in (False, True))
    pd.testing.assert_frame_equal(plain.boxes, marked.boxes)
    changed = [np.mean(plain.read(k).array != marked.read(k).array) for k in range(5)]
    assert all(0 < share < 0.05 for share in changed)


def test_spec_and_function_have_the_same_limits():
    for name, (low, high) in {**LIMITS, "most": (1, MOST)}.items():
        limits = PhantomsSource.model_fields[name].metadata
        assert [x.ge for x in limits if isinstance(x, annotated_types.Ge)] == [low], name
        assert [x.le for x in limits if isinstance(x, annotated_types.Le)] == [high], name
