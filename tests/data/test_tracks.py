"""Reading tracks in both layouts, what is said of broken files, and cropping to common frames."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tumorkeras.data.tracks import crop_tracks, normalise_scale, read_track_pair, read_track_table
from tumorkeras.errors import DataError

X = "0,1,2\n5,5,6\n"
Y = "0,0,1\n3,4,4\n"
HEADER = "class,track,t,x,y\n"
LONG = HEADER + "a,one,1,0,0\na,one,2,3,4\nb,two,2,7,8\nb,two,1,5,6\n"


@pytest.fixture
def pair(tmp_path):
    def write(x=X, y=Y):
        for name, text in (("x.csv", x), ("y.csv", y)):
            if text is not None:
                (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / "x.csv", tmp_path / "y.csv"

    return write


@pytest.fixture
def table(tmp_path):
    def write(text):
        (tmp_path / "long.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / "long.csv"

    return write


# ------------------------------------------------------------------------------------------------ paired matrices


def test_pair_puts_x_before_y(pair):
    tracks = read_track_pair(*pair())
    assert tracks.dtype == np.float32
    assert tracks.tolist() == [[[0, 0], [1, 0], [2, 1]], [[5, 3], [5, 4], [6, 4]]]


@pytest.mark.parametrize("x", [X.replace("\n", "\r\n"), "\ufeff" + X, X.strip(), "0, 1, 2\n5,5,6", "0,1,2\n\n5,5,6\n"])
def test_pair_reads_what_spreadsheets_write(pair, x):
    assert read_track_pair(*pair(x))[1].tolist() == [[5, 3], [5, 4], [6, 4]]


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (None, ["there is no such file"]),
        ("", ["empty"]),
        ("\n \n", ["empty"]),
        ("0,1,2\n5,5\n", ["row 2 has 2 cells, row 1 has 3"]),
        ("0,1\n5,5,6\n", ["row 2 has 3 cells, row 1 has 2"]),
        ("0,1,2\n5,five,6\n", ["row 2, column 2: 'five' is not a finite number"]),
        ("0,1,2\n5,,6\n", ["row 2, column 2: '' is not a finite number"]),
        ("0,nan,2\n5,5,6\n", ["row 1, column 2: 'nan'"]),
        ("0,1,2\n5,5,-inf\n", ["row 2, column 3: '-inf'"]),
        ("0,1,2\n5,5,1e300\n", ["row 2, column 3: '1e300'"]),
        ("0,1,2\n5,5,1_0\n", ["row 2, column 3: '1_0'"]),
        ("0,1,2\n5,True,6\n", ["row 2, column 2: 'True' is not a finite number"]),
        ("True,1,2\nFALSE,5,6\n", ["row 1, column 1: 'True'", "row 2, column 1: 'FALSE'"]),
        ("true,true,false\n", ["row 1, column 1: 'true'", "row 1, column 3: 'false'"]),
        ("x0,x1,x2\n5,5,6\n", ["row 1, column 1: 'x0'", "row 1, column 3: 'x2'"]),
        ("0,1,2\n\n5,a,6\n", ["row 3, column 2: 'a'"]),
        (b"0,1,2\n5,\xff,6\n", ["row 2, column 2"]),
        ("0,1,2\n", ["1 cells x 3 frames", "2 cells x 3 frames"]),
        ("0,1\n5,5\n", ["2 cells x 2 frames"]),
    ],
)
def test_bad_matrix_is_told_by_file_row_and_column(pair, x, words):
    with pytest.raises(DataError) as caught:
        read_track_pair(*pair(x))
    assert "x.csv" in caught.value.heading
    for word in words:
        assert word in str(caught.value)


def test_faults_of_both_files_are_told_at_once(pair):
    with pytest.raises(DataError, match=r"(?s)x\.csv: row 1, column 1.*y\.csv: row 2, column 3"):
        read_track_pair(*pair("a,1,2\n5,5,6\n", "0,0,1\n3,4,b\n"))


def test_fault_of_y_alone_is_headed_by_y(pair):
    with pytest.raises(DataError) as caught:
        read_track_pair(*pair(y=""))
    assert caught.value.heading.endswith("y.csv")


def test_many_faults_are_cut_short(pair):
    with pytest.raises(DataError) as caught:
        read_track_pair(*pair("a,b,c\n" * 20, "1,2,3\n" * 20))
    assert len(caught.value.faults) == 11
    assert caught.value.faults[-1] == "and 50 more"


def test_one_point_is_no_track(pair):
    with pytest.raises(DataError, match="one point"):
        read_track_pair(*pair("0\n1\n", "0\n1\n"))


# ----------------------------------------------------------------------------------------------------- long table


def test_table_is_put_in_order_of_time(table):
    tracks = read_track_table(table(LONG))
    assert list(tracks) == ["a", "b"]
    assert tracks["a"]["one"].tolist() == [[0, 0], [3, 4]]
    assert tracks["b"]["two"].tolist() == [[5, 6], [7, 8]]
    assert tracks["a"]["one"].dtype == np.float32


def test_names_of_tracks_may_start_anew_in_each_class(table):
    tracks = read_track_table(table(HEADER + "a,1,0,0,0\na,1,1,1,1\nb,1,0,5,5\nb,1,1,6,6\n"))
    assert tracks["a"]["1"].tolist() == [[0, 0], [1, 1]]
    assert tracks["b"]["1"].tolist() == [[5, 5], [6, 6]]


def test_time_is_ordered_as_a_number_not_as_text(table):
    tracks = read_track_table(table(HEADER + "a,1,10,2,0\na,1,9,1,0\n"))
    assert tracks["a"]["1"][:, 0].tolist() == [1, 2]


def test_columns_may_have_other_names_and_company(table):
    path = table("note,cell,kind,frame,px,py\n,7,a,1,0,1\n,7,a,2,2,3\n")
    names = {"class_column": "kind", "track_column": "cell", "time_column": "frame"}
    tracks = read_track_table(path, **names, x_column="px", y_column="py")
    assert tracks["a"]["7"].tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["empty"]),
        (HEADER, ["holds no row"]),
        ("class,track,t,x\na,one,1,0\n", ["no column 'y'", "['class', 'track', 't', 'x']"]),
        ("class,track\na,one\n", ["no column 't'", "no column 'x'", "no column 'y'"]),
        (LONG + "a,one,3,far,0\n", ["line 6, x: 'far' is not a finite number"]),
        (LONG + "\na,one,3,0,\n", ["line 7, y: ''"]),
        (LONG + "a,one,3,0,nan\n", ["line 6, y: 'nan'"]),
        (LONG + "a,one,3,inf,0\n", ["line 6, x: 'inf'"]),
        (LONG + "a,one,late,0,0\n", ["line 6, t: 'late'"]),
        (LONG + ",one,3,0,0\n", ["line 6, class: is empty"]),
        (LONG + "a,,3,0,0\n", ["line 6, track: is empty"]),
        (LONG + "a,one,3,0\n", ["line 6 has 4 cells, the header has 5"]),
        (HEADER + "a,one,1,0,0,9\na,one,2,0,0,9\n", ["line 2 has 6 cells", "line 3 has 6 cells"]),
        (LONG + "a,three,1,0,0\n", ["track 'three' has one point"]),
        (LONG + "b,one,3,0,0\n", ["track 'one' has one point; motion needs at least 2 (class 'b')"]),
        (LONG + "a,one,2,0,0\n", ["line 6: track 'one' has t 2 twice"]),
        (LONG + "a,one,2.0,0,0\n", ["line 6: track 'one' has t 2 twice"]),
        (LONG.encode() + b"\0,one,3,0,0\n", ["is no text: it holds zero bytes"]),
    ],
)
def test_bad_table_is_told_by_file_line_and_column(table, text, words):
    path = table(text)
    with pytest.raises(DataError) as caught:
        read_track_table(path)
    assert caught.value.heading == str(path)
    for word in words:
        assert word in str(caught.value)


def test_semicolons_and_decimal_commas(table):
    tracks = read_track_table(table("class;track;t;x;y\na;1;0;0,5;1\na;1;1;2,25;-1,5\n"))
    assert tracks["a"]["1"].tolist() == [[0.5, 1.0], [2.25, -1.5]]


def test_missing_table(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: there is no such file"):
        read_track_table(tmp_path / "none.csv")


# --------------------------------------------------------------------------------------------- cropping and scale


def test_cropping_to_common_frames_is_said():
    cropped, _, notes = crop_tracks({"long": np.ones((2, 5, 2)), "short": np.ones((3, 4, 2))})
    assert {name: tracks.shape for name, tracks in cropped.items()} == {"long": (2, 4, 2), "short": (3, 4, 2)}
    assert notes == ["long: 2 tracks of 5 frames cropped to the first 4", "short: 3 tracks of 4 frames"]


def test_shorter_tracks_are_left_out_and_counted():
    tracks = [np.full((length, 2), length) for length in (3, 6, 4)]
    cropped, kept, notes = crop_tracks({"a": tracks}, frames=4)
    assert kept["a"].tolist() == [1, 2]
    assert cropped["a"][:, 0, 0].tolist() == [6, 4]
    assert notes == ["a: 3 tracks of 3-6 frames cropped to the first 4, 1 shorter left out"]


def test_classes_without_a_track_are_told_at_once():
    with pytest.raises(DataError, match=r"(?s)'b' has no track.*'c' has no track"):
        crop_tracks({"a": [np.zeros((3, 2))], "b": [], "c": []})
    with pytest.raises(DataError, match=r"(?s)'a': no track has 9 frames; the longest has 3.*'b': no track"):
        crop_tracks({"a": [np.zeros((3, 2))], "b": [np.zeros((4, 2))]}, frames=9)


@given(st.floats(0.01, 100), st.integers(0, 99))
def test_normalised_scale_has_mean_step_one_whatever_the_units(scale, seed):
    tracks = np.random.default_rng(seed).normal(size=(4, 7, 2)).cumsum(axis=1).astype("float32")
    normal = normalise_scale(tracks * np.float32(scale))
    steps = np.hypot(*np.moveaxis(np.diff(normal, axis=1), -1, 0))
    np.testing.assert_allclose(steps.mean(axis=1), 1, rtol=1e-4)
    np.testing.assert_allclose(normal, normalise_scale(tracks), rtol=1e-3, atol=1e-4)


def test_a_resting_cell_keeps_its_place():
    resting = np.full((1, 3, 2), 5, "float32")
    assert (normalise_scale(resting) == resting).all()


# ------------------------------------------------------------------------------------------------------ real data


def test_real_files_of_both_layouts(data_folder):
    folder = data_folder / "motility"
    tracks = read_track_pair(folder / "musc_X.csv", folder / "musc_Y.csv")
    assert tracks.shape == (1407, 63, 2)
    expected = pd.read_csv(folder / "musc_Y.csv", header=None).to_numpy()
    np.testing.assert_allclose(tracks[..., 1], expected, rtol=1e-6)
    immune = read_track_table(folder / "immune_tracks_long.csv")
    assert sorted(immune) == ["BCells", "Neutrophils", "TCells"]
    rows = sum(len(track) for group in immune.values() for track in group.values())
    assert rows == len(pd.read_csv(folder / "immune_tracks_long.csv"))
