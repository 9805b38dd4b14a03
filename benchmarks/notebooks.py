"""The notebooks, run from top to bottom, with their outputs kept in them; how long each takes.

    python benchmarks/notebooks.py [notebooks/1_look_at_your_data.ipynb ...]

Each runs in a kernel of its own and in an empty folder, and is written back with its outputs; one that fails is left as
it was.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"
LONGEST = 600  # seconds that a cell may take


def executed(path: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of a fresh run.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    # Nothing of a machine's own Jupyter, and no times of day, which would be other lines in every run.
    client = NotebookClient(notebook, timeout=LONGEST, kernel_name="python3", record_timing=False)
    # A backend that is set for scripts would keep the figures out of the notebook.
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    with tempfile.TemporaryDirectory(prefix="tumorkeras-notebook-") as folder:
        client.execute(cwd=folder, env=environment)
    for cell in notebook.cells:
        if cell.cell_type == "code":  # of a progress bar, gone when its work is done, a page would show the start
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    return notebook


def written(path: Path) -> float:
    """Run a notebook and keep its outputs; the seconds that it took."""
    start = time.perf_counter()
    notebook = executed(path)
    seconds = time.perf_counter() - start
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    nbformat.write(notebook, path)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, default=sorted(FOLDER.glob("*.ipynb")))
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, one run, seconds:")
    for path in options.notebooks:
        print(f"{path.stem:<24} {written(path):4.0f}", flush=True)


if __name__ == "__main__":
    main()
