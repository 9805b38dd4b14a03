"""Verbs about models: the whole job, and its steps up to the comparison."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tumorkeras.cli.shared import Json, SpecPath, read_spec, say
from tumorkeras.errors import ModelError
from tumorkeras.spec_types import Part
from tumorkeras.starting import start_tensorflow


def run(
    spec: SpecPath,
    output: Annotated[Path, typer.Option(help="Folder for all results.")] = Path("out"),
    as_json: Json = False,
) -> None:
    """Audit, train, compare, export, score and report: the main job. Started again, it goes on where it stopped.

    The jobs of the specs that SPEC names under "also" follow, each in a folder of its name below the output.
    """
    data_spec = read_spec(spec)
    start_tensorflow()
    from tumorkeras.workflow import run as run_job

    result = run_job(data_spec, output)
    say("\n".join(_figures(result)), as_json, _as_plain(result))


def _figures(result: Any, name: str = "") -> Iterator[str]:
    """The key figures of a job and of those beside it, a line each, and where the report is."""
    from tumorkeras.report.headline import headline

    for also, other in result.also.items():
        yield from _figures(other, f"{also}: ")
    yield from (f"{name}{figure}: {value} {note}" for figure, value, note in headline(result.models))
    yield f"{name}report: {result.report}"


def _as_plain(result: Any) -> dict[str, Any]:
    found = {
        "report": str(result.report),
        "exports": {kind: str(path) for kind, path in result.exports.items()},
        "metrics": {kind: trained.card.get("metrics") for kind, trained in result.models.items()},
        "seconds": result.seconds,
    }
    return found | ({"also": {name: _as_plain(also) for name, also in result.also.items()}} if result.also else {})


def train(
    spec: SpecPath,
    model: Annotated[
        Literal["autoencoder", "classifier", "detector"],
        typer.Option(help="What to train; detector: on images with boxes."),
    ] = "classifier",
    output: Annotated[Path, typer.Option(help="The model's folder.")] = Path("model"),
    initial: Annotated[Path | None, typer.Option(help="Folder of a model to start from.")] = None,
    as_json: Json = False,
) -> None:
    """Train one model into a folder. Started again, it goes on from its last epoch."""
    data_spec = read_spec(spec)
    start_tensorflow()
    from tumorkeras.training import train as train_model

    trained = train_model(data_spec, model, output, initial=initial)
    say(f"model: {trained.folder}", as_json, trained.card)


def compare(
    spec: SpecPath,
    output: Annotated[Path, typer.Option(help="Folder for comparison.csv.")] = Path("comparison"),
    jobs: Annotated[int, typer.Option(help="Processes that tune the classical methods; -1 for all cores.")] = 1,
    as_json: Json = False,
) -> None:
    """Hold the classifier, or the detector, against classical methods and trivial baselines, on the same data."""
    data_spec = read_spec(spec)
    start_tensorflow()
    from tumorkeras.comparison import compare as compare_methods

    table = compare_methods(data_spec, output=output, n_jobs=jobs)
    if (table["error"] != "").all():
        raise ModelError(
            "compare: every method failed", [f"{row.method}: {row.error}" for row in table.itertuples(index=False)]
        )
    say(table.to_string(index=False), as_json, json.loads(table.to_json(orient="records")))


def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a trained model.")],
    spec: SpecPath,
    split: Annotated[Part, typer.Option(help="Part to read.")] = "test",
    as_json: Json = False,
) -> None:
    """Print a model's metrics, with intervals, on a part of the data; of a detector a row a metric and class."""
    data_spec = read_spec(spec)
    start_tensorflow()
    from tumorkeras.training import evaluate as evaluate_model

    metrics = evaluate_model(model, data_spec, split)
    text = metrics.to_string()
    if metrics.index.nlevels > 1:  # a metric and a class, named as in a model's card
        metrics.index = [" of ".join(names) for names in metrics.index]
    say(text, as_json, json.loads(metrics.to_json(orient="index")))
