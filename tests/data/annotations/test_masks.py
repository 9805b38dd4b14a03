"""Masks: regions and objects by hand, classes, names, the real lesions."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile

from tumorkeras.data.annotations import read_annotations
from tumorkeras.errors import DataError

BOX = ["xmin", "ymin", "xmax", "ymax"]


def save(path, *regions, shape=(8, 10), dtype="uint8"):
    """A mask with rectangles (value, xmin, ymin, xmax, ymax)."""
    mask = np.zeros(shape, dtype)
    for value, left, top, right, bottom in regions:
        mask[top:bottom, left:right] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, mask)
    else:
        assert cv2.imwrite(str(path), mask)
    return path


def fault_of(path, **options):
    with pytest.raises(DataError) as caught:
        read_annotations(path, **options)
    return str(caught.value)


def boxes_of(table):
    return [tuple(row) for row in table[["class", *BOX]].to_numpy().tolist()]


def test_regions_of_a_label_mask(tmp_path):
    """A diagonal step belongs together; the far corner does not."""
    save(tmp_path / "a.png", (1, 0, 0, 3, 2), (1, 3, 2, 4, 3), (1, 9, 7, 10, 8), (2, 5, 0, 7, 2))
    table = read_annotations(tmp_path, format="masks", classes=["cyst", "tumour"])
    assert boxes_of(table) == [("cyst", 0, 0, 4, 3), ("cyst", 9, 7, 10, 8), ("tumour", 5, 0, 7, 2)]
    assert table["source"].tolist() == [f"a.png, value {v}, object {k}" for v, k in ((1, 1), (1, 2), (2, 1))]
    assert table["image"].tolist() == ["a"] * 3
    assert table.loc[0, ["width", "height"]].tolist() == [10, 8]
    named = read_annotations(tmp_path, format="masks", classes={1: "x", 2: "y"})
    assert named["class"].tolist() == ["x", "x", "y"]
    assert read_annotations(tmp_path, format="masks")["class"].tolist() == ["1", "1", "2"]


@pytest.mark.parametrize(
    ("ending", "dtype"), [("png", "uint16"), ("tif", "uint16"), ("tif", "int32"), ("tif", "float32")]
)
def test_objects_of_an_instance_mask(tmp_path, ending, dtype):
    file = save(tmp_path / f"a.{ending}", (1, 0, 0, 3, 2), (700, 5, 5, 6, 6), (700, 9, 7, 10, 8), dtype=dtype)
    table = read_annotations(file, format="instance_masks")
    assert boxes_of(table) == [("object", 0, 0, 3, 2), ("object", 5, 5, 10, 8)]
    assert table["source"].tolist() == [f"a.{ending}, value 1, object 1", f"a.{ending}, value 700, object 1"]


def test_a_mask_that_is_full_and_one_that_is_empty(tmp_path):
    save(tmp_path / "a.png", (255, 0, 0, 10, 8))
    save(tmp_path / "b.png")
    for form in ("masks", "instance_masks", "auto"):
        masks = tmp_path if form != "auto" else tmp_path.rename(tmp_path.with_name("masks"))
        table = read_annotations(masks, format=form)
        assert table["image"].tolist() == ["a", "b"]
        assert table["class"].tolist() == ["object", None]
        assert table.loc[0, BOX].tolist() == [0, 0, 10, 8]


@pytest.mark.parametrize(
    "suffix", ["_mask", "_seg", "-label", " mask", "_mask_1", "_Segmentation", "_gt", "_instances"]
)
def test_images_are_found_by_name(tmp_path, suffix):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.b (1).jpg").write_bytes(b"")
    save(tmp_path / "masks" / f"a.b (1){suffix}.png", (1, 0, 0, 3, 2))
    found = [read_annotations(tmp_path / "masks", images=images) for images in (tmp_path / "images", None)]
    assert [table["image"].tolist() for table in found] == [["a.b (1).jpg"], ["a.b (1)"]]


def test_masks_beside_images_in_a_folder_a_class(tmp_path):
    """As breast ultrasound images are given out: class folders, several masks for one image, empty ones."""
    for name in ("benign/benign (1)", "normal/normal (1)"):
        save(tmp_path / f"{name}.png", *((k, k, 0, k + 1, 8) for k in range(9)))
    save(tmp_path / "benign/benign (1)_mask.png", (255, 0, 0, 3, 2))
    save(tmp_path / "benign/benign (1)_mask_1.png", (255, 5, 5, 6, 6))
    save(tmp_path / "normal/normal (1)_mask.png")
    table = read_annotations(tmp_path)
    assert table["image"].tolist() == ["benign/benign (1).png"] * 2 + ["normal/normal (1).png"]
    assert boxes_of(table)[:2] == [("benign", 0, 0, 3, 2), ("benign", 5, 5, 6, 6)]
    assert table["class"].tolist()[2] is None


def test_the_class_of_objects(tmp_path):
    save(tmp_path / "train" / "benign_1.png", (1, 0, 0, 3, 2), (2, 5, 5, 6, 6))
    read = {"path": tmp_path, "format": "instance_masks"}
    assert set(read_annotations(**read)["class"]) == {"object"}
    assert set(read_annotations(**read)["split"]) == {"train"}
    assert set(read_annotations(**read, classes=["cyst"])["class"]) == {"cyst"}
    assert set(read_annotations(**read, classes=["benign", "malignant"])["class"]) == {"benign"}
    assert set(read_annotations(**read, classes={"benign_1": "B"})["class"]) == {"B"}
    assert read_annotations(**read, classes={1: "x", 2: "y"})["class"].tolist() == ["x", "y"]
    assert "classes name neither the value nor the image" in fault_of(**read, classes={1: "x"})
    assert "value 7" in fault_of(save(tmp_path / "b.png", (7, 0, 0, 1, 1)), format="instance_masks", classes=["x", "y"])


def test_values_without_a_class(tmp_path):
    save(tmp_path / "a.png", (1, 0, 0, 3, 2), (3, 5, 5, 6, 6))
    assert "a.png, value 3: no class has this value" in fault_of(tmp_path, format="masks", classes=["x", "y"])


def test_what_the_values_mean_is_asked_for(tmp_path):
    save(tmp_path / "masks" / "a.png", (1, 0, 0, 3, 2), (3, 5, 5, 6, 6))
    for path in (tmp_path, tmp_path / "masks", tmp_path / "masks" / "a.png"):
        assert "say format=masks (a value a class) or format=instance_masks (a value an object)" in fault_of(path)


def test_files_that_are_no_masks(tmp_path):
    cv2.imwrite(str(tmp_path / "colour.png"), np.arange(80 * 3, dtype="uint8").reshape(8, 10, 3))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    tifffile.imwrite(tmp_path / "half.tif", np.full((8, 10), 0.5, "float32"))
    tifffile.imwrite(tmp_path / "nan.tif", np.full((8, 10), np.nan, "float32"))
    tifffile.imwrite(tmp_path / "negative.tif", np.full((8, 10), -1, "int16"))
    cv2.imwrite(str(tmp_path / "photograph.png"), np.arange(200, dtype="uint8").reshape(10, 20))
    message = fault_of(tmp_path, format="masks")
    for part in (
        "6 faults",
        "colour.png: has shape (8, 10, 3), expected one value a pixel",
        "broken.png: ",
        "half.tif: holds values that are no whole numbers",
        "nan.tif: holds values that are no whole numbers",
        "negative.tif: holds values from -1 to -1, expected whole numbers from 0 on",
        "photograph.png: holds 199 values, too many for classes",
    ):
        assert part in message


def test_grey_saved_as_colour_is_a_mask(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([np.eye(4, dtype="uint8")] * 3))
    assert boxes_of(read_annotations(tmp_path, format="masks")) == [("object", 0, 0, 4, 4)]


def test_nothing_there(tmp_path):
    assert "holds no mask" in fault_of(tmp_path, format="masks")
    assert "there is no such file or folder" in fault_of(tmp_path / "nowhere", format="masks")


def test_the_lesions_have_the_boxes_of_the_table(data_folder):
    """Boxes of pixels against boxes of the original outline, scaled: within 1 pixel but for 4 of 2,268 sides."""
    folder = data_folder / "busi"
    table = read_annotations(
        folder / "masks", format="instance_masks", images=folder / "images", classes=["benign", "malignant", "normal"]
    )
    listed = read_annotations(folder / "boxes.csv")
    assert table["image"].nunique() == 665
    assert table["xmin"].isna().sum() == 665 - listed["image"].nunique()
    found = table.dropna(subset="xmin")
    found = found.assign(
        image=found["image"].str.removesuffix(".jpg"), lesion=found["source"].str.extract(r"value (\d+)")[0].astype(int)
    )
    both = pd.merge(found, listed, on=["image", "lesion", "class"], suffixes=("", "_listed"), validate="1:1")
    assert len(both) == len(found) == 567
    apart = np.abs(both[BOX].to_numpy() - both[[f"{side}_listed" for side in BOX]].to_numpy())
    assert apart.max() < 2.1
    assert (apart > 1.001).sum() == 4
