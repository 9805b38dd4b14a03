"""What the verbs share: their arguments, and how a result is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

SpecPath = Annotated[Path, typer.Argument(metavar="SPEC", help="The data_spec.yaml.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, the last one.")]


def say(text: str, as_json: bool, result: Any) -> None:
    """Say a result in words, or as JSON with the words on standard error."""
    typer.echo(text, err=as_json)
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))


def read_spec(path: Path) -> Any:
    """The spec, before TensorFlow takes its seconds to start: a fault in it is said at once."""
    from tumorkeras.spec import DataSpec

    return DataSpec.from_yaml(path)
