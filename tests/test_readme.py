"""The README's Python lines, run as they stand on a small spec of the same name."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SMALL = {
    "name": "motion",
    "source": {"kind": "simulation", "samples_per_class": 20, "frames": 8},
    "input": {"shape": [8, 12, 12, 1], "spacing": [1, 6, 6]},
    "splits": {"folds": 2},
    "autoencoder": {"filters": [4], "bottleneck": 4, "epochs": 1},
    "classifier": {"filters": [4], "dense": [8]},
    "training": {"epochs": 1},
    "comparison": {"methods": ["majority", "svm_linear", "cnn"]},
}


LESIONS = {
    "name": "lesions",
    "source": {"kind": "phantoms", "samples": 20},
    "input": {"shape": [64, 64, 1]},
    "preprocessing": [{"step": "rescale"}],
    "autoencoder": {"filters": [4, 8, 8], "bottleneck": None, "epochs": 1},
    "detector": {"backbone": "autoencoder", "fusion_width": 8, "dense": [8, 8]},
    "training": {"epochs": 1, "batch_size": 8, "augment": ["flip"]},
}
FIRST, SECOND = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.slow
def test_the_ten_lines_run(tmp_path, monkeypatch, capsys):
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "phantoms.yaml").write_text(yaml.safe_dump(LESIONS), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(FIRST, names)
    assert (tmp_path / "out" / "exports" / "detector" / "1" / "saved_model.pb").is_file()
    scores = names["scores"]
    assert isinstance(scores, pd.DataFrame)
    assert scores["id"].nunique() == 3  # 15 % of 20
    printed = capsys.readouterr().out
    assert "lesions: 0 errors" in printed
    assert "FROC mean" in printed
    assert "as the model does: True" in printed
    assert "xmin" in printed


def test_the_lines_of_motion_run(tmp_path, monkeypatch, capsys):
    (tmp_path / "data_spec.yaml").write_text(yaml.safe_dump(SMALL), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(SECOND, names)
    assert set(names["table"]["method"]) == {"majority", "trivial", "svm_linear", "cnn"}
    printed = capsys.readouterr().out
    assert "macro_sensitivity" in printed
    assert "svm_linear" in printed
