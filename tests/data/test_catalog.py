"""What a spec names, before any pixel is decoded."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import pytest

from tumorkeras.data.catalog import NO_OBJECTS, catalog_of
from tumorkeras.data.parts import with_parts
from tumorkeras.data.samples import load_samples
from tumorkeras.errors import DataError
from tumorkeras.spec import DataSpec

GIVEN = {"fractions": {"train": 0.5, "val": 0.5, "test": 0}}  # nothing is drawn beside the parts of the data


def write(path, size=(6, 8), value=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full(size, value, "uint8"))


def spec_of(folder, source, shape=(8, 8, 1), **sections):
    values = {"name": "scans", "source": {"path": "images", **source}, "input": {"shape": list(shape)}, **sections}
    return DataSpec.from_dict(values, folder=folder)


def codes(catalog):
    return {fault.code: fault.files for fault in catalog.faults}


# ------------------------------------------------------------------------------------------------------ folders


@pytest.mark.parametrize(
    ("levels", "name", "class_name", "split"),
    [
        ("class", "benign/deep/a.png", "benign", None),
        ("split/class", "train/benign/a.png", "benign", "train"),
        ("class/split", "benign/val/a.png", "benign", "val"),
        ("none", "whatever/a.png", "unlabelled", None),
    ],
)
def test_folders_stand_for_what_the_spec_says(tmp_path, levels, name, class_name, split):
    write(tmp_path / "images" / name)
    catalog = catalog_of(spec_of(tmp_path, {"kind": "image_folder", "levels": levels}))
    row = catalog.table.astype(object).where(catalog.table.notna(), None).iloc[0]
    assert (row["id"], row["class_name"], row["given_split"]) == (name, class_name, split)
    assert catalog.read(0).array.shape == (6, 8, 1)
    assert catalog.faults == ()


def test_images_above_the_class_folders_and_empty_classes_are_named(tmp_path):
    write(tmp_path / "images" / "benign" / "a.png")
    write(tmp_path / "images" / "loose.png")
    (tmp_path / "images" / "malignant").mkdir()
    catalog = catalog_of(spec_of(tmp_path, {"kind": "image_folder"}))
    assert codes(catalog) == {"class_missing": ("loose.png",), "class_empty": ("malignant",)}
    assert catalog.table["id"].tolist() == ["benign/a.png"]


def test_a_folder_without_an_image(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="holds no image"):
        catalog_of(spec_of(tmp_path, {"kind": "image_folder"}))


def test_images_without_any_class_are_samples_to_learn_from_without_labels(tmp_path):
    for k in range(20):
        write(tmp_path / "images" / f"{k}.png", value=10 * k)
    samples = load_samples(spec_of(tmp_path, {"kind": "image_folder", "levels": "none"}))
    assert samples.classes == ("unlabelled",)
    assert samples.counts().tolist() == [14, 3, 3]
    with pytest.raises(DataError, match="classify needs at least 2 classes"):
        load_samples(spec_of(tmp_path, {"kind": "image_folder", "levels": "none"}, tasks=["classify"]))


# ------------------------------------------------------------------------------------------------------- tables


@pytest.fixture
def tabled(tmp_path):
    for name in ("001", "002", "003"):
        write(tmp_path / "images" / f"{name}.png")
    (tmp_path / "images.csv").write_text("file,diagnosis,part,patient\n001,benign,train,p1\n002.png,malignant,val,p2\n")
    table = {"path": "images.csv", "image_column": "file", "class_column": "diagnosis", "split_column": "part"}
    return tmp_path, {"kind": "image_folder", "levels": "none", "table": table}


def test_a_table_gives_class_part_and_columns(tabled):
    folder, source = tabled
    catalog = catalog_of(spec_of(folder, source))
    assert catalog.table["class_name"].tolist()[:2] == ["benign", "malignant"]
    assert catalog.table["given_split"].tolist()[:2] == ["train", "val"]
    assert catalog.table["patient"].tolist()[:2] == ["p1", "p2"]
    assert codes(catalog) == {"image_without_row": ("003.png",), "class_missing": ("003.png",)}
    assert catalog.classes == ("benign", "malignant")


def test_numbers_in_the_class_column_are_names(tabled):
    folder, source = tabled
    (folder / "images.csv").write_text("file,diagnosis,part\n001,1,train\n002,0,val\n003,,val\n")
    catalog = catalog_of(spec_of(folder, source, classes=["0", "1"]))
    assert catalog.table["class_name"].tolist()[:2] == ["1", "0"]
    assert codes(catalog) == {"class_missing": ("003.png",)}


def test_a_column_called_group_can_be_the_group(tabled):
    folder, source = tabled
    (folder / "images.csv").write_text("file,diagnosis,part,group\n001,a,train,07\n002,b,val,8\n003,b,val,8\n")
    catalog = catalog_of(spec_of(folder, source, splits={"group": "group"}))
    assert catalog.table["group"].tolist() == ["07", "8", "8"]
    assert catalog_of(spec_of(folder, source)).table["group"].isna().all()


def test_rows_of_one_image_that_differ_are_named(tabled):
    folder, source = tabled
    with (folder / "images.csv").open("a") as file:
        file.write("001,malignant,train,p1\n002,malignant,val,p2\n003,benign,val,p3\n")
    assert codes(catalog_of(spec_of(folder, source)))["row_twice"] == ("001.png",)


def test_rows_without_a_file_and_names_of_several_are_named(tabled):
    folder, source = tabled
    write(folder / "images" / "again" / "001.png")
    with (folder / "images.csv").open("a") as file:
        file.write("003,odd,val,p3\n004,benign,val,p4\nagain/001,benign,val,p5\n")
    catalog = catalog_of(spec_of(folder, source, classes=["benign", "malignant"]))
    assert codes(catalog) == {"row_without_file": ("004",), "class_unknown": ("003.png",)}
    write(folder / "images" / "deep" / "002.png")
    (folder / "images" / "002.png").unlink()
    write(folder / "images" / "deeper" / "002.png")
    assert codes(catalog_of(spec_of(folder, source)))["ambiguous_name"] == ("002.png",)


def test_a_group_column_is_taken_and_must_be_whole(tabled):
    folder, source = tabled
    (folder / "images" / "003.png").unlink()
    catalog = catalog_of(spec_of(folder, source, splits={"group": "patient"}))
    assert catalog.table["group"].tolist() == ["p1", "p2"]
    with pytest.raises(DataError, match="no column 'exam'"):
        catalog_of(spec_of(folder, source, splits={"group": "exam"}))
    write(folder / "images" / "003.png")
    with pytest.raises(DataError, match=r"003\.png has no patient"):
        catalog_of(spec_of(folder, source, splits={"group": "patient"}))


# -------------------------------------------------------------------------------------------------------- boxes


@pytest.fixture
def boxed(tmp_path):
    for name in ("a", "b", "c", "d"):
        write(tmp_path / "images" / f"{name}.png", (20, 30), 40)
    rows = [("a.png", "mass", 2, 3, 12, 9, "train"), ("a.png", "cyst", 0, 0, 5, 5, "train")]
    rows += [("b.png", "mass", 20, 10, 30, 20, "val"), ("z.png", "mass", 0, 0, 5, 5, "val")]
    columns = ["image", "class", "xmin", "ymin", "xmax", "ymax", "split"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "boxes.csv", index=False)
    (tmp_path / "images.csv").write_text("image,split\na,train\nb,val\nc,train\n")
    return tmp_path, {"annotations": "boxes.csv", "table": {"path": "images.csv", "split_column": "split"}}


def test_boxes_find_their_images_and_images_without_objects_are_not_unlabelled_ones(boxed):
    folder, source = boxed
    catalog = catalog_of(spec_of(folder, {"kind": "detection", **source}))
    assert catalog.boxes["image"].tolist() == ["a.png", "a.png", "b.png"]
    assert catalog.table["labelled"].tolist() == [True, True, True, False]
    classes = catalog.table["class_name"].tolist()
    assert classes[:3] == ["cyst + mass", "mass", NO_OBJECTS]
    assert pd.isna(classes[3])
    assert catalog.table["given_split"].tolist()[:3] == ["train", "val", "train"]
    assert catalog.classes == ("cyst", "mass")
    assert codes(catalog) == {"annotation_without_file": ("z.png",)}


def test_unlisted_images_can_be_without_objects(boxed):
    folder, source = boxed
    catalog = catalog_of(spec_of(folder, {"kind": "detection", **source, "unlisted": "no_objects"}))
    assert catalog.table["labelled"].all()
    assert catalog.table["class_name"].tolist()[2:] == [NO_OBJECTS] * 2


def test_classes_of_boxes_that_the_spec_does_not_know_are_named(boxed):
    folder, source = boxed
    catalog = catalog_of(spec_of(folder, {"kind": "detection", **source}, classes=["mass"]))
    assert codes(catalog)["class_unknown"] == ("a.png",)


def test_some_rows_keep_their_boxes_and_their_files(boxed):
    folder, source = boxed
    part = catalog_of(spec_of(folder, {"kind": "detection", **source})).select(np.array([1]))
    assert part.boxes["image"].tolist() == ["b.png"]
    assert part.read(0).array.shape == (20, 30, 1)
    assert len(part) == 1


def test_images_with_boxes_become_samples(boxed):
    folder, source = boxed
    (folder / "boxes.csv").write_text((folder / "boxes.csv").read_text().replace("z.png", "b.png"))
    samples = load_samples(spec_of(folder, {"kind": "detection", **source}, splits=GIVEN))
    assert samples.values.shape == (3, 8, 8, 1)
    assert samples.table["split"].tolist() == ["train", "val", "train"]
    assert samples.notes == ("1 of 4 images are not labelled and were left out",)


def test_regions_are_cut_out_with_a_margin(boxed):
    folder, source = boxed
    image = np.zeros((20, 30), "uint8")
    image[3:9, 2:12] = 200
    cv2.imwrite(str(folder / "images" / "a.png"), image)
    (folder / "boxes.csv").write_text((folder / "boxes.csv").read_text().replace("z.png", "b.png"))
    spec = spec_of(folder, {"kind": "regions", **source, "margin": 0}, shape=(10, 10, 1), splits=GIVEN)
    samples = load_samples(spec)
    assert samples.table["id"].tolist() == ["a.png#1", "a.png#2", "b.png#1", "b.png#2"]
    assert samples.table["class_name"].tolist() == ["mass", "cyst", "mass", "mass"]
    assert samples.table["split"].tolist() == ["train", "train", "val", "val"]
    assert samples.groups.tolist() == ["a.png", "a.png", "b.png", "b.png"]
    assert (samples.values[0, 2:8] == 200).all()
    wider = load_samples(spec_of(folder, {"kind": "regions", **source, "margin": 0.5}, (10, 10, 1), splits=GIVEN))
    assert (wider.values[0] == 0).any()


def test_a_class_without_a_box_is_not_an_image_without_objects(boxed):
    folder, source = boxed
    text = (folder / "boxes.csv").read_text().replace("z.png,mass,0,0,5,5,val", "c.png,mass,,,,,train")
    (folder / "boxes.csv").write_text(text + "d.png,normal,,,,,train\n")
    catalog = catalog_of(spec_of(folder, {"kind": "detection", **source}))
    assert codes(catalog) == {"class_without_box": ("c.png",)}
    assert catalog.table["labelled"].tolist() == [True, True, False, True]
    assert catalog.table["class_name"].tolist()[3] == NO_OBJECTS


def test_labels_of_whole_images_are_no_boxes(boxed):
    folder, source = boxed
    (folder / "boxes.csv").write_text("image,class,xmin,ymin,xmax,ymax\na.png,mass,,,,\nb.png,cyst,,,,\n")
    with pytest.raises(DataError, match="holds classes of whole images and no box"):
        catalog_of(spec_of(folder, {"kind": "detection", **source}))


def test_columns_of_the_boxes_can_be_the_group(boxed):
    folder, _ = boxed
    rows = [
        "image,class,xmin,ymin,xmax,ymax,patient,lesion",
        "a,mass,2,3,12,9,p1,1",
        "a,mass,0,0,5,5,p1,2",
        "b,mass,1,1,9,9,p2,1",
    ]
    (folder / "boxes.csv").write_text("\n".join(rows))
    (folder / "images" / "c.png").unlink()
    (folder / "images" / "d.png").unlink()
    spec = spec_of(folder, {"kind": "detection", "annotations": "boxes.csv"}, splits={"group": "patient"})
    catalog = catalog_of(spec)
    assert catalog.table["group"].tolist() == ["p1", "p2"]
    assert "lesion" not in catalog.table


def test_an_image_that_is_left_out_needs_no_group(boxed):
    folder, source = boxed
    (folder / "images.csv").write_text("image,split,patient\na,train,p1\nb,val,p2\nc,train,p3\n")
    catalog = catalog_of(spec_of(folder, {"kind": "detection", **source}, splits={"group": "patient"}))
    assert catalog.table["group"].tolist()[:3] == ["p1", "p2", "p3"]
    assert catalog.table["group"].isna().tolist()[3]


def test_an_image_with_boxes_and_no_row_keeps_its_class(boxed):
    folder, source = boxed
    (folder / "images.csv").write_text("image,split,diagnosis\na,train,mass\nc,train,nothing\n")
    source = {**source, "table": {"path": "images.csv", "split_column": "split", "class_column": "diagnosis"}}
    catalog = catalog_of(spec_of(folder, {"kind": "detection", **source}))
    assert catalog.table["class_name"].tolist()[:3] == ["mass", "mass", "nothing"]


def test_a_bad_line_of_the_annotations_hides_nothing_else(boxed):
    folder, source = boxed
    with (folder / "boxes.csv").open("a") as file:
        file.write("b.png,mass,left,0,5,5,val\n")
    catalog = catalog_of(spec_of(folder, {"kind": "detection", **source}))
    assert {"annotation_unreadable", "annotation_without_file"} == set(codes(catalog))
    assert len(catalog.boxes) == 3


def test_regions_outside_their_image_are_left_out_with_a_note(boxed):
    folder, source = boxed
    text = (folder / "boxes.csv").read_text().replace("z.png,mass,0,0,5,5", "b.png,mass,40,0,50,5")
    (folder / "boxes.csv").write_text(text)
    samples = load_samples(spec_of(folder, {"kind": "regions", **source, "margin": 9}, (10, 10, 1), splits=GIVEN))
    assert samples.table["id"].tolist() == ["a.png#1", "a.png#2", "b.png#1"]
    assert "1 of 4 boxes lie outside their image and were left out" in samples.notes


@pytest.mark.parametrize("form", ["auto", "masks"])
def test_masks_beside_the_images_are_no_images(tmp_path, form):
    write(tmp_path / "images" / "a.png", (20, 30), 40)
    mask = np.zeros((20, 30), "uint8")
    mask[3:9, 2:12] = 255
    cv2.imwrite(str(tmp_path / "images" / "a_mask.png"), mask)
    catalog = catalog_of(spec_of(tmp_path, {"kind": "detection", "annotations": "images", "format": form}))
    assert catalog.table["id"].tolist() == ["a.png"]
    assert catalog.boxes[["xmin", "ymin", "xmax", "ymax"]].to_numpy().tolist() == [[2, 3, 12, 9]]


# -------------------------------------------------------------------------------------------------------- parts


def test_near_duplicates_are_kept_together(tmp_path):
    rng = np.random.default_rng(0)
    for k in range(12):
        image = cv2.GaussianBlur(rng.integers(0, 255, (64, 64), "uint8"), (0, 0), 3)
        image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
        (tmp_path / "images" / "ab"[k % 2]).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "images" / "ab"[k % 2] / f"{k}.png"), image)
        cv2.imwrite(str(tmp_path / "images" / "ab"[k % 2] / f"{k}_copy.jpg"), image)
    spec = spec_of(tmp_path, {"kind": "image_folder"}, splits={"duplicates": "together"})
    catalog = with_parts(catalog_of(spec))
    assert catalog.table["group"].nunique() == 12
    assert (catalog.table.groupby("group")["split"].nunique() == 1).all()


def test_broken_files_do_not_hide_one_another_where_copies_are_kept_together(tmp_path):
    for k in range(20):
        write(tmp_path / "images" / "ab"[k % 2] / f"{k}.png", value=10 * k)
    for k in (3, 4):
        (tmp_path / "images" / "ab"[k % 2] / f"{k}.png").write_bytes(b"")
    spec = spec_of(tmp_path, {"kind": "image_folder"}, splits={"duplicates": "together"})
    assert with_parts(catalog_of(spec)).table["split"].notna().all()
    with pytest.raises(DataError) as caught:
        load_samples(spec)
    assert [fault.partition(":")[0] for fault in caught.value.faults] == ["a/4.png", "b/3.png"]


def test_parts_of_the_data_are_known_by_their_usual_names_and_never_dropped(tmp_path):
    for part in ("Training", "Testing"):
        for k in range(20):
            write(tmp_path / "images" / part / "ab"[k % 2] / f"{k}.png", value=10 * k)
    spec = spec_of(tmp_path, {"kind": "image_folder", "levels": "split/class"})
    table = with_parts(catalog_of(spec)).table
    assert set(table.loc[table["given_split"] == "Testing", "split"]) == {"test"}
    (tmp_path / "images" / "Testing").rename(tmp_path / "images" / "fold2")
    with pytest.raises(DataError, match="says nothing of the data's part 'fold2'"):
        with_parts(catalog_of(spec))


def test_groups_in_two_parts_are_told_by_their_samples(tabled):
    folder, source = tabled
    (folder / "images.csv").write_text("file,diagnosis,part,patient\n001,a,train,Ann\n002,b,val,Ann\n003,b,val,Bob\n")
    spec = spec_of(folder, source, splits={"group": "patient", "fractions": {"train": 1, "val": 0, "test": 0}})
    with pytest.raises(DataError) as caught:
        with_parts(catalog_of(spec))
    assert "001.png (train) and 002.png (val) are of one group" in caught.value.faults
    assert "Ann" not in str(caught.value)


def test_tracks_are_listed_uncropped():
    values = {
        "name": "motion",
        "source": {"kind": "simulation", "samples_per_class": 3, "frames": 8},
        "input": {"shape": [8, 16, 16, 1]},
    }
    catalog = catalog_of(DataSpec.from_dict(values))
    assert (len(catalog), catalog.kind, catalog.classes[0]) == (9, "tracks", "random_walk")
    assert catalog.table["frames"].tolist() == [8] * 9
    assert catalog.read(0).array.shape == (8, 2)


def test_volumes_of_an_npz_are_listed(tmp_path):
    np.savez(tmp_path / "v.npz", train_images=np.zeros((2, 4, 4, 4), "uint8"), train_labels=np.array([0, 1]))
    values = {"name": "v", "source": {"kind": "npz", "path": "v.npz"}, "input": {"shape": [4, 4, 4, 1]}}
    catalog = catalog_of(DataSpec.from_dict(values, folder=tmp_path))
    assert catalog.table["given_split"].tolist() == ["train", "train"]
    assert (catalog.kind, catalog.classes, catalog.read(1).array.shape) == ("volumes", ("0", "1"), (4, 4, 4, 1))
