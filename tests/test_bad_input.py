"""The table in docs/bad_input.md, row by row: the message, the exit status, and a disk left as it was."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from command_line import run_command
from made_encoded import flat_png
from made_scans import tiny_classifier

from tumorkeras import DataSpec, build_classifier
from tumorkeras.training.folder import TrainedModel, save_model

PAGE = Path(__file__).parents[1] / "docs" / "bad_input.md"
ROW = re.compile(r"^\| (?P<input>[^|]+?) \| `(?P<message>[^|]+)` \| (?P<status>\d) \|$", re.MULTILINE)
TABLE = {match["input"]: (match["message"], int(match["status"])) for match in ROW.finditer(PAGE.read_text())}

OUTCOME = re.compile(r"^\| (?P<input>[^|]+?) \| `(?P<error>[^|]+)` \|$", re.MULTILINE)
OUTCOMES = {match["input"]: match["error"] for match in OUTCOME.finditer(PAGE.read_text())}

# Each case makes its input in a folder and gives the arguments of the command.
CASES = {}


def case(name):
    def register(make):
        assert name not in CASES
        CASES[name] = make
        return make

    return register


def run(spec):
    return ["run", spec, "--output", spec.parent / "out"]


def write_spec(folder, source, shape, **sections):
    values = {
        "name": "motion",
        "source": source,
        "input": {"shape": shape},
        "training": {"epochs": 1},
        "splits": {"folds": 2},
        **sections,
    }
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def write_text(folder, text):
    (folder / "spec.yaml").write_text(text)
    return folder / "spec.yaml"


# ---------------------------------------------------------------- spec

SIMULATION = {"kind": "simulation", "frames": 16, "samples_per_class": 10}


def simulation_spec(folder, **sections):
    return write_spec(folder, SIMULATION, sections.pop("shape", [16, 16, 16, 1]), **sections)


case("there is no such spec")(lambda folder: run(folder / "spec.yaml"))
case("the spec is empty")(lambda folder: run(write_text(folder, "")))
case("the spec is not YAML")(lambda folder: run(write_text(folder, "name: motion\nsource: [a, b\n")))
case("the spec asks for a Python object")(
    lambda folder: run(write_text(folder, f"name: !!python/object/apply:os.mkdir ['{folder / 'made'}']\n"))
)
case("a field stands twice")(lambda folder: run(write_text(folder, "name: motion\nname: again\n")))
case("an unknown field")(lambda folder: run(simulation_spec(folder, training={"epoch": 3})))
case("a value out of range")(lambda folder: run(simulation_spec(folder, training={"epochs": -3})))
case("several wrong fields")(lambda folder: run(simulation_spec(folder, training={"epochs": -3, "batch_size": 0})))
case("input.shape of the wrong rank for the source")(lambda folder: run(simulation_spec(folder, shape=[16, 16, 1])))
case("an environment variable that is not set")(
    lambda folder: run(write_spec(folder, {"kind": "npz", "path": "${TUMORKERAS_NOWHERE}/a.npz"}, [6, 6, 6, 1]))
)


# ---------------------------------------------------------------- tracks


def tracks_spec(folder, change=lambda matrices: None, frames=None, **sections):
    """Two classes of 8 cells x 6 frames; ``change`` puts lines of text in the place of a matrix."""
    steps = np.random.default_rng(0).normal(size=(4, 8, 6)).cumsum(axis=2).round(3)
    names = ["fast_X", "fast_Y", "slow_X", "slow_Y"]
    matrices = {name: [",".join(map(str, row)) for row in rows] for name, rows in zip(names, steps, strict=True)}
    change(matrices)
    for name, lines in matrices.items():
        (folder / f"{name}.csv").write_text("".join(f"{line}\n" for line in lines))
    pairs = {name: {axis: f"{name}_{axis.upper()}.csv" for axis in "xy"} for name in ("fast", "slow")}
    source = {"kind": "tracks", "pairs": pairs, "frames": frames}
    return write_spec(folder, source, [frames or 6, 16, 16, 1], **sections)


def replaced(name, row, old, new):
    def change(matrices):
        cells = matrices[name][row].split(",")
        cells[old] = new
        matrices[name][row] = ",".join(cell for cell in cells if cell is not None)

    return change


def cut(name, kept):
    return lambda matrices: matrices.update({name: kept(matrices[name])})


def to_one_point(matrices):
    for name, lines in matrices.items():
        matrices[name] = [line.split(",")[0] for line in lines]


def to_two_faults(matrices):
    replaced("fast_X", 0, 3, "nan")(matrices)
    replaced("slow_Y", 2, 1, "lost")(matrices)


WITHOUT_TEST = {"train": 0.7, "val": 0.3, "test": 0}


def to_two_slow_cells(matrices):
    for name in ("slow_X", "slow_Y"):
        matrices[name] = matrices[name][:2]


@case("a path that leads nowhere")
def _(folder):
    spec = tracks_spec(folder)
    (folder / "fast_Y.csv").rename(folder / "elsewhere.csv")
    spec.write_text(spec.read_text().replace("fast_Y.csv", "nowhere.csv"))
    return run(spec)


case("an empty file")(lambda folder: run(tracks_spec(folder, cut("slow_X", lambda lines: []))))
case("ragged rows")(lambda folder: run(tracks_spec(folder, replaced("fast_X", 1, 5, None))))
case("a cell that is not a number")(lambda folder: run(tracks_spec(folder, replaced("slow_Y", 2, 1, "lost"))))
case("a truth value instead of a number")(lambda folder: run(tracks_spec(folder, replaced("slow_Y", 2, 1, "True"))))
case("NaN")(lambda folder: run(tracks_spec(folder, replaced("fast_X", 0, 3, "nan"))))
case("tracks with one point")(lambda folder: run(tracks_spec(folder, to_one_point)))
case("X and Y of different shape")(lambda folder: run(tracks_spec(folder, cut("fast_Y", lambda lines: lines[:-1]))))
case("two files at fault")(lambda folder: run(tracks_spec(folder, to_two_faults)))
case("fewer frames than asked for")(lambda folder: run(tracks_spec(folder, frames=9)))
case("a class with fewer samples than folds")(
    lambda folder: run(tracks_spec(folder, to_two_slow_cells, splits={"folds": 3, "fractions": WITHOUT_TEST}))
)
case("classes that are not those of the source")(lambda folder: run(tracks_spec(folder, classes=["fast", "still"])))


def long_table(folder, text):
    (folder / "tracks.csv").write_text(text)
    return write_spec(folder, {"kind": "tracks", "table": {"path": "tracks.csv"}}, [6, 16, 16, 1])


case("a long table without a column")(lambda folder: run(long_table(folder, "class,cell,t,x,y\nfast,1,0,0,0\n")))
case("a long table with a track of one point")(
    lambda folder: run(long_table(folder, "class,track,t,x,y\nfast,1,0,0,0\nfast,1,1,2,0\nfast,7,0,1,1\n"))
)


# ---------------------------------------------------------------- volumes and images


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def npz_spec(folder, images=None, labels=None, without=(), **sections):
    generator = np.random.default_rng(0)
    arrays = {
        "train_images": generator.random((20, 6, 6, 6), "float32") if images is None else images,
        "train_labels": np.arange(20)[:, None] % 2 if labels is None else labels,
    }
    np.savez(folder / "volumes.npz", **{key: value for key, value in arrays.items() if key not in without})
    sections = {"classes": ["benign", "malignant"], **sections}
    return write_spec(folder, {"kind": "npz", "path": "volumes.npz"}, [6, 6, 6, 1], **sections)


def with_nan():
    volumes = np.zeros((20, 6, 6, 6), "float32")
    volumes[3, 0, 0, 0] = np.nan
    return volumes


@case("an npz that is none")
def _(folder):
    spec = npz_spec(folder)
    (folder / "volumes.npz").write_bytes(b"PK not at all")
    return run(spec)


case("a volume of the wrong rank")(lambda folder: run(npz_spec(folder, np.zeros((20, 6, 6), "uint8"))))
case("an npz with pickled objects, which are never loaded")(
    lambda folder: run(npz_spec(folder, np.array([Payload(folder / "made")] * 20, dtype=object)))
)
case("an npz without labels")(lambda folder: run(npz_spec(folder, without=["train_labels"])))


@case("an npz without a training part")
def _(folder):
    spec = npz_spec(folder)
    with np.load(folder / "volumes.npz") as archive:
        arrays = {key.replace("train", "test"): archive[key] for key in archive.files}
    np.savez(folder / "volumes.npz", **arrays)
    return run(spec)


@case("a clinical table without its column")
def _(folder):
    (folder / "cohort.csv").write_text("patient,age\n1,50\n")
    return run(npz_spec(folder, clinical={"path": "cohort.csv", "id_column": "pid"}))


@case("a patient in training and test rows of a fold, with clinical features")
def _(folder):
    (folder / "cohort.csv").write_text("pid,age\n" + "".join(f"{k},{40 + k}\n" for k in range(5)))
    (folder / "volumes.csv").write_text("pid\n" + "".join(f"{k % 5}\n" for k in range(20)))
    sections = {
        "clinical": {"path": "cohort.csv", "id_column": "pid", "sample_column": "pid"},
        "comparison": {"methods": ["svm_linear"], "features": ["clinical"]},
        "classes": ["benign", "malignant"],
    }
    npz_spec(folder)
    source = {"kind": "npz", "path": "volumes.npz", "table": "volumes.csv"}
    return run(write_spec(folder, source, [6, 6, 6, 1], **sections))


@case("clinical features without a clinical table")
def _(folder):
    return run(npz_spec(folder, comparison={"features": ["clinical"]}))


@case("a feature set that nobody knows")
def _(folder):
    return run(npz_spec(folder, comparison={"features": ["radiomics"]}))


case("NaN in a volume")(lambda folder: run(npz_spec(folder, with_nan())))
case("a class without a sample")(lambda folder: run(npz_spec(folder, classes=["benign", "malignant", "borderline"])))
case("a label without a class")(lambda folder: run(npz_spec(folder, labels=np.arange(20) % 3)))
case("a group column that is not there")(lambda folder: run(npz_spec(folder, splits={"folds": 2, "group": "exam"})))


def images_spec(folder, **sections):
    generator = np.random.default_rng(0)
    for name in ("benign", "malignant"):
        (folder / "images" / name).mkdir(parents=True)
        for number in range(10):
            image = generator.integers(0, 255, (8, 8), "uint8")
            cv2.imwrite(str(folder / "images" / name / f"{number}.png"), image)
    return write_spec(folder, {"kind": "image_folder", "path": "images"}, [8, 8, 1], **sections)


@case("a class folder without an image")
def _(folder):
    spec = images_spec(folder)
    for file in (folder / "images" / "malignant").iterdir():
        file.unlink()
    return run(spec)


@case("a file that is no image")
def _(folder):
    spec = images_spec(folder)
    (folder / "images" / "benign" / "0.png").write_text("a drawing")
    return run(spec)


@case("an image of several pages")
def _(folder):
    spec = images_spec(folder)
    cv2.imwritemulti(str(folder / "images" / "benign" / "stack.tif"), [np.zeros((8, 8), "uint8")] * 3)
    return run(spec)


@case("images of 8 and of 16 bits")
def _(folder):
    spec = images_spec(folder)
    cv2.imwrite(str(folder / "images" / "benign" / "0.png"), np.full((8, 8), 4000, "uint16"))
    return run(spec)


@case("a list of a split that is no text")
def _(folder):
    (folder / "train.txt").write_bytes(b"benign/0.png\n\xff\xfe\n")
    return run(images_spec(folder, splits={"files": {"train": "train.txt"}}))


@case("an id in a list of a split that no sample has")
def _(folder):
    (folder / "train.txt").write_text("benign/99.png\n")
    return run(images_spec(folder, splits={"files": {"train": "train.txt"}}))


@case("no sample in the training part")
def _(folder):
    ids = [f"{name}/{number}.png" for name in ("benign", "malignant") for number in range(10)]
    (folder / "test.txt").write_text("\n".join(ids))
    return run(images_spec(folder, splits={"files": {"test": "test.txt"}}))


# ----------------------------------------------------------------- boxes


def boxes_spec(folder, name, text, **sections):
    """Three pictures, and annotations in a file of their own."""
    (folder / "images").mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / "images" / f"{number}.png"), np.full((8, 8), 40 * number, "uint8"))
    (folder / name).write_text(text)
    source = {"kind": "detection", "path": "images", "annotations": name}
    return write_spec(folder, source, [8, 8, 1], **sections)


BOXES = "image,class,xmin,ymin,xmax,ymax\n0.png,mass,1,1,4,4\n1.png,mass,2,2,6,6\n"


@case("a box of an image that is not there")
def _(folder):
    return run(boxes_spec(folder, "boxes.csv", BOXES + "9.png,mass,1,1,4,4\n"))


@case("a corner that is not a number")
def _(folder):
    return run(boxes_spec(folder, "boxes.csv", BOXES + "2.png,mass,left,1,4,4\n"))


@case("a box of a class that the spec does not name")
def _(folder):
    return run(boxes_spec(folder, "boxes.csv", BOXES, classes=["cyst"]))


@case("classes of whole images where boxes are meant")
def _(folder):
    return run(boxes_spec(folder, "boxes.csv", "image,class,xmin,ymin,xmax,ymax\n0.png,mass,,,,\n1.png,cyst,,,,\n"))


@case("a COCO file with dangling ids")
def _(folder):
    coco = {
        "images": [{"id": 1, "file_name": "0.png", "width": 8, "height": 8}],
        "categories": [{"id": 1, "name": "mass"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 3]},
            {"id": 2, "image_id": 7, "category_id": 1, "bbox": [1, 1, 3, 3]},
        ],
    }
    return run(boxes_spec(folder, "boxes.json", json.dumps(coco)))


@case("an XML with entities, which are never expanded")
def _(folder):
    inside = "<filename>0.png</filename><object><name>&b;</name></object>"
    bomb = f'<!DOCTYPE a [<!ENTITY b "mass">]><annotation>{inside}</annotation>'
    return run(boxes_spec(folder, "0.xml", bomb))


@case("a link that leads out of the folder")
def _(folder):
    spec = images_spec(folder)
    cv2.imwrite(str(folder / "elsewhere.png"), np.zeros((8, 8), "uint8"))
    (folder / "images" / "benign" / "linked.png").symlink_to(folder / "elsewhere.png")
    return run(spec)


@case("a spec that is a pipe")
def _(folder):
    os.mkfifo(folder / "spec.yaml")
    return run(folder / "spec.yaml")


@case("a folder where a spec is meant")
def _(folder):
    return ["audit", folder]


@case("a folder to describe that holds nothing known")
def _(folder):
    (folder / "papers").mkdir()
    (folder / "papers" / "a.pdf").write_text("%PDF")
    return ["init", folder / "papers", "--output", folder / "spec.yaml"]


# ---------------------------------------------------------------- output


def output_with(folder, name, content):
    (folder / "out").mkdir()
    (folder / "out" / name).write_text(content)
    return run(simulation_spec(folder))


def mark(folder, **changes):
    spec = DataSpec.from_yaml(simulation_spec(folder)).to_dict()
    return json.dumps({"spec": {**spec, **changes}, "data_sha256": "0" * 64})


@case("an output that is a file")
def _(folder):
    (folder / "out").write_text("my notes")
    return run(simulation_spec(folder))


@case("an output folder with the run of another spec")
def _(folder):
    training = DataSpec.from_yaml(simulation_spec(folder)).training.model_dump(mode="json") | {"epochs": 7}
    return output_with(folder, "run.json", mark(folder, training=training))


case("an output folder that holds something else")(lambda folder: output_with(folder, "thesis.txt", "by hand"))
case("an output folder with the run of other data")(lambda folder: output_with(folder, "run.json", mark(folder)))
case("an output folder with a damaged mark of its run")(lambda folder: output_with(folder, "run.json", '{"spec":'))


case("a model's folder that holds the user's own files")(
    lambda folder: ["train", simulation_spec(folder), "--output", folder]
)


@case("a model's folder that is a file")
def _(folder):
    (folder / "notes.txt").write_text("by hand")
    return ["train", simulation_spec(folder), "--output", folder / "notes.txt" / "model"]


def score_into(folder, *parts):
    return ["score", folder / "export", folder / "a.npy", "--output", folder.joinpath(*parts)]


case("predictions with an unknown ending")(lambda folder: score_into(folder, "table.xlsx"))
case("predictions into a folder that is not there")(lambda folder: score_into(folder, "none", "table.csv"))


@case("simulated tracks that would replace others")
def _(folder):
    (folder / "random_walk_X.csv").write_text("measured\n")
    return ["simulate", "random_walk", "--output", folder]


# ---------------------------------------------------------------- models, exports, usage


@case("a folder that holds no trained model")
def _(folder):
    (folder / "model").mkdir()
    return ["evaluate", folder / "model", simulation_spec(folder)]


@case("a model file that is damaged")
def _(folder):
    spec = simulation_spec(folder)
    (folder / "model").mkdir()
    for name, content in {"model.keras": "PK", "model_card.json": "{}", "history.csv": "epoch\n1\n"}.items():
        (folder / "model" / name).write_text(content)
    (folder / "model" / "spec.yaml").write_text(spec.read_text())
    return ["evaluate", folder / "model", spec]


@case("a folder that holds no export")
def _(folder):
    (folder / "export").mkdir()
    return ["score", folder / "export", folder / "a.npy", "--output", folder / "out.csv"]


def evaluate_with(folder, classes=("random_walk", "levy_flight", "fractional_brownian"), **sections):
    """A model of a spec that differs from the one it is evaluated with in ``sections``."""
    spec = DataSpec.from_yaml(simulation_spec(folder))
    own = DataSpec.from_dict({**spec.to_dict(), **sections})
    network = build_classifier(own.input.shape, len(classes), filters=(2,), dense=(4,))
    card = {"kind": "classifier", "classes": list(classes)}
    save_model(TrainedModel(network, own, card, pd.DataFrame({"epoch": [1]})), folder / "model")
    return ["evaluate", folder / "model", folder / "spec.yaml"]


case("a model of other classes")(lambda folder: evaluate_with(folder, classes=["benign", "malignant"]))
case("a model of another input")(
    lambda folder: evaluate_with(folder, input={"shape": [16, 16, 16, 1], "spacing": [1, 8, 8]})
)
case("a model of another rendering")(lambda folder: evaluate_with(folder, rendering={"marker": "disk"}))
case("an export that is not there")(lambda folder: ["verify", folder / "export"])


def score_with(folder, given, *options, output="found.csv"):
    save_model(tiny_classifier(), folder / "model")
    return ["score", folder / "model", given, "--output", folder / output, *options]


def write_listing(folder, header):
    (folder / "listing.csv").write_text(f"{header}\na.png,3\n")
    return folder / "listing.csv"


@case("a folder to score that holds no sample")
def _(folder):
    (folder / "scans").mkdir()
    (folder / "scans" / "notes.txt").write_text("by hand")
    return score_with(folder, folder / "scans")


case("a pattern that matches nothing")(lambda folder: score_with(folder, folder / "*.png"))
case("a table of paths without a column path")(lambda folder: score_with(folder, write_listing(folder, "file,age")))
case("a column that the result has itself")(lambda folder: score_with(folder, write_listing(folder, "path,status")))
case("a signature that the model does not have")(
    lambda folder: score_with(folder, folder / "a.png", "--signature", "classify")
)
case("COCO results of a model that finds no boxes")(
    lambda folder: score_with(folder, folder / "a.png", output="found.json")
)
case("a batch size of 0")(lambda folder: score_with(folder, folder / "a.png", "--batch-size", 0))
case("an unknown verb")(lambda folder: ["trian", folder / "spec.yaml"])
case("an unknown option")(lambda folder: [*run(simulation_spec(folder)), "--epochs", "3"])
case("a missing argument")(lambda folder: ["run"])
case("a kind of model that there is not")(lambda folder: ["train", simulation_spec(folder), "--model", "detektor"])


# ---------------------------------------------------------------- tests


def contents(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}  # no pipes


def test_the_table_and_the_cases_are_the_same():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    heads = PAGE.read_text().count("\n| input |") + PAGE.read_text().count("\n| a file among others |")
    assert len(rows) == len(TABLE) + len(OUTCOMES) + 2 * heads
    assert set(TABLE) == set(CASES)


@pytest.mark.parametrize("name", list(TABLE))
def test_bad_input(name, tmp_path, monkeypatch):
    monkeypatch.delenv("TUMORKERAS_NOWHERE", raising=False)
    message, status = TABLE[name]
    arguments = CASES[name](tmp_path)
    before = contents(tmp_path)
    outcome = run_command(*arguments)
    assert message in outcome.err
    assert (outcome.status, outcome.out) == (status, "")
    assert "Traceback" not in outcome.err
    if status == 1:
        assert outcome.err.count("tumorkeras: ") == 1
    assert contents(tmp_path) == before


def save_pickled(path):
    np.save(path, np.array([{}, None]), allow_pickle=True)


PNG = cv2.imencode(".png", np.random.default_rng(0).integers(0, 255, (20, 20), dtype="uint8"))[1].tobytes()
BROKEN = {
    "a file that is not there, or no longer": ("none.png", lambda path: None),
    "a link that leads nowhere": ("link.png", lambda path: path.symlink_to("none.png")),
    "links that lead to each other": ("loop.png", lambda path: path.symlink_to("loop.png")),
    "an empty file": ("empty.png", lambda path: path.touch()),
    "a PNG that is cut short": ("cut.png", lambda path: path.write_bytes(PNG[:-40])),
    "text with the ending of an image": ("text.png", lambda path: path.write_text("no image")),
    "a pipe": ("pipe.png", os.mkfifo),
    "a folder with the ending of an image": ("folder.png", lambda path: path.mkdir()),
    "a name of 300 letters": ("x" * 296 + ".png", lambda path: None),
    "an image of 30,000 x 30,000": ("vast.png", lambda path: path.write_bytes(flat_png(30_000, 30_000))),
    "an image with values that are no numbers": (
        "nan.tif",
        lambda path: cv2.imwrite(str(path), np.full((3, 3), np.nan, "float32")),
    ),
    "an image of 16 bits, where the model learnt from 8": (
        "deep.png",
        lambda path: cv2.imwrite(str(path), np.full((20, 20), 999, "uint16")),
    ),
    "an array of another shape": ("other.npy", lambda path: np.save(path, np.zeros((2, 5, 5, 2)))),
    "an array of pickled objects": ("pickled.npy", save_pickled),
    "an archive without images": ("labels.npz", lambda path: np.savez(path, labels=np.arange(3))),
}


def test_what_does_not_end_a_job_is_a_row(tmp_path):
    for name, make in BROKEN.values():
        make(tmp_path / name)
    (tmp_path / "good.png").write_bytes(PNG)
    paths = [tmp_path / name for name, _ in BROKEN.values()]
    table = tmp_path / "found.csv"
    save_model(tiny_classifier(), tmp_path / "model")
    outcome = run_command("score", tmp_path / "model", *paths, tmp_path / "good.png", "--output", table)
    assert outcome.status == 0, outcome.err
    found = pd.read_csv(table)
    assert found["path"].tolist() == [*map(str, paths), str(tmp_path / "good.png")]
    assert found["status"].tolist() == ["error"] * len(paths) + ["ok"]
    for name, error in zip(BROKEN, found["error"], strict=False):
        assert OUTCOMES[name] in error
    assert set(OUTCOMES) == set(BROKEN)


def test_the_pickled_payload_would_have_done_it(tmp_path):
    """What the refusal of pickled objects is worth: the same bytes, unpickled, make the folder."""
    pickle.loads(pickle.dumps(Payload(tmp_path / "made")))
    assert (tmp_path / "made").is_dir()


@pytest.mark.parametrize("name", ["ragged rows", "an unknown verb"])
def test_a_shell_sees_the_same(name, tmp_path):
    message, status = TABLE[name]
    arguments = [str(argument) for argument in CASES[name](tmp_path)]
    script = Path(sys.executable).with_name("tumorkeras")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "tumorkeras"]
    before = contents(tmp_path)
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False
    )
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr
    said = [line for line in done.stderr.splitlines() if line != "data ..."]
    assert len(said) == (1 if status == 1 else 4)
    assert contents(tmp_path) == before
