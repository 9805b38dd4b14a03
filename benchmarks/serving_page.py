"""What the page about serving shows, made from real exports: layout, signatures, requests and their answers.

    python benchmarks/serving_page.py MODEL [MODEL ...] --images IMAGE [IMAGE ...] [--write docs/serving.md]

Each MODEL is the folder of a trained model. All are exported, verified, and described; the first one is asked with the
images by the two clients of ``serving/``. No TF Serving runs for that: a double of its protocol, that of the tests,
answers over both ports, with the export behind it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from pages import put_between_marks

from tumorkeras import ServingClient, export, score, verify_export

REPOSITORY = Path(__file__).parents[1]
FIGURES = ["score", "xmin", "ymin", "xmax", "ymax"]


def layout(version: Path) -> list[str]:
    """The files of an export with their sizes."""
    files = sorted(path for path in version.rglob("*") if path.is_file())
    base = version.parents[1]
    return [f"{path.relative_to(base).as_posix():<62} {path.stat().st_size:>10,} bytes" for path in files]


def signatures(version: Path) -> list[str]:
    """A table of what each signature reads and gives, and how far it is from the Keras model."""
    report = verify_export(version)
    heads = ["signature", "reads", "gives", "largest difference from the Keras model"]
    lines = [f"| {' | '.join(heads)} |", "| --- | --- | --- | ---: |"]
    for name, signature in report.signatures.items():
        reads, gives = (
            "<br>".join(
                f"`{key}` {tensor['dtype']} {shape(tensor['shape'])}" for key, tensor in signature[side].items()
            )
            for side in ("inputs", "outputs")
        )
        largest = max(report.differences.get(name, {}).values(), default=0.0)
        lines.append(f"| `{name}` | {reads} | {gives} | {largest:.1g} |")
    return [*lines, "", f"Checked by: {report.loader}."]


def shape(sides: list[int | None]) -> str:
    """With `n` for the batch and `?` for what else is open."""
    return f"({', '.join(['n', *('?' if side is None else str(side) for side in sides[1:])])})"


def asked(version: Path, images: list[Path]) -> dict[str, list[str]]:
    """What the clients of the repository print, and what a wrong request is answered, from the double."""
    sys.path.insert(0, str(REPOSITORY / "tests" / "serving"))
    from double import Double, serving

    name = version.parent.name
    with serving(Double({name: {int(version.name): version}}, most_rows=8)) as (rest, remote):
        shown = {
            "rest": run("client_rest.py", "--server", rest, "--model", name, *images),
            "grpc": run("client_grpc.py", "--server", remote.removeprefix("grpc://"), "--model", name, images[0]),
            "errors": [refused(f"{rest}/v1/models/{name}:predict"), refused(f"{rest}/v1/models/other:predict")],
        }
        pair = (score(each, images[0])[FIGURES] for each in (ServingClient(rest, name), version))
        difference = float(next(pair).sub(next(pair)).abs().to_numpy().max())
    shown["client"] = [f"largest difference of the two tables: {difference:.1g}"]
    return shown


def run(script: str, *arguments: object) -> list[str]:
    """Lines that a client prints."""
    command = [sys.executable, str(REPOSITORY / "serving" / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def refused(url: str) -> str:
    """The answer to a request that does not fit."""
    body = json.dumps({"signature_name": "serving_bytes", "inputs": {"images": []}}).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body)) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"


def fenced(lines: list[str], most: int = 14) -> str:
    """A block of text, shortened in the middle."""
    if len(lines) > most:
        lines = [*lines[: most - 2], f"... {len(lines) - most + 1} lines more", lines[-1]]
    return "\n".join(["```", *lines, "```"])


def main() -> None:
    """Export, describe, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--images", nargs="+", type=Path, required=True)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        first, *others = options.models
        versions = [export(first, folder, class_names=True), *(export(model, folder) for model in others)]
        text = {"layout": fenced(layout(versions[0]), most=40)}
        described = [f"### `{version.parent.name}`\n\n" + "\n".join(signatures(version)) for version in versions]
        text["signatures"] = "\n\n".join([*described, f"TensorFlow {tf.__version__}."])
        text |= {mark: fenced(lines) for mark, lines in asked(versions[0], options.images).items()}
    for mark, shown in text.items():
        print(f"{mark}\n{shown}\n")
        if options.write:
            put_between_marks(options.write, f"serving-{mark}", shown)


if __name__ == "__main__":
    main()
