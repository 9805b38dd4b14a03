"""CSV: names of columns, separators, encodings, empty boxes, bad cells, the real ultrasound boxes."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import pytest

from tumorkeras.data.annotations import read_annotations
from tumorkeras.errors import DataError

BOX = ["xmin", "ymin", "xmax", "ymax"]


def save(folder, text, encoding="utf-8", name="boxes.csv"):
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


def fault_of(path, **options):
    with pytest.raises(DataError) as caught:
        read_annotations(path, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    "header",
    [
        "image,class,xmin,ymin,xmax,ymax",
        "filename,label,x1,y1,x2,y2",
        "file,category,x0,y0,x1,y1",
        "path,name,left,top,right,bottom",
        "image_path,class_name,x_min,y_min,x_max,y_max",
        "ImageID,LabelName,XMin,YMin,XMax,YMax",
        "Image Path,Class Name,bbox_x1,bbox_y1,bbox_x2,bbox_y2",
        "img,labelName,box_xmin,box_ymin,box_xmax,box_ymax",
    ],
)
def test_names_that_tools_give_to_columns(tmp_path, header):
    table = read_annotations(save(tmp_path, f"{header}\na.png,cyst,1,2.5,4,6\n"))
    (row,) = table.to_dict("records")
    assert (row["image"], row["class"]) == ("a.png", "cyst")
    assert [row[side] for side in BOX] == [1, 2.5, 4, 6]
    assert list(table.columns) == ["image", "class", *BOX, "split", "source"]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("image,class,x,y,w,h", "1,2,3,4"),
        ("image,class,x,y,width,height", "1,2,3,4"),
        ("image,class,left,top,width,height", "1,2,3,4"),
        ("image,class,xmin,ymin,width,height", "1,2,3,4"),
        ("image,class,bbox_x,bbox_y,bbox_width,bbox_height", "1,2,3,4"),
        ("image,class,cx,cy,w,h", "2.5,4,3,4"),
        ("image,class,x_center,y_center,width,height", "2.5,4,3,4"),
    ],
)
def test_corner_and_size_and_center_and_size(tmp_path, header, row):
    table = read_annotations(save(tmp_path, f"{header}\na.png,cyst,{row}\n"))
    assert table.loc[0, BOX].tolist() == [1, 2, 4, 6]


def test_width_and_height_beside_corners_are_of_the_image(tmp_path):
    text = "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,640,480,cyst,1,2,3,4\n"
    table = read_annotations(save(tmp_path, text))
    assert table.loc[0, BOX].tolist() == [1, 2, 3, 4]
    assert table.loc[0, ["width", "height"]].tolist() == [640, 480]


def test_columns_that_are_named(tmp_path):
    text = "patientId,x,y,width,height,Target,image\np1,1,2,3,4,benign,other\n"
    table = read_annotations(save(tmp_path, text), columns={"image": "patientId", "class": "Target"})
    assert table.loc[0, ["image", "class", *BOX]].tolist() == ["p1", "benign", 1, 2, 4, 6]
    assert table["image_given"].tolist() == ["other"]
    table = read_annotations(
        save(tmp_path, "a,b,l,o,r,u\n1.png,cyst,1,2,3,4\n"),
        columns={"image": "a", "class": "b", "xmin": "l", "ymin": "o", "xmax": "r", "ymax": "u"},
    )
    assert table.loc[0, ["image", "class", *BOX]].tolist() == ["1.png", "cyst", 1, 2, 3, 4]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_files_of_spreadsheets(tmp_path, encoding, separator):
    lines = ["image;class;xmin;ymin;xmax;ymax;;", "Größe\\1.png; Zyste ;1,5;2,25;30,75;40;;", ";;;;;;;", ""]
    text = "\r\n".join(lines).replace(";", separator)
    table = read_annotations(save(tmp_path, text, encoding))
    assert table["image"].tolist() == ["Größe/1.png"]
    assert table["class"].tolist() == ["Zyste"]
    assert table.loc[0, BOX].tolist() == [1.5, 2.25, 30.75, 40]


def test_rows_without_a_box(tmp_path):
    text = "image,class,xmin,ymin,xmax,ymax\na.png,,,,,\nb.png,normal,,NaN,nan,\nc.png,nan,,,,\nd.png,cyst,1,2,3,4\n"
    table = read_annotations(save(tmp_path, text + "d.png,,,,,\na.png,,,,,\n"))
    assert table["image"].tolist() == ["a.png", "b.png", "c.png", "d.png"]
    assert table["class"].tolist() == [None, "normal", None, "cyst"]
    assert table["xmin"].isna().tolist() == [True, True, True, False]


def test_classes_of_images_and_boxes_without_classes(tmp_path):
    table = read_annotations(save(tmp_path, "image,label\na.png,benign\nb.png,\n"))
    assert table["class"].tolist() == ["benign", None]
    table = read_annotations(save(tmp_path, "image,x1,y1,x2,y2\na.png,1,2,3,4\nb.png,,,,\n"))
    assert table["class"].tolist() == ["object", None]


def test_other_columns_are_kept(tmp_path):
    header = "image,class,xmin,ymin,xmax,ymax,exam,age,size,source,difficult,\n"
    rows = "a.png,cyst,1,2,3,4,007,61,1.5,PACS,1,x\nb.png,,,,,,012,,2,,,\n"
    table = read_annotations(save(tmp_path, header + rows))
    assert list(table.columns[8:]) == ["exam", "age", "size", "source_given", "difficult", "column 12"]
    assert table["exam"].tolist() == ["007", "012"]
    assert (table["age"][0], table["age"].isna().tolist()) == (61, [False, True])
    assert table["size"].tolist() == [1.5, 2]
    assert table["source_given"].tolist() == ["PACS", None]
    assert table["source"].tolist() == ["boxes.csv, line 2", "boxes.csv, line 3"]


def test_parts(tmp_path):
    text = "image,class,split\na.png,x,Training\nb.png,x,valid\nc.png,x,TEST\nd.png,x,\n"
    assert read_annotations(save(tmp_path, text))["split"].tolist() == ["train", "val", "test", None]
    assert "line 2: split: 'third' is none of train, val, test" in fault_of(
        save(tmp_path, "image,class,split\na,x,third\n")
    )
    table = read_annotations(save(tmp_path, "image,class,set\na,x,third\n"))
    assert (table["split"].tolist(), table["set"].tolist()) == ([None], ["third"])
    assert "image 'a' is in train and val" in fault_of(save(tmp_path, "image,class,split\na,x,train\na,y,val\n"))


def test_shares_of_the_image_only_if_said(tmp_path, caplog):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((100, 200), "uint8"))
    file = save(tmp_path, "image,class,XMin,XMax,YMin,YMax\na.png,cyst,0.1,0.5,0.2,0.6\na.png,,,,,\n")
    with caplog.at_level("WARNING"):
        assert read_annotations(file)["xmax"].tolist() == [0.5]
    assert "say format csv_relative" in caplog.text
    np.testing.assert_allclose(read_annotations(file, format="csv_relative")[BOX], [[20, 20, 100, 60]], rtol=1e-6)
    sized = save(tmp_path, "image,class,cx,cy,w,h,imgw,imgh\nb.png,cyst,0.5,0.5,0.5,1,200,100\n")
    assert read_annotations(sized, format="csv_relative").loc[0, BOX].tolist() == [50, 0, 150, 100]
    unknown = save(tmp_path, "image,class,x,y,w,h\nb.png,cyst,0.5,0.5,0.5,1\n")
    assert "'b.png': its size is not known" in fault_of(unknown, format="csv_relative")


def test_bad_cells_are_named_by_line_and_column_all_at_once(tmp_path):
    text = (
        "image,class,x1,y1,x2,y2\n"
        "a.png,cyst,one,2,3,4\n"
        "b.png,cyst,1,,3,4\n"
        "c.png,,1,2,3,4\n"
        ",cyst,1,2,3,4\n"
        "../e.png,cyst,1,2,3,4\n"
        'f.png,cyst,"1,2,3",2,inf,4\n'
    )
    message = fault_of(save(tmp_path, text))
    for part in (
        "6 faults",
        "line 2: x1: 'one' is not a finite number",
        "line 3: y1 of the box is empty; fill all four or none",
        "line 4: class is empty, but there is a box",
        "line 5: image is empty",
        "line 6: image '../e.png' leaves the data folder",
        "line 7: x1: '1,2,3' is not a finite number",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is empty; expected a header"),
        ("\n\n", "is empty; expected a header"),
        ("a,b\n1,2\n", "no column is known to name the image; the header is ['a', 'b']"),
        ("image,b\n1,2\n", "no column is known to hold a box or a class"),
        ("image,class,xmin,ymin,xmax\na,b,1,2,3\n", "has xmin and ymin and xmax, but not all four columns of a box"),
        ("image,class,class\na,b,c\n", "column 'class' stands twice"),
        ("image,class\na\nb,c,d\ne,f\n", "2 faults"),
        ("image,class\n\x00,a\n", "is no text: it holds zero bytes"),
        ("image,class\n" + "a" * 200_000 + ",b\n", "is no CSV"),
    ],
)
def test_files_that_are_no_boxes(tmp_path, text, fault):
    assert fault in fault_of(save(tmp_path, text), format="csv")


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"picture": "image"}, "columns: 'picture' is none of image, class"),
        ({"image": "nowhere"}, "columns: there is no column 'nowhere' for image"),
        ({"xmin": "class"}, "not all four columns of a box"),
    ],
)
def test_columns_that_are_named_wrongly(tmp_path, columns, fault):
    assert fault in fault_of(save(tmp_path, "image,class\na,b\n"), columns=columns)


def test_text_of_no_encoding(tmp_path):
    (tmp_path / "boxes.csv").write_bytes(b"image,class\n\x81\x8d,a\n")
    assert "is no text in UTF-8, UTF-16 or Windows-1252" in fault_of(tmp_path / "boxes.csv")


def test_names_are_found_from_the_folder_of_images(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"")
    inside = (tmp_path / "images" / "a.png").as_posix()
    for name in ("a.png", "images/a.png", ".\\images\\a.png", "./a.png", inside, "images/../images/a.png"):
        file = save(tmp_path, f"image,class\n{name},x\n")
        assert read_annotations(file, images=tmp_path / "images")["image"].tolist() == ["a.png"]


def test_the_ultrasound_boxes(data_folder):
    table = read_annotations(data_folder / "busi" / "boxes.csv")
    assert len(table) == 567
    assert table["class"].value_counts().to_dict() == {"benign": 391, "malignant": 176}
    assert table.loc[0, ["image", "split", "source", "lesion"]].tolist() == [
        "benign_001",
        "train",
        "boxes.csv, line 2",
        1,
    ]
    np.testing.assert_array_equal(table.loc[0, BOX].tolist(), np.float32([262.38, 122.05, 308.84, 145.73]))
    listed = read_annotations(data_folder / "busi" / "images.csv")
    assert listed["class"].value_counts().to_dict() == {"benign": 376, "malignant": 175, "normal": 114}
    assert pd.api.types.is_integer_dtype(listed["width"])
