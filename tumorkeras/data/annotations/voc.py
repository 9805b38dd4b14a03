"""Pascal VOC: an XML file an image, in a folder, with the parts listed beside it or told by folders.

The form was defined with pixels counted from 1 and the last pixel inside the box. The tools that write it today
(LabelImg, CVAT, Roboflow) give edges counted from 0, with a 0 sometimes raised to 1, so ``voc`` takes the numbers
as they are. For files that keep to the definition, such as those of the VOC challenges, ``voc_inclusive`` takes 1
from ``xmin`` and ``ymin``. A box whose ends are equal has no area in the first reading and one pixel in the second.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import pandas as pd

from tumorkeras.boxes import CORNERS
from tumorkeras.data.annotations.content import count, number
from tumorkeras.data.annotations.names import Fault, ImageNames, clean_text, part_above, visible_files
from tumorkeras.data.annotations.part_lists import listed_parts
from tumorkeras.data.annotations.table import SPLITS, Faults, Row, make_row, make_table
from tumorkeras.data.text import read_bytes
from tumorkeras.errors import DataError, MissingExtraError
from tumorkeras.progress import progress_bar

MOST_MEGABYTES = 16
FLAGS = ("difficult", "truncated")


def read_voc(path: Path, faults: Faults, images: Path | None = None, *, inclusive: bool = False) -> pd.DataFrame:
    """The table of an XML file, a folder of them, or a data set with ``Annotations`` and ``ImageSets/Main``.

    Parameters
    ----------
    path : path
        File or folder. With ``ImageSets/Main`` beside the annotations, its ``train.txt``, ``val.txt`` and
        ``test.txt`` give the parts (``trainval.txt`` is not needed and not read). Without a folder
        ``Annotations``, one called ``train``, ``valid`` or ``test`` around a file gives its part.
    faults : Faults
        To which files that are no VOC annotation or hold entities, further files of one image, and objects that cannot
        be read are added; they are left out.
    images : path, optional
        Folder of the images; by default ``JPEGImages`` beside ``Annotations`` where it exists, else the folder.
    inclusive : bool
        Whether pixels are counted from 1 and ``xmax``, ``ymax`` are inside the box.

    Returns
    -------
    pandas.DataFrame
        With ``width``, ``height`` of the image and ``difficult``, ``truncated``, each missing where the file has none.

    Raises
    ------
    DataError
        If there is no such file, or none in the folder.
    """
    root, folder = _places(path)
    files = [path] if path.is_file() else visible_files(folder, [".xml"], faults)
    if not files and not faults:
        raise DataError(str(path), ["holds no .xml file"])
    lists = {root / "ImageSets" / "Main" / f"{part}.txt": part for part in SPLITS}
    parts = listed_parts(lists, lambda line: line.replace("\\", "/"), faults)
    names = ImageNames(images or (root / "JPEGImages" if (root / "JPEGImages").is_dir() else folder))
    rows: list[Row] = []
    seen: dict[str, str] = {}
    with progress_bar(len(files), "reading annotations", "file") as bar:
        for file in files:
            where = file.relative_to(folder).as_posix()
            part = parts.get(where[: -len(".xml")]) if folder.name == "Annotations" else part_above(where)
            found = _read_file(file, where, names, faults, part=part, shift=int(inclusive))
            image = found[0]["image"] if found else ""
            if found and (first := seen.setdefault(image, where)) != where:
                faults.append(f"{where}: names the image {image!r}, as {first} does; each file is one image")
            else:
                rows += found
            bar.update()
    return make_table(rows, faults)


def _places(path: Path) -> tuple[Path, Path]:
    """The folder of the data set and that of the XML files."""
    if path.is_file():
        return (path.parent.parent if path.parent.name == "Annotations" else path.parent), path.parent
    if not path.is_dir():
        raise DataError(str(path), ["there is no such file or folder"])
    if (path / "Annotations").is_dir():
        return path, path / "Annotations"
    return (path.parent if path.name == "Annotations" else path), path


def _read_file(file: Path, where: str, names: ImageNames, faults: Faults, *, part: str | None, shift: int) -> list[Row]:
    rows: list[Row] = []
    with faults.at(where):
        root = _parse(file)
        image = names.of(root.findtext("filename"), file.parent)
        others: Row = {side: count(root.findtext(f"size/{side}")) for side in ("width", "height")}
        for k, item in enumerate(root.findall("object"), start=1):
            with faults.at(f"{where}, object {k}"):
                flags = {name: count(item.findtext(name)) for name in FLAGS}
                rows.append(
                    make_row(
                        image,
                        f"{where}, object {k}",
                        class_name=clean_text(item.findtext("name"), "name"),
                        box=_box(item, shift),
                        split=part,
                        **others,
                        **flags,
                    )
                )
        if root.find("object") is None:
            rows.append(make_row(image, where, split=part, **others, difficult=None, truncated=None))
    return rows


def _parse(file: Path) -> Element:
    """The root of an XML file; entities are refused before any is expanded."""
    try:
        from defusedxml.common import DefusedXmlException
        from defusedxml.ElementTree import fromstring
    except ImportError:
        raise MissingExtraError("defusedxml", "medical") from None
    content = read_bytes(file, MOST_MEGABYTES)
    try:
        root: Element = fromstring(content)
    except DefusedXmlException:
        raise Fault("defines or fetches entities, which are never expanded; save it without a DOCTYPE") from None
    except (ParseError, ValueError, LookupError) as error:
        raise Fault(f"is no XML: {error}") from None
    if root.tag != "annotation":
        raise Fault(f"is no Pascal VOC annotation: the outermost element is <{root.tag[:60]}>, expected <annotation>")
    return root


def _box(item: Element, shift: int) -> list[float]:
    box = item.find("bndbox")
    if box is None:
        raise Fault("has no <bndbox>")
    corners = [number(box.findtext(name) or "", name) for name in CORNERS]
    return [corners[0] - shift, corners[1] - shift, *corners[2:]]
