"""What pydantic found wrong with a spec, one line a fault: the field, what it holds, what it should be.

The words come from the JSON Schema of the model, so that a new field needs no words of its own.
"""

from __future__ import annotations

import difflib
import json
import reprlib
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

Schema = dict[str, Any]
LONGEST = 60  # characters of a value that are shown


def describe_faults(error: ValidationError, model: type[BaseModel]) -> list[str]:
    r"""Tell each fault of ``error``, which came from validating ``model``, in one line.

    Examples
    --------
    >>> from tumorkeras.spec import Training
    >>> try:
    ...     Training(epochs=-3, epoch=2)
    ... except ValidationError as error:
    ...     print("\n".join(describe_faults(error, Training)))
    epochs: -3 is not a positive integer
    epoch: unknown field; did you mean epochs?
    """
    root = _schema_of(model)
    return [line for fault in error.errors() for line in _lines(dict(fault), root)]


@cache
def _schema_of(model: type[BaseModel]) -> Schema:
    return model.model_json_schema()


def _lines(fault: dict[str, Any], root: Schema) -> Iterator[str]:
    trail = _follow(fault["loc"], root)
    path, node = trail[-1]
    prefix = f"{path}: " if path else ""
    if fault["type"] in ("extra_forbidden", "invalid_key"):
        yield f"{path}: unknown field; {_nearest(path, trail[-2][1])}"
    elif fault["type"] == "missing":
        yield f"{path}: missing; give {_expected(node, root)}"
    elif fault["type"].startswith("union_tag"):
        yield _wrong_tag(path, fault["input"], node)
    elif fault["type"] == "value_error":  # a rule of ours: its lines are whole but for the path
        yield from (f"{prefix}{line}" for line in str(fault["ctx"]["error"]).splitlines())
    elif fault["loc"][-1:] == ("[key]",):
        yield f"{path}: the key {_shown(fault['input'])} is not text; put it in quotes"
    else:
        yield f"{prefix}{_shown(fault['input'])} is not {_expected(node, root)}{_hint(fault['input'], node)}"


def _follow(loc: tuple[int | str, ...], root: Schema) -> list[tuple[str, Schema]]:
    """List path and schema at each step of ``loc``, where the tag of a union is no step of the path."""
    path, node = "", _resolved(root, root)
    trail = [(path, node)]
    for item in loc:
        if item == "[key]":
            return trail[:-1]
        if "discriminator" in node:
            node = _resolved({"$ref": node["discriminator"]["mapping"][item]}, root)
            trail[-1] = (path, node)
        else:
            path = f"{path}[{item}]" if "items" in node else f"{path}.{item}" if path else str(item)
            node = _resolved(_inner(node, item), root)
            trail.append((path, node))
    return trail


def _inner(node: Schema, item: int | str) -> Schema:
    if "items" in node:
        return node["items"]
    return node.get("properties", {}).get(item) or node.get("additionalProperties") or {}


def _resolved(node: Schema, root: Schema) -> Schema:
    """``node`` with references followed and the null of an optional field noted as ``optional``."""
    if "$ref" in node:
        rest = {key: value for key, value in node.items() if key != "$ref"}
        node = {**root["$defs"][node["$ref"].rpartition("/")[2]], **rest}
    choices = [choice for choice in node.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        return {**node, **_resolved(choices[0], root), "optional": True}
    return node


def _wrong_tag(path: str, found: Any, node: Schema) -> str:
    tag, kinds = node["discriminator"]["propertyName"], list(node["discriminator"]["mapping"])
    field = f"{path}.{tag}"
    if tag not in found:
        return f"{field}: missing; give one of {', '.join(kinds)}"
    return f"{field}: {_shown(found[tag])} is not one of {', '.join(kinds)}{_close(found[tag], kinds)}"


def _nearest(path: str, section: Schema) -> str:
    known = list(section.get("properties", {}))
    near = _close(path.rpartition(".")[2], known)
    return near.removeprefix("; ") or f"the fields here are {', '.join(known)}"


def _close(found: Any, known: list[str]) -> str:
    near = difflib.get_close_matches(str(found), known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _hint(found: Any, node: Schema) -> str:
    if "enum" in node:
        return _close(found, [str(choice) for choice in node["enum"]])
    if node.get("type") == "string" and found is not None and not isinstance(found, str | list | dict):
        return "; put it in quotes"
    if found is None and "default" in node:
        return "; leave the field out for its default"
    return ""


def _shown(value: Any) -> str:
    if isinstance(value, str | bool | None):
        return json.dumps(_cut(value) if isinstance(value, str) else value, ensure_ascii=False)
    return _cut(reprlib.repr(value) if isinstance(value, list | dict) else str(value))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _expected(node: Schema, root: Schema) -> str:
    """Say what ``node`` asks for, in words that follow "is not"."""
    words = node.get("x-words") or _words(node, root)
    return f"{words} (or null)" if node.get("optional") else words


def _words(node: Schema, root: Schema) -> str:
    if "discriminator" in node:
        choices = node["discriminator"]
        return f"a section whose {choices['propertyName']} is one of {', '.join(choices['mapping'])}"
    if "const" in node:
        return str(node["const"])
    if "enum" in node:
        return f"one of {', '.join(map(str, node['enum']))}"
    match node.get("type"):
        case "integer":
            return _range("integer", node)
        case "number":
            return _range("number", node)
        case "array":
            return f"a list of {_count(node)}each {_expected(_resolved(node['items'], root), root)}"
        case "object" if "properties" in node:
            return f"a section with the fields {', '.join(node['properties'])}"
        case "object":
            return "a section of names and values"
    return {"boolean": "true or false", "string": "text"}.get(node.get("type", ""), "valid")


def _count(node: Schema) -> str:
    least, most = node.get("minItems"), node.get("maxItems")
    if most is not None:
        return f"{least} to {most} items, "
    return f"at least {least}, " if least else "items, "


def _range(noun: str, node: Schema) -> str:
    article = "an" if noun == "integer" else "a"
    if node.get("exclusiveMinimum") == 0 and "maximum" not in node and "exclusiveMaximum" not in node:
        return f"a positive {noun}"
    limits = {
        "exclusiveMinimum": "above {}",
        "minimum": "of at least {}",
        "exclusiveMaximum": "below {}",
        "maximum": "at most {}",
    }
    said = [words.format(node[limit]) for limit, words in limits.items() if limit in node]
    if not said:
        return "an integer" if noun == "integer" else "a finite number"
    return f"{article} {noun} {' and '.join(said)}"
