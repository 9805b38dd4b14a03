"""Reading the YAML (or JSON) text of a spec: plain values only, and no key twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tumorkeras.errors import SpecError

LARGEST = 4 * 2**20  # bytes


class PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which also notes keys that stand twice in one mapping."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.repeated: list[str] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Make a dict, as YAML asks; a repeated key would silently win over the first."""
        seen: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            first = seen.setdefault(str(key.value), line)
            if isinstance(key, yaml.ScalarNode) and key.value != "<<" and first != line:
                self.repeated.append(f"line {line}: {key.value} stands already in line {first}")
        return super().construct_mapping(node, deep)


def read_mapping(path: str | Path) -> dict[str, Any]:
    """Values of the YAML or JSON file at ``path``, not yet checked.

    Raises
    ------
    SpecError
        If there is no such file, or it is not text, not YAML, not a mapping, or holds a key twice. Tags that
        would make Python objects are refused.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        what = "a folder; `tumorkeras init FOLDER` writes a spec for it" if path.is_dir() else "no regular file"
        raise SpecError(f"{path}: is {what}")
    try:
        if path.stat().st_size > LARGEST:
            raise SpecError(f"{path}: has more than {LARGEST // 2**20} MB, which no spec has")
        loader = PlainLoader(path.read_text(encoding="utf-8"))
        values = loader.get_single_data()
    except FileNotFoundError:
        raise SpecError(
            f"{path}: there is no such file; copy data_spec.yaml, whose comments explain every field"
        ) from None
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise SpecError(f"{path}: is not plain YAML: {_problem(error)}") from None
    except RecursionError:
        raise SpecError(f"{path}: is nested too deeply for a spec") from None
    if loader.repeated:
        raise SpecError(str(path), loader.repeated)
    if not isinstance(values, dict):
        found = "is empty" if values is None else f"holds a {type(values).__name__}"
        raise SpecError(f"{path}: {found}, expected a mapping of fields to values such as `name: my_data`")
    return values


def _problem(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())
