"""From the values of a spec and what is to be said of them to YAML text that a person can read and edit."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tumorkeras.spec import DataPath

WIDTH = 116
Comments = Mapping[str, list[str]]


def spec_text(values: dict[str, Any], comments: Comments, head: list[str], blocks: list[tuple[str, Any]]) -> str:
    """YAML of a spec: a head of comments, each field under its own, then blocks that are switched off.

    Parameters
    ----------
    values : dict
        Fields of the spec.
    comments : mapping of str to list of str
        Paragraphs above a field, by its path such as ``"splits.group"``.
    head : list of str
        Paragraphs at the top.
    blocks : list of tuple
        Heading and values of blocks that are written with "#" before every line.

    Examples
    --------
    >>> print(spec_text({"name": "cells", "input": {"shape": [8, 8, 1]}}, {"input.shape": ["From the files."]},
    ...                 ["Cells."], [("With colour.", {"input": {"shape": [8, 8, 3]}})]))
    # Cells.
    <BLANKLINE>
    name: cells
    <BLANKLINE>
    input:
      # From the files.
      shape: [8, 8, 1]
    <BLANKLINE>
    # With colour.
    #input:
    #  shape: [8, 8, 3]
    <BLANKLINE>
    """
    parts = ["\n".join(line for paragraph in head for line in _commented(paragraph))]
    short = False
    for key, value in values.items():
        lines = list(_lines({key: value}, comments, ""))
        # Fields of one line stay together; what is longer has an empty line around it.
        parts.append(("\n" if short and len(lines) == 1 else "\n\n") + "\n".join(lines))
        short = len(lines) == 1
    for heading, block in blocks:
        off = [f"#{line}" for line in _lines(block, {}, "")]
        parts.append("\n\n" + "\n".join([*_commented(heading), *off]))
    return "".join(parts).lstrip("\n") + "\n"


def _lines(values: dict[str, Any], comments: Comments, path: str, depth: int = 0) -> Iterator[str]:
    indent = "  " * depth
    for key, value in values.items():
        where = f"{path}.{key}" if path else str(key)
        for paragraph in comments.get(where, []):
            yield from (indent + line for line in _commented(paragraph, len(indent)))
        name = _flow(str(key))
        if isinstance(value, dict) and value:
            yield f"{indent}{name}:"
            yield from _lines(value, comments, where, depth + 1)
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            yield f"{indent}{name}:"
            yield from (f"{indent}  - {_flow(item)}" for item in value)
        else:
            yield f"{indent}{name}: {_flow(value)}"


class _OneLine(yaml.SafeDumper):
    """Dumps text that holds line ends in double quotes, where they are written as an escape."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_OneLine.add_representer(str, _OneLine.represent_text)


def _flow(value: Any) -> str:
    """A value in one line; text is in quotes where it would be something else without."""
    # In a list, so that text is written as inside brackets, and no end of a document follows.
    settings: dict[str, Any] = {"default_flow_style": True, "sort_keys": False, "allow_unicode": True, "width": 10**9}
    return yaml.dump([value], Dumper=_OneLine, **settings).strip()[1:-1]


def _commented(paragraph: str, indent: int = 0) -> list[str]:
    """Comment lines; names of files may hold anything, a comment only what is printed."""
    text = "".join(character if character.isprintable() else "?" for character in paragraph)
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH - indent, break_long_words=False, break_on_hyphens=False)]


def moved(value: Any, root: Path, folder: Path) -> Any:
    """Values with their paths, which start at ``root``, made relative to ``folder``.

    Examples
    --------
    >>> from tumorkeras.spec import DataPath
    >>> moved({"path": DataPath("images"), "kind": "npz"}, Path("/data/scans"), Path("/data/specs"))
    {'path': '../scans/images', 'kind': 'npz'}
    """
    if isinstance(value, dict):
        return {key: moved(item, root, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [moved(item, root, folder) for item in value]
    if not isinstance(value, DataPath):
        return value
    # realpath: `..` through a linked folder would lead elsewhere than it reads
    path = os.path.relpath(os.path.join(os.path.realpath(root), value), os.path.realpath(folder))
    path = Path(path).as_posix()
    return f"./{path}" if path.startswith("~") else path  # or it would be taken for a home folder


def paths_in(value: Any) -> Iterator[str]:
    """Every path in the values of a spec."""
    if isinstance(value, DataPath):
        yield str(value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from paths_in(item)
