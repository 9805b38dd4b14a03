"""All layouts, each asked what it makes of a folder; the most certain wins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tumorkeras.data.annotations.names import part_of
from tumorkeras.errors import DataError
from tumorkeras.layout.columns import read_sheets
from tumorkeras.layout.guess import Guess, NoSpec, best_of, listed, many
from tumorkeras.layout.leftovers import say_leftovers
from tumorkeras.layout.of_boxes import guess_boxes
from tumorkeras.layout.of_class_folders import PLAIN, guess_class_folders
from tumorkeras.layout.of_image_tables import guess_table
from tumorkeras.layout.of_loose import LEAST, guess_loose
from tumorkeras.layout.of_masks import guess_masks
from tumorkeras.layout.of_npz import guess_npz
from tumorkeras.layout.of_tables import explain_tables
from tumorkeras.layout.of_tracks import guess_tracks
from tumorkeras.layout.pictures import pictures_of
from tumorkeras.layout.survey import MOST_FILES, Survey
from tumorkeras.layout.writing import paths_in

MOST_FOLDERS = 20  # sub-folders that may be data sets of their own
NEEDED = (
    "a spec needs images or volumes (PNG, JPEG, TIFF, DICOM, NIfTI, npy, video) with a folder a class, a CSV with a "
    "row an image, or boxes; volumes in an npz file; or tracks of cells (a pair of matrices a class, or a long table)"
)


@dataclass(frozen=True)
class Candidate:
    """What a folder was taken for, and the folder that the paths of the guess start from."""

    survey: Survey
    guess: Guess


def guess_layout(survey: Survey) -> Candidate:
    """What a folder holds.

    Raises
    ------
    DataError
        If it holds nothing that a spec describes, or several data sets.
    """
    own, explained = _guess(survey)
    if own is not None and own.stands_alone and not _scattered(survey, own):
        return Candidate(survey, own)
    inner = {name: _guess(survey.below(name)) for name in _sub_folders(survey)}
    whole = {name: found for name, (found, _) in inner.items() if found is not None and found.stands_alone}
    if len(whole) > 1:
        raise _several(survey, inner)
    if len(whole) == 1:
        ((name, guess),) = whole.items()
        guess.say("", f"The data set is in {name}.")
        return Candidate(survey.below(name), guess)
    if own is not None:
        return Candidate(survey, own)
    raise _nothing(survey, explained or next((words for _, words in inner.values() if words), None))


def _guess(survey: Survey) -> tuple[Guess | None, NoSpec | None]:
    """The best guess, else why there is none."""
    sheets, faults = read_sheets(survey)
    pictures = pictures_of(survey)
    found: list[Guess] = []
    reasons: list[NoSpec] = []

    def guesses() -> Iterator[Guess | NoSpec | None]:
        yield guess_tracks(survey, sheets)
        yield guess_npz(survey, sheets)
        yield from guess_boxes(survey, sheets, pictures)
        yield guess_masks(pictures)
        yield guess_table(sheets, pictures)
        yield guess_class_folders(pictures)
        yield guess_loose(survey, sheets, pictures)

    for one in guesses():
        if isinstance(one, NoSpec):
            reasons.append(one)
        elif one is not None:
            found.append(one)
    best = best_of(found)
    if best is None:
        return None, reasons[0] if reasons else explain_tables(survey.root, sheets)
    best.unsure += faults
    say_leftovers(best, survey, sheets, pictures)
    if not survey.complete:
        best.unsure.append(f"There are more than {MOST_FILES:,} files; the rest was not looked at.")
    return best, None


def _sub_folders(survey: Survey) -> list[str]:
    """Folders that may be data sets; those of parts and of images alone belong to one that is around them."""
    return [name for name in survey.folders if part_of(name) is None and name.lower() not in PLAIN][:MOST_FOLDERS]


def _scattered(survey: Survey, guess: Guess) -> bool:
    """Whether what speaks for the guess lies in one folder, while others do not belong to it."""
    source = guess.values["source"]
    paths = list(paths_in(source))
    if len(paths) > 1:  # what says the classes or boxes, not where the images are
        paths = [path for path in paths if path != source.get("path")] or paths
    top = {".", *(file.path for file in survey.files if not file.folder)}
    starts = {path.partition("/")[0] for path in paths}
    if top & set(paths) or len(starts) > 1 or {start.lower() for start in starts} & PLAIN:
        return False
    return any(name not in starts for name in _sub_folders(survey))


def _several(survey: Survey, inner: dict[str, tuple[Guess | None, NoSpec | None]]) -> DataError:
    lines = []
    for name, (guess, reason) in inner.items():
        if guess is not None and guess.stands_alone:
            lines.append(f"{name}: {guess.what}")
        elif reason is not None:
            lines.append(f"{name}: {reason.what}, for which there is no spec; {reason.advice}")
    return DataError(f"{survey.root} holds several data sets; give one of them", lines)


def _nothing(survey: Survey, reason: NoSpec | None) -> DataError:
    if reason is not None:
        return DataError(str(survey.root), [f"holds {reason.what}: {reason.advice}"])
    if not survey.files:
        return DataError(str(survey.root), [f"holds no file; {NEEDED}"])
    pictures = pictures_of(survey)
    if pictures.names:
        few = f"holds {many(len(pictures), 'image')}; at least {LEAST} are needed, and more to learn from"
        return DataError(str(survey.root), [few])
    found = listed([file.path for file in survey.files], 3)
    return DataError(
        str(survey.root), [f"holds {survey.summary()} (such as {found}) and nothing to learn from; {NEEDED}"]
    )
