"""The scripts behind the README's figures: what they print is what was found."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from tumorkeras import DataSpec, load_samples


def script(checkout, name):
    """A script as a module; dataclasses look themselves up in sys.modules, and what it shares lies beside it."""
    if (folder := str(checkout / "benchmarks")) not in sys.path:
        sys.path.append(folder)
    spec = spec_from_file_location(f"benchmark_{name}", checkout / "benchmarks" / f"{name}.py")
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def real_data(checkout):
    return script(checkout, "real_data")


@pytest.fixture(scope="module")
def samples():
    values = {
        "name": "motion",
        "input": {"shape": [8, 8, 8, 1], "spacing": [1, 9, 9]},
        "source": {"kind": "simulation", "samples_per_class": 16, "frames": 8},
        "classifier": {"filters": [2], "dense": [4]},
        "splits": {"folds": 2},
    }
    return load_samples(DataSpec.from_dict(values))


def row(method, features, value, error="", **other):
    figures = {f"{name}{end}": value for name in ("sensitivity", "specificity", "accuracy", "auc") for end in ENDS}
    costs = {"p_value": 0.25, "p_value_trivial": 0.0004, "seconds": 0.04, "peak_memory_mb": 12.3}
    return {
        "method": method,
        "features": features,
        **figures,
        **costs,
        "samples": 1234,
        "folds": 1,
        "error": error,
    } | other


ENDS = ("", "_low", "_high")


def test_every_task_has_its_example(real_data):
    for task in real_data.TASKS.values():
        assert (real_data.EXAMPLES / f"{task.example}.yaml").is_file()


def test_the_table_has_the_best_first_and_says_what_failed(real_data):
    table = pd.DataFrame(
        [
            row("trivial", "size", 0.8, p_value_trivial=np.nan),
            row("svm_rbf", "features of volumes", 0.9, p_value=np.nan, seconds=2.34),
            row("cnn", "volumes", np.nan, "fold 1: out of luck"),
        ]
    )
    table.attrs = {"best": 1, "trivial": "size", "caveat": "Read them as a ranking."}
    task = real_data.Task("nodules", "lidc_nodules", "auc", caution="with care")
    best, second = ("0.900 [0.900, 0.900]", "0.800 [0.800, 0.800]")
    heads = "method | reads | sensitivity | specificity | accuracy | AUC | p, best | p, size | s a fold | MB"
    assert real_data.markdown(task, table, {0: 12345.6, 1: 987.0}).splitlines() == [
        "nodules: 1,234 samples, 1 fold (with care).",
        "",
        f"| {heads} | samples per s |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        f"| **SVM, radial** | features of volumes | {' | '.join([best] * 4)} |  | < 0.001 | 2.3 | 12 | 990 |",
        f"| logistic regression | size | {' | '.join([second] * 4)} | 0.250 |  | < 0.1 | 12 | 12,000 |",
        "| CNN | volumes | failed: fold 1: out of luck | | | | | | | | |",
        "",
        "Read them as a ranking.",
    ]


def test_rates_of_methods_that_read_something(real_data, samples):
    training, test = real_data.outer_folds(samples)[0]
    read = [("majority", "none"), ("trivial", "mean step"), ("svm_linear", "motility features"), ("cnn", "volumes")]
    table = pd.DataFrame([*read, ("svm_linear", "autoencoder features")], columns=["method", "features"])
    table = pd.concat([table.assign(error=""), table.assign(error="out of luck")], ignore_index=True)
    rates = real_data.scoring_rates(table, samples, training, test, 3)
    assert list(rates) == [1, 2, 3]
    assert min(rates.values()) > 0


def test_a_table_goes_between_its_marks(checkout, real_data, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- a -->\nold\n<!-- /a -->\nbelow\n")
    real_data.put_between_marks(page, "a", "new\n")
    assert page.read_text() == "above\n<!-- a -->\nnew\n<!-- /a -->\nbelow\n"
    with pytest.raises(SystemExit, match="has not the marks <!-- b --> and"):
        real_data.put_between_marks(page, "b", "new")


def test_pairs_hold_out_one_experiment_of_each_class(real_data, samples):
    groups = [f"{k // 16}-{k % 2}" for k in range(32)] + ["1-2"] * 16
    two = samples.table.assign(group=groups, class_id=np.repeat([0, 1, 1], 16))
    grouped = real_data.replace(samples, table=two, classes=("a", "b"))
    folds = real_data.held_out_pairs(grouped)
    tested = {frozenset(np.array(groups)[test]) for _, test in folds}
    assert tested == {frozenset((a, b)) for a in ("0-0", "0-1") for b in ("1-0", "1-1", "1-2")}
    assert all(len(training) + len(test) == 48 for training, test in folds)


def test_attempts_are_read_on_cells_that_the_example_leaves_out(checkout, data_folder):
    attempts = script(checkout, "motility_attempts")
    published, others = attempts.published_and_others(DataSpec.from_yaml(attempts.EXAMPLE))
    assert (len(published), len(others)) == (450, 218)
    assert np.bincount(others.labels).tolist() == [109, 109]
    assert not set(published.table["id"]) & set(others.table["id"])
    assert np.unique(np.concatenate([published.values, others.values]), axis=0).shape[0] == 668


def test_the_audits_table_has_a_line_a_finding_and_a_summary(checkout):
    from tumorkeras.auditing import AuditReport, Finding

    audit = script(checkout, "audit")
    found = (
        Finding("faults", "unreadable", "error", "1 image | cannot\nbe read"),
        Finding("shortcuts", "probes", "note", "nothing"),
        Finding("batch_effects", "no_batch_effect", "note", "no sign"),
    )
    assert audit.rows("scans", AuditReport("scans", found), 3.4) == [
        "| scans | error | 1 image \\| cannot be read |",
        "| scans | note | no sign |",
        "| scans | | 1 error, 0 warnings, 2 notes; 3 s |",
    ]
    assert len(audit.shortened("word " * 100)) <= audit.LONGEST


def test_pooled_folds_of_one_class_tell_nothing(checkout):
    """Leaving out an experiment of one class shifts the scores of that class: pooled, they hide what is told."""
    audit = script(checkout, "audit")
    rng = np.random.default_rng(0)
    experiment = np.repeat(np.arange(6), 30)
    label = np.where(experiment % 2, "wt", "myc")
    table = pd.DataFrame({"class": label, "experiment": experiment, "Well/XY": "a", "cell_id": range(180)})
    table["speed"] = rng.normal(size=180) + (label == "wt")
    assert audit.pooled_folds_of_one_class(table) < roc_auc_score(label == "wt", table["speed"]) - 0.05


def test_a_detection_task_has_a_variant_a_seed_and_a_reference(checkout):
    benchmark = script(checkout, "detection")
    task = "busi_lesion:volume@3"
    assert benchmark.parts_of(task) == ("busi_lesion", "volume", 3)
    assert benchmark.task_of("busi_lesion", "volume", 3) == task
    assert benchmark.reference_of(task) == "busi_lesion:reference@3"
    assert benchmark.expanded("busi_lesion:pretrained") == ["busi_lesion:encoder", "busi_lesion:pretrained"]
    assert benchmark.expanded("bccd") == ["bccd"]
    assert benchmark.expanded("ablation") == [f"busi_lesion:{variant}" for variant in benchmark.VARIANTS]
    assert set(benchmark.NAMES) == set(benchmark.VARIANTS)


@pytest.mark.parametrize(
    ("task", "title"),
    [
        ("bccd", "bccd"),
        ("busi_lesion:encoder", "busi_lesion, encoder of the autoencoder, random"),
        ("busi@2", "busi, seed 2"),
    ],
)
def test_a_line_of_the_detection_table(checkout, task, title):
    benchmark = script(checkout, "detection")
    figures = {f"{metric}/all": [0.5, 0.4, 0.6, 9] for metric in benchmark.FIGURES}
    result = {"task": task, "figures": figures, "overall": "all", "canvas": [64, 32, 1], "minutes": 2.4, "images": 9}
    cells = [cell.strip() for cell in benchmark.line_of(result, ["-"]).strip("|").split("|")]
    assert cells == [title, *["0.500 [0.400, 0.600]"] * 5, "64 x 32", "2", "9", "-"]


def test_variants_of_detection_differ_from_their_reference_in_one_thing(checkout, data_folder):
    benchmark = script(checkout, "detection")
    specs = {variant: benchmark.spec_of(f"busi_lesion:{variant}").to_dict() for variant in benchmark.VARIANTS}
    for variant, (changes, reference) in benchmark.VARIANTS.items():
        if reference is not None:
            different = {key for key in specs[variant] if specs[variant][key] != specs[reference][key]} - {"name"}
            assert different <= set(changes)
    assert benchmark.spec_of("busi_lesion:volume@3").training.seed == 3


def test_the_table_of_detectors_says_what_is_undefined_and_what_failed(checkout):
    benchmark = script(checkout, "region_classifier")
    good = {f"{metric}{end}": 0.25 for metric in benchmark.METRICS for end in ("", "_low", "_high")}
    good |= {"method": "rcnn", "p_value": np.nan, "p_value_baseline": 0.001, "seconds": 61.7, "peak_memory_mb": 300.2}
    bad = {name: np.nan for name in good} | {"method": "fast_rcnn"}
    table = pd.DataFrame([good | {"error": ""}, bad | {"error": "OSError: full\n| 0"}])
    head, rule, *lines = benchmark.lines_of(table, "busi, part test: 9 images")
    assert head.count("|") == rule.count("|") == lines[0].count("|")
    assert head.startswith("| busi, part test: 9 images | AP50 | FROC mean |")
    assert lines == [
        "| R-CNN" + " | 0.250 [0.250, 0.250]" * 4 + " | - | 0.001 | 62 | 300 |",
        "| Fast R-CNN, failed: OSError: full \\| 0" + " | -" * 8 + " |",
    ]
    assert set(benchmark.NAMES) == set(benchmark.DETECTION_METHODS)


def test_a_rehearsal_reads_training_images_alone(checkout):
    benchmark = script(checkout, "region_classifier")
    values = {"name": "x", "source": {"kind": "phantoms", "samples": 20}, "input": {"shape": [32, 32, 1]}}
    samples = benchmark.load_detection(DataSpec.from_dict(values))
    chosen = benchmark.rehearsal(samples, 10)
    assert set(chosen.table["id"]) < set(samples.part("train").table["id"])
    assert chosen.counts().to_dict() == {"train": 6, "val": 2, "test": 2}


@pytest.fixture(scope="module")
def transfer(checkout):
    return script(checkout, "transfer")


def test_the_cells_of_a_transfer_are_apart_from_the_tested_ones(transfer):
    labels = np.repeat([0, 1], [400, 330])
    test, rest = transfer.divided(labels)
    assert np.bincount(labels[test]).tolist() == [100, 100]
    np.testing.assert_array_equal(np.sort(np.concatenate([test, rest])), np.arange(730))
    for seed in (1, 2):
        drawn = [transfer.drawn_rows(labels, rest, size, seed) for size in transfer.SIZES]
        for size, rows, larger in zip(transfer.SIZES, drawn, [*drawn[1:], rest], strict=True):
            assert np.bincount(labels[rows]).tolist() == [size, size]
            assert set(rows) <= set(larger) <= set(rest)
    assert set(drawn[0]) != set(transfer.drawn_rows(labels, rest, 10, 1))


@pytest.mark.parametrize(("size", "stopping"), [(10, 4), (25, 8), (225, 68)])
def test_few_cells_are_repeated_and_stop_nothing_they_train(transfer, samples, size, stopping):
    labels = np.repeat([0, 1], 300)
    rows, part = transfer.parts_of(labels, transfer.drawn_rows(labels, np.arange(600), size, 1), 1)
    assert (len(rows), len(part)) == (2 * size - stopping, stopping)
    assert not set(rows) & set(part)
    parts = transfer.in_parts(samples, train=np.arange(5), val=np.arange(5, 9))
    assert parts.counts().to_dict() == {"train": 100, "val": 4, "test": 0}
    assert parts.table.loc[parts.table["split"] == "train", "id"].value_counts().tolist() == [20] * 5


def test_the_grid_of_a_transfer_tries_all_modes_at_two_sizes(transfer, tmp_path):
    groups = list(transfer.grid(transfer.STARTS, None, transfer.SIZES, 1))
    trials = [trial for _, own in groups for trial in own]
    assert len(trials) == len(set(trials)) == 2 * (1 + 4 * 4) + 3 * (1 + 4 * 2)
    assert {trial.mode for trial in trials if trial.start == "random"} == {"free"}
    # and the first weights: two starts at each size, two once
    assert transfer.minutes_left(groups, tmp_path, 200)[0] == len(trials) + 2 * 5 + 2
    (tmp_path / trials[0].file).write_text("{}")
    assert transfer.minutes_left(groups, tmp_path, 200)[0] == len(trials) + 2 * 5 + 2 - 1


def test_the_tables_of_a_transfer(transfer):
    rows = []
    for seed, gain in ((1, 0.1), (2, 0.2), (3, 0.3)):
        for start, accuracy in (("random", 0.5 + seed / 100), ("autoencoder_all", 0.5 + seed / 100 + gain)):
            rows.append({**transfer.Trial(start, "free", 10, seed)._asdict(), "accuracy": accuracy, "AUC": 0.5})
    results = pd.DataFrame(rows).assign(steps=7, all_steps=200)
    text = transfer.tables(results, "a machine")
    # t of 2 degrees of freedom is 4.3027: 0.2 +- 4.3027 * 0.1 / sqrt(3)
    assert "| accuracy less that of random weights | 10 |\n| --- | ---: |\n| autoencoder, all: free | +0.200 " in text
    assert "| autoencoder, all: free | +0.200 [-0.048, +0.448] |" in text
    assert "| random | 0.520 [0.495, 0.545] |" in text
    assert transfer.steps_to_plateau(np.array([0.9, 0.519, 0.6, 0.5])) == 2
