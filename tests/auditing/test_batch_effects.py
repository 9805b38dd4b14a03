"""Random folds against groups that were held out: on real experiments, and on effects that were planted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from auditing.samples import spec_of

from tumorkeras.auditing import batch_effects
from tumorkeras.auditing.batch_effects import (
    batch_effect_findings,
    catalog_batch_effects,
    catalog_features,
    measure_batch_effect,
    numeric_features,
)
from tumorkeras.auditing.facts import Facts
from tumorkeras.data.catalog import Catalog
from tumorkeras.data.readers import Reading
from tumorkeras.metrics import Interval

GROUPS = np.repeat(list("ABCDEF"), 20)
LABELS = np.where(GROUPS < "D", "wild", "mutant")  # each experiment holds one class


@pytest.fixture(autouse=True, scope="module")
def fewer_shuffles():
    """What is planted is found with a dozen as well, in half of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_effects, "SHUFFLES", 12)
        yield


def cells(seed, shift=1.0, offset=0.0):
    """Features of 120 cells: one tells the class by `shift`, three differ between experiments by about `offset`."""
    generator = np.random.default_rng(seed)
    table = pd.DataFrame(generator.normal(size=(120, 6))).add_prefix("feature_")
    table["feature_0"] += shift * (LABELS == "mutant")
    of_group = dict(zip("ABCDEF", generator.normal(size=(6, 3)) * offset, strict=True))
    table.iloc[:, 1:4] += np.stack([of_group[group] for group in GROUPS])
    return table


def by_code(findings):
    return {finding.code: finding for finding in findings}


def test_wild_type_against_mycras_has_no_batch_effect(data_folder):
    """Twelve pairs of experiments; pooling folds of one class would give 0.54."""
    table = pd.read_csv(data_folder / "motility_features" / "motility_features.csv")
    features = numeric_features(table)
    assert features.shape == (620, 79)
    found = by_code(batch_effect_findings(features, table["class"], table["experiment"], group_name="experiment"))
    note = found["no_batch_effect"]
    assert note.severity == "note"
    figures = note.figures
    assert figures["folds"] == 12
    assert figures["held_out_mean"] == pytest.approx(0.747, abs=0.001)
    assert (figures["held_out_least"], figures["held_out_largest"]) == pytest.approx((0.694, 0.804), abs=0.001)
    assert figures["random_value"] == pytest.approx(0.749, abs=0.001)
    assert figures["drop_low"] < 0 < figures["drop_high"]
    assert "0.747 with one experiment of each class held out (12 folds, 0.694-0.804)" in note.title
    assert not any(name in str(note.to_dict()) for name in table["experiment"].unique())


@pytest.mark.parametrize("seed", range(2))
def test_an_offset_by_experiment_is_found(seed):
    finding = by_code(batch_effect_findings(cells(seed, offset=2), LABELS, GROUPS))["batch_effect"]
    assert finding.severity == "warning"
    assert finding.figures["drop_low"] > 0.02
    assert finding.figures["random_value"] > finding.figures["held_out_mean"]


@pytest.mark.parametrize("seed", range(2))
def test_without_an_offset_nothing_is_found(seed):
    found = by_code(batch_effect_findings(cells(seed), LABELS, GROUPS))
    assert "batch_effect" not in found
    assert found["no_batch_effect"].figures["p_value"] > 0.01
    assert found["groups_told"].severity == "note"


def test_experiments_are_told_within_one_class():
    few = np.isin(GROUPS, list("ABDE"))
    found = batch_effect_findings(cells(0, offset=2)[few], LABELS[few], GROUPS[few], group_name="experiment")
    note = by_code(found)["groups_told"]
    assert set(note.figures["within"]) == {"wild", "mutant"}
    assert max(score["value"] for score in note.figures["within"].values()) > 0.9
    assert "the experiment is told" in note.title


def test_sites_that_hold_both_classes_unevenly_are_held_out_one_by_one():
    """The class is nothing but the site: random folds tell it, within a held-out site nothing does."""
    generator = np.random.default_rng(0)
    sites = np.repeat(list("ABCD"), 40)
    labels = np.where(generator.random(160) < np.where(sites < "C", 0.9, 0.1), "benign", "malignant")
    shift = dict(zip("ABCD", (0.0, 0.5, 3.0, 3.5), strict=True))
    table = generator.normal(size=(160, 3)) * 0.3 + np.array([shift[site] for site in sites])[:, None]
    effect = measure_batch_effect(table, labels, sites)
    assert effect.found
    assert effect.held_out.n == 4
    assert effect.held_out.value < 0.65 < 0.8 < effect.random.value


def test_a_class_from_one_experiment_cannot_be_told_from_it():
    groups = np.where(LABELS == "wild", "A", GROUPS)
    found = by_code(batch_effect_findings(cells(0), LABELS, groups, group_name="experiment"))
    finding = found["class_in_one_group"]
    assert finding.severity == "warning"
    assert finding.figures["classes"] == ["wild"]
    assert measure_batch_effect(cells(0), LABELS, groups) is None


def test_many_patients_are_held_out_in_five_folds():
    """Cells of a patient are alike, and its class is a coin's: random folds learn the patient."""
    generator = np.random.default_rng(0)
    patients = np.repeat(np.arange(30), 6)
    labels = np.where(np.arange(30) % 2, "benign", "malignant")[patients]
    table = generator.normal(size=(30, 20))[patients] + 0.1 * generator.normal(size=(180, 20))
    finding = by_code(batch_effect_findings(pd.DataFrame(table), labels, patients, group_name="patient"))[
        "batch_effect"
    ]
    assert finding.figures["folds"] == 5
    assert "five folds of whole patients" in finding.title


@pytest.mark.parametrize(
    ("labels", "groups"),
    [
        (LABELS, ["one"] * 120),
        (LABELS, range(120)),
        (["wild"] * 120, GROUPS),
        (LABELS, [None] * 120),
    ],
    ids=["one group", "a group a sample", "one class", "no group known"],
)
def test_where_there_is_nothing_to_hold_out_nothing_is_said(labels, groups):
    assert batch_effect_findings(cells(0), labels, groups) == []


def test_the_same_seed_gives_the_same_scores():
    few = np.isin(GROUPS, list("ABDE"))
    first, second = (measure_batch_effect(cells(1)[few], LABELS[few], GROUPS[few], seed=3) for _ in range(2))
    assert first == second


def tracks_catalog():
    generator = np.random.default_rng(0)
    tracks = [np.cumsum(generator.normal(size=(20 + k % 3, 2)), axis=0) for k in range(120)]
    table = pd.DataFrame({"id": range(120), "path": "", "class_name": LABELS, "group": GROUPS})
    catalog = Catalog(table, None, ("wild", "mutant"), "tracks", (), None, lambda row: Reading(tracks[row], None, {}))
    return catalog, Facts(pd.DataFrame({"readable": np.ones(120, bool)}), np.zeros((120, 4, 4), np.uint8))


def test_tracks_are_measured_on_the_frames_that_all_have():
    catalog, facts = tracks_catalog()
    assert catalog_features(catalog, facts).shape == (120, 40)
    assert {finding.code for finding in catalog_batch_effects(catalog, facts)} == {"no_batch_effect", "groups_told"}


def test_images_are_measured_by_facts_and_components():
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"id": range(120), "path": "", "class_name": LABELS, "group": GROUPS})
    catalog = Catalog(table, None, ("wild", "mutant"), "images", (), None, lambda row: Reading(np.zeros(0), None, {}))
    pixels = generator.integers(0, 255, (120, 8, 8)).astype(np.uint8)
    offsets = dict(zip("ABCDEF", generator.normal(size=6), strict=True))
    readable = np.arange(120) != 7
    found = pd.DataFrame({"readable": readable, "fault": "", "bytes": 1.0})
    found["mean"] = [5 * offsets[group] for group in GROUPS] + generator.normal(size=120)
    features = catalog_features(catalog, Facts(found, pixels))
    assert list(features.columns) == ["mean", *(f"component_{k}" for k in range(10))]
    codes = {finding.code for finding in catalog_batch_effects(catalog, Facts(found, pixels))}
    assert "batch_effect" in codes


@pytest.fixture
def few_shuffles(monkeypatch):
    """For tests of which columns are looked at, and not of what is found in them."""
    monkeypatch.setattr(batch_effects, "SHUFFLES", 3)


def with_columns(group=None, spec=None, **columns):
    """120 images, whose mean is all that is known of them, and their table."""
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"id": range(120), "path": "", "class_name": LABELS, "group": group, **columns})
    catalog = Catalog(table, None, ("wild", "mutant"), "images", (), spec, lambda row: Reading(np.zeros(0), None, {}))
    found = pd.DataFrame({"readable": True, "mean": generator.normal(size=120)})
    return catalog, Facts(found, np.zeros((120, 2, 2), np.uint8))


@pytest.mark.usefixtures("few_shuffles")
def test_columns_of_devices_and_places_are_compared_as_well():
    scanner = np.tile(list("xy"), 60)
    catalog, facts = with_columns(GROUPS, scanner=scanner, age=60, hospital=np.where(LABELS == "wild", "n", "s"))
    found = catalog_batch_effects(catalog, facts)
    assert list(dict.fromkeys(finding.figures["column"] for finding in found)) == ["group", "scanner", "hospital"]
    assert all(finding.title.endswith(f"(column {finding.figures['column']!r})") for finding in found)
    (alone,) = [finding for finding in found if finding.code == "class_in_one_group"]
    assert alone.figures["column"] == "hospital"
    unnamed, facts = with_columns(scanner=scanner)
    assert {finding.figures["column"] for finding in catalog_batch_effects(unnamed, facts)} == {"scanner"}


@pytest.mark.usefixtures("few_shuffles")
def test_the_group_comes_first_and_no_more_than_four_columns_are_compared(tmp_path):
    columns = {name: np.roll(np.repeat(list("AB"), 60), 10 * k) for k, name in enumerate(("site", "day", "plate"))}
    columns |= {"machine": np.repeat(list("QRSTUV"), 20), "patient": np.arange(120) // 3, "copy_group": GROUPS}
    catalog, facts = with_columns(GROUPS, spec_of(tmp_path, splits={"group": "copy_group"}), **columns)
    found = [finding.figures["column"] for finding in catalog_batch_effects(catalog, facts)]
    # Machines divide the samples as the groups do.
    assert list(dict.fromkeys(found)) == ["copy_group", "plate", "patient", "site"]


@pytest.mark.usefixtures("few_shuffles")
def test_copies_that_are_joined_are_no_group_to_compare(tmp_path):
    joined = [f"group {k // 2}" for k in range(120)]
    catalog, facts = with_columns(joined, spec_of(tmp_path, splits={"duplicates": "together"}))
    assert catalog_batch_effects(catalog, facts) == []


def test_without_a_group_nothing_is_compared():
    catalog, facts = with_columns(age=60)
    assert catalog_batch_effects(catalog, facts) == []


def test_numbers_that_only_count_rows_are_no_features():
    table = pd.DataFrame({"cell_id": [1], "ID": [2], "row": [3], "speed": [4.0], "width": [5.0], "name": ["x"]})
    assert list(numeric_features(table)) == ["speed", "width"]
    assert list(numeric_features(table, ["width"])) == ["speed"]


def small_classes(offset):
    """Eight cells of each of two classes from each of six experiments."""
    generator = np.random.default_rng(0)
    groups, labels = np.repeat(list("ABCDEF"), 16), np.tile(["wild", "mutant"], 48)
    features = pd.DataFrame(generator.normal(size=(96, 4)))
    features[4] = 4 * (labels == "mutant") + generator.normal(size=96)
    features[list(range(4))] += offset * generator.normal(size=(6, 4))[np.unique(groups, return_inverse=True)[1]]
    return batch_effect_findings(features, labels, groups, group_name="experiment")


def test_experiments_are_told_where_classes_are_too_small_for_it():
    note = by_code(small_classes(offset=3))["groups_told"]
    assert "with the means of the classes taken off, the experiment is told" in note.title
    assert note.figures["within"]["all samples"]["value"] > 0.9


def test_an_experiment_that_is_told_is_not_called_no_sign():
    found = by_code(small_classes(offset=3))
    assert "the experiment shows in the features (AUC" in found["no_batch_effect"].title
    assert "no sign" not in found["no_batch_effect"].title
    assert "no sign of a batch effect" in by_code(small_classes(offset=0))["no_batch_effect"].title


def test_random_folds_at_chance_promise_nothing():
    drop, held = Interval(0.2, 0.1, 0.3, 12), Interval(0.3, 0.2, 0.4, 6)
    for random, wanted in ((Interval(0.52, 0.4, 0.6, 90), "masks or"), (Interval(0.8, 0.7, 0.9, 90), "promise more")):
        effect = batch_effects.BatchEffect(random, held, drop, 0.0001)
        assert wanted in batch_effects._compared(effect, "one {0} held out", "day").effect


def test_groups_of_copies_are_no_batches():
    generator = np.random.default_rng(0)
    labels = np.repeat(["benign", "malignant"], 150)
    groups = np.repeat(np.arange(100), 3)
    features = pd.DataFrame(generator.normal(size=(100, 40))[groups] + 0.01 * generator.normal(size=(300, 40)))
    codes = [finding.code for finding in batch_effect_findings(features, labels, groups)]
    assert "groups_alike" in codes
    assert "batch_effect" not in codes
