"""From a folder that nobody described to a report: init, audit and run, as a person would call them."""

from __future__ import annotations

import json
import re

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from command_line import run_command

from tumorkeras import DataSpec


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty-four pictures with a bright spot each and a table of boxes; every fourth picture shows nothing."""
    place = tmp_path_factory.mktemp("lesions")
    (place / "images").mkdir()
    rng = np.random.default_rng(0)
    rows, listed = ["image,class,xmin,ymin,xmax,ymax"], ["image,split"]
    for k in range(24):
        picture = cv2.GaussianBlur(rng.integers(0, 255, (64, 80), "uint8"), (0, 0), 2)
        picture = cv2.normalize(picture, None, 0, 200, cv2.NORM_MINMAX)
        x, y = rng.integers(5, 50), rng.integers(5, 40)
        if k == 20:  # a mixture that no image of the training part shows
            rows.append(f"scan_{k:02},benign,60,50,70,60")
            rows.append(f"scan_{k:02},malignant,5,50,15,60")
        if k % 4:
            picture[y : y + 12, x : x + 16] += 50
            rows.append(f"scan_{k:02},{('benign', 'malignant')[k % 2]},{x},{y},{x + 16},{y + 12}")
        listed.append(f"scan_{k:02},{'val' if k >= 18 else 'train'}")
        cv2.imwrite(str(place / "images" / f"scan_{k:02}.png"), picture)
    (place / "boxes.csv").write_text("\n".join(rows))
    (place / "images.csv").write_text("\n".join(listed))
    return place


@pytest.fixture(scope="module")
def spec_file(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("elsewhere") / "deep" / "data_spec.yaml"
    path.parent.mkdir()
    outcome = run_command("init", folder, "--output", path, "--json")
    assert outcome.status == 0, outcome.err
    assert json.loads(outcome.out) == {"spec": str(path), "source": "detection"}
    return path


def test_the_spec_is_right_wherever_it_lies(spec_file, folder):
    spec = DataSpec.from_yaml(spec_file)
    assert spec.resolve(spec.source.path).resolve() == (folder / "images").resolve()
    assert spec.classes == ["benign", "malignant"] or spec.classes == ["malignant", "benign"]


def test_a_spec_that_is_there_is_kept(spec_file, folder):
    before = spec_file.read_text()
    outcome = run_command("init", folder, "--output", spec_file)
    assert outcome.status == 1
    assert str(spec_file) in outcome.err
    assert spec_file.read_text() == before


def test_audit_ends_with_0_where_there_is_no_fault_and_with_1_where_there_is(spec_file, folder, tmp_path):
    outcome = run_command("audit", spec_file, "--output", tmp_path / "audit.html", "--json")
    assert outcome.status == 0, outcome.err
    found = json.loads(outcome.out.splitlines()[-1])
    assert "without_objects" in [finding["code"] for finding in found["findings"]]
    assert found["counts"]["images"] == 24
    assert "<html" in (tmp_path / "audit.html").read_text()
    broken = folder / "images" / "scan_01.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:300])
    try:
        outcome = run_command("audit", spec_file)
    finally:
        broken.write_bytes(whole)
    assert outcome.status == 1
    assert "scan_01.png" in outcome.out


def test_a_table_of_features_is_audited_by_itself(tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{'ab'[k % 2]},{k // 10},{rng.normal():.9f}" for k in range(80)]
    (tmp_path / "features.csv").write_text("class,day,speed\n" + "\n".join(rows))
    outcome = run_command("audit", tmp_path / "features.csv", "--label", "class", "--group", "day", "--json")
    assert outcome.status == 0, outcome.err
    codes = [finding["code"] for finding in json.loads(outcome.out.splitlines()[-1])["findings"]]
    assert "no_batch_effect" in codes


@pytest.mark.slow
def test_run_works_on_what_init_wrote(spec_file, tmp_path):
    values = yaml.safe_load(spec_file.read_text())
    assert values["tasks"] == ["detect"]
    values["training"] = {"epochs": 1, "batch_size": 8}
    values["autoencoder"] = {"filters": [4, 8, 8], "bottleneck": None, "epochs": 1}
    values["detector"] = {
        "backbone": "autoencoder",
        "fusion_width": 8,
        "rpn_proposals": 20,
        "dense": [8],
        "max_detections": 4,
    }
    values["input"]["shape"] = [32, 32, 1]
    quick = spec_file.with_name("quick.yaml")
    quick.write_text(yaml.safe_dump(values))
    outcome = run_command("run", quick, "--output", tmp_path / "out")
    assert outcome.status == 0, outcome.err
    assert re.search(r"^AP50: \d\.\d+ ", outcome.out, re.MULTILINE)
    audit = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert audit["ok"] is True
    page = (tmp_path / "out" / "report.html").read_text()
    assert 'id="audit"' in page
    assert 'id="detection"' in page
    assert "images with boxes" in page
    found = pd.read_parquet(tmp_path / "out" / "predictions.parquet").dropna(subset="class")
    assert set(found["class"]) <= {"benign", "malignant"}
    assert found["xmax"].max() <= 80  # in pixels of the files
