"""What is said of a wrong spec: every fault in a line that names its field and what it should be."""

from __future__ import annotations

import copy
import re
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tumorkeras.errors import SpecError
from tumorkeras.spec import DataSpec
from tumorkeras.spec_types import ClassMethod

SIMULATION = {
    "name": "motion",
    "source": {"kind": "simulation", "frames": 8},
    "input": {"shape": [8, 16, 16, 1]},
}
PAIRS = {"a": {"x": "a_X.csv", "y": "a_Y.csv"}, "b": {"x": "b_X.csv", "y": "b_Y.csv"}}
TRACKS = {"kind": "tracks", "pairs": PAIRS}
NPZ = {"kind": "npz", "path": "volumes.npz"}
FOLDER = {"kind": "image_folder", "path": "images"}
DETECTION = {"kind": "detection", "path": "images", "annotations": "boxes.csv"}
PHANTOMS = {"kind": "phantoms"}


def changed(**changes: Any) -> dict[str, Any]:
    """The simulation spec with values put in; ``training__epochs`` is ``training.epochs``."""
    values = copy.deepcopy(SIMULATION)
    for field, value in changes.items():
        *sections, last = field.split("__")
        inner = values
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
    return values


def faults_of(values: Any) -> list[str]:
    with pytest.raises(SpecError) as caught:
        DataSpec.from_dict(values)
    return caught.value.faults


MOTIONS = "random_walk, levy_flight, fractional_brownian"
ACTIVATIONS = "relu, elu, tanh, sigmoid, linear, gelu, silu, leaky_relu, maxout"
KINDS = "detection, image_folder, npz, phantoms, regions, simulation, tracks"
TRAINING_FIELDS = "epochs, batch_size, learning_rate, patience, augment, class_weights, weight_decay, seed, strategy"
CLASS_METHODS = ", ".join(get_args(ClassMethod))
SPEC_FIELDS = (
    "name, description, tasks, source, input, classes, splits, rendering, preprocessing, autoencoder, "
    "classifier, detector, training, comparison, clinical, also"
)

WRONG = [
    # numbers
    ({"training__epochs": -3}, "training.epochs: -3 is not a positive integer"),
    ({"training__epochs": 0}, "training.epochs: 0 is not a positive integer"),
    ({"training__epochs": 3.5}, "training.epochs: 3.5 is not a positive integer"),
    ({"training__epochs": True}, "training.epochs: true is not a positive integer"),
    ({"training__epochs": "many"}, 'training.epochs: "many" is not a positive integer'),
    ({"training__epochs": [3]}, "training.epochs: [3] is not a positive integer"),
    (
        {"training__epochs": None},
        "training.epochs: null is not a positive integer; leave the field out for its default",
    ),
    ({"training__learning_rate": True}, "training.learning_rate: true is not a positive number"),
    ({"training__learning_rate": float("nan")}, "training.learning_rate: nan is not a positive number"),
    ({"training__learning_rate": float("inf")}, "training.learning_rate: inf is not a positive number"),
    ({"training__seed": -1}, "training.seed: -1 is not an integer of at least 0 and at most 4294967295"),
    ({"splits__folds": 1}, "splits.folds: 1 is not an integer of at least 2"),
    ({"source__hurst": 1}, "source.hurst: 1 is not a number above 0 and below 1"),
    ({"source__alpha": 1}, "source.alpha: 1 is not a number above 1 and at most 2"),
    ({"classifier__dropout": 1.0}, "classifier.dropout: 1.0 is not a number of at least 0 and below 1"),
    ({"autoencoder__noise": -0.1}, "autoencoder.noise: -0.1 is not a number of at least 0"),
    ({"autoencoder__bottleneck": 0}, "autoencoder.bottleneck: 0 is not a positive integer (or null)"),
    (
        {"preprocessing": [{"step": "rescale", "scale": float("inf")}]},
        "preprocessing[0].scale: inf is not a finite number",
    ),
    # lists
    ({"input__shape": [8, 0, 16, 1]}, "input.shape[1]: 0 is not a positive integer"),
    (
        {"input__shape": [16, 16]},
        "input.shape: [16, 16] is not a list of 3 to 4 items, each a positive integer",
    ),
    ({"input__shape": 48}, "input.shape: 48 is not a list of 3 to 4 items, each a positive integer"),
    (
        {"source__motions": []},
        f"source.motions: [] is not a list of at least 1, each one of {MOTIONS}",
    ),
    ({"comparison__methods": ["ann", "ann"]}, "comparison.methods: ann stands more than once"),
    (
        {"comparison__methods": ["ann", "rcnn"]},
        f"comparison.methods: rcnn is of boxes; of classes there are {CLASS_METHODS}",
    ),
    (
        {"comparison__features": ["clinical"]},
        "comparison.features: clinical needs the section clinical, which names the table",
    ),
    ({"classes": ["a", "b", "a"]}, "classes: a stands more than once"),
    # choices
    (
        {"source__motions": ["levi_flight"]},
        f'source.motions[0]: "levi_flight" is not one of {MOTIONS}; did you mean levy_flight?',
    ),
    (
        {"classifier__activation": "rleu"},
        f'classifier.activation: "rleu" is not one of {ACTIVATIONS}; did you mean relu?',
    ),
    ({"rendering__marker": "star"}, 'rendering.marker: "star" is not one of gaussian, disk'),
    ({"tasks": ["locate"]}, 'tasks[0]: "locate" is not one of autoencode, classify, detect'),
    ({"autoencoder__tied": "maybe"}, 'autoencoder.tied: "maybe" is not true or false'),
    # text
    (
        {"name": "my data"},
        "name: \"my data\" is not a name of letters, digits, '_', '-' and '.'",
    ),
    (
        {"name": 2024},
        "name: 2024 is not a name of letters, digits, '_', '-' and '.'; put it in quotes",
    ),
    ({"name": "../up"}, "name: \"../up\" is not a name of letters, digits, '_', '-' and '.'"),
    (
        {"name": "x " * 50},
        f"name: \"{'x ' * 28}x...\" is not a name of letters, digits, '_', '-' and '.'",
    ),
    ({"classes": [False, "yes"]}, "classes[0]: false is not text; put it in quotes"),
    ({"input__units": None}, "input.units: null is not text; leave the field out for its default"),
    ({"source": {"kind": "npz", "path": ""}}, 'source.path: "" is not a path'),
    # fields
    (
        {"training__strategy": "multi_worker_mirrored"},
        "training.strategy: multi_worker_mirrored is not there: on Keras 3 fit fails under MultiWorkerMirroredStrategy "
        "(keras-team/keras#20585); mirrored trains on all GPUs of one machine",
    ),
    (
        {"training__strategy": "mirored"},
        'training.strategy: "mirored" is not one of none, mirrored; did you mean mirrored?',
    ),
    (
        {"training__strategy": None},
        "training.strategy: null is not one of none, mirrored; did you mean none?",
    ),
    ({"training__strategy": 2}, "training.strategy: 2 is not one of none, mirrored"),
    ({"training__epoch": 3}, "training.epoch: unknown field; did you mean epochs?"),
    ({"training__zoom": 3}, f"training.zoom: unknown field; the fields here are {TRAINING_FIELDS}"),
    ({"trainning": {}}, "trainning: unknown field; did you mean training?"),
    ({"zoom": 1}, f"zoom: unknown field; the fields here are {SPEC_FIELDS}"),
    ({"source__frame": 3}, "source.frame: unknown field; did you mean frames?"),
    (
        {"preprocessing": [{"step": "standardize", "size": 3}]},
        "preprocessing[0].size: unknown field; the fields here are step",
    ),
    ({"clinical": {"path": "cohort.csv"}}, "clinical.id_column: missing; give text"),
    ({"also": "other.yaml"}, 'also: "other.yaml" is not a list of items, each a path'),
    ({"also": ["a.yaml", ""]}, 'also[1]: "" is not a path'),
    ({"also": ["a.yaml", "a.yaml"]}, "also: a.yaml stands more than once"),
    ({"source": {"kind": "npz"}}, "source.path: missing; give a path"),
    (
        {"source": {"kind": "tracks", "pairs": {"a": {"x": "a.csv"}}}},
        "source.pairs.a.y: missing; give a path",
    ),
    # sections
    ({"source": {}}, f"source.kind: missing; give one of {KINDS}"),
    (
        {"source": {"kind": "simulatoin"}},
        f'source.kind: "simulatoin" is not one of {KINDS}; did you mean simulation?',
    ),
    ({"source": {"kind": 3}}, f"source.kind: 3 is not one of {KINDS}"),
    ({"source": "images"}, f'source: "images" is not a section whose kind is one of {KINDS}'),
    ({"training": 3}, f"training: 3 is not a section with the fields {TRAINING_FIELDS}"),
    (
        {"training": None},
        f"training: null is not a section with the fields {TRAINING_FIELDS}; leave the field out for its default",
    ),
    ({"input": None}, "input: null is not a section with the fields shape, spacing, units"),
    (
        {"source": {"kind": "tracks", "pairs": ["a"]}},
        "source.pairs: ['a'] is not a section of names and values (or null)",
    ),
    (
        {"source": NPZ, "splits": {"given": {1: "train"}}},
        "splits.given: the key 1 is not text; put it in quotes",
    ),
    # rules over several fields
    (
        {"source": {"kind": "tracks"}},
        "source: give either pairs (X and Y matrices a class) or table (one long CSV)",
    ),
    (
        {"source": {"kind": "tracks", "pairs": PAIRS, "table": {"path": "a.csv"}}},
        "source: give either pairs (X and Y matrices a class) or table (one long CSV)",
    ),
    ({"source": {"kind": "tracks", "pairs": {}}}, "source: pairs names no class"),
    (
        {"input__spacing": [1, 1]},
        "input: spacing has 2 values, but shape has 3 axes beside channels",
    ),
    ({"splits__fractions": {"train": 0.5}}, "splits.fractions: train + val + test is 0.8, not 1"),
    (
        {"splits": {"files": {"train": "a.txt"}, "given": {"train": "train"}}},
        "splits: give files (lists of ids) or given (what the parts of the data become), not both",
    ),
    (
        {"preprocessing": [{"step": "standardize"}, {"step": "lee_filter", "size": 4}]},
        "preprocessing[1].size: 4 is not odd, so the window would have no middle",
    ),
    (
        {"input__shape": [16, 16, 1]},
        "input.shape: [16, 16, 1] is not 4 axes, as simulation gives: depth, height, width, channels",
    ),
    (
        {"source": DETECTION},
        "input.shape: [8, 16, 16, 1] is not 3 axes, as detection gives: height, width, channels",
    ),
    (
        {"source": DETECTION, "input__shape": [16, 16, 1], "tasks": ["autoencode", "classify"]},
        "tasks: detection has no class an image to classify; source.kind regions has one a box",
    ),
    (
        {"source": {**DETECTION, "tiles": {"overlap": 8}}, "input__shape": [16, 16, 1]},
        "source.tiles.size: missing; give a list of 2 to 2 items, each a positive integer",
    ),
    (
        {"source": {**DETECTION, "tiles": {"size": [64, 32], "overlap": -1}}, "input__shape": [16, 16, 1]},
        "source.tiles.overlap: -1 is not an integer of at least 0",
    ),
    (
        {"source": {**DETECTION, "tiles": {"size": [64, 32], "overlap": 32}}, "input__shape": [16, 16, 1]},
        "source.tiles: overlap: 32 is not below the shorter side of a tile, 32",
    ),
    (
        {"source": {**DETECTION, "tiles": {"size": [64, 64], "visible": 0}}, "input__shape": [16, 16, 1]},
        "source.tiles.visible: 0 is not a number above 0 and at most 1",
    ),
    (
        {"source": PHANTOMS},
        "input.shape: [8, 16, 16, 1] is not 3 axes, as phantoms gives: height, width, channels",
    ),
    (
        {"source": PHANTOMS, "input__shape": [31, 64, 1]},
        "input.shape: [31, 64, 1] is too small for lesions; height and width are 32 or more",
    ),
    (
        {"source": PHANTOMS, "input__shape": [64, 64, 2]},
        "input.shape[2]: 2 is not 1 (grey) or 3 (the same in red, green and blue)",
    ),
    (
        {"source": PHANTOMS, "input__shape": [64, 64, 1], "tasks": ["classify"]},
        "tasks: phantoms has no class an image to classify; source.kind regions has one a box",
    ),
    (
        {"source": PHANTOMS, "input__shape": [64, 64, 1], "classes": ["benign"]},
        "classes: benign are not the classes of the source: benign, malignant",
    ),
    (
        {"source": PHANTOMS, "input__shape": [64, 64, 1], "splits__group": "patient"},
        "splits.group: phantoms has no table with columns",
    ),
    (
        {"source": PHANTOMS, "input__shape": [64, 64, 1], "splits__given": {"train": "train"}},
        "splits.given: phantoms has no parts of its own",
    ),
    (
        {"splits__duplicates": "together"},
        "splits.duplicates: simulation has no images that could be alike; leave it apart",
    ),
    (
        {"source": {**FOLDER, "levels": "split/class", "table": {"path": "a.csv", "split_column": "part"}}},
        "source: levels is split/class and table.split_column is given; the parts come from one of them",
    ),
    ({"input__shape": [9, 16, 16, 1]}, "input.shape[0]: 9 is not source.frames, which is 8"),
    (
        {"source": {**TRACKS, "frames": 60}},
        "input.shape[0]: 8 is not source.frames, which is 60",
    ),
    ({"input__shape": [8, 16, 16, 3]}, "input.shape[3]: 3 is not 1, the channels of a rendered track"),
    (
        {"source": TRACKS, "classes": ["a", "c"]},
        "classes: a, c are not the classes of the source: a, b",
    ),
    (
        {"source__motions": ["random_walk"]},
        "tasks: classify needs at least 2 classes, found random_walk alone",
    ),
    ({"splits__given": {"train": "train"}}, "splits.given: simulation has no parts of its own"),
    (
        {"splits__group": "patient"},
        "splits.group: simulation has no table with columns; groups of tracks go into source.groups",
    ),
]


@pytest.mark.parametrize(("changes", "line"), WRONG, ids=[line[:60] for _, line in WRONG])
def test_wrong_specs_are_refused_in_one_line(changes, line):
    assert faults_of(changed(**changes)) == [line]


def test_missing_sections_are_named_with_what_they_hold():
    assert faults_of({}) == [
        "name: missing; give a name of letters, digits, '_', '-' and '.'",
        f"source: missing; give a section whose kind is one of {KINDS}",
        "input: missing; give a section with the fields shape, spacing, units",
    ]


def test_all_faults_are_told_at_once():
    values = changed(training__epochs=-3, training__epoch=2, source__frames=1, input__shape=[8, 16, 0, 1])
    assert faults_of(values) == [
        "source.frames: 1 is not an integer of at least 2",
        "input.shape[2]: 0 is not a positive integer",
        "training.epochs: -3 is not a positive integer",
        "training.epoch: unknown field; did you mean epochs?",
    ]


def test_sections_that_are_right_are_held_against_each_other_though_others_are_wrong():
    values = changed(training__epochs=-3, input__shape=[9, 16, 16, 1], splits__group="patient", zoom=1, name="my data")
    assert [fault.split(":")[0] for fault in faults_of(values)] == [
        "name",
        "training.epochs",
        "zoom",
        "input.shape[0]",
        "splits.group",
    ]


def test_a_section_that_is_wrong_is_held_against_no_other():
    values = changed(source__frames=1, input__shape=[16, 16, 1], splits__group="patient", classes=["alone"])
    assert faults_of(values) == ["source.frames: 1 is not an integer of at least 2"]


def test_all_rules_over_several_sections_are_told_at_once():
    values = changed(input__shape=[9, 16, 16, 2], splits__group="patient", splits__given={"a": "val"})
    assert [fault.split(":")[0] for fault in faults_of(values)] == [
        "input.shape[0]",
        "input.shape[3]",
        "splits.given",
        "splits.group",
    ]


def test_the_error_is_headed_by_the_name_of_the_spec():
    with pytest.raises(SpecError, match=r"^trial: training\.epochs: -3 is not a positive integer$"):
        DataSpec.from_dict(changed(training__epochs=-3), name="trial")


def test_something_else_than_a_mapping_is_refused():
    assert faults_of([1]) == [f"[1] is not a section with the fields {SPEC_FIELDS}"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


@given(field=st.sampled_from(sorted(DataSpec.model_fields)), value=json_values)
def test_whatever_stands_in_a_field_a_fault_is_a_line_that_names_it(field, value):
    try:
        DataSpec.from_dict({**SIMULATION, field: value})
    except SpecError as error:
        faults = error.faults
    else:
        return
    assert faults
    for fault in faults:
        assert re.match(rf"{field}\b|input\.shape|tasks", fault)
        assert "\n" not in fault
        assert not re.search("Value error|pydantic|Input should|function-", fault)
