"""What a spec may say, and what reading and saving keep."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest
import yaml
from read_html import card

from tumorkeras.errors import SpecError
from tumorkeras.spec import DataPath, DataSpec, SimulationSource
from tumorkeras.spec_sections import Training

SIMULATION = {
    "name": "motion",
    "source": {"kind": "simulation", "frames": 8},
    "input": {"shape": [8, 16, 16, 1]},
}
PAIRS = {"a": {"x": "a_X.csv", "y": "a_Y.csv"}, "b": {"x": "b_X.csv", "y": "b_Y.csv"}}
TRACKS = {"kind": "tracks", "pairs": PAIRS}
NPZ = {"kind": "npz", "path": "volumes.npz"}
FOLDER = {"kind": "image_folder", "path": "images"}


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


# ------------------------------------------------------------------------------------ what is accepted


def test_defaults_are_filled_in():
    spec = DataSpec.from_dict(SIMULATION)
    assert spec.training == Training()
    assert spec.splits.fractions.train == 0.7
    assert isinstance(spec.source, SimulationSource)
    assert spec.source.motions == ["random_walk", "levy_flight", "fractional_brownian"]


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({"training__learning_rate": "1e-3"}, lambda spec: spec.training.learning_rate == 0.001),
        ({"training__epochs": 3.0}, lambda spec: spec.training.epochs == 3),
        ({"training__augment": []}, lambda spec: spec.training.augment == []),
        ({"autoencoder__bottleneck": None}, lambda spec: spec.autoencoder.bottleneck is None),
        (
            {"classes": ["levy_flight", "random_walk", "fractional_brownian"]},
            lambda spec: spec.classes[0] == "levy_flight",
        ),
        ({"source": NPZ, "splits": {"given": {"train": "train"}}}, lambda spec: spec.splits.group is None),
        ({"source": FOLDER, "input": {"shape": [64, 48, 3]}}, lambda spec: spec.input.shape[1] == 48),
        ({"source": TRACKS}, lambda spec: spec.source.frames is None),
        ({"tasks": ["autoencode"], "source__motions": ["random_walk"]}, lambda spec: spec.classes is None),
    ],
)
def test_right_specs_are_read(changes, read):
    assert read(DataSpec.from_dict(changed(**changes)))


def test_numbers_without_a_point_are_read_as_yaml_writes_them(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(DataSpec.from_dict(SIMULATION).to_yaml() + "\n")
    path.write_text(path.read_text().replace("learning_rate: 0.001", "learning_rate: 1e-3"))
    assert yaml.safe_load(path.read_text())["training"]["learning_rate"] == "1e-3"  # text, in YAML 1.1
    assert DataSpec.from_yaml(path).training.learning_rate == 0.001


def test_values_are_fixed():
    spec = DataSpec.from_dict(SIMULATION)
    with pytest.raises(ValueError, match="frozen"):
        spec.training.epochs = 3


# ----------------------------------------------------------------------------------------- round trips


SPECS = {
    "simulation": SIMULATION,
    "tracks": {**SIMULATION, "source": {**TRACKS, "groups": {"path": "groups.csv"}}},
    "npz": {
        **SIMULATION,
        "source": {**NPZ, "table": "table.csv"},
        "preprocessing": [{"step": "rescale", "scale": 0.1}, {"step": "lee_filter"}, {"step": "standardize"}],
        "clinical": {"path": "cohort.csv", "id_column": "pid"},
        "also": ["beside/phantoms.yaml", "others.yaml"],
        "description": "Größe: 3 µm",
    },
    "phantoms": {
        "name": "scans",
        "source": {"kind": "phantoms", "lesions": ["malignant"], "most": 2, "calipers": True},
        "input": {"shape": [64, 48, 3]},
    },
    "images": {
        **SIMULATION,
        "source": FOLDER,
        "input": {"shape": [64, 64, 3]},
        "splits": {"files": {"train": "train.txt"}},
    },
}


@pytest.fixture(params=SPECS)
def values(request) -> dict[str, Any]:
    return SPECS[request.param]


@pytest.mark.parametrize("form", ["to_yaml", "to_json"])
def test_text_is_read_back(tmp_path, values, form):
    spec = DataSpec.from_dict(values, folder=tmp_path)
    path = tmp_path / "spec.yaml"
    path.write_text(getattr(spec, form)(), encoding="utf-8")
    assert DataSpec.from_yaml(path) == spec


def test_specs_are_equal_by_content_wherever_they_were_read():
    here, there = DataSpec.from_dict(SIMULATION), DataSpec.from_dict(SIMULATION, folder="elsewhere")
    assert here == there
    assert here != DataSpec.from_dict(changed(training__epochs=3))
    assert here != SIMULATION


def test_plain_values_are_read_back(values):
    spec = DataSpec.from_dict(values)
    assert DataSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert json.loads(spec.to_json()) == spec.to_dict()


def test_a_changed_spec_keeps_what_is_not_named(tmp_path):
    spec = DataSpec.from_dict(changed(training__epochs=3, training__augment=["flip", "rotate"]), folder=tmp_path)
    other = spec.changed(name="other", training={"seed": 7, "augment": ["flip"]}, classifier={"filters": [4]})
    values = spec.to_dict()
    values["name"] = "other"
    values["training"] |= {"seed": 7, "augment": ["flip"]}
    values["classifier"] |= {"filters": [4]}
    assert other.to_dict() == values
    assert other.folder == tmp_path
    assert spec == DataSpec.from_dict(changed(training__epochs=3, training__augment=["flip", "rotate"]))


def test_a_section_takes_the_place_of_none():
    anchors = {"strides": (4, 8), "sizes": ((10.0,), (20.0,)), "ratios": (1.0,)}
    given = DataSpec.from_dict(SIMULATION).changed(detector={"anchors": anchors}).detector.anchors
    assert given.sizes == [[10.0], [20.0]]


def test_every_wrong_change_is_named():
    with pytest.raises(SpecError) as error:
        DataSpec.from_dict(SIMULATION).changed(training={"epochs": 0, "speed": 1}, colour="red")
    assert [line.split(":")[0] for line in error.value.faults] == ["training.epochs", "training.speed", "colour"]


def test_saving_where_it_lies_keeps_every_path(tmp_path, values):
    spec = DataSpec.from_dict(values, folder=tmp_path)
    assert DataSpec.from_yaml(spec.save(tmp_path / "copy.yaml")) == spec


def test_saving_elsewhere_keeps_the_files_that_paths_mean(tmp_path, values):
    spec = DataSpec.from_dict(values, folder=tmp_path / "data")
    copy = DataSpec.from_yaml(spec.save(tmp_path / "models" / "motion" / "spec.yaml"))
    meant = {field: spec.resolve(path) for field, path in spec.paths().items()}
    assert {field: copy.resolve(path).resolve() for field, path in copy.paths().items()} == meant
    assert all(path.startswith("../../data/") for path in copy.paths().values())


def test_saving_through_a_linked_folder_keeps_the_files(tmp_path):
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "linked").symlink_to(tmp_path / "far" / "away")
    (tmp_path / "volumes.npz").touch()
    spec = DataSpec.from_dict({**SIMULATION, "source": NPZ}, folder=tmp_path)
    copy = DataSpec.from_yaml(spec.save(tmp_path / "linked" / "spec.yaml"))
    assert copy.resolve(copy.source.path).samefile(tmp_path / "volumes.npz")


@pytest.mark.parametrize("path", ["/data/volumes.npz", "${DATA}/volumes.npz", "$DATA/volumes.npz", "~/volumes.npz"])
def test_saving_elsewhere_leaves_absolute_paths(tmp_path, path):
    spec = DataSpec.from_dict({**SIMULATION, "source": {"kind": "npz", "path": path}}, folder=tmp_path)
    assert DataSpec.from_yaml(spec.save(tmp_path / "models" / "spec.yaml")).source.path == path


# ----------------------------------------------------------------------------------------------- paths


def npz_spec(path: str, table: str | None = None, folder: str = "data") -> DataSpec:
    source = {"kind": "npz", "path": path, "table": table}
    return DataSpec.from_dict({**SIMULATION, "source": source}, folder=folder)


def test_paths_start_at_the_folder_of_the_spec(tmp_path):
    spec = npz_spec("volumes.npz", folder=str(tmp_path))
    assert spec.folder == tmp_path
    assert spec.resolve(spec.source.path) == tmp_path / "volumes.npz"


def test_variables_are_filled_in(monkeypatch, tmp_path):
    monkeypatch.setenv("SOME_DATA", str(tmp_path))
    for path in ("${SOME_DATA}/volumes.npz", "$SOME_DATA/volumes.npz"):
        assert npz_spec(path).resolve(path) == tmp_path / "volumes.npz"


def test_a_home_folder_is_filled_in(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert npz_spec("~/volumes.npz").resolve("~/volumes.npz") == tmp_path / "volumes.npz"


def test_a_dollar_may_stand_in_a_file_name():
    assert npz_spec("cost$.npz").resolve("cost$.npz").name == "cost$.npz"


def test_every_unset_variable_is_named_with_its_field(monkeypatch):
    monkeypatch.delenv("SOME_DATA", raising=False)
    spec = npz_spec("${SOME_DATA}/volumes.npz", "$SOME_DATA/table.csv")
    with pytest.raises(SpecError) as caught:
        spec.resolve(spec.source.path)
    assert caught.value.heading == "spec motion"
    assert caught.value.faults == [
        "source.path: ${SOME_DATA}/volumes.npz needs the environment variable SOME_DATA, which is not set",
        "source.table: $SOME_DATA/table.csv needs the environment variable SOME_DATA, which is not set",
    ]


def test_paths_are_listed_by_field():
    assert DataSpec.from_dict(SPECS["tracks"]).paths() == {
        "source.pairs.a.x": "a_X.csv",
        "source.pairs.a.y": "a_Y.csv",
        "source.pairs.b.x": "b_X.csv",
        "source.pairs.b.y": "b_Y.csv",
        "source.groups.path": "groups.csv",
    }


# ----------------------------------------------------------------------------------------- JSON Schema


def test_the_schema_describes_every_field():
    schema = DataSpec.json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["name", "source", "input"]
    for section in [schema, *schema["$defs"].values()]:
        assert section["additionalProperties"] is False
        assert section["description"]
        for name, field in section["properties"].items():
            if "$ref" in field:  # pydantic leaves out what would only repeat the section's own description
                field = {**schema["$defs"][field["$ref"].rpartition("/")[2]], **field}
            assert field.get("description"), f"{section['title']}.{name}"


def test_limits_and_choices_reach_the_schema():
    sections = DataSpec.json_schema()["$defs"]
    assert sections["Training"]["properties"]["epochs"]["exclusiveMinimum"] == 0
    assert sections["SimulationSource"]["properties"]["hurst"]["exclusiveMaximum"] == 1
    assert sections["Rendering"]["properties"]["marker"]["enum"] == ["gaussian", "disk"]


def test_the_schema_is_json_and_the_default_spec_fits_it(checkout):
    schema = json.loads(json.dumps(DataSpec.json_schema()))
    values = DataSpec.from_yaml(checkout / "data_spec.yaml").to_dict()
    jsonschema.Draft202012Validator(schema).validate(values)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({**values, "zoom": 1})


def test_a_data_path_is_a_string_that_is_kept_apart():
    path = DataSpec.from_dict({**SIMULATION, "source": NPZ}).source.path
    assert isinstance(path, DataPath)
    assert path == "volumes.npz"


def test_tasks_are_those_that_the_source_has_answers_for():
    boxes = {"path": "images", "annotations": "boxes.csv"}
    image = {"name": "lesions", "input": {"shape": [64, 64, 1]}}
    assert DataSpec.from_dict({**image, "source": {"kind": "detection", **boxes}}).tasks == ["detect"]
    assert DataSpec.from_dict({**image, "source": {"kind": "regions", **boxes}}).tasks == ["autoencode", "classify"]
    assert DataSpec.from_dict({**image, "source": {"kind": "phantoms"}}).tasks == ["detect"]
    assert DataSpec.from_dict({**image, "source": FOLDER}).tasks == ["autoencode", "classify"]
    assert DataSpec.from_dict({**image, "source": {**FOLDER, "levels": "none"}}).tasks == ["autoencode"]
    table = {"path": "images.csv", "class_column": "class"}
    classed = DataSpec.from_dict({**image, "source": {**FOLDER, "levels": "none", "table": table}})
    assert classed.tasks == ["autoencode", "classify"]


@pytest.mark.parametrize("shape", [[64, 64, 1], [16, 32, 32, 1]])
def test_a_folder_holds_images_or_volumes(shape):
    assert DataSpec.from_dict({"name": "scans", "source": FOLDER, "input": {"shape": shape}}).input.shape == shape


def test_a_spec_shows_itself():
    spec = DataSpec.from_dict(changed(description="<b-class>", classes=["random_walk", "levy_flight"]) | {
        "source": {"kind": "simulation", "frames": 8, "motions": ["random_walk", "levy_flight"]},
        "splits": {"fractions": {"train": 0.8, "val": 0.2, "test": 0}},
    })  # fmt: skip
    assert repr(spec) == str(spec) == "<DataSpec motion: simulation, input 8 x 16 x 16 x 1, to autoencode and classify>"
    reader = card(spec)
    for words in (
        "Data spec motion <b-class> tasks autoencode, classify",
        "classes random_walk, levy_flight source kind simulation; motions random_walk, levy_flight; frames 8",
        "parts train 80 %, val 20 %, test 0 %",
    ):
        assert words in reader.cells, words
    assert spec.to_yaml() in reader.text


def test_paths_and_groups_of_a_spec_are_shown_as_they_are_written(monkeypatch):
    monkeypatch.setenv("SECRET", "/home/jane")
    table = {"path": "${SECRET}/a.csv"}
    values = changed() | {"source": {**FOLDER, "table": table}, "splits": {"group": "patient"}}
    shown = card(DataSpec.from_dict({**values, "input": {"shape": [8, 8, 1], "spacing": [0.5, 0.5]}}))
    assert "path images; table (path ${SECRET}/a.csv)" in shown.cells
    assert "patient kept together" in shown.cells
    assert "input 8 x 8 x 1, 0.5 x 0.5 pixels apart" in shown.cells
    assert "/home/jane" not in shown.text
