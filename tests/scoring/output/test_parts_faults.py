"""An output that grows by parts: damage, others at the same place, full disks and kills, after which it goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from made_parts import TEMPLATE, begun, files_of_at_most, finished, plan, rows, whole

import tumorkeras
from tumorkeras.errors import DataError
from tumorkeras.scoring.output import locks
from tumorkeras.scoring.output.parts import Parts


@pytest.fixture
def output(tmp_path):
    return tmp_path / "preds.parquet"


# ------------------------------------------------------------------------------------------- damage


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-20])


def flip_a_byte_of_the_data(path):
    content = bytearray(path.read_bytes())
    column = pq.ParquetFile(path).metadata.row_group(0).column(5)
    content[column.dictionary_page_offset + column.total_compressed_size - 1] ^= 255
    path.write_bytes(content)


def swap(path):
    path.write_bytes(path.with_name("part-000000008-000000010.parquet").read_bytes())


def other_columns(path):
    pd.DataFrame({"_input": [4, 5, 6, 7], "status": "ok"}).to_parquet(path)


@pytest.mark.parametrize("damage", [cut_short, flip_a_byte_of_the_data, swap, other_columns])
def test_a_damaged_part_is_scored_again(output, damage, caplog):
    folder = begun(output, (0, 4), (4, 8), (8, 10))
    path = folder / "part-000000004-000000008.parquet"
    with Parts.open(output, plan(), TEMPLATE, resume=True) as parts:
        damage(path)
        with pytest.raises(DataError, match=r"part-000000004-000000008.parquet: is damaged .* scores its inputs again"):
            parts.finish()
    assert not output.exists()
    with Parts.open(output, plan(), TEMPLATE, resume=True) as parts:
        assert list(parts.missing()) == [(4, 8)]
    assert str(path) in caplog.text
    assert "scored again" in caplog.text
    pd.testing.assert_frame_equal(pd.read_parquet(finished(output)), whole())


def test_a_part_of_other_windows_goes(output, caplog):
    folder = begun(output, (0, 4))
    (folder / "part-000000000-000000004.parquet").rename(folder / "part-000000000-000000003.parquet")
    (folder / ".part-000000004-000000008.parquet.new").write_bytes(b"PAR1")
    begun(output)
    assert "no window of the list" in caplog.text
    assert sorted(os.listdir(folder)) == ["_inputs.parquet", "_lock", "_scoring.json"]


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("_scoring.json", '{"format": 1, "sett', "_scoring.json is damaged"),
        ("_scoring.json", "[1]", "_scoring.json is damaged"),
        ("_scoring.json", '{"format": 2}', "format 2 found, expected 1"),
        ("_inputs.parquet", "PAR1", "_inputs.parquet is damaged"),
        ("_inputs.parquet", None, "_inputs.parquet is damaged"),
        ("_scoring.json", None, "holds parts and no _scoring.json"),
    ],
)
def test_a_damaged_plan_is_refused(output, name, content, fault):
    folder = begun(output, (0, 4))
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(DataError, match=fault) as caught:
        begun(output)
    assert "resume=False starts anew" in str(caught.value)
    with Parts.open(output, plan(), TEMPLATE, resume=False) as parts:
        assert len(list(parts.missing())) == 3


def test_files_of_somebody_else_stay(output):
    folder = output.with_name("preds.parquet.parts")
    folder.mkdir()
    (folder / "thesis.tex").write_text("mine")
    for resume in (True, False):
        with pytest.raises(DataError, match=r"holds thesis.tex, which is not of a scoring"):
            Parts.open(output, plan(), TEMPLATE, resume=resume)
    assert (folder / "thesis.tex").read_text() == "mine"


# ------------------------------------------------------------------------------------------- others at the same place


def test_two_calls_do_not_mix(output):
    with Parts.open(output, plan(), TEMPLATE, resume=True) as parts:
        parts.add(0, 4, rows(0, 4))
        for resume in (True, False):
            with pytest.raises(DataError, match="another call writes into it"):
                Parts.open(output, plan(), TEMPLATE, resume=resume)
        assert parts.counts.ok == 3
    with Parts.open(output, plan(), TEMPLATE, resume=True) as parts:
        assert parts.counts.ok == 3


def test_a_lock_on_a_folder_that_has_gone_is_not_taken(tmp_path, monkeypatch):
    """The other call ends between our opening of the file and our lock."""
    folder, honest, calls = tmp_path / "parts", locks.fcntl.flock, []

    def slow(file, how):
        if not calls:
            (folder / locks.LOCK).unlink()
            folder.rmdir()
        calls.append(how)
        honest(file, how)

    monkeypatch.setattr(locks.fcntl, "flock", slow)
    with locks.lock_folder(folder), pytest.raises(DataError, match="another call"):
        locks.lock_folder(folder)
    assert len(calls) == 3


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch, caplog):
    def without(file, how):
        raise OSError(locks.errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", without)
    locks.lock_folder(tmp_path / "parts").close()
    assert "has no locks" in caplog.text


# ------------------------------------------------------------------------------------------- the disk


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_full_disk_leaves_what_is_whole(tmp_path, ending):
    output = tmp_path / f"preds.{ending}"
    folder = begun(output, (0, 4))
    with Parts.open(output, plan(), TEMPLATE, resume=True) as parts:
        before = sorted(os.listdir(folder))
        with files_of_at_most(100), pytest.raises(DataError, match="cannot be written: File too large") as caught:
            parts.add(4, 8, rows(4, 8))
        assert "part-000000004-000000008.parquet: " in str(caught.value)
        assert f"the parts in preds.{ending}.parts stay, and once that is mended the same call goes on" in str(
            caught.value
        )
        assert sorted(os.listdir(folder)) == before
        parts.add(4, 8, rows(4, 8))
        parts.add(8, 10, rows(8, 10))
        with files_of_at_most(100), pytest.raises(DataError, match=rf"preds.{ending}: cannot be written: File too"):
            parts.finish()
        assert os.listdir(tmp_path) == [folder.name]
    assert finished(output) == output


def test_a_disk_that_is_full_from_the_start_leaves_nothing(output):
    with files_of_at_most(100), pytest.raises(DataError, match="File too large"):
        begun(output)
    assert not os.listdir(output.parent)
    (output.parent / "preds.parquet.parts").write_text("")
    with pytest.raises(DataError, match=r"preds.parquet.parts: cannot be written: File exists"):
        begun(output)


def test_a_kill_at_any_line_is_survived(tmp_path):
    script = Path(__file__).with_name("killed.py")
    call = [sys.executable, script, tmp_path, "83"]
    environment = os.environ | {"PYTHONPATH": str(Path(tumorkeras.__file__).parents[1])}
    done = subprocess.run(call, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 8
    files = list(tmp_path.iterdir())
    assert len(files) == int(done.stdout) + 2
    assert {file.read_text() for file in files} == {"path,status\n" + "".join(f"{k}.png,ok\n" for k in range(5))}
