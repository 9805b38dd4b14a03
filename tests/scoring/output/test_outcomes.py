"""Files of predictions, read back."""

import json

import pandas as pd
import pytest

from tumorkeras.scoring import count_outcomes, read_predictions, write_predictions
from tumorkeras.scoring.output.outcomes import Outcomes


@pytest.fixture
def table():
    names = ["None", "nan", None]
    columns = {"path": ["NA", "007", "1e5"], "status": ["ok", "ok", "error"], "error": [None, None, "is empty"]}
    return pd.DataFrame({**columns, "class": names, "score": [0.5, 0.25, None]}).astype(
        {"class": "str", "error": "str"}
    )


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_names_that_look_like_numbers_or_like_nothing_stay_names(table, tmp_path, ending):
    path = write_predictions(table, tmp_path / f"found.{ending}")
    read = read_predictions(path)
    assert read["path"].tolist() == ["NA", "007", "1e5"]
    assert read["class"].tolist()[:2] == ["None", "nan"]
    assert read["class"].isna().tolist() == [False, False, True]
    assert read["score"].tolist()[:2] == [0.5, 0.25]
    assert read_predictions(path, ["status"]).columns.tolist() == ["status"]
    assert count_outcomes(path) == Outcomes(3, 1)


def test_failures_of_coco_results_are_those_beside(tmp_path):
    (tmp_path / "found.json").write_text(json.dumps([{"image_id": 1}, {"image_id": 2}]))
    assert count_outcomes(tmp_path / "found.json") == Outcomes(2, 0)
    (tmp_path / "found.errors.csv").write_text("path,error\na.png,is empty\n")
    assert count_outcomes(tmp_path / "found.json") == Outcomes(2, 1)
