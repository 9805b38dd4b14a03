"""Jobs that are cut off: they go on as if nothing had been, and refuse what has changed meanwhile."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_scans import stopped, write_scans

import tumorkeras
from tumorkeras.errors import DataError
from tumorkeras.scoring import job, score

pytestmark = pytest.mark.usefixtures("quick_calls")


@pytest.fixture
def output(tmp_path):
    return tmp_path / "found.parquet"


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_job_that_was_interrupted_goes_on_with_what_is_missing(
    tumours, scans, scanned, tmp_path, before_calls, ending
):
    output, calls = tmp_path / f"found.{ending}", []
    stopped(tumours, scans, output, before_calls)
    before_calls(lambda batch: calls.append(len(batch)))
    assert score(tumours, scans, batch_size=2, output=output) == output
    assert sum(calls) == 8  # of the second window
    if ending == "csv":
        assert output.read_text() == scanned.to_csv(index=False)
    else:
        pd.testing.assert_frame_equal(pd.read_parquet(output), scanned, check_exact=True)
    assert os.listdir(tmp_path) == [output.name]
    # A finished job is no job that was interrupted.
    score(tumours, scans, batch_size=2, output=output)
    assert sum(calls) == 8 + 39


def test_a_table_with_carried_columns_goes_on(tumours, scans, output, before_calls):
    ages = pd.array([None, *range(39)], "Int64")
    given = pd.DataFrame({"path": sorted(map(str, scans.iterdir())), "age": ages, "site": ["é", None] * 20})
    stopped(tumours, given, output, before_calls)
    with pytest.raises(DataError, match=r"1 inputs have other values, such as .*003.png"):
        score(tumours, given.assign(site=[*given["site"][:3], "west", *given["site"][4:]]), batch_size=2, output=output)
    with pytest.raises(DataError, match="columns carried along: it was age, site, now it is age"):
        score(tumours, given[["path", "age"]], batch_size=2, output=output)
    score(tumours, given, batch_size=2, output=output)
    pd.testing.assert_frame_equal(pd.read_parquet(output), score(tumours, given, batch_size=2), check_exact=True)


def test_what_has_changed_is_refused_by_name(tumours, scans, scanned, output, tmp_path, before_calls):
    images = shutil.copytree(scans, tmp_path / "images")
    parts = stopped(tumours, images, output, before_calls)
    other = shutil.copytree(tumours, tmp_path / "tumours" / "2")
    with (other / "saved_model.pb").open("ab") as file:
        file.write(b"\xc0\x3e\x01")  # a field that nobody knows
    for model, options, faults in (
        (other, {}, ["sha256: it was", "version: it was 1, now it is 2"]),
        (tumours, {"signature": "features"}, ["signature: it was 'serving_default', now it is 'features'"]),
        (tumours, {"batch_size": 4}, ["batch_size: it was 2, now it is 4"]),
    ):
        with pytest.raises(DataError, match=r"holds another scoring.*resume=False starts anew") as caught:
            score(model, images, output=output, **{"batch_size": 2, **options})
        for fault in faults:
            assert fault in str(caught.value)
    shutil.copy(scans / "000.png", images / "new.png")
    with pytest.raises(DataError, match=r"inputs: 1 are new, such as .*new.png"):
        score(tumours, images, batch_size=2, output=output)
    assert len(list(parts.glob("part-*"))) == 1
    # Started anew, all of them are scored; of those that are gone in the middle it is said.
    assert len(pd.read_parquet(score(tumours, images, batch_size=2, output=output, resume=False))) == 41
    output.unlink()
    stopped(tumours, images, output, before_calls)
    for name in ("000.png", "039.png", "new.png"):
        (images / name).unlink()
    found = pd.read_parquet(score(tumours, images, batch_size=2, output=output))
    assert len(found) == 41
    assert found["status"][0] == "ok"  # it was scored before
    assert found["error"][39:].tolist() == ["there is no such file"] * 2
    numbers = scanned.columns[4:]
    pd.testing.assert_frame_equal(found.loc[:38, numbers], scanned.loc[:38, numbers], check_exact=True)


def test_other_arrays_are_refused(tumours, output, before_calls):
    images = np.random.default_rng(0).integers(0, 255, (40, 9, 9, 1), dtype="uint8")
    stopped(tumours, images, output, before_calls)
    with pytest.raises(DataError, match="inputs_sha256: it was"):
        score(tumours, images[::-1], batch_size=2, output=output)
    score(tumours, images, batch_size=2, output=output)
    pd.testing.assert_frame_equal(pd.read_parquet(output), score(tumours, images, batch_size=2), check_exact=True)


def test_a_job_goes_on_with_the_batch_size_with_which_it_began(tumours, scans, output, before_calls, monkeypatch):
    monkeypatch.setattr(job, "choose_batch_size", lambda predictor, example: 2)
    stopped(tumours, scans, output, before_calls, batch_size="auto")
    monkeypatch.setattr(job, "choose_batch_size", lambda predictor, example: 3)
    found = pd.read_parquet(score(tumours, scans, output=output))
    assert found.attrs["scoring"]["batch_size"] == 2
    assert pd.read_parquet(score(tumours, scans, output=output)).attrs["scoring"]["batch_size"] == 3


def test_names_that_are_no_utf8_are_read_after_an_interrupt(tumours, tmp_path, output, before_calls):
    images = write_scans(tmp_path, 6)
    odd = Path(os.fsdecode(os.fsencode(images) + b"/\xff\xe9.png"))
    odd.write_bytes((images / "000.png").read_bytes())
    given = [*sorted(images.glob("0*")), odd, tmp_path / "\ud800.png"] * 5
    stopped(tumours, given, output, before_calls)
    found = pd.read_parquet(score(tumours, given, batch_size=2, output=output))
    pd.testing.assert_frame_equal(found, score(tumours, given, batch_size=2), check_exact=True)
    assert set(found.loc[found["path"] == f"{images}/\\udcff\\udce9.png", "status"]) == {"ok"}
    assert found.loc[found["path"] == f"{images}/\\ud800.png", "error"].str.contains("cannot be opened|name").all()
    numbers = found.columns[5:]
    pd.testing.assert_series_equal(found.loc[6, numbers], found.loc[0, numbers], check_names=False, rtol=1e-5)


def ended_again_and_again(output, export, images, count, seed):
    """How each of some calls in batches of one has ended, and what it said."""
    script = Path(__file__).with_name("killed_jobs.py")
    call = [sys.executable, script, output, export, images, str(count), str(seed)]
    environment = os.environ | {"PYTHONPATH": str(Path(tumorkeras.__file__).parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(call, capture_output=True, text=True, check=False, env=environment, start_new_session=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_kill_and_an_interrupt_leave_no_trace(tumours, scans, output):
    (killed, _), (interrupted, said) = ended_again_and_again(output, tumours, scans, 2, seed=0)
    assert (killed, interrupted) == ("SIGKILL", "130")
    said = said.splitlines()
    assert said[-1] == "tumorkeras: stopped; the same command goes on from where it was"
    assert said[-2].startswith(f"{output.name}.parts keeps 32 of 40 inputs")
    found = pd.read_parquet(score(tumours, scans, batch_size=1, output=output))
    pd.testing.assert_frame_equal(found, score(tumours, scans, batch_size=1), check_exact=True)
    assert os.listdir(output.parent) == [output.name]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_many_ends_leave_no_trace(tumours, tmp_path, output, seed):
    (tmp_path / "scans").mkdir()
    images = write_scans(tmp_path / "scans", 200)
    ends = [end for end, _ in ended_again_and_again(output, tumours, images, 10, seed)]
    assert ends == ["SIGKILL", "130"] * 5
    found = pd.read_parquet(score(tumours, images, batch_size=1, output=output))
    pd.testing.assert_frame_equal(found, score(tumours, images, batch_size=1), check_exact=True)
