"""An output that grows by parts: whatever cuts it off, the same call goes on, and the end is the same."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tumorkeras
from tumorkeras.errors import DataError
from tumorkeras.scoring import final, locks
from tumorkeras.scoring.parts import Counts, Parts
from tumorkeras.scoring.plans import Plan

PATHS = [f"{k:02}.png" for k in range(10)]
SETTINGS = {"model": {"name": "lesions", "version": 1}, "batch_size": 8, "runtime": None}
TYPES = {"path": "str", "id": "Int64", "status": "str", "error": "str", "score": "float32", "site": "str"}
TEMPLATE = pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in TYPES.items()})


def plan(paths=PATHS, width=4, carried=None, **changes):
    return Plan({**SETTINGS, **changes}, paths, width, carried)


def rows(start, stop):
    """Inputs divisible by 5 fail; of the others, odd ones have two rows, as detections do."""
    inputs = [k for k in range(start, stop) for _ in range(1 + (k % 2 and k % 5 > 0))]
    failed = np.array([k % 5 == 0 for k in inputs])
    table = pd.DataFrame({"_input": inputs, "path": [PATHS[k] for k in inputs]})
    table["id"] = pd.Series([None if k < 4 else k for k in inputs], dtype="Int64" if start else "object")
    table["status"] = np.where(failed, "error", "ok")
    table["error"] = pd.Series(np.where(failed, 'is empty; or, worse, "damaged"', None), dtype=object)
    table["score"] = np.where(failed, np.nan, np.array(inputs) / 3).astype("float32")
    table["site"] = None
    return table


def whole():
    tables = [rows(*window) for window in plan().windows()]
    columns = {name: [value for table in tables for value in table[name]] for name in TYPES}
    return pd.DataFrame({name: pd.Series(columns[name], dtype=dtype) for name, dtype in TYPES.items()})


def begun(output, *windows, **options):
    """Parts with some of the windows, let go."""
    with Parts.open(output, plan(**options), TEMPLATE, resume=True) as parts:
        for window in windows:
            parts.add(*window, rows(*window))
    return output.with_name(f"{output.name}.parts")


def finished(output, **options):
    with Parts.open(output, plan(**options), TEMPLATE, resume=True) as parts:
        for window in parts.missing():
            parts.add(*window, rows(*window))
        return parts.finish()


@pytest.fixture
def output(tmp_path):
    return tmp_path / "preds.parquet"


# ------------------------------------------------------------------------------------------- the final file


def test_the_final_parquet_is_the_table_with_its_settings(output):
    assert finished(output) == output
    read = pd.read_parquet(output)
    pd.testing.assert_frame_equal(read, whole())
    assert read.attrs == {"scoring": SETTINGS}
    assert json.loads(pq.read_schema(output).metadata[b"tumorkeras"]) == SETTINGS
    assert pq.ParquetFile(output).metadata.row_group(0).column(0).compression == "ZSTD"
    assert os.listdir(output.parent) == [output.name]


def test_the_final_csv_is_the_text_of_the_table(tmp_path):
    path = finished(tmp_path / "preds.csv")
    assert path.read_bytes() == whole().to_csv(index=False).encode()


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_list_without_inputs_gives_the_columns(tmp_path, ending):
    path = finished(tmp_path / f"preds.{ending}", paths=[])
    read = pd.read_parquet(path) if ending == "parquet" else pd.read_csv(path)
    assert (list(read.columns), len(read)) == (list(TYPES), 0)


def test_small_parts_are_merged_into_row_groups(output, monkeypatch):
    monkeypatch.setattr(final, "ROWS", 6)
    groups = pq.ParquetFile(finished(output, width=1)).metadata
    sizes = [groups.row_group(k).num_rows for k in range(groups.num_row_groups)]
    assert sum(sizes) == len(whole())
    assert all(6 <= size < 8 for size in sizes[:-1])


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_any_order_and_any_interruption_give_the_same_file(data):
    width = data.draw(st.integers(1, 11))
    order = data.draw(st.permutations(list(plan(width=width).windows())))
    cuts = data.draw(st.sets(st.integers(0, len(order))))
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "preds.parquet")
        parts = Parts.open(output, plan(width=width), TEMPLATE, resume=True)
        for number, window in enumerate(order):
            if number in cuts:
                parts.close()
                parts = Parts.open(output, plan(width=width), TEMPLATE, resume=True)
            assert list(parts.missing()) == sorted(order[number:])
            parts.add(*window, rows(*window))
        assert parts.counts == (10, 8, 2)
        parts.finish()
        pd.testing.assert_frame_equal(pd.read_parquet(output), whole())


# ------------------------------------------------------------------------------------------- on the way


def test_the_folder_reads_as_a_table_while_it_grows(output):
    with Parts.open(output, plan(), TEMPLATE, resume=True) as parts:
        assert parts.counts == Counts(inputs=10, ok=0, error=0)
        for window in [(8, 10), (0, 4)]:  # of the first all ids are missing, and objects
            parts.add(*window, rows(*window))
            read = pd.read_parquet(f"{output}.parts")
            assert dict(read.dtypes.astype(str)) == {"_input": "int64", **TEMPLATE.dtypes.astype(str)}
        assert read["_input"].tolist() == [0, 1, 1, 2, 3, 3, 8, 9, 9]
        assert parts.counts == (10, 5, 1)
        assert list(parts.missing()) == [(4, 8)]


def test_ids_that_are_text_in_one_part_and_numbers_in_another(output):
    template = TEMPLATE.astype({"id": "str"})
    with Parts.open(output, plan(width=5), template, resume=True) as parts:
        parts.add(0, 5, rows(0, 5).assign(id="a"))
        parts.add(5, 10, rows(5, 10).assign(id=pd.Series([7, None] * 4, dtype="Int64")))
        parts.finish()
    assert pd.read_parquet(output)["id"].iloc[[0, 7, 8]].fillna("nothing").tolist() == ["a", "7", "nothing"]


def test_rows_that_do_not_fit_are_refused_by_name(output):
    good = rows(0, 4)
    with Parts.open(output, plan(), TEMPLATE.assign(fold=pd.Series(dtype="int64")), resume=True) as parts:
        good["fold"] = 1
        wrong = {
            "column fold is missing": good.drop(columns="fold"),
            "column extra is not in the template": good.assign(extra=1),
            "column score does not fit float": good.assign(score="high"),
            "column fold has missing values, which int64 cannot hold": good.assign(fold=[1, 1, None, 1, 1, 1]),
            "_input: its rows are not those of the inputs 0 to 3": good[good["_input"] != 2],
        }
        for fault, table in wrong.items():
            with pytest.raises(DataError, match=fault):
                parts.add(0, 4, table)
        for table in (good[::-1], pd.concat([good, good]), good.assign(_input=good["_input"] + 1)):
            with pytest.raises(DataError, match="each once and in order"):
                parts.add(0, 4, table)
        for start, stop in ((0, 5), (1, 4), (-4, 0), (8, 12), (12, 16)):
            with pytest.raises(DataError, match="no window"):
                parts.add(start, stop, good)
        parts.add(0, 4, good)
        with pytest.raises(DataError, match="no window that is missing"):
            parts.add(0, 4, good)
        with pytest.raises(DataError, match="6 of 10 inputs have no outcome yet"):
            parts.finish()
    assert not output.exists()


# ------------------------------------------------------------------------------------------- going on


def test_other_settings_are_named_with_the_way_on(output):
    begun(output, (0, 4))
    with pytest.raises(DataError) as caught:
        begun(output, model={"name": "lesions", "version": 2}, batch_size=16)
    assert caught.value.faults == [
        "model.version: it was 1, now it is 2",
        "batch_size: it was 8, now it is 16",
    ]
    assert "resume=False starts anew" in caught.value.heading
    with pytest.raises(DataError, match=r"columns.fold: it was None, now it is 'double'"):
        Parts.open(output, plan(), TEMPLATE.assign(fold=pd.Series(dtype="float64")), resume=True)
    with Parts.open(output, plan(batch_size=16), TEMPLATE, resume=False) as parts:
        assert parts.counts.ok == 0
        assert parts.plan.settings["batch_size"] == 16


def test_the_list_with_which_it_began_is_scored(output):
    carried = pd.DataFrame({"site": list("aabbccddee"), "age": pd.array([None, *range(9)], "Int64")})
    begun(output, (0, 4), carried=carried)
    gone = [k for k in range(10) if k != 5]
    now = plan([PATHS[k] for k in gone], width=3, carried=carried.iloc[gone])
    with Parts.open(output, now, TEMPLATE, resume=True) as parts:
        assert (parts.plan.paths, parts.plan.width) == (PATHS, 4)
        pd.testing.assert_frame_equal(parts.plan.carried, carried)
        assert list(parts.missing()) == [(4, 8), (8, 10)]


@pytest.mark.parametrize(
    ("now", "fault"),
    [
        (plan([*PATHS, *"abcde"]), "inputs: 5 are new, such as a, b, c$"),
        (plan([*PATHS, PATHS[3]]), "inputs: 1 are new, such as 03.png$"),  # twice now, once then
        (plan(carried=pd.DataFrame({"site": ["a"] * 10})), "columns carried along: it was nothing, now it is site"),
    ],
)
def test_other_inputs_are_refused(output, now, fault):
    begun(output, (0, 4))
    with pytest.raises(DataError, match=fault):
        Parts.open(output, now, TEMPLATE, resume=True)


def test_other_values_of_carried_columns_are_refused(output):
    carried = pd.DataFrame({"site": list("aabbccddee")})
    begun(output, (0, 4), carried=carried)
    with pytest.raises(DataError, match=r"1 inputs have other values, such as 02.png"):
        begun(output, carried=pd.DataFrame({"site": list("aaxbccddee")}))


def test_lists_that_cannot_be_written_down(output):
    wrong = {
        "is no UTF-8": plan([*PATHS, "a\udc80.png"]),
        "3 rows of carried columns found, expected 10": plan(carried=pd.DataFrame({"a": [1, 2, 3]})),
        "carried columns: cannot be written down": plan(carried=pd.DataFrame({"a": [1, "x", []] + [None] * 7})),
    }
    for fault, each in wrong.items():
        with pytest.raises(DataError, match=fault):
            Parts.open(output, each, TEMPLATE, resume=True)
        assert not os.listdir(output.parent)


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


@contextmanager
def files_of_at_most(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


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
