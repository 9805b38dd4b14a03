"""Images or volumes that nothing tells a class of."""

from __future__ import annotations

import json
from typing import Any

from tumorkeras.layout.columns import Sheet
from tumorkeras.layout.groups import add_patients
from tumorkeras.layout.guess import Guess, listed, many
from tumorkeras.layout.of_class_folders import folders_of_people
from tumorkeras.layout.of_image_tables import tables_beside
from tumorkeras.layout.pictures import Pictures
from tumorkeras.layout.settings import add_settings
from tumorkeras.layout.survey import Survey
from tumorkeras.spec import DataPath

NOTHING_TELLS = "No folder, table or annotation was recognised that tells"
LEAST = 8  # samples of which training can begin to make sense


def guess_loose(survey: Survey, sheets: list[Sheet], pictures: Pictures) -> Guess | None:
    """An autoencoder's data: samples without classes."""
    if len(pictures) < LEAST:
        return None
    noun = "volume" if pictures.volumes else "image"
    guess = Guess(f"{noun}s without classes", 0.2, {}, stands_alone=False)
    source = {"kind": "image_folder", "path": DataPath(pictures.folder or "."), "levels": "none"}
    guess.values = {"tasks": ["autoencode"], "source": source}
    guess.say("tasks", f"Nothing tells a class of the {noun}s, so the autoencoder alone can learn from them.")
    if words := tables_beside(sheets, pictures):
        guess.unsure += words
    else:
        guess.unsure.append(
            f"{NOTHING_TELLS} a class or a box of the {many(len(pictures), noun)}. For classes, give a folder a class, "
            "or a CSV with a row an image under source.table."
        )
    if folders_of_people(pictures):
        guess.unsure.append("The folders look like one a patient, and were not taken for classes.")
    add_patients(guess, pictures)
    add_settings(guess, pictures.look(), len(pictures))
    _add_nnunet(guess, survey, pictures)
    return guess


def _add_nnunet(guess: Guess, survey: Survey, pictures: Pictures) -> None:
    """What a folder in the form of nnU-Net holds: imagesTr, labelsTr, dataset.json."""
    found = next((file for file in survey.of("json") if file.name == "dataset.json"), None)
    if found is None or not any("/imagesTr/" in f"/{name}" for name in pictures.names):
        return
    guess.unsure = [line for line in guess.unsure if not line.startswith(NOTHING_TELLS)]
    guess.what, guess.certainty, guess.stands_alone = "volumes in the form of nnU-Net, with segmentations", 0.9, True
    training = {name.rpartition("/")[0] for name in pictures.names if "/imagesTr/" in f"/{name}"}
    guess.values["source"]["path"] = DataPath(training.pop())
    content = _dataset(survey, found.path)
    labels, channels = content.get("labels"), content.get("channel_names") or content.get("modality")
    if isinstance(labels, dict):
        guess.say("source", f"labelsTr holds a label a voxel: {listed(_named(labels))}. Segmentation is no task here.")
    if isinstance(channels, dict) and len(channels) > 1:
        guess.unsure.append(
            f"Each case has {len(channels)} files, one a channel ({listed(channels.values())}), and each file is a "
            "sample here: take one channel, or group them by a table."
        )
    if any("/imagesTs/" in f"/{name}" for name in pictures.names):
        guess.say("source.path", "imagesTs, the test images without labels, is left aside.")


def _dataset(survey: Survey, path: str) -> dict[str, Any]:
    try:
        content = json.loads((survey.root / path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _named(labels: dict[str, Any]) -> list[str]:
    """Names of labels, which older files have as values and newer ones as keys."""
    return [str(value) if str(key).isdigit() else str(key) for key, value in labels.items()]
