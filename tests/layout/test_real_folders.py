"""The specs that are written for the real data."""

from __future__ import annotations

import pytest
import yaml
from made_folders import comments, off_blocks

from tumorkeras.data.catalog import catalog_of
from tumorkeras.errors import DataError
from tumorkeras.layout import init
from tumorkeras.spec import DataSpec


@pytest.fixture
def made(data_folder, tmp_path):
    def make(name):
        spec = init(data_folder / name, tmp_path / "spec.yaml")
        return spec, (tmp_path / "spec.yaml").read_text(encoding="utf-8")

    return make


def test_busi(made, data_folder):
    spec, text = made("busi")
    source = spec.source
    assert (source.kind, source.format, source.unlisted) == ("detection", "csv", "unlabelled")
    assert spec.resolve(source.path).samefile(data_folder / "busi" / "images")
    assert spec.resolve(source.annotations).samefile(data_folder / "busi" / "boxes.csv")
    assert spec.resolve(source.table.path).samefile(data_folder / "busi" / "images.csv")
    columns = (source.table.image_column, source.table.class_column, source.table.split_column)
    assert columns == ("image", "class", "split")
    assert spec.classes == ["benign", "malignant"]
    assert (spec.splits.given, spec.splits.group) == ({"train": "train", "val": "val"}, "dup_group")
    assert (spec.input.shape, spec.tasks) == ([256, 320, 1], ["detect"])
    said = comments(text)
    assert "665 masks" in said
    assert "114 images with a row but no box: images without objects (normal 114)" in said
    assert "lee_filter" in said
    catalog = catalog_of(spec)
    assert catalog.faults == ()
    assert catalog.table["split"].value_counts().to_dict() == {"train": 547, "val": 118}
    assert catalog.table["labelled"].all()


def test_bccd(made, data_folder):
    spec, text = made("bccd")
    assert (spec.source.kind, spec.source.format) == ("detection", "voc")
    assert spec.resolve(spec.source.path).samefile(data_folder / "bccd" / "JPEGImages")
    assert spec.classes == ["RBC", "WBC", "Platelets"]
    assert "In the order of how many boxes they have: RBC 3,350, WBC 301, Platelets 292 boxes" in comments(text)
    assert (spec.splits.given, spec.splits.fractions.test) == ({"train": "train", "val": "val"}, 0)
    assert spec.input.shape == [256, 320, 3]
    catalog = catalog_of(spec)
    assert catalog.table["split"].value_counts().to_dict() == {"train": 205, "val": 87}


def test_lidc_nodules(made, data_folder):
    spec, text = made("lidc_nodules")
    assert (spec.source.kind, spec.input.shape) == ("npz", [32, 32, 32, 1])
    assert spec.resolve(spec.source.table).samefile(data_folder / "lidc_nodules" / "nodules.csv")
    assert (spec.classes, spec.splits.group) == (["0", "1"], "exam_id")
    assert spec.splits.given == {"train": "train", "val": "val"}
    assert [step.step for step in spec.preprocessing] == ["rescale"]
    said = comments(text)
    assert "What they stand for is not in the file" in said
    assert "diameter_mm, n_voxels: sizes, which may be shortcuts" in said
    assert "malignancy: each value is of one class only" in said
    assert len(catalog_of(spec)) == 750


def test_motility(made):
    spec, text = made("motility")
    assert spec.source.kind == "tracks"
    assert spec.classes == list(spec.source.pairs) == ["musc", "myc_mef", "myoblast", "wt_mef"]
    assert (spec.source.frames, spec.source.groups) == (63, None)
    assert (spec.input.shape, spec.input.spacing) == ([63, 16, 16, 1], [1, 67, 67])
    said = comments(text)
    for line in ("musc: 1,407 cells, 63 frames", "myoblast: 334 cells, 77 frames", "wt_mef: 312 cells, 76 frames"):
        assert line in said
    assert "myc_mef: 250 cells, 76 frames" in said
    assert "the length of a track alone would give its class away" in said
    assert "mef_experiments.csv names the experiment of myc_mef, wt_mef only" in said
    assert "immune_tracks_long.csv is a data set of its own" in said
    assert len(catalog_of(spec)) == 2303


def test_the_blocks_of_motility_are_specs(made, tmp_path):
    _, text = made("motility")
    fibroblasts, immune = off_blocks(text)
    base = yaml.safe_load(text)
    spec = DataSpec.from_dict({**base, **fibroblasts}, folder=tmp_path)
    assert catalog_of(spec).table.groupby("class_name")["group"].nunique().to_dict() == {"myc_mef": 2, "wt_mef": 4}
    spec = DataSpec.from_dict({**base, **immune}, folder=tmp_path)
    assert spec.source.table.track_column == "track"
    assert catalog_of(spec).classes == ("BCells", "Neutrophils", "TCells")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("motility_features", r"a table of 79 features .*motility_features.csv --label class --group experiment"),
        ("cohort", r"a clinical table \(gbsg.csv.*id_column: pid"),
    ],
)
def test_tables_without_images_are_explained(made, name, words):
    with pytest.raises(DataError, match=words):
        made(name)


def test_the_folder_of_all_is_several_data_sets(made):
    with pytest.raises(DataError, match="holds several data sets") as caught:
        made("")
    lines = {fault.partition(":")[0] for fault in caught.value.faults}
    assert lines == {"busi", "bccd", "lidc_nodules", "motility", "motility_features", "cohort"}
