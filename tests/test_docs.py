"""The documentation: no public name without a page and an example, and code on its pages that runs as it stands."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from shutil import copytree

import cv2
import numpy as np
import pandas as pd
import pytest
from test_architecture import FILES, room_of, rooms_imported

import tumorkeras

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tumorkeras"
DOCS = ROOT / "docs"


# ------------------------------------------------------------------------------------------- the reference


def listed(template):
    """Names in the lists of the reference: rooms have a template of their own, names at the top have none."""
    text = (DOCS / "reference.rst").read_text(encoding="utf-8")
    for block in text.split(".. autosummary::")[1:]:
        if (":template:" in block) == template:
            yield from re.findall(r"^   ([\w.]+)$", block, flags=re.MULTILINE)


TOP = list(listed(template=False))
ROOMS = [f"tumorkeras.{name}" for name in listed(template=True)]


def modules_with_public_names():
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assigned = {
            getattr(target, "id", "") for node in tree.body if isinstance(node, ast.Assign) for target in node.targets
        }
        if "__all__" in assigned:
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts).removesuffix(".__init__")


# The command line is documented by its help.
PUBLIC = [module for module in modules_with_public_names() if module != "tumorkeras.cli"]


def public(module):
    home = import_module(module)
    return {name: getattr(home, name) for name in home.__all__}


def is_code(value):
    return inspect.isfunction(value) or inspect.isclass(value)


def test_the_reference_lists_every_name_of_the_package_once():
    assert sorted(TOP) == sorted(name for name, value in public("tumorkeras").items() if is_code(value))
    assert len(set(ROOMS)) == len(ROOMS)


def test_every_public_name_is_in_the_reference():
    """By what it is, not by the module it is taken from: ``build_detector`` is public in three of them."""
    rooms = [room for room in ROOMS if room in PUBLIC]
    shown = [*public("tumorkeras").values(), *(value for room in rooms for value in public(room).values())]
    known = {id(value) for value in shown}
    missing = [
        f"{module}.{name}" for module in PUBLIC for name, value in public(module).items() if id(value) not in known
    ]
    assert not missing, f"in no list of docs/reference.rst: {', '.join(missing)}; add their module under Rooms"


def test_what_a_room_and_the_package_both_call_by_a_name_is_one_thing():
    """The page of a room leads there instead of having one of its own, by the name alone."""
    top = public("tumorkeras")
    for room in set(ROOMS) & set(PUBLIC):
        assert all(value is top[name] for name, value in public(room).items() if name in top), room


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_has_a_docstring_with_an_example(module):
    code = {name: value for name, value in public(module).items() if is_code(value)}
    lines = {name: (inspect.getdoc(value) or "").splitlines() for name, value in code.items()}
    assert not [name for name, found in lines.items() if not found or not found[0].endswith(".")]
    assert not [name for name, found in lines.items() if "Examples" not in found]


# --------------------------------------------------------------------------------------- code on the pages

BLOCKS = {
    page.stem: re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for page in [*sorted(DOCS.glob("*.md")), ROOT / "CONTRIBUTING.md"]
}


def imported(tree):
    """(module, name) of each import from the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "tumorkeras":
            yield from ((node.module, alias.name) for alias in node.names)


def calls_of_the_package(tree):
    """(name, keywords) of each ``tk.name(...)``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "tk":
            yield node.func.attr, [keyword.arg for keyword in node.keywords]


@pytest.mark.parametrize("page", [page for page, blocks in BLOCKS.items() if blocks])
def test_the_code_of_a_page_uses_what_there_is(page):
    for block in BLOCKS[page]:
        tree = ast.parse(block)
        for module, name in imported(tree):
            assert hasattr(import_module(module), name), f"{module} has no {name}"
        for name, keywords in calls_of_the_package(tree):
            known = inspect.signature(getattr(tumorkeras, name)).parameters
            takes_any = any(each.kind is each.VAR_KEYWORD for each in known.values())
            assert takes_any or set(keywords) <= set(known), f"{name} has no {set(keywords) - set(known)}"


def run(page, number, **names):
    exec(compile(BLOCKS[page][number], f"{page}.md", "exec"), names)
    return names


def test_calibration_runs(capsys):
    rng = np.random.default_rng(0)
    labels, probabilities = rng.integers(0, 2, 80), rng.random(80)
    patients = np.arange(80) // 2
    given = {"labels": labels, "probabilities": probabilities, "patients": patients}
    held = {"labels_of_validation": labels, "probabilities_of_validation": probabilities}
    assert run("calibration", 0, **given, **held)["point"].sensitivity.value >= 0.95
    assert "ECE" in capsys.readouterr().out
    found = run("calibration", 1)
    assert found["fit_temperature"](found["labels"], found["too_sure"]).value == pytest.approx(3.1, abs=0.05)


def test_selection_runs():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, 60)
    table = pd.DataFrame(rng.normal(size=(60, 5)), columns=list("abcde")).assign(told=classes + rng.normal(0, 0.1, 60))
    assert "told" in run("features", 1, table=table, classes=classes)["kept"]


@pytest.mark.slow
def test_extraction_and_clusters_run():
    found = run("features", 0)
    assert found["search"].best_score_ > 0.5
    assert run("features", 2)["found"].table is not None


SMALL = {
    "name": "lesions",
    "input": {"shape": [16, 16, 1]},
    "source": {"kind": "image_folder", "path": "inbox"},
    "autoencoder": {"filters": [4], "bottleneck": 4},
    "classifier": {"filters": [4], "dense": [4], "pretraining": "none"},
    "training": {"epochs": 1},
}


@pytest.mark.slow
def test_export_and_scoring_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for k in range(24):
        path = tmp_path / "inbox" / ("benign", "malignant")[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((16, 16), 10 * k, "uint8"))
    (tmp_path / "archive").symlink_to(tmp_path / "inbox")
    spec = tumorkeras.DataSpec.from_dict(SMALL, tmp_path)
    tumorkeras.train(spec, "classifier", "out/models/classifier", progress=False)
    run("serving", 0)
    assert "serving_default" in capsys.readouterr().out
    (tmp_path / "exports" / "classifier").rename(tmp_path / "exports" / "lesions")
    assert len(run("scoring", 0)["table"]) == 24
    assert (tmp_path / "found.parquet").is_file()


@pytest.mark.slow
def test_first_weights_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shape = {"input": {"shape": [60, 16, 16, 1]}, "classifier": {**SMALL["classifier"], "filters": [8, 16, 32]}}
    motion = {"kind": "simulation", "motions": ["random_walk", "levy_flight"], "samples_per_class": 6, "frames": 60}
    spec = tumorkeras.DataSpec.from_dict({**SMALL, **shape, "source": motion})
    tumorkeras.train(spec, "classifier", "models/simulated", progress=False)
    assert all(layer.trainable for layer in run("transfer", 0)["model"].layers)


# -------------------------------------------------------------------------------------------- the recipes


def recipes():
    """Code of CONTRIBUTING.md by the file that it names in its first line: ``# tumorkeras/...``."""
    named = re.compile(r"# (tumorkeras/[\w/]+\.py)(.*)")
    return {found[1]: (found[2], block) for block in BLOCKS["CONTRIBUTING"] if (found := named.match(block))}


ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def tried(folder, check):
    """What a check prints, run in a copy of the package with every recipe followed."""
    copytree(PACKAGE, folder / "tumorkeras", ignore=lambda *_: ["__pycache__"])
    for name, (where, block) in recipes().items():
        file = folder / name
        if "new" in where:
            assert not file.exists()
            file.write_text(block, encoding="utf-8")
        else:  # what is to be added at the end
            file.write_text(file.read_text(encoding="utf-8") + "\n" + block, encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", check], cwd=folder, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_there_are_three_recipes_each_of_one_file():
    assert [Path(name).name for name in recipes()] == ["pfm.py", "backbone.py", "classical.py"]


READER = """
import numpy as np, pathlib
from tumorkeras.data.image_files import find_samples
from tumorkeras.data.readers import read
folder = pathlib.Path("scans")
folder.mkdir()
values = np.arange(12, dtype="<f4").reshape(3, 4)
(folder / "a.pfm").write_bytes(b"Pf\\n4 3\\n-1.0\\n" + values[::-1].tobytes())
reading = read(folder / "a.pfm")
assert (reading.array[..., 0] == values).all()
print(reading.metadata["format"], *find_samples(folder, volumes=False)[0])
"""
NETWORKS = """
from tumorkeras import DataSpec, build_detector, compare
from tumorkeras.training.networks import detector_of
values = {"name": "x", "source": {"kind": "phantoms"}, "input": {"shape": [64, 64, 1]}}
spec = DataSpec.from_dict({**values, "detector": {"backbone": "resnet18"}})
print(detector_of(spec, 2).get_layer("backbone").backbone.name)
print(build_detector((64, 64, 1), 2, backbone="resnet18").get_layer("backbone").backbone.name)
motion = {"kind": "simulation", "samples_per_class": 12, "frames": 16}
spec = DataSpec.from_dict({**values, "source": motion, "input": {"shape": [16, 24, 24, 1]},
    "splits": {"folds": 2}, "comparison": {"methods": ["logistic", "logistic_tuned"], "trials": 2}})
print(*compare(spec)["method"])
"""


def test_the_recipe_of_a_reader_is_true(tmp_path):
    assert tried(tmp_path, READER) == ["pfm", "a.pfm"]


@pytest.mark.slow
def test_the_recipes_of_a_backbone_and_a_method_are_true(tmp_path):
    spec, call, *methods = tried(tmp_path, NETWORKS)
    assert "res_net" in spec
    assert "res_net" in call
    assert set(methods) == {"majority", "trivial", "logistic", "logistic_tuned"}


def test_the_map_of_the_house_shows_every_room_and_what_it_may_import():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = [re.findall(r"`(\w+)`", line.split("|")[1]) for line in text.splitlines() if line.startswith("| `")]
    place = {room: number for number, row in enumerate(rows) for room in row}
    assert set(place) == {room_of(path) for path in FILES}
    assert not [
        f"{path.name} imports {other}"
        for path in FILES
        for other in rooms_imported(path)
        if place[other] > place[room_of(path)]
    ]
