"""Verbs about exports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tumorkeras.cli.shared import Json, read_spec, say
from tumorkeras.spec_types import Part
from tumorkeras.starting import start_tensorflow


def export(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a trained model.")],
    output: Annotated[Path, typer.Option(help="Folder of exports: OUTPUT/NAME/VERSION.")] = Path("exports"),
    name: Annotated[str | None, typer.Option(help="By default the name of the model's folder.")] = None,
    version: Annotated[int | None, typer.Option(help="By default one more than the largest there.")] = None,
    calibrated: Annotated[bool, typer.Option(help="Probabilities at the temperature of the model's card.")] = False,
    threshold: Annotated[str | None, typer.Option(help="A number, or: tuned, that of the model's card.")] = None,
    class_names: Annotated[bool, typer.Option(help="Names of the classes among the outputs.")] = False,
    formats: Annotated[list[str] | None, typer.Option("--format", help="Also: onnx, litert, openvino.")] = None,
    uncertainty: Annotated[
        list[str] | None, typer.Option(help="How sure a classifier is, a signature each: dropout, augmentation.")
    ] = None,
    passes: Annotated[int, typer.Option(help="Networks that dropout makes of the one.")] = 20,
    as_json: Json = False,
) -> None:
    """Write a SavedModel for TF Serving, checked by TensorFlow's C library in a new process."""
    start_tensorflow()
    from tumorkeras.serving.export import export as export_model

    folder = export_model(
        model,
        output,
        name=name,
        version=version,
        calibrated=calibrated,
        threshold=None if threshold is None else _threshold(threshold),
        class_names=class_names,
        format=formats or (),
        uncertainty=uncertainty or (),
        passes=passes,
    )
    say(f"export: {folder}", as_json, {"export": str(folder)})


def _threshold(text: str) -> float | Literal["tuned"]:
    if text == "tuned":
        return "tuned"
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a number nor 'tuned'", param_hint="--threshold") from None


def verify(
    path: Annotated[Path, typer.Argument(metavar="EXPORT", help="A version folder of an export.")],
    as_json: Json = False,
) -> None:
    """Check that TF Serving can load and run an export; exit status 1 where there are faults."""
    start_tensorflow()
    from tumorkeras.serving.verify import verify_export

    report = verify_export(path)
    say(str(report), as_json, report.to_dict())
    if not report.ok:
        raise typer.Exit(1)


def score(
    model: Annotated[
        str, typer.Argument(metavar="EXPORT", help="Folder of an export or of a trained model; or a URL of an export.")
    ],
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="INPUT...", help="Files, folders, patterns, a CSV of paths, or a spec."),
    ],
    output: Annotated[Path, typer.Option(help="Table to write: .parquet, .csv, or .json (COCO) of detections.")],
    split: Annotated[Part | None, typer.Option(help="With a data spec: the part to score.")] = None,
    signature: Annotated[str | None, typer.Option(help="By default serving_default.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Samples a call; by default what is fastest.")] = None,
    engine: Annotated[Literal["local", "spark"], typer.Option(help="This process, or Spark's workers.")] = "local",
    runtime: Annotated[
        Literal["onnx", "openvino", "litert"] | None, typer.Option(help="Of an export that has it.")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Do not go on with a job that was interrupted.")] = False,
    threshold: Annotated[float, typer.Option(help="Smallest score of a detection that --overlay draws.")] = 0.0,
    overlay: Annotated[Path | None, typer.Option(help="Folder for images with their detections drawn.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit status 1 where an input could not be scored.")] = False,
    as_json: Json = False,
) -> None:
    """Write a table of predictions: a row a sample, of a detector a row a detection; what cannot be read says why.

    An interrupted job goes on with what is missing when the same command is given again.
    """
    source = _inputs_of(inputs)
    start_tensorflow()
    from tumorkeras.scoring import count_outcomes, read_predictions, write_overlays
    from tumorkeras.scoring import score as score_inputs

    if overlay is not None and output.suffix.lower() == ".json":
        raise typer.BadParameter("a .json has no paths; write .parquet or .csv", param_hint="--overlay")
    written = score_inputs(
        model,
        source,
        signature=signature,
        batch_size="auto" if batch_size is None else batch_size,
        output=output,
        engine=engine,
        resume=not restart,
        split=split,
        runtime=runtime,
    )
    outcomes = count_outcomes(written)
    if overlay is not None:
        write_overlays(read_predictions(written), overlay, threshold=threshold)
    if outcomes.errors:
        typer.echo(f"{outcomes.errors} of the rows are errors; their column error says why", err=True)
    say(
        f"{output}: {outcomes.rows} rows, {outcomes.errors} of them errors",
        as_json,
        {"rows": outcomes.rows, "errors": outcomes.errors},
    )
    if strict and outcomes.errors:
        raise typer.Exit(1)


def _inputs_of(inputs: list[Path]) -> Any:
    """A spec, a table of paths, or the paths themselves."""
    if len(inputs) > 1:
        return inputs
    (path,) = inputs
    if path.suffix in (".yaml", ".yml"):
        return read_spec(path)
    if path.suffix.lower() == ".csv":
        from tumorkeras.data.tables import read_table

        return read_table(path, text=["path"])
    return str(path)
