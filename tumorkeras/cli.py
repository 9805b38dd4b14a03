"""The command line: each verb is a thin call of one public function.

Exit status 0: done; 1: a fault in the data or the job, said in one message; 2: wrong usage. Progress and
messages go to standard error; with ``--json`` the last line of standard output is the result as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tumorkeras.errors import DataError, MissingExtraError, ModelError, TumorKerasError
from tumorkeras.spec_types import MotionKind, Part
from tumorkeras.starting import start_tensorflow

INTERRUPTED = 130  # as shells have it: 128 + SIGINT

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="From a folder of medical images to a served tumour detector.",
)

SpecPath = Annotated[Path, typer.Argument(metavar="SPEC", help="The data_spec.yaml.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON, the last one.")]


@app.command()
def run(
    spec: SpecPath,
    output: Annotated[Path, typer.Option(help="Folder for all results.")] = Path("out"),
    as_json: Json = False,
) -> None:
    """Audit, train, compare, export, score and report: the main job. Started again, it goes on where it stopped.

    The jobs of the specs that SPEC names under "also" follow, each in a folder of its name below the output.
    """
    data_spec = _read_spec(spec)
    start_tensorflow()
    from tumorkeras.workflow import run as run_job

    result = run_job(data_spec, output)
    _say("\n".join(_figures(result)), as_json, _as_plain(result))


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


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder with the data.")],
    output: Annotated[Path, typer.Option(help="The spec to write; a file that is there is kept.")] = Path(
        "data_spec.yaml"
    ),
    as_json: Json = False,
) -> None:
    """Look at a folder and write a data_spec.yaml for it, with comments on what was guessed."""
    from tumorkeras.layout import init as write_spec

    spec = write_spec(folder, output)
    source, classes = spec.source.kind, ", ".join(spec.classes or []) or "as in the source"
    _say(f"{output}: {source}, classes {classes}; read its comments", as_json, {"spec": str(output), "source": source})


@app.command()
def audit(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="The data_spec.yaml, or a CSV of features.")],
    output: Annotated[Path | None, typer.Option(help="File for the report: .html or .json.")] = None,
    label: Annotated[str | None, typer.Option(help="With a CSV: the column of the class.")] = None,
    group: Annotated[str | None, typer.Option(help="With a CSV: the column of the experiment or patient.")] = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong with the data before training; exit status 1 where there are faults."""
    if output is not None and not output.parent.is_dir():
        raise DataError(str(output), [f"the folder {output.parent} is not there; make it first"])
    source: Any = spec if spec.suffix.lower() in (".csv", ".tsv") else _read_spec(spec)
    from tumorkeras.auditing import audit as audit_data

    report = audit_data(source, label=label, group=group)
    if output is not None:
        report.save(output)
    if sys.stdout.isatty() and not as_json:
        report.show()
    else:
        _say(str(report), as_json, report.to_dict())
    if not report.ok:
        raise typer.Exit(1)


@app.command()
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
    data_spec = _read_spec(spec)
    start_tensorflow()
    from tumorkeras.training import train as train_model

    trained = train_model(data_spec, model, output, initial=initial)
    _say(f"model: {trained.folder}", as_json, trained.card)


@app.command()
def compare(
    spec: SpecPath,
    output: Annotated[Path, typer.Option(help="Folder for comparison.csv.")] = Path("comparison"),
    jobs: Annotated[int, typer.Option(help="Processes that tune the classical methods; -1 for all cores.")] = 1,
    as_json: Json = False,
) -> None:
    """Hold the classifier, or the detector, against classical methods and trivial baselines, on the same data."""
    data_spec = _read_spec(spec)
    start_tensorflow()
    from tumorkeras.comparison import compare as compare_methods

    table = compare_methods(data_spec, output=output, n_jobs=jobs)
    if (table["error"] != "").all():
        raise ModelError(
            "compare: every method failed", [f"{row.method}: {row.error}" for row in table.itertuples(index=False)]
        )
    _say(table.to_string(index=False), as_json, json.loads(table.to_json(orient="records")))


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a trained model.")],
    spec: SpecPath,
    split: Annotated[Part, typer.Option(help="Part to read.")] = "test",
    as_json: Json = False,
) -> None:
    """Print a model's metrics, with intervals, on a part of the data; of a detector a row a metric and class."""
    data_spec = _read_spec(spec)
    start_tensorflow()
    from tumorkeras.training import evaluate as evaluate_model

    metrics = evaluate_model(model, data_spec, split)
    text = metrics.to_string()
    if metrics.index.nlevels > 1:  # a metric and a class, named as in a model's card
        metrics.index = [" of ".join(names) for names in metrics.index]
    _say(text, as_json, json.loads(metrics.to_json(orient="index")))


@app.command()
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
    _say(f"export: {folder}", as_json, {"export": str(folder)})


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(metavar="EXPORT", help="A version folder of an export.")],
    as_json: Json = False,
) -> None:
    """Check that TF Serving can load and run an export; exit status 1 where there are faults."""
    start_tensorflow()
    from tumorkeras.serving.verify import verify_export

    report = verify_export(path)
    _say(str(report), as_json, report.to_dict())
    if not report.ok:
        raise typer.Exit(1)


@app.command()
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
    _say(
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
        return _read_spec(path)
    if path.suffix.lower() == ".csv":
        from tumorkeras.data.tables import read_table

        return read_table(path, text=["path"])
    return str(path)


@app.command()
def simulate(
    kind: Annotated[
        Literal[MotionKind, "ultrasound"],
        typer.Argument(metavar="KIND", help="random_walk, levy_flight, fractional_brownian or ultrasound."),
    ],
    output: Annotated[
        Path, typer.Option(help="Folder for KIND_X.csv and KIND_Y.csv, or for images and annotations.csv.")
    ] = Path("."),
    n: Annotated[int, typer.Option(help="Number of tracks or images.")] = 300,
    frames: Annotated[int, typer.Option(help="Positions of a track.")] = 101,
    hurst: Annotated[float, typer.Option(help="Hurst exponent of fractional_brownian, between 0 and 1.")] = 0.7,
    alpha: Annotated[float, typer.Option(help="Exponent of the steps of levy_flight, above 1 and up to 2.")] = 1.5,
    mean_step: Annotated[float, typer.Option(help="Mean step from one frame to the next.")] = 5.0,
    size: Annotated[tuple[int, int], typer.Option(help="Height and width of ultrasound images.")] = (192, 192),
    most: Annotated[int, typer.Option(help="Most lesions in an image.")] = 3,
    without: Annotated[float, typer.Option(help="Share of images without a lesion, 0 to 1.")] = 0.2,
    calipers: Annotated[bool, typer.Option("--calipers", help="Burn crosses at the lesions into the images.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.")] = 0,
    as_json: Json = False,
) -> None:
    """Write simulated tracks as a pair of matrices, one row per cell, or ultrasound images with a table of boxes.

    A file that is there is kept.
    """
    if kind == "ultrasound":
        from tumorkeras.data.phantoms.files import write_ultrasound

        images, table = write_ultrasound(output, n, size=size, most=most, without=without, calipers=calipers, seed=seed)
        _say(f"{images}, {table}: {n} images", as_json, {"files": [str(images), str(table)]})
        return
    import pandas as pd

    from tumorkeras.data.simulate import simulate_motility

    files = [output / f"{kind}_{axis}.csv" for axis in "XY"]
    if taken := [f"{file} is there already; remove it, or choose another --output" for file in files if file.exists()]:
        raise DataError("simulate", taken)
    tracks = simulate_motility(kind, n, frames, hurst=hurst, alpha=alpha, mean_step=mean_step, seed=seed)
    output.mkdir(parents=True, exist_ok=True)
    for file, positions in zip(files, (tracks[..., 0], tracks[..., 1]), strict=True):
        pd.DataFrame(positions).to_csv(file, header=False, index=False)
    _say(f"{files[0]}, {files[1]}: {n} tracks", as_json, {"files": [str(file) for file in files]})


@app.command()
def schema() -> None:
    """Print the JSON Schema of data_spec.yaml, for editors that complete and check while typing."""
    from tumorkeras.spec import DataSpec

    typer.echo(json.dumps(DataSpec.json_schema(), indent=2))


def _threshold(text: str) -> float | Literal["tuned"]:
    if text == "tuned":
        return "tuned"
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a number nor 'tuned'", param_hint="--threshold") from None


def _say(text: str, as_json: bool, result: Any) -> None:
    typer.echo(text, err=as_json)
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False))


def _read_spec(path: Path) -> Any:
    """The spec, before TensorFlow takes its seconds to start: a fault in it is said at once."""
    from tumorkeras.spec import DataSpec

    return DataSpec.from_yaml(path)


def _show_progress() -> None:
    """Our own messages go to standard error; other packages' chatter is not shown."""
    logger = logging.getLogger("tumorkeras")
    for handler in [handler for handler in logger.handlers if handler.get_name() == __name__]:
        logger.removeHandler(handler)
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name(__name__)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())


def main() -> None:
    """Run the command line; faults of data and job become one message and exit status 1."""
    # Pictures go into files: no window system is asked for.
    os.environ.setdefault("MPLBACKEND", "Agg")
    _show_progress()
    sys.exit(_status(lambda: app(prog_name="tumorkeras")))


def _status(command: Callable[[], Any]) -> int:
    try:
        command()
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            typer.echo("tumorkeras: stopped; the same command goes on from where it was", err=True)
        raise
    except (TumorKerasError, MissingExtraError) as error:
        typer.echo(f"tumorkeras: {error}", err=True)
        return 1
    except OSError as error:
        typer.echo(f"tumorkeras: {error.filename or 'the system'}: {error.strerror or error}", err=True)
        return 1
    return 0
