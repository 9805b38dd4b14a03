"""The notebooks: what is stored in them is whole, and each runs from top to bottom without a word of warning."""

import base64
from io import BytesIO

import matplotlib.image
import nbformat
import numpy as np
import pytest
from test_benchmarks import script

NAMES = [
    "1_look_at_your_data",
    "2_learn_without_labels",
    "3_classify_volumes",
    "4_detect_lesions",
    "5_compare",
    "6_serve_and_score",
]
MOST_BYTES = 3_000_000  # of a notebook with its pictures


def outputs_of(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def pictures_of(notebook):
    """The pictures of all outputs, as arrays."""
    found = [output.data["image/png"] for output in outputs_of(notebook) if "image/png" in output.get("data", {})]
    return [matplotlib.image.imread(BytesIO(base64.b64decode(png)), format="png") for png in found]


def faults_of(notebook):
    """What a reader should not meet."""
    faults = [f"{output.ename}: {output.evalue}" for output in outputs_of(notebook) if output.output_type == "error"]
    streams = (output for output in outputs_of(notebook) if output.output_type == "stream")
    faults += [output.text for output in streams if output.name == "stderr" or "Warning" in output.text]
    if any(picture[..., :3].std(axis=(0, 1)).max() < 0.01 for picture in pictures_of(notebook)):
        faults.append("there is an empty figure")
    return faults


@pytest.fixture(params=NAMES)
def path(request, checkout):
    return checkout / "notebooks" / f"{request.param}.ipynb"


def test_there_are_these_notebooks(checkout):
    assert sorted(path.stem for path in (checkout / "notebooks").glob("*.ipynb")) == NAMES


def test_what_is_stored_is_a_run_from_top_to_bottom(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert faults_of(notebook) == []
    assert len(pictures_of(notebook)) >= 3
    assert path.stat().st_size < MOST_BYTES


def test_one_cell_switches_to_the_folder_of_the_reader(path):
    notebook = nbformat.read(path, as_version=4)
    switches = [cell for cell in notebook.cells if cell.cell_type == "code" and "FOLDER = None" in cell.source]
    assert len(switches) == 1


def test_faults_are_found():
    """The rule itself, on a notebook with all of them."""
    buffer = BytesIO()
    matplotlib.image.imsave(buffer, np.ones((4, 4)), format="png")
    empty = {"image/png": base64.b64encode(buffer.getvalue()).decode()}
    outputs = [
        nbformat.v4.new_output("stream", name="stderr", text="I0000 port.cc"),
        nbformat.v4.new_output("stream", name="stdout", text="UserWarning: converted"),
        nbformat.v4.new_output("stream", name="stdout", text="0.9"),
        nbformat.v4.new_output("error", ename="KeyError", evalue="'a'"),
        nbformat.v4.new_output("display_data", data=empty),
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)])
    assert faults_of(notebook) == [
        "KeyError: 'a'",
        "I0000 port.cc",
        "UserWarning: converted",
        "there is an empty figure",
    ]


@pytest.mark.slow
def test_it_runs_from_top_to_bottom(path, checkout):
    notebook = script(checkout, "notebooks").executed(path)
    assert faults_of(notebook) == []
    assert len(pictures_of(notebook)) >= 3
