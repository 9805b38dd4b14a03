"""Annotations of any common form to one table of boxes, and back."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tumorkeras.data.annotations.detect import FORMATS, detect
from tumorkeras.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from tumorkeras.data.annotations.masks import Classes
    from tumorkeras.data.annotations.table import Faults

__all__ = ["FORMATS", "AnnotationReading", "read_annotations", "read_with_faults", "write_annotations"]

logger = logging.getLogger(__name__)


class AnnotationReading(NamedTuple):
    """What could be read of annotations, and what is wrong with the rest.

    Attributes
    ----------
    table : pandas.DataFrame
        As :func:`read_annotations` gives it, of what could be read.
    faults : tuple of str
        Each in one line: the file or row, and what is wrong with it.
    format : str
        The form that was read, one of ``FORMATS``.

    Examples
    --------
    >>> import pandas as pd
    >>> AnnotationReading(pd.DataFrame(), ("a.xml: has no size",), "voc").format
    'voc'
    """

    table: pd.DataFrame
    faults: tuple[str, ...]
    format: str


def read_annotations(
    path: str | Path,
    *,
    format: str = "auto",
    images: str | Path | None = None,
    classes: Classes | None = None,
    columns: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Annotations of any common form as one table, a row a box.

    Values are kept as they are read: boxes outside their image, without area or standing twice are for the audit.

    Parameters
    ----------
    path : path
        File or folder.
    format : str
        ``"auto"`` looks at the content, and says so where it may be several forms.

        - ``"voc"``: Pascal VOC, an XML file, a folder of them, or a data set with ``Annotations``. Numbers are taken
          as they are, as the edges that annotation tools write. ``"voc_inclusive"``: pixels are counted from 1 and
          ``xmax``, ``ymax`` are in the box, as in the VOC challenges; 1 is taken from ``xmin`` and ``ymin``.
        - ``"coco"``: a JSON file, or a folder of them. Without ``bbox`` the box is that of the polygons or RLE.
        - ``"csv"``: named columns, a row a box. ``"csv_relative"``: boxes are shares of the image.
        - ``"yolo"``: a text file an image.
        - ``"masks"``: images in which each value is a class. ``"instance_masks"``: each value is an object.
        - ``"folders"``: a folder a class. ``"lists"``: a file a class, that lists its images.
    images : path, optional
        Folder of the images, to which their names are relative. Each form has a default.
    classes : sequence of str or mapping, optional
        Names for the numbers of masks, and of a YOLO data set that holds none; the other forms name their classes
        themselves.
    columns : mapping of str to str, optional
        For a CSV whose columns have names of their own: the column for each of ``image``, ``class``, ``xmin``,
        ``ymin``, ``xmax``, ``ymax``, ``split``.

    Returns
    -------
    pandas.DataFrame
        ``image`` (POSIX, as the form names it, relative to the folder of the images), ``class``, ``xmin``, ``ymin``,
        ``xmax``, ``ymax`` (float32, pixels, half-open), ``split`` ("train", "val", "test" or missing), ``source``
        (where the row was read), then what else the form knows. A row without box and class is an image without
        objects; a row with a class and no box is the class of the whole image.

    Raises
    ------
    DataError
        If anything cannot be read; every fault is named with its place.
    MissingExtraError
        If a package for the form is not installed.

    Examples
    --------
    >>> import tempfile; path = Path(tempfile.mkdtemp()) / "boxes.csv"
    >>> _ = path.write_text("image,class,xmin,ymin,xmax,ymax\\n1.png,cyst,10,20,30,45.5\\n2.png,,,,,\\n")
    >>> read_annotations(path)[["image", "class", "xmin", "ymax", "source"]]
       image class  xmin  ymax             source
    0  1.png  cyst  10.0  45.5  boxes.csv, line 2
    1  2.png  None   NaN   NaN  boxes.csv, line 3
    """
    from tumorkeras.data.annotations.table import Faults

    reading = read_with_faults(path, format=format, images=images, classes=classes, columns=columns)
    Faults(reading.faults).raise_any(str(path))
    return reading.table


def read_with_faults(
    path: str | Path,
    *,
    format: str = "auto",
    images: str | Path | None = None,
    classes: Classes | None = None,
    columns: Mapping[str, str] | None = None,
) -> AnnotationReading:
    """What can be read of annotations, and the faults of single files and rows, which do not stop the rest.

    An image whose objects all are at fault is not listed, since it is not one without objects; one that stands in
    several parts is in none.

    Parameters
    ----------
    path, format, images, classes, columns
        As for :func:`read_annotations`.

    Returns
    -------
    AnnotationReading
        ``table``, ``faults`` and ``format``.

    Raises
    ------
    DataError
        If nothing can be read: there is no such path, no form is known, or there are faults and not one good row.
    MissingExtraError
        If a package for the form is not installed.

    Examples
    --------
    >>> import tempfile; path = Path(tempfile.mkdtemp()) / "boxes.csv"
    >>> _ = path.write_text("image,class,xmin,ymin,xmax,ymax\\n1.png,cyst,10,20,30,45\\n2.png,cyst,1o,20,30,45\\n")
    >>> reading = read_with_faults(path)
    >>> reading.table["image"].tolist(), reading.faults, reading.format
    (['1.png'], ("boxes.csv, line 3: xmin: '1o' is not a finite number",), 'csv')
    """
    from tumorkeras.data.annotations.table import Faults

    place, folder, faults = Path(path), Path(images) if images is not None else None, Faults()
    try:
        if format == "auto":
            format, place = detect(place, columns_named=bool(columns))
            logger.info("%s: read as %s", place, format)
        table = _read(place, format, faults, folder, classes, columns)
    except OSError as error:
        raise DataError(str(path), [f"cannot be read: {error.strerror or error}"]) from None
    if table.empty:
        faults.raise_any(str(path))
    return AnnotationReading(table, tuple(faults), format)


def _read(
    path: Path,
    format: str,
    faults: Faults,
    images: Path | None,
    classes: Classes | None,
    columns: Mapping[str, str] | None,
) -> pd.DataFrame:
    from tumorkeras.data.annotations import coco, csv_table, folders, masks, voc, yolo

    match format:
        case "voc" | "voc_inclusive":
            return voc.read_voc(path, faults, images, inclusive=format == "voc_inclusive")
        case "coco":
            return coco.read_coco(path, faults, images)
        case "csv" | "csv_relative":
            return csv_table.read_csv_boxes(path, faults, images, columns, relative=format == "csv_relative")
        case "yolo":
            return yolo.read_yolo(path, faults, images, classes)
        case "masks" | "instance_masks":
            return masks.read_masks(path, faults, images, classes, instances=format == "instance_masks")
        case "folders":
            return folders.read_folders(path, faults)
        case "lists":
            return folders.read_lists(path, faults, images)
    raise DataError("format", [f"{format!r} is none of auto, {', '.join(FORMATS)}"])


def write_annotations(table: pd.DataFrame, path: str | Path, *, format: str = "auto") -> list[str]:
    """Write a table of annotations as COCO, Pascal VOC or CSV; reading it again gives the same rows.

    Rows come back image by image (Pascal VOC: in the order of the names of files), and ``source`` then names the new
    file. What else a form cannot hold is said.

    Parameters
    ----------
    table : pandas.DataFrame
        As :func:`read_annotations` gives it; ``split``, ``source`` and further columns may be absent.
    path : path
        A file ``.csv``, ``.json`` (COCO) or ``.xml`` (Pascal VOC, one image), or a folder: for COCO with a file a part,
        for Pascal VOC with ``Annotations`` and ``ImageSets/Main``.
    format : str
        ``"csv"``, ``"coco"``, ``"voc"`` or ``"voc_inclusive"``; ``"auto"`` goes by the ending of a file.

    Returns
    -------
    list of str
        What the form cannot hold: columns, parts, classes of whole images. They are logged, too.

    Raises
    ------
    DataError
        If the table holds what is no annotation, or no row that the form can hold, or the folder holds other
        annotations.

    Examples
    --------
    >>> import pandas as pd, tempfile; folder = Path(tempfile.mkdtemp())
    >>> row = {"image": "1.png", "class": "cyst", "xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4, "split": "val"}
    >>> write_annotations(pd.DataFrame([row]), folder / "boxes.json")
    ['one COCO file holds no parts; give a folder for a file a part']
    >>> write_annotations(pd.DataFrame([row]), folder / "voc", format="voc")
    []
    """
    from tumorkeras.data.annotations import write
    from tumorkeras.data.annotations.table import checked

    path = Path(path)
    if format == "auto":
        format = {".csv": "csv", ".json": "coco", ".xml": "voc"}.get(path.suffix.lower(), "")
    table = checked(table)
    match format:
        case "csv":
            notes = write.write_csv(table, path)
        case "coco":
            notes = write.write_coco(table, path)
        case "voc" | "voc_inclusive":
            notes = write.write_voc(table, path, inclusive=format == "voc_inclusive")
        case _:
            raise DataError(str(path), ["is no .csv, .json or .xml; say format=: csv, coco, voc or voc_inclusive"])
    for note in notes:
        logger.info("%s: %s", path, note)
    return notes
