import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from tumorkeras.data.similarity import SIDE, duplicate_groups, near_duplicates, neighbours, thumbnail
from tumorkeras.data.similarity.candidates import FLIPS, SIGNS, _parts, candidates, flipped
from tumorkeras.data.similarity.comparison import bounds, detail_of


def pictures_of(count, seed=0, size=(120, 160)):
    """Random pictures with detail of many sizes, as natural ones have."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        values = sum(s * cv2.GaussianBlur(rng.standard_normal(size), (0, 0), s) for s in (2, 5, 12))
        made.append(cv2.normalize(values, None, 30, 190, cv2.NORM_MINMAX).astype("uint8"))
    return made


def jpeg(picture, quality):
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_GRAYSCALE)


CHANGES = {
    "same": np.copy,
    "resized or recompressed": lambda picture: jpeg(cv2.resize(picture, None, fx=0.6, fy=0.6), 40),
    "brightness": lambda picture: np.clip(picture * 1.3 + 5, 0, 255).astype("uint8"),
    "flipped": lambda picture: picture[:, ::-1],
    "cropped": lambda picture: picture[6:, 8:],
}


@pytest.fixture(scope="module")
def pictures():
    return pictures_of(60)


def thumbnails_of(pictures):
    return np.stack([thumbnail(picture) for picture in pictures])


@pytest.mark.parametrize("change", CHANGES)
def test_planted_copies_are_found_and_told(pictures, change):
    copies = [CHANGES[change](picture) for picture in pictures[20:40]]
    pairs = near_duplicates(thumbnails_of([*pictures, *copies]))
    assert pairs["first"].tolist() == list(range(20, 40))
    assert pairs["second"].tolist() == list(range(60, 80))
    assert (pairs["change"] == change).mean() >= 0.9
    assert pairs["similarity"].between(0.75, 1).all()


@pytest.mark.parametrize("turned", [np.flipud, np.fliplr, lambda picture: picture[::-1, ::-1]])
def test_every_way_round_is_found(pictures, turned):
    pairs = near_duplicates(thumbnails_of([*pictures, turned(pictures[5])]))
    assert pairs.to_dict("records") == [{"first": 5, "second": 60, "similarity": 1.0, "change": "flipped"}]


def test_several_changes_at_once(pictures):
    changed = jpeg(np.ascontiguousarray(cv2.resize(pictures[7][4:, :-6], None, fx=0.5, fy=0.5)[::-1]), 40)
    pairs = near_duplicates(thumbnails_of([*pictures, changed]))
    assert pairs[["first", "second", "change"]].to_numpy().tolist() == [[7, 60, "flipped"]]


def test_unrelated_pictures_are_no_pairs(pictures):
    pairs = near_duplicates(thumbnails_of(pictures))
    assert len(pairs) == 0
    assert pairs.columns.tolist() == ["first", "second", "similarity", "change"]
    assert pairs["first"].dtype == np.int64


def test_spots_that_all_look_alike_are_no_pairs():
    rng = np.random.default_rng(0)
    row, column = np.mgrid[:32, :32]
    spots = []
    for _ in range(150):  # as nodules cut out of a scan, background 0
        radius, (down, across) = rng.uniform(4, 10), rng.uniform(14.5, 17.5, 2)
        inside = (row - down) ** 2 / rng.uniform(0.7, 1.4) + (column - across) ** 2 < radius**2
        spots.append(np.where(inside, rng.normal(140, 20, (32, 32)).clip(0, 255), 0).astype("uint8"))
    found = near_duplicates(thumbnails_of([*spots, spots[3], spots[8][:, ::-1]]))
    pairs = found[["first", "second"]].to_numpy().tolist()
    assert [3, 150] in pairs
    assert [8, 151] in pairs
    assert len(pairs) <= 6  # of 11,476


def test_what_all_pictures_share_makes_none_alike(pictures):
    shared = pictures_of(1, seed=9)[0].astype("float64")
    alike = [np.clip(0.6 * shared + 0.4 * picture, 0, 255).astype("uint8") for picture in pictures]
    found = near_duplicates(thumbnails_of([*alike, jpeg(alike[2], 40)]))
    assert found[["first", "second"]].to_numpy().tolist() == [[2, 60]]


def test_constant_dark_and_left_out_pictures(pictures):
    constant = [np.full((50, 50), value, "uint8") for value in (0, 0, 7, 255)]
    dark = [(picture // 12).astype("uint8") for picture in pictures[:20]]
    thumbnails = thumbnails_of([*constant, *dark, dark[0][::2, ::2], dark[1]])
    assert near_duplicates(thumbnails)[["first", "second"]].to_numpy().tolist() == [[4, 24], [5, 25]]
    valid = np.ones(26, bool)
    valid[5] = False
    assert near_duplicates(thumbnails, valid=valid)[["first", "second"]].to_numpy().tolist() == [[4, 24]]


def test_volumes_are_found_whichever_way_round():
    rng = np.random.default_rng(0)
    volumes = [cv2.GaussianBlur(rng.random((40, 40, 8)), (0, 0), 3).transpose(2, 0, 1)[..., None] for _ in range(20)]
    copies = [volumes[2][::-1], volumes[3][:, ::-1], (volumes[4] * 1000).astype("uint16")]
    found = near_duplicates(thumbnails_of([*volumes, *copies]))
    assert found[["first", "second"]].to_numpy().tolist() == [[2, 20], [3, 21], [4, 22]]


def test_equal_thumbnails_are_all_paired_and_very_many_with_the_first(pictures):
    thumbnails = thumbnails_of([*pictures[:30], pictures[0], pictures[0], jpeg(pictures[0], 50)])
    pairs = near_duplicates(thumbnails)
    assert pairs[["first", "second"]].to_numpy().tolist() == [[0, 30], [0, 31], [0, 32], [30, 31], [30, 32], [31, 32]]
    many = near_duplicates(thumbnails_of([pictures[0]] * 70 + pictures[1:5]))
    assert many["first"].tolist() == [0] * 69
    assert many["second"].tolist() == list(range(1, 70))


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_few_pictures(pictures, count):
    found = near_duplicates(
        thumbnails_of([*pictures[:count], *pictures[:count]]) if count else np.zeros((0, SIDE, SIDE), "uint8")
    )
    assert found[["first", "second"]].to_numpy().tolist() == [[k, count + k] for k in range(count)]
    recompressed = [jpeg(picture, 40) for picture in pictures[:count]]
    if count:
        found = near_duplicates(thumbnails_of([*pictures[:count], *recompressed]))
        assert found[["first", "second"]].to_numpy().tolist() == [[k, count + k] for k in range(count)]


def test_the_order_of_the_pictures_does_not_matter(pictures):
    thumbnails = thumbnails_of([*pictures, pictures[3][4:, 4:], jpeg(pictures[8], 40)])
    order = np.random.default_rng(1).permutation(len(thumbnails))
    found = near_duplicates(thumbnails[order])
    assert {frozenset(order[[a, b]]) for a, b in found[["first", "second"]].to_numpy()} == {
        frozenset((3, 60)),
        frozenset((8, 61)),
    }


def test_the_search_in_cells_finds_the_same(pictures, monkeypatch):
    thumbnails = thumbnails_of([*pictures, *(CHANGES["cropped"](picture) for picture in pictures[:20])])
    exact = near_duplicates(thumbnails)
    monkeypatch.setattr(neighbours, "EXACT", 10)
    pd.testing.assert_frame_equal(near_duplicates(thumbnails), exact)


@pytest.mark.parametrize(
    ("thumbnails", "message"),
    [
        (np.zeros((2, SIDE, SIDE)), "found float64"),
        (np.zeros((2, 16, 16), "uint8"), r"of shape \(2, 16, 16\), expected uint8"),
        (np.zeros((SIDE, SIDE), "uint8"), "expected uint8 of shape"),
    ],
)
def test_what_are_no_thumbnails_is_refused(thumbnails, message):
    with pytest.raises(ValueError, match=message):
        near_duplicates(thumbnails)


def test_a_mask_of_another_length_is_refused(pictures):
    with pytest.raises(ValueError, match=r"valid: found shape \(3,\), expected \(2,\)"):
        near_duplicates(thumbnails_of(pictures[:2]), valid=np.ones(3, bool))


def test_flips_are_changes_of_signs():
    images = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE)).astype("uint8")
    parts = _parts(images)
    for flip in range(len(FLIPS)):
        turned = _parts(flipped(images, np.full(5, flip)))
        for sign, part, other in zip(SIGNS[flip], parts, turned, strict=True):
            np.testing.assert_allclose(sign * part, other, atol=1e-5)


def test_candidates_hold_the_neighbours_of_a_plain_search(pictures):
    thumbnails = thumbnails_of([*pictures, *(jpeg(picture, 30) for picture in pictures)])
    found = candidates(thumbnails)
    assert (found["first"] < found["second"]).all()
    assert not found.duplicated(["first", "second"]).any()
    nearest = PCA(20, random_state=0).fit_transform(thumbnails.reshape(120, -1).astype("float64"))
    distances = np.linalg.norm(nearest[:, None] - nearest[None], axis=-1) + np.eye(120) * 1e9
    pairs = {tuple(pair) for pair in found[["first", "second"]].to_numpy()}
    assert all((min(k, other), max(k, other)) in pairs for k, other in enumerate(distances.argmin(1)))


def test_bounds_rise_where_pictures_look_alike(pictures):
    shared = pictures_of(1, seed=9)[0].astype("float64")
    alike = [np.clip(0.8 * shared + 0.2 * picture, 0, 255).astype("uint8") for picture in pictures]
    assert bounds(detail_of(thumbnails_of(alike))).plain > bounds(detail_of(thumbnails_of(pictures))).plain


@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_groups_are_the_closure_of_the_pairs(case):
    n, listed = case
    expected = list(range(n))
    for _ in range(n):
        for a, b in listed:
            expected[a] = expected[b] = min(expected[a], expected[b])
    groups = duplicate_groups(n, pd.DataFrame(listed, columns=["first", "second"]).astype("int64"))
    assert [[a == b for a in groups] for b in groups] == [[a == b for a in expected] for b in expected]
    assert pd.factorize(groups)[0].tolist() == groups.tolist()


def test_copies_of_real_ultrasound_images(data_folder):
    """At least 0.90 of the labelled pairs are found, and at least 0.80 of what is found is labelled."""
    table = pd.read_csv(data_folder / "busi" / "images.csv")
    images = [cv2.imread(str(data_folder / "busi" / "images" / f"{name}.jpg"), 0) for name in table["image"]]
    pairs = near_duplicates(thumbnails_of(images))
    groups = table["dup_group"].to_numpy()
    labelled = int(np.triu(groups[:, None] == groups[None], 1).sum())
    hits = int((groups[pairs["first"]] == groups[pairs["second"]]).sum())
    assert hits / labelled >= 0.90
    assert hits / len(pairs) >= 0.80
