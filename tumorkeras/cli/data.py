"""Verbs about data and the installation."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tumorkeras.cli.shared import Json, read_spec, say
from tumorkeras.errors import DataError
from tumorkeras.spec_types import MotionKind


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
    say(f"{output}: {source}, classes {classes}; read its comments", as_json, {"spec": str(output), "source": source})


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
    source: Any = spec if spec.suffix.lower() in (".csv", ".tsv") else read_spec(spec)
    from tumorkeras.auditing import audit as audit_data

    report = audit_data(source, label=label, group=group)
    if output is not None:
        report.save(output)
    if sys.stdout.isatty() and not as_json:
        report.show()
    else:
        say(str(report), as_json, report.to_dict())
    if not report.ok:
        raise typer.Exit(1)


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
        say(f"{images}, {table}: {n} images", as_json, {"files": [str(images), str(table)]})
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
    say(f"{files[0]}, {files[1]}: {n} tracks", as_json, {"files": [str(file) for file in files]})


def doctor(as_json: Json = False) -> None:
    """Print versions, devices and extras, and what is missing for what; exit status 1 where nothing can work."""
    from tumorkeras.installation import doctor as look

    health = look()
    say(str(health), as_json, health.to_dict())
    if not health.ok:
        raise typer.Exit(1)


def schema() -> None:
    """Print the JSON Schema of data_spec.yaml, for editors that complete and check while typing."""
    from tumorkeras.spec import DataSpec

    typer.echo(json.dumps(DataSpec.json_schema(), indent=2))
