"""The verb score: the table that the function gives, exit statuses, and what is said."""

import json

import pandas as pd
import pytest
from command_line import run_command

from tumorkeras.scoring import score

pytestmark = pytest.mark.usefixtures("quick_calls")


def score_by_command(*arguments, status=0):
    outcome = run_command("score", *arguments)
    assert outcome.status == status, outcome.err
    return outcome


def test_the_table_is_that_of_the_function(tumours, scans, scanned, tmp_path):
    table = tmp_path / "found.parquet"
    outcome = score_by_command(tumours, scans, "--output", table, "--batch-size", 2)
    pd.testing.assert_frame_equal(pd.read_parquet(table), scanned)
    assert outcome.out == f"{table}: 40 rows, 1 of them errors\n"
    assert outcome.err.splitlines() == [
        "scored 40 inputs, 1 of them with errors",
        "1 of the rows are errors; their column error says why",
    ]
    outcome = score_by_command(tumours, *sorted(scans.glob("00*")), scans / "01*", "--output", table, "--json")
    assert json.loads(outcome.out) == {"rows": 20, "errors": 1}
    assert pd.read_parquet(table)["path"].tolist() == scanned["path"][:20].tolist()


def test_strict_is_a_status_of_failed_rows(tumours, scans, tmp_path):
    table = tmp_path / "found.csv"
    outcome = score_by_command(tumours, scans / "007.jpg", "--output", table, "--strict", status=1)
    assert "1 of the rows are errors" in outcome.err
    assert pd.read_csv(table)["status"].tolist() == ["error"]
    outcome = score_by_command(tumours, scans / "000.png", "--output", table, "--strict")
    assert "errors;" not in outcome.err


def test_a_table_of_paths_carries_its_columns(tumours, scans, scanned, tmp_path):
    listing, names = tmp_path / "scans.csv", [f"{scans}/000.png", f"{scans}/001.jpg", "2"]
    listing.write_text("path;age\n{};61\n{};\n{};7\n".format(*names))
    score_by_command(tumours, listing, "--output", tmp_path / "found.parquet")
    table = pd.read_parquet(tmp_path / "found.parquet")
    assert table["path"].tolist() == names
    assert table["age"].tolist()[::2] == [61, 7]
    assert table["error"][2] == "there is no such file"
    assert table["probability_benign"][0] == pytest.approx(scanned["probability_benign"][0])
    listing.write_text("path\n1\n002\n")
    score_by_command(tumours, listing, "--output", tmp_path / "found.parquet")
    assert pd.read_parquet(tmp_path / "found.parquet")["path"].tolist() == ["1", "002"]
    listing.write_text("file\n000.png\n")
    outcome = score_by_command(tumours, listing, "--output", tmp_path / "a.csv", status=1)
    assert "no columns 'path' found, expected one, with the paths; the columns are ['file']" in outcome.err


def test_an_interrupt_keeps_the_parts_and_restart_starts_anew(tumours, scans, scanned, tmp_path, before_calls):
    table, scored = tmp_path / "found.parquet", []

    def interrupt(batch):
        scored.extend(batch)
        if len(scored) > 32:
            raise KeyboardInterrupt

    arguments = (tumours, scans, "--output", table, "--batch-size", 2)
    with pytest.MonkeyPatch.context() as patch:
        before_calls(interrupt, patch)
        outcome = score_by_command(*arguments, status=130)
    said = outcome.err.splitlines()
    assert said[0] == "found.parquet.parts keeps 32 of 40 inputs"
    assert said[-1] == "tumorkeras: stopped; the same command goes on from where it was"
    refused = score_by_command(tumours, scans, "--output", table, "--batch-size", 3, status=1)
    assert "batch_size: it was 2, now it is 3" in refused.err
    scored.clear()
    before_calls(scored.extend)
    score_by_command(*arguments)
    assert len(scored) == 8
    pd.testing.assert_frame_equal(pd.read_parquet(table), scanned, check_exact=True)
    with pytest.MonkeyPatch.context() as patch:
        scored.clear()
        before_calls(interrupt, patch)
        score_by_command(*arguments, status=130)
    scored.clear()
    score_by_command(*arguments, "--restart")
    assert len(scored) == 39


def test_signatures_and_runtimes_are_chosen(tumours, scans, tmp_path):
    score_by_command(tumours, scans / "000.png", "--output", tmp_path / "a.csv", "--signature", "features")
    assert "feature_3" in pd.read_csv(tmp_path / "a.csv")
    score_by_command(tumours.parent, scans / "000.png", "--output", tmp_path / "a.csv", "--runtime", "onnx")
    wanted = score(tumours, scans / "000.png")["probability_benign"][0]
    assert pd.read_csv(tmp_path / "a.csv")["probability_benign"][0] == pytest.approx(wanted, abs=2e-3)


def test_wrong_commands_are_said(tumours, scans, tmp_path):
    for fault, status, *options in (
        ("ends in '.xlsx', expected .parquet or .csv", 1, "--output", "found.xlsx"),
        ("ends in '.json', expected .parquet or .csv", 1, "--output", "found.json"),
        ("a .json has no paths", 2, "--output", "found.json", "--overlay", tmp_path / "drawn"),
        ("expected a positive integer", 1, "--output", "found.csv", "--batch-size", 0),
        ("'dask' is not one of", 2, "--output", "found.csv", "--engine", "dask"),
        ("Missing option '--output'", 2),
    ):
        outcome = score_by_command(tumours, scans / "000.png", *options, status=status)
        assert fault in " ".join(outcome.err.split())
    outcome = score_by_command(
        tumours, scans / "000.png", "--output", tmp_path / "found.csv", "--overlay", tmp_path / "drawn", status=1
    )
    assert "overlays: the table lacks class, score, " in outcome.err
    assert pd.read_csv(tmp_path / "found.csv")["status"].tolist() == ["ok"]
