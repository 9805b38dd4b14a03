"""What was recognised in a folder and is not part of the spec: tables, spreadsheets, masks."""

from __future__ import annotations

from tumorkeras.layout.columns import Sheet, image_column
from tumorkeras.layout.guess import Guess, listed, many
from tumorkeras.layout.of_image_tables import repeated
from tumorkeras.layout.pictures import Pictures
from tumorkeras.layout.survey import Survey, common_folder
from tumorkeras.layout.writing import paths_in

SPREADSHEETS = (".xlsx", ".xls", ".ods")
MOST_NAMED = 3


def say_leftovers(guess: Guess, survey: Survey, sheets: list[Sheet], pictures: Pictures) -> None:
    """Name what lies in the folder and is not used, and why.

    Parameters
    ----------
    guess : Guess
        Changed in place.
    survey : Survey
    sheets : list of Sheet
        The tables that could be read.
    pictures : Pictures
    """
    said = " ".join([*guess.unsure, *(line for lines in guess.comments.values() for line in lines)])
    used = set(paths_in(guess.values))
    left = [sheet for sheet in sheets if sheet.path not in used and sheet.path not in said]
    guess.unsure += [f"{sheet.path} was not used: {_why(sheet, pictures)}." for sheet in left[:MOST_NAMED]]
    if others := left[MOST_NAMED:]:
        guess.unsure.append(f"{many(len(others), 'more table')} not used.")
    spreadsheets = [file.path for file in survey.files if file.name.lower().endswith(SPREADSHEETS)]
    if spreadsheets:
        guess.unsure.append(
            f"{listed(spreadsheets, MOST_NAMED)} not read: save spreadsheets as CSV and run init again."
        )
    if pictures.masks and guess.values["source"]["kind"] != "detection":
        folder = common_folder(pictures.masks)
        name = folder.rpartition("/")[2] or "The folder"
        if not folder or name not in said:
            guess.unsure.append(f"{name} holds {many(len(pictures.masks), 'mask')}, which were not used.")


def _why(sheet: Sheet, pictures: Pictures) -> str:
    if not pictures.names:
        return "nothing that was found needs it"
    image = image_column(sheet, pictures.finder)
    if image is None:
        return (
            f"no column of it names the {'volumes' if pictures.volumes else 'images'} ({listed(sheet.table.columns)})"
        )
    if number := repeated(sheet.table, image):
        return f"{many(number, 'image')} have several rows in it, and a table has a row an image"
    return "another table, or the folders, told more"
