"""Whose an output folder is: it belongs to one spec and its data, whatever is started again in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tumorkeras.changes import changed_fields
from tumorkeras.data.agreement import data_hash
from tumorkeras.data.parted import Parted
from tumorkeras.errors import ModelError
from tumorkeras.files import write_whole
from tumorkeras.spec import DataSpec

MARK = "run.json"
MOST_CHANGES = 5  # named where a folder belongs to another spec


def claim(folder: Path, spec: DataSpec, samples: Parted) -> None:
    """Make the folder, or see that it belongs to the same run; only then is anything written.

    Raises
    ------
    ModelError
        If it is a file, holds something else, or the run of another spec or of other data.
    """
    mark = folder / MARK
    identity = {"spec": spec.to_dict(), "data_sha256": data_hash(samples)}
    if mark.is_file():
        changes = _changes(_read_mark(mark), identity)
        if changes:
            heading = f"{folder} holds the run of another spec or other data; choose another output folder"
            raise ModelError(heading, changes)
        return
    if folder.exists() and not folder.is_dir():
        raise ModelError(str(folder), ["is a file; choose another output folder"])
    # A kill while the mark was written leaves its draft alone in the folder.
    if folder.exists() and any(path.name != f".{MARK}.new" for path in folder.iterdir()):
        raise ModelError(str(folder), ["is not empty and holds no run; choose another output folder"])
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(mark, json.dumps(identity, indent=2, ensure_ascii=False))


def _read_mark(mark: Path) -> dict[str, Any]:
    try:
        found = json.loads(mark.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict) or "data_sha256" not in found:
        raise ModelError(str(mark), ["is not the mark of a run; choose another output folder"])
    return found


def _changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs between two identities, field by field."""
    changed = changed_fields(before.get("spec"), now["spec"])
    if not changed and before["data_sha256"] != now["data_sha256"]:
        return ["the spec is the same, but the data are not"]
    more = len(changed) - MOST_CHANGES
    return changed[:MOST_CHANGES] + ([f"and {more} more fields"] if more > 0 else [])
