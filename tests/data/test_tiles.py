"""Tiles of large images: a grid that covers them, the objects that each shows, and samples made of them."""

from __future__ import annotations

import io

import cv2
import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tumorkeras.boxes import area, clip
from tumorkeras.data import whole_images
from tumorkeras.data.catalog import Catalog
from tumorkeras.data.detection import detection_batches, load_detection
from tumorkeras.data.samples import load_samples
from tumorkeras.data.tiles import tile_grid
from tumorkeras.errors import DataError
from tumorkeras.spec import DataSpec

# ------------------------------------------------------------------------------------------------------------- grids


@st.composite
def grids(draw):
    size = draw(st.tuples(st.integers(1, 90), st.integers(1, 90)))
    tile = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    return tile_grid(size, tile, draw(st.integers(0, min(tile) - 1))), tile


@st.composite
def grids_and_boxes(draw, largest=90.0):
    """A grid, and a box in its image with sides of at most the overlap or anything."""
    size = draw(st.tuples(st.integers(1, 90), st.integers(1, 90)))
    tile = draw(st.tuples(st.integers(2, 40), st.integers(2, 40)))
    overlap = draw(st.integers(1, min(tile) - 1))
    sides = [draw(st.floats(0.01, min(largest or overlap, length))) for length in (size[1], size[0])]
    low = [draw(st.floats(0, length - side)) for length, side in zip((size[1], size[0]), sides, strict=True)]
    box = np.array([*low, low[0] + sides[0], low[1] + sides[1]])
    return tile_grid(size, tile, overlap), np.minimum(box, [size[1], size[0]] * 2)


@given(grids())
def test_every_pixel_is_covered_and_no_tile_sticks_out(made):
    grid, tile = made
    covered = np.zeros(grid.size, "int64")
    for left, top, right, bottom in grid.corners:
        assert min(left, top) >= 0
        assert right <= grid.size[1]
        assert bottom <= grid.size[0]
        assert (bottom - top, right - left) == tuple(np.minimum(tile, grid.size))
        covered[top:bottom, left:right] += 1
    assert (covered > 0).all()
    assert len(np.unique(grid.corners, axis=0)) == len(grid) == len(grid.corners)


@given(grids_and_boxes(largest=None))
def test_a_box_up_to_the_overlap_lies_whole_in_some_tile(made):
    grid, box = made
    inside = (grid.corners[:, :2] <= box[:2]).all(axis=1) & (grid.corners[:, 2:] >= box[2:]).all(axis=1)
    assert inside.any()
    assert grid.sees_whole(box).all()


@given(grids_and_boxes(), st.floats(0, 4), st.floats(0, 4))
def test_what_is_seen_whole_is_what_some_tile_holds_with_a_margin(made, across, down):
    (grid, box), margin = made, np.array([across, down])
    edges = grid.inner_edges(np.arange(len(grid))).astype("float64")
    held = ((edges[:, :2] <= box[:2] - margin) & (edges[:, 2:] >= box[2:] + margin)).all(axis=1)
    assert grid.sees_whole(box, margin[None]).tolist() == [held.any()]


def test_the_last_tiles_are_moved_inward():
    grid = tile_grid((10, 21), tile=(10, 10), overlap=3)
    assert grid.lefts.tolist() == [0, 7, 11]
    assert tile_grid((10, 17), (10, 10), 3).lefts.tolist() == [0, 7]
    assert tile_grid((1, 1), (10, 10), 3).corners.tolist() == [[0, 0, 1, 1]]


def test_a_slide_of_many_tiles_is_cut_at_once():
    grid = tile_grid((100_000, 80_000), (512, 512), 128)
    assert len(grid) == 261 * 208
    corners = np.random.default_rng(0).uniform(0, 79_900, (5_000, 2))
    tiles, objects, cut = grid.cut(np.concatenate([corners, corners + 40], axis=1), visible=1.0)
    assert set(objects) == set(range(5_000))
    np.testing.assert_allclose(cut[:, 2:] - cut[:, :2], 40, atol=0.02)
    np.testing.assert_allclose(cut[:, :2] + grid.corners[tiles, :2], corners[objects], atol=0.02)


@pytest.mark.parametrize(
    ("arguments", "faults"),
    [
        (((10, 10), (8, 8), -1), ["overlap: -1 is not an integer of 0 or more"]),
        (((10, 10), (8, 6), 6), ["overlap: 6 is not below the shorter side of a tile, 6"]),
        (((0, 10), (8,), 2.5), ["size: (0, 10) is not", "tile: (8,) is not", "overlap: 2.5 is not an integer"]),
        (((10, 10), (8, True), 2), ["tile: (8, True) is not (height, width), two positive integers"]),
    ],
)
def test_arguments_out_of_range_are_all_named(arguments, faults):
    with pytest.raises(DataError) as caught:
        tile_grid(*arguments)
    assert len(caught.value.faults) == len(faults)
    for found, expected in zip(caught.value.faults, faults, strict=True):
        assert found.startswith(expected)


# ----------------------------------------------------------------------------------------------------------- objects


@given(grids_and_boxes(), st.floats(0.05, 1))
def test_objects_are_where_enough_of_them_is_shown(made, visible):
    """Against a plain loop: a tile, its part of the object, the share of its area."""
    grid, box = made
    whole = np.prod((box[2:] - box[:2]).astype("float32"), dtype="float64")
    shares = []
    for tile in grid.corners:
        sides = np.minimum(box[2:], tile[2:]) - np.maximum(box[:2], tile[:2])
        shares.append(np.prod(np.maximum(sides, 0)) / whole)
    least = min(visible, max(shares))
    tiles, objects, cut = grid.cut(box, visible)
    unsure = {k for k, share in enumerate(shares) if abs(share - least) < 1e-3}  # of rounding to float32
    assert {k for k, share in enumerate(shares) if share >= least} - unsure <= set(tiles)
    assert set(tiles) <= {k for k, share in enumerate(shares) if share >= least} | unsure
    assert len(tiles) > 0
    assert (objects == 0).all()
    for tile, shown in zip(grid.corners[tiles], cut, strict=True):
        expected = np.concatenate([np.maximum(box[:2], tile[:2]), np.minimum(box[2:], tile[2:])]) - np.tile(tile[:2], 2)
        np.testing.assert_allclose(shown, expected, atol=1e-4)


def test_an_object_larger_than_every_tile_is_kept_where_most_of_it_is():
    grid = tile_grid((10, 24), (10, 10), 3)
    tiles, _, cut = grid.cut([[0, 2, 20, 8]])
    assert grid.lefts.tolist() == [0, 7, 14]
    assert tiles.tolist() == [0, 1]  # half of it each, the last tile a third
    assert cut.tolist() == [[0, 2, 10, 8], [0, 2, 10, 8]]


def test_shares_are_those_of_what_lies_in_the_image():
    grid = tile_grid((10, 20), (10, 10), 2)
    tiles, objects, cut = grid.cut([[-8, 2, 2, 4], [30, 2, 40, 4], [3, 3, 3, 9]])
    assert (tiles.tolist(), objects.tolist(), cut.tolist()) == ([0], [0], [[0, 2, 2, 4]])
    assert [part.shape for part in grid.cut(np.empty((0, 4)))] == [(0,), (0,), (0, 4)]


# ----------------------------------------------------------------------------------------------------------- samples

TILES = {"size": [32, 32], "overlap": 8}
SIZES = [(60, 90), (20, 100), (70, 70), (32, 32)]
BOXES = {0: [(10, 10, 18, 18), (28, 20, 36, 28), (60, 30, 80, 58)], 1: [(0, 0, 12, 12), (95, 15, 130, 40)], 2: []}


@pytest.fixture
def folder(tmp_path):
    """Four images of noise and their boxes; 3.png has a box without area inside, 2.png has none."""
    (tmp_path / "images").mkdir()
    rng = np.random.default_rng(0)
    for number, size in enumerate(SIZES):
        image = rng.integers(0, 256, (*size, 3)).astype("uint8")
        assert cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), image[..., ::-1])
    lines = [f"{image}.png,cell,{','.join(map(str, box))},train" for image, own in BOXES.items() for box in own]
    lines += ["2.png,,,,,,val", "3.png,cell,40,40,50,50,val"]
    (tmp_path / "boxes.csv").write_text("\n".join(["image,class,xmin,ymin,xmax,ymax,split", *lines]))
    return tmp_path


def spec_of(folder, tiles, shape=(32, 32, 3), **sections):
    source = {"kind": "detection", "path": "images", "annotations": "boxes.csv", "tiles": tiles}
    splits = {"fractions": {"train": 0.5, "val": 0.5, "test": 0}}
    values = {"name": "slides", "source": source, "input": {"shape": list(shape)}, "splits": splits, **sections}
    return DataSpec.from_dict(values, folder)


def loaded(folder, tiles=TILES, **options):
    return load_detection(spec_of(folder, tiles, **options))


def pixels(folder, number):
    return cv2.imread(str(folder / "images" / f"{number}.png"), cv2.IMREAD_COLOR)[..., ::-1]


def test_the_schema_and_the_saved_spec_hold_the_tiles(tmp_path):
    spec = spec_of(tmp_path, {"size": [512, 256]})
    jsonschema.Draft202012Validator(DataSpec.json_schema()).validate(spec.to_dict())
    assert spec.to_dict()["source"]["tiles"] == {
        "size": [512, 256],
        "overlap": 64,
        "visible": 0.5,
        "empty": None,
        "seed": 0,
    }
    assert DataSpec.from_yaml(spec.save(tmp_path / "spec.yaml")) == spec
    for wrong in ({"size": [512]}, {"size": [512, 512], "overlap": -1}, {"size": [512, 512], "pad": 1}):
        values = spec.to_dict()
        values["source"]["tiles"] = wrong
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(DataSpec.json_schema()).validate(values)


def test_every_tile_is_a_sample_with_the_pixels_of_its_place(folder):
    samples = loaded(folder)
    assert len(samples) == sum(len(tile_grid(size, (32, 32), 8)) for size in SIZES) == 12 + 4 + 9 + 1
    for number, row in enumerate(samples.table.itertuples()):
        top, left = row.tile_top, row.tile_left
        assert row.id == f"{row.image_id}#{top},{left}"
        assert (row.group, row.split) == (row.image_id, "train" if row.image_id in ("0.png", "1.png") else "val")
        shown = pixels(folder, row.image_id[0])[top : top + 32, left : left + 32]
        placed = samples.placement(number)
        inside = samples.images[number, placed.top : placed.top + placed.height]
        np.testing.assert_array_equal(inside[:, placed.left : placed.left + placed.width], shown)


def test_boxes_of_tiles_lead_back_to_those_of_the_image(folder):
    """Each box of a tile, put back, is a box of the image cut at the tile; each box of the image is in some tile."""
    samples, found = loaded(folder), set()
    for number, row in enumerate(samples.table.itertuples()):
        own = np.array(BOXES.get(int(row.image_id[0]), []), "float32").reshape(-1, 4)
        corner = np.array([row.tile_left, row.tile_top])
        inside = clip(own, SIZES[int(row.image_id[0])])
        cut = clip(inside - np.tile(corner, 2), (32, 32))
        boxes, classes = samples.boxes_of(number)
        back = samples.placement(number).invert(boxes)
        assert (classes == 0).all()
        for box in back:
            (match,) = np.flatnonzero(np.abs(cut - box).max(axis=1) < 1e-4)
            assert area(cut[match]) >= 0.5 * area(inside[match]) - 1e-3
            found.add((row.image_id, match))
        assert row.class_name == ("cell" if len(boxes) else "no objects")
    assert found == {(f"{image}.png", k) for image, own in BOXES.items() for k in range(len(own))}
    assert any("1 of 6 boxes have no area inside their image" in note for note in samples.notes)
    assert any("4 images were cut into 26 tiles" in note for note in samples.notes)


def test_tiles_of_another_size_than_the_canvas_are_letterboxed(folder):
    samples = loaded(folder, shape=(16, 24, 1))
    assert samples.images.shape == (26, 16, 24, 1)
    row = samples.table["id"].tolist().index("0.png#0,0")
    np.testing.assert_allclose(samples.boxes_of(row)[0][0], [9, 5, 13, 9])  # half the size, 4 pixels beside the tile


def test_images_as_large_as_a_tile_are_read_as_without_tiles(folder):
    plain, tiled = loaded(folder, None, shape=(64, 96, 3)), loaded(folder, {"size": [128, 128]}, shape=(64, 96, 3))
    np.testing.assert_array_equal(tiled.images, plain.images)
    np.testing.assert_array_equal(tiled.boxes, plain.boxes)
    np.testing.assert_array_equal(tiled.offsets, plain.offsets)
    assert tiled.table["image_id"].tolist() == plain.table["id"].tolist()


def test_tiles_without_objects_are_kept_up_to_a_share(folder):
    whole, samples = loaded(folder), loaded(folder, {**TILES, "empty": 0.5})
    full = np.diff(whole.offsets) > 0
    train = (whole.table["split"] == "train").to_numpy()
    expected = int((full & train).sum()) + round(0.5 * int((full & train).sum()))
    assert samples.counts()["train"] == expected < train.sum()
    assert samples.counts()["val"] == whole.counts()["val"]
    assert np.diff(samples.offsets).sum() == np.diff(whole.offsets).sum()
    assert f"{train.sum() - expected} training tiles without objects were left out, drawn at random" in samples.notes
    again, other = loaded(folder, {**TILES, "empty": 0.5}), loaded(folder, {**TILES, "empty": 0.5, "seed": 1})
    assert again.table["id"].tolist() == samples.table["id"].tolist() != other.table["id"].tolist()


def test_a_group_of_the_table_stays_the_group(folder):
    (folder / "table.csv").write_text("image,patient\n0.png,a\n1.png,a\n2.png,b\n3.png,b")
    spec = spec_of(folder, TILES).to_dict()
    spec["source"]["table"], spec["splits"]["group"] = {"path": "table.csv"}, "patient"
    samples = load_detection(DataSpec.from_dict(spec, folder))
    assert samples.table.groupby("image_id")["group"].first().tolist() == ["a", "a", "b", "b"]


def test_tiles_make_batches_and_samples_of_the_autoencoder(folder):
    spec = spec_of(folder, TILES)
    batch = next(iter(detection_batches(load_detection(spec), 4)))
    assert batch["images"].shape == (4, 32, 32, 3)
    values = load_samples(spec)
    np.testing.assert_array_equal(values.values, load_detection(spec).images)
    assert values.table["group"].isin(["0.png", "1.png", "2.png", "3.png"]).all()


def test_every_image_is_decoded_once(folder, monkeypatch):
    decoded, read = [], Catalog.read
    monkeypatch.setattr(Catalog, "read", lambda self, row: decoded.append(self.table["id"][row]) or read(self, row))
    loaded(folder)
    assert sorted(name for name in decoded if "#" not in name) == ["0.png", "1.png", "2.png", "3.png"]


def test_broken_and_odd_images_are_named(folder):
    (folder / "images" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\nno image")
    with pytest.raises(DataError, match=r"decoding: 0\.png: "):
        loaded(folder)
    assert cv2.imwrite(str(folder / "images" / "0.png"), np.zeros((60, 90, 3), "uint16"))
    with pytest.raises(DataError, match=r"0\.png: holds uint16 values, but most files hold uint8"):
        loaded(folder)


def test_a_full_disk_is_said(folder, monkeypatch):
    class Full(io.BytesIO):
        def write(self, content):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole_images.tempfile, "TemporaryFile", Full)
    with pytest.raises(DataError, match="the images cannot be written: No space left on device"):
        loaded(folder)
