"""From a spec to a table of samples with classes, groups and parts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tumorkeras.data.samples import load_samples
from tumorkeras.data.simulate import simulate_motility
from tumorkeras.errors import DataError
from tumorkeras.spec import DataSpec


def simulation(**changes):
    source = {"kind": "simulation", "samples_per_class": 20, "frames": 8, **changes.pop("source", {})}
    return DataSpec.from_dict(
        {"name": "motion", "source": source, "input": {"shape": [8, 12, 12, 1], "spacing": [1, 5, 5]}, **changes}
    )


def write_pair(folder, name, tracks):
    for axis, letter in enumerate("XY"):
        np.savetxt(folder / f"{name}_{letter}.csv", tracks[..., axis], delimiter=",")


@pytest.fixture
def tracks_spec(tmp_path):
    """Two classes of 12 and 10 tracks, 9 and 8 frames; changes go into the source."""
    write_pair(tmp_path, "a", simulate_motility("random_walk", 12, 9, seed=1))
    write_pair(tmp_path, "b", simulate_motility("random_walk", 10, 8, seed=2))
    pairs = {name: {"x": f"{name}_X.csv", "y": f"{name}_Y.csv"} for name in "ab"}

    def make(sections=None, **source):
        values = {
            "name": "cells",
            "source": {"kind": "tracks", "pairs": pairs, **source},
            "input": {"shape": [8, 12, 12, 1], "spacing": [1, 5, 5]},
            **(sections or {}),
        }
        return DataSpec.from_dict(values, folder=tmp_path)

    return make


# ---------------------------------------------------------------------------------------------------- simulation


def test_simulated_samples_have_ids_classes_and_parts():
    samples = load_samples(simulation())
    assert len(samples) == 60
    assert samples.are_tracks
    assert samples.values.shape == (60, 8, 2)
    assert samples.classes == ("random_walk", "levy_flight", "fractional_brownian")
    assert samples.labels.tolist() == [0] * 20 + [1] * 20 + [2] * 20
    assert samples.table["id"].iloc[21] == "levy_flight/1"
    assert samples.counts().to_dict() == {"train": 42, "val": 9, "test": 9}
    assert samples.groups is None


def test_the_order_of_classes_is_that_of_the_spec():
    samples = load_samples(simulation(classes=["levy_flight", "fractional_brownian", "random_walk"]))
    assert samples.table.groupby("class_name")["class_id"].first().to_dict() == {
        "levy_flight": 0,
        "fractional_brownian": 1,
        "random_walk": 2,
    }


def test_a_kind_of_motion_less_changes_no_other():
    every = load_samples(simulation())
    fewer = load_samples(simulation(source={"motions": ["fractional_brownian", "levy_flight"]}))
    assert (fewer.values[:20] == every.values[40:]).all()
    assert (fewer.values[20:] == every.values[20:40]).all()


def test_seeds_make_the_samples():
    again, other = load_samples(simulation()), load_samples(simulation(source={"seed": 5}))
    assert (again.values == load_samples(simulation()).values).all()
    assert (again.values[:, 1:] != other.values[:, 1:]).any(axis=(1, 2)).all()  # all start at the origin


def test_select_and_part():
    samples = load_samples(simulation())
    mask = samples.labels == 1
    assert samples.select(mask).table["id"].tolist() == [f"levy_flight/{k}" for k in range(20)]
    chosen = samples.select(np.array([3, 1]))
    assert chosen.table["id"].tolist() == ["random_walk/3", "random_walk/1"]
    assert (chosen.values == samples.values[[3, 1]]).all()
    assert chosen.labels.tolist() == [0, 0]
    test = samples.part("test")
    assert Counter(test.labels.tolist()) == {0: 3, 1: 3, 2: 3}
    with pytest.raises(DataError, match="no sample is in the part 'val'"):
        test.part("val")


def test_arrays_are_what_a_network_reads():
    samples = load_samples(simulation())
    drawn = samples.arrays()
    assert drawn.shape == (len(samples), *samples.spec.input.shape)
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(samples.select(np.array([5, 2])).arrays(), drawn[[5, 2]])
    # A spot is brightest in the pixel of the cell, which the rendering has put in the middle of its volume.
    extent = (samples.values.max(axis=1) + samples.values.min(axis=1)) / 2
    middle = (np.array(drawn.shape[2:4]) - 1) / 2
    places = (samples.values - extent[:, None]) / 5 + middle[::-1]  # a pixel is 5 wide
    brightest = np.stack(np.unravel_index(drawn[0].reshape(len(drawn[0]), -1).argmax(axis=1), drawn.shape[2:4]), axis=1)
    assert np.abs(brightest[:, ::-1] - places[0]).max() <= 0.51


def test_tracks_that_leave_are_dropped_and_counted_by_class():
    spec = simulation(rendering={"outside": "drop"}, input={"shape": [8, 12, 12, 1], "spacing": [1, 2, 2]})
    samples = load_samples(spec)
    kept = Counter(samples.table["class_name"])
    lost = ", ".join(f"{name} {20 - kept[name]}" for name in samples.classes if kept[name] < 20)
    assert 0 < len(samples) < 60
    assert samples.notes[-1] == f"{60 - len(samples)} of 60 tracks leave the volume and were dropped ({lost})"
    span = np.ptp(samples.values, axis=1)
    assert (span <= 2 * 11).all()
    assert load_samples(simulation(input=spec.input.model_dump())).notes == ()


def test_a_class_whose_tracks_all_leave_is_named():
    spec = simulation(rendering={"outside": "drop"}, input={"shape": [8, 12, 12, 1], "spacing": [1, 0.01, 0.01]})
    with pytest.raises(DataError, match=r"(?s)'random_walk' has no sample.*'levy_flight' has no sample"):
        load_samples(spec)


def test_scale_is_normalised_on_request():
    samples = load_samples(simulation(rendering={"normalise_scale": True}))
    steps = np.linalg.norm(np.diff(samples.values, axis=1), axis=-1)
    np.testing.assert_allclose(steps.mean(axis=1), 1, rtol=1e-5)


# -------------------------------------------------------------------------------------------------------- tracks


def test_pairs_are_cropped_with_a_note(tracks_spec, caplog):
    with caplog.at_level("INFO", logger="tumorkeras"):
        samples = load_samples(tracks_spec())
    assert samples.values.shape == (22, 8, 2)
    assert samples.notes == ("a: 12 tracks of 9 frames cropped to the first 8", "b: 10 tracks of 8 frames")
    assert caplog.messages == list(samples.notes)  # said once


def test_a_draw_keeps_the_rows_of_the_file_in_the_ids(tracks_spec):
    samples = load_samples(tracks_spec(samples_per_class=11))
    every = load_samples(tracks_spec())
    assert Counter(samples.table["class_name"]) == {"a": 11, "b": 10}
    assert samples.notes[-2:] == (
        "a: 11 of 12 tracks drawn at random",
        "b: 11 samples were asked for, 10 are there",
    )
    rows = every.table["id"].isin(samples.table["id"]).to_numpy()
    assert (every.values[rows] == samples.values).all()


def test_all_broken_files_are_told_at_once(tracks_spec, tmp_path):
    (tmp_path / "a_X.csv").write_text("1,2\nx,3\n")
    (tmp_path / "b_Y.csv").unlink()
    with pytest.raises(DataError, match=r"(?s)a_X\.csv: row 2, column 1: 'x'.*b_Y\.csv: there is no such file"):
        load_samples(tracks_spec())


def test_frames_must_fit_the_input(tracks_spec):
    with pytest.raises(DataError, match=r"input\.shape: has 7 frames, but the tracks have 8"):
        load_samples(tracks_spec({"input": {"shape": [7, 12, 12, 1]}}))


def groups_file(folder, rows):
    (folder / "groups.csv").write_text("file,row,experiment\n" + "".join(f"{row}\n" for row in rows))
    return {"groups": {"path": "groups.csv"}}


def test_groups_of_tracks_stay_in_one_part(tracks_spec, tmp_path):
    rows = [f"{name},{k},{name}{k // 2}" for name, n in (("a", 12), ("b", 10)) for k in range(n)]
    samples = load_samples(tracks_spec(**groups_file(tmp_path, rows)))
    assert samples.groups.tolist()[:4] == ["a0", "a0", "a1", "a1"]
    assert (samples.table.groupby("group")["split"].nunique() == 1).all()
    assert set(samples.table["split"]) == {"train", "val", "test"}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "names no group for a/0"),
        ([f"a,{k},e" for k in range(12)], "names no group for b/0"),
        (["a,0,e", "a,0,f"], "line 3: a/0 is in two groups"),
        (["a,0, "], "line 2: the group is empty"),
        (["a,0"], "line 2 has 2 cells"),
    ],
)
def test_bad_tables_of_groups(tracks_spec, tmp_path, rows, words):
    with pytest.raises(DataError, match=words):
        load_samples(tracks_spec(**groups_file(tmp_path, rows)))


def test_missing_table_of_groups_and_column(tracks_spec, tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: there is no such file"):
        load_samples(tracks_spec(groups={"path": "none.csv"}))
    groups_file(tmp_path, [])
    with pytest.raises(DataError, match="has no column 'plate'"):
        load_samples(tracks_spec(groups={"path": "groups.csv", "group_column": "plate"}))


def test_long_table_with_classes_in_the_order_of_the_spec(tmp_path):
    rows = [
        f"{name},{name}{cell},{t},{cell + t},{t}"
        for name in ("a", "b")
        for cell in range(6)
        for t in range(8 if name == "a" else 9)
    ]
    (tmp_path / "long.csv").write_text("class,track,t,x,y\n" + "\n".join(rows))
    values = {"name": "cells", "source": {"kind": "tracks", "table": {"path": "long.csv"}}}
    values |= {"input": {"shape": [8, 12, 12, 1]}, "classes": ["b", "a"]}
    samples = load_samples(DataSpec.from_dict(values, folder=tmp_path))
    assert samples.classes == ("b", "a")
    assert dict(zip(samples.table["id"], samples.labels.tolist(), strict=True))["a/a0"] == 1
    values["classes"] = ["a", "c"]
    with pytest.raises(DataError, match=r"(?s)'b' is in the data but not in classes.*'c' has no sample"):
        load_samples(DataSpec.from_dict(values, folder=tmp_path))


# --------------------------------------------------------------------------------------------------- given parts


def split_files(folder, **parts):
    for name, ids in parts.items():
        (folder / f"{name}.txt").write_text("\n".join(ids) + "\n\n")
    return {"splits": {"files": {name: f"{name}.txt" for name in parts}}}


def ids_of(name, rows):
    return [f"{name}/{k}" for k in rows]


def test_parts_from_files(tracks_spec, tmp_path):
    train = ids_of("a", range(10)) + ids_of("b", range(8))
    files = split_files(tmp_path, train=train, val=["a/10", "b/8"], test=["b/9", " a/11 "])
    samples = load_samples(tracks_spec(files))
    assert samples.part("val").table["id"].tolist() == ["a/10", "b/8"]
    assert samples.part("test").table["id"].tolist() == ["a/11", "b/9"]
    assert len(samples.part("train")) == 18


def test_all_faults_of_the_lists_are_told(tracks_spec, tmp_path):
    train = ids_of("a", range(12)) + ids_of("b", range(9)) + ["b/77"]
    with pytest.raises(DataError) as caught:
        load_samples(tracks_spec(split_files(tmp_path, train=train, val=["a/0", "b/8"])))
    assert str(caught.value).count("\n") == 4
    for words in ("no sample is called 'b/77'", "'a/0' is in train and in val", "'b/9' is in no part"):
        assert words in str(caught.value)
    (tmp_path / "train.txt").unlink()
    (tmp_path / "val.txt").unlink()
    with pytest.raises(DataError, match=r"(?s)train: .*no such file.*val: .*no such file"):
        load_samples(tracks_spec({"splits": {"files": {"train": "train.txt", "val": "val.txt"}}}))


def test_a_list_that_is_no_text_is_told(tracks_spec, tmp_path):
    files = split_files(tmp_path, train=ids_of("a", range(12)), test=ids_of("b", range(10)))
    (tmp_path / "train.txt").write_bytes(b"\xff\xfea/0")
    (tmp_path / "test.txt").unlink()
    with pytest.raises(DataError) as caught:
        load_samples(tracks_spec(files))
    assert "train.txt: is no UTF-8 text" in caught.value.faults[0]
    assert "test.txt: there is no such file" in caught.value.faults[1]


def test_a_list_may_begin_with_a_byte_order_mark(tracks_spec, tmp_path):
    train = ids_of("a", range(12)) + ids_of("b", range(10))
    (tmp_path / "train.txt").write_text("\ufeff" + "\r\n".join(train), encoding="utf-8")
    assert len(load_samples(tracks_spec({"splits": {"files": {"train": "train.txt"}}})).part("train")) == 22


def test_lists_that_share_a_group_are_refused(tracks_spec, tmp_path):
    rows = [f"{name},{k},secret{k // 2}" for name, n in (("a", 12), ("b", 10)) for k in range(n)]
    train = ids_of("a", range(11)) + ids_of("b", range(10))
    files = split_files(tmp_path, train=train, test=["a/11"])
    with pytest.raises(DataError, match="1 of 6 groups are in more than one part") as caught:
        load_samples(tracks_spec(files, **groups_file(tmp_path, rows)))
    assert "secret" not in str(caught.value)


def test_the_parts_of_a_file_are_kept_unless_mixing_is_asked_for(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (40, 4, 4, 4), dtype="uint8")
    labels = np.tile([[0], [1]], (20, 1))
    parts = {"train": slice(0, 20), "val": slice(20, 30), "test": slice(30, 40)}
    arrays = {f"{name}_images": images[rows] for name, rows in parts.items()}
    arrays |= {f"{name}_labels": labels[rows] for name, rows in parts.items()}
    np.savez(tmp_path / "volumes.npz", **arrays)
    values = {"name": "v", "source": {"kind": "npz", "path": "volumes.npz"}, "input": {"shape": [4, 4, 4, 1]}}

    kept = load_samples(DataSpec.from_dict(values, folder=tmp_path)).table
    assert (kept["split"] == kept["given_split"]).all()

    values["splits"] = {"given": dict.fromkeys(parts, "train")}
    mixed = load_samples(DataSpec.from_dict(values, folder=tmp_path)).table
    assert mixed["split"].value_counts().to_dict() == {"train": 28, "val": 6, "test": 6}
    assert (mixed["split"] != mixed["given_split"]).any()


def npz_of(folder, sizes):
    arrays = {}
    for name, size in sizes.items():
        arrays |= {f"{name}_images": np.zeros((size, 4, 4, 4), "uint8"), f"{name}_labels": np.arange(size) % 2}
    np.savez(folder / "volumes.npz", **arrays)
    return {"name": "v", "source": {"kind": "npz", "path": "volumes.npz"}, "input": {"shape": [4, 4, 4, 1]}}


@pytest.mark.parametrize("splits", [{}, {"given": {"test": "test"}}])
def test_a_file_of_test_samples_alone_is_read(tmp_path, splits):
    values = {**npz_of(tmp_path, {"test": 6}), "splits": splits}
    samples = load_samples(DataSpec.from_dict(values, folder=tmp_path))
    assert samples.counts().to_dict() == {"train": 0, "val": 0, "test": 6}
    assert len(samples.part("test")) == 6
    with pytest.raises(DataError, match="no sample is in the part 'train'"):
        samples.part("train")


def test_a_training_part_that_is_too_small_is_told_by_the_name_of_its_class(tmp_path):
    values = {**npz_of(tmp_path, {"train": 2, "test": 6}), "classes": ["benign", "malignant"]}
    values["splits"] = {"fractions": {"train": 0.5, "val": 0.5, "test": 0}}
    with pytest.raises(DataError, match=r"no sample of class '(benign|malignant)' is left to train on"):
        load_samples(DataSpec.from_dict(values, folder=tmp_path))


# ------------------------------------------------------------------------------------------------ clinical table


def test_the_clinical_table_is_checked(tmp_path):
    clinical = {"clinical": {"path": "cohort.csv", "id_column": "pid"}}
    spec = DataSpec.from_dict({**npz_of(tmp_path, {"train": 20}), **clinical}, folder=tmp_path)
    with pytest.raises(DataError, match=r"cohort\.csv: there is no such file"):
        load_samples(spec)
    (tmp_path / "cohort.csv").write_text("patient,age\n1,50\n")
    with pytest.raises(DataError, match=r"has no column 'pid'; it has \['patient', 'age'\]"):
        load_samples(spec)
    (tmp_path / "cohort.csv").write_text("pid,age\n1,50\n")
    assert len(load_samples(spec)) == 20
