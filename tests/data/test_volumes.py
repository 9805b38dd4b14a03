"""Volumes from npz files; what is broken or dangerous in them is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from tumorkeras.data.samples import load_samples
from tumorkeras.data.volumes import read_npz_volumes
from tumorkeras.errors import DataError
from tumorkeras.spec import DataSpec

SHAPE = (4, 5, 6, 1)


class Bomb:
    """Sets a mark when it is unpickled."""

    exploded = False

    def __reduce__(self):
        return setattr, (Bomb, "exploded", True)


def arrays(**changes):
    generator = np.random.default_rng(0)
    found = {
        "train_images": generator.integers(0, 255, (6, 4, 5, 6), dtype="uint8"),
        "train_labels": np.array([[0], [1], [0], [1], [0], [1]], "uint8"),
        "val_images": generator.integers(0, 255, (4, 4, 5, 6), dtype="uint8"),
        "val_labels": np.array([0, 1, 1, 0]),
    }
    found |= changes
    return {key: value for key, value in found.items() if value is not None}


@pytest.fixture
def npz(tmp_path):
    def write(**changes):
        np.savez(tmp_path / "volumes.npz", **arrays(**changes))
        return tmp_path / "volumes.npz"

    return write


def test_parts_follow_one_another(npz):
    table, volumes = read_npz_volumes(npz(), SHAPE)
    assert volumes.shape == (10, *SHAPE)
    assert volumes.dtype == np.uint8
    assert (volumes[6:, ..., 0] == arrays()["val_images"]).all()
    assert table["id"].tolist()[5:7] == ["train/5", "val/0"]
    assert table["given_split"].tolist() == ["train"] * 6 + ["val"] * 4
    assert table["label"].tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 1, 0]


def test_a_channel_axis_may_be_there(npz):
    images = np.zeros((6, *SHAPE), "float32")
    _, volumes = read_npz_volumes(npz(train_images=images), SHAPE)
    assert volumes.shape == (10, *SHAPE)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_images": np.zeros((6, 5, 6))}, ["train_images has volumes of shape (5, 6), input.shape is"]),
        ({"train_images": np.zeros((6, 4, 5, 6, 3))}, ["train_images has volumes of shape (4, 5, 6, 3)"]),
        ({"train_images": np.zeros((6, 4, 5, 7)), "val_labels": None}, ["(4, 5, 7)", "no key val_labels"]),
        ({"train_images": None, "val_images": None}, ["no key that ends in _images", "train_labels"]),
        ({"train_images": np.array(3), "val_images": None}, ["no key that ends in _images"]),
        ({"train_images": np.full((6, 4, 5, 6), "a")}, ["train_images has dtype <U1"]),
        ({"train_labels": np.array([0.0, 1.0] * 3)}, ["train_labels has 6 float64 values"]),
        ({"train_labels": np.array([0, 1])}, ["train_labels has 2 int64 values, expected 6 class ids"]),
        ({"train_labels": np.array([0, 1, 0, 1, 0, -1])}, ["class ids from 0"]),
        (
            {"val_images": np.where(np.arange(4)[:, None, None, None] >= 2, np.nan, np.zeros((4, 4, 5, 6)))},
            ["val_images: 2 volumes hold NaN or infinity, the first is number 2"],
        ),
        (
            {"val_images": np.where(np.arange(4)[:, None, None, None] == 1, np.nan, np.zeros((4, 4, 5, 6)))},
            ["val_images: 1 volume holds NaN or infinity, the first is number 1"],
        ),
        ({"val_images": np.full((4, 4, 5, 6), np.inf)}, ["4 volumes hold NaN or infinity, the first is number 0"]),
        (
            {
                "train_images": np.zeros((0, 4, 5, 6)),
                "train_labels": np.zeros(0, int),
                "val_images": None,
            },
            ["holds no volume in train"],
        ),
    ],
)
def test_what_does_not_fit_is_told(npz, changes, words):
    path = npz(**changes)
    with pytest.raises(DataError) as caught:
        read_npz_volumes(path, SHAPE)
    assert caught.value.heading == str(path)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("key", ["train_images", "train_labels", "note"])
def test_pickled_objects_are_refused_and_never_unpickled(npz, key):
    bomb = np.empty(6, dtype=object)
    bomb[:] = [Bomb() for _ in range(6)]
    path = npz(**{key: bomb})
    with pytest.raises(DataError, match="pickled Python objects, which are refused"):
        read_npz_volumes(path, SHAPE)
    assert not Bomb.exploded
    with np.load(path, allow_pickle=True) as archive:  # the bomb is real
        archive[key]
    assert Bomb.exploded
    Bomb.exploded = False


def test_a_pickle_under_the_name_of_an_npz(tmp_path):
    (tmp_path / "volumes.npz").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match=r"is no \.npz file"):
        read_npz_volumes(tmp_path / "volumes.npz", SHAPE)
    assert not Bomb.exploded


@pytest.mark.parametrize("content", [b"", b"words", b"PK\x03\x04 broken"])
def test_files_that_are_no_npz(tmp_path, content):
    path = tmp_path / "volumes.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"volumes\.npz: is no \.npz file"):
        read_npz_volumes(path, SHAPE)


def test_missing_cut_and_damaged_files(npz, tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read_npz_volumes(tmp_path / "none.npz", SHAPE)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(DataError, match=r"is no \.npz file"):
        read_npz_volumes(tmp_path / "one.npy", SHAPE)
    path = npz()
    content = bytearray(path.read_bytes())
    content[300:310] = b"0123456789"
    path.write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        read_npz_volumes(path, SHAPE)


def write_table(folder, frame):
    frame.to_csv(folder / "volumes.csv", index=False)
    return folder / "volumes.csv"


def rows():
    labels = [0, 1, 0, 1, 0, 1, 0, 1, 1, 0]
    parts = ["train"] * 6 + ["val"] * 4
    return pd.DataFrame({"exam": range(10), "label": labels, "split": parts, "size_mm": np.arange(10) / 2})


def test_a_table_is_joined_part_by_part(npz, tmp_path):
    other_order = pd.concat([rows().iloc[6:], rows().iloc[:6]])
    table, _ = read_npz_volumes(npz(), SHAPE, write_table(tmp_path, other_order))
    assert table["exam"].tolist() == list(range(10))
    assert table["size_mm"].tolist() == rows()["size_mm"].tolist()


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (rows().iloc[:9], "has 9 rows for the 10 volumes"),
        (rows().assign(label=rows()["label"].to_numpy()[::-1]), "labels differ from those of the volumes"),
        (rows().assign(split="test"), "has 0 rows for the 10 volumes"),
    ],
)
def test_a_table_that_does_not_match_is_refused(npz, tmp_path, frame, words):
    with pytest.raises(DataError, match=words):
        read_npz_volumes(npz(), SHAPE, write_table(tmp_path, frame))


def test_a_missing_or_ragged_table(npz, tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: there is no such file"):
        read_npz_volumes(npz(), SHAPE, tmp_path / "none.csv")
    (tmp_path / "ragged.csv").write_text("exam,label\n1,0,0\n")
    with pytest.raises(DataError, match="line 2 has 3 cells, the header has 2"):
        read_npz_volumes(npz(), SHAPE, tmp_path / "ragged.csv")


# ---------------------------------------------------------------------------------------------- through the spec


def spec_of(folder, source=None, **sections):
    values = {
        "name": "nodules",
        "source": {"kind": "npz", "path": "volumes.npz", **(source or {})},
        "input": {"shape": list(SHAPE)},
        **sections,
    }
    return DataSpec.from_dict(values, folder=folder)


def test_given_parts_are_kept_and_the_open_one_is_cut_from_train(npz, tmp_path):
    images, labels = np.zeros((40, 4, 5, 6), "uint8"), np.array([0, 1] * 20)
    npz(train_images=images, train_labels=labels)
    samples = load_samples(spec_of(tmp_path, splits={"given": {"train": "train", "val": "test"}}))
    assert samples.part("test").table["id"].tolist() == [f"val/{k}" for k in range(4)]
    assert samples.counts()["val"] == round(40 * 0.15 / 0.85)
    assert samples.part("val").table["given_split"].unique().tolist() == ["train"]


def test_parts_that_the_spec_forgets_or_invents(npz, tmp_path):
    npz()
    with pytest.raises(DataError, match=r"(?s)part 'val'.*part 'test', but the data have train, val"):
        load_samples(spec_of(tmp_path, splits={"given": {"train": "train", "test": "test"}}))


def test_classes_must_cover_the_labels(npz, tmp_path):
    npz(train_labels=np.array([0, 1, 2, 0, 1, 2]))
    with pytest.raises(DataError, match="names 2 classes, but the labels go up to 2"):
        load_samples(spec_of(tmp_path, classes=["benign", "malignant"]))
    with pytest.raises(DataError, match="'unseen' has no sample"):
        load_samples(spec_of(tmp_path, classes=["a", "b", "c", "unseen"]))


def test_a_group_column_must_be_there_for_every_sample(npz, tmp_path):
    npz()
    write_table(tmp_path, rows().assign(exam=[1, None, *range(8)]))
    with pytest.raises(DataError, match="train/1 has no exam"):
        load_samples(spec_of(tmp_path, {"table": "volumes.csv"}, splits={"group": "exam"}))
    with pytest.raises(DataError, match="have no column 'patient'"):
        load_samples(spec_of(tmp_path, {"table": "volumes.csv"}, splits={"group": "patient"}))


def test_groups_that_cross_given_parts_are_refused(npz, tmp_path):
    npz()
    write_table(tmp_path, rows().assign(exam=[1, 2, 3, 4, 5, 6, 6, 7, 8, 9]))
    splits = {
        "group": "exam",
        "given": {"train": "train", "val": "test"},
        "fractions": {"train": 1, "val": 0, "test": 0},
    }
    said = r"(?s)1 of 9 groups are in more than one part.*train/5 \(train\) and val/0 \(test\)"
    with pytest.raises(DataError, match=said):
        load_samples(spec_of(tmp_path, {"table": "volumes.csv"}, splits=splits))


def test_real_nodules_keep_exams_and_given_parts(data_folder):
    values = {
        "name": "nodules",
        "source": {
            "kind": "npz",
            "path": "${TUMORKERAS_DATA}/lidc_nodules/nodules32.npz",
            "table": "${TUMORKERAS_DATA}/lidc_nodules/nodules.csv",
        },
        "input": {"shape": [32, 32, 32, 1]},
        "classes": ["benign", "malignant"],
        "splits": {"given": {"train": "train", "val": "test"}, "group": "exam_id"},
    }
    samples = load_samples(DataSpec.from_dict(values))
    assert samples.values.shape == (750, 32, 32, 32, 1)
    assert not samples.are_tracks
    counts = samples.counts()
    assert counts["test"] == 132
    assert counts["train"] + counts["val"] == 618
    assert 0.1 < counts["val"] / 618 < 0.25
    assert (samples.table.groupby("group")["split"].nunique() == 1).all()
    assert samples.table["group"].nunique() == samples.table["exam_id"].nunique()
    shares = [samples.part(name).labels.mean() for name in ("train", "val", "test")]
    assert max(shares[:2]) - min(shares[:2]) < 0.1


def test_an_archive_that_unpacks_beyond_the_limit_is_refused_before_it_is(tmp_path, monkeypatch):
    from tumorkeras.data import volumes

    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, train_images=np.zeros((64, 16, 16, 16), "uint8"), train_labels=np.zeros(64, int))
    monkeypatch.setattr(volumes, "LARGEST", 100_000)
    monkeypatch.setattr(np, "load", None)  # is not even called
    with pytest.raises(DataError, match=r"holds 0\.0 GB unpacked, more than the"):
        read_npz_volumes(path, (16, 16, 16, 1))
