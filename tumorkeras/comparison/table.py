"""One table of methods on the same folds, with intervals and paired tests."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from tumorkeras.comparison.detection import compare_detectors
from tumorkeras.comparison.entries import Entry, entries_of
from tumorkeras.comparison.feature_sets import CLINICAL, Tables, check_names, checked_tables, features_of, parts_of
from tumorkeras.comparison.figures import CONFIDENCE, figures_of, intervals_of, p_value
from tumorkeras.comparison.methods import METHODS, USUAL
from tumorkeras.comparison.outer_folds import checked_folds, outer_folds
from tumorkeras.comparison.problem import Fold, Problem
from tumorkeras.comparison.resources import Watch
from tumorkeras.comparison.store import FoldResult, FoldStore
from tumorkeras.data.clinical import check_patients
from tumorkeras.data.detection import DetectionSamples
from tumorkeras.data.folds import Folds
from tumorkeras.data.samples import Samples, load_samples
from tumorkeras.errors import DataError, SpecError
from tumorkeras.estimates import Estimates
from tumorkeras.files import write_whole
from tumorkeras.progress import progress_bar
from tumorkeras.spec import DataSpec
from tumorkeras.training.from_spec import data_hash

logger = logging.getLogger(__name__)

SECTIONS = ("input", "rendering", "preprocessing", "autoencoder", "classifier", "training")
S = TypeVar("S", Samples, DetectionSamples)
SEEDS = 2**32  # seeds of NumPy and of the spec are below
TUNING = ("trials", "network_trials", "metric")


def compare(
    spec: DataSpec | str | Path,
    methods: Sequence[str] | None = None,
    output: str | Path | None = None,
    *,
    features: Sequence[str] | None = None,
    tables: Tables | None = None,
    samples: Samples | DetectionSamples | None = None,
    folds: Folds | None = None,
    n_jobs: int | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Cross-validate several methods on the same folds; of a spec that only detects, compare detectors.

    The folds are stratified by class, keep groups whole, and go over all samples but those of the part
    "test", which stays unseen; the spec's own boundary between "train" and "val" is not used. Whatever a
    method tunes or stops by lies inside its training fold, and each test fold is read once.

    Detectors are trained once, and what is below is of classes: :func:`compare_detectors` has their methods and table.

    Parameters
    ----------
    spec : DataSpec or path
        The data and the settings; ``splits.folds`` and ``splits.seed`` make the folds, ``comparison.trials`` and
        ``network_trials`` are how many settings each method tries.
    methods : sequence of str, optional
        The rows of the table, by default the spec's ``comparison.methods``:

        - ``"majority"``: the frequencies of the classes in the training fold; always in the table;
        - ``"trivial"``: logistic regression on one feature, the mean step of a track or the size of an
          object; always in the table;
        - ``"svm_linear"``, ``"svm_poly"``, ``"svm_rbf"``, ``"ann"`` (two hidden layers), ``"random_forest"``: on
          standardised features, tuned and calibrated on inner folds;
        - ``"cnn"``: the spec's classifier;
        - ``"autoencoder_cnn"``: the same, its convolutions first learnt by the spec's autoencoder on the
          training fold without labels;
        - ``"cnn_ensemble"``: the mean of three of the first, each stopped by another inner fold (two where a class
          has two samples or groups).
    output : path, optional
        A folder for ``comparison.csv`` and the results of single folds. A comparison that was stopped goes on
        with the folds that are missing when it is started again with the same folder.
    features : sequence of str, optional
        What the classical methods read, a row each; by default the spec's ``comparison.features`` and then
        ``tables``: ``"hand-made"``, ``"autoencoder"`` (the code of the spec's autoencoder, learnt in each training
        fold), ``"clinical"`` (the spec's clinical columns), the name of a table, or several joined by ``+``.
    tables : mapping of str to DataFrame or array, optional
        Features of your own, a row a sample in the order of the samples. Missing numbers become the median of the
        training fold, text and missing text categories.
    samples : Samples, optional
        Already loaded samples of ``spec``.
    folds : list of pairs of arrays, optional
        Training and test rows of the samples, or masks of them, instead of the spec's folds: to hold out whole
        experiments, say.
    n_jobs : int, optional
        Processes that tune the classical methods, as in scikit-learn: 1 by default, -1 for all cores. Detectors have
        nothing to share out.
    progress : bool
        Shown on standard error, and only on a terminal or in a notebook.

    Returns
    -------
    pandas.DataFrame
        One row per method and feature set, in the order given; a notebook shows each figure with its interval:

        - ``method``; ``features``, what it reads;
        - ``sensitivity``, ``specificity``, ``accuracy``, ``auc`` (of class 1 of two; of more, means over the
          classes), each the mean over folds, with ``<metric>_low`` and ``<metric>_high``, the ends of its
          95 % t interval over folds (of a single fold: of its bootstrap interval);
        - ``p_value``, two-sided, of the corrected resampled t test of its ``comparison.metric`` against that of the
          best row (of a single fold: of a paired bootstrap); NaN for the best; ``p_value_trivial``, the same
          against the row "trivial";
        - ``seconds``, mean time to train on a fold, with its tuning and the autoencoder it needs;
          ``peak_memory_mb``, the most that memory grew in it (the first network also pays for what TensorFlow keeps);
          ``samples``, how many different ones are tested on
          (folds of the user's own may share some); ``folds``;
        - ``error``, why a method failed, "" where it did not. Its figures are NaN, and the next call with the
          same folder tries again.

        ``attrs``: ``"caveat"``, how to read the p values; ``"trivial"``, the name of the trivial feature;
        ``"best"``, the row tested against, by the table's index; ``"metric"``; ``"confidence"``.

    Raises
    ------
    SpecError
        If the spec cannot be read or a method or feature set is unknown.
    DataError
        If the data cannot be read, there are fewer than two classes, a class has fewer samples (groups)
        than there are folds, a fold trains on what it tests, or a table has another length than the samples or
        infinite values.
    ModelError
        If ``output`` holds a comparison of other data or settings.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "samples_per_class": 20, "frames": 16}, "splits": {"folds": 2}})
    >>> table = compare(spec, ["majority", "trivial"])
    >>> table[["method", "features", "samples", "folds"]].values.tolist()
    [['majority', 'none', 51, 2], ['trivial', 'mean step', 51, 2]]

    References
    ----------
    Table 2 and figures 8-9 of doi 10.18280/ts.360510. The test: Nadeau & Bengio, Machine Learning 52:239-281
    (2003).
    """
    spec = spec if isinstance(spec, DataSpec) else DataSpec.from_yaml(spec)
    if "classify" not in spec.tasks and "detect" in spec.tasks:
        _check_detection(features=features, tables=tables, folds=folds)
        images = _of_kind(DetectionSamples, samples)
        return compare_detectors(spec, methods, output, samples=images, progress=progress)
    samples = replace(_of_kind(Samples, samples) or load_samples(spec), spec=spec)
    problem = Problem(samples, checked_tables(tables, len(samples)), n_jobs)
    sets = features_of(spec, problem.tables) if features is None else features
    sets = check_names(sets, list(problem.tables), clinical=spec.clinical is not None)
    entries = entries_of(spec.comparison.methods or USUAL if methods is None else methods, sets)
    folds = _checked(samples, sets, outer_folds(samples) if folds is None else folds)
    hashes = {entry.key: problem.hash_of(entry.features) for entry in entries}
    store = FoldStore(None if output is None else Path(output), _fingerprint(samples, folds), hashes)
    errors = _run(problem, entries, folds, store, progress)
    table = _table(problem, entries, folds, store, errors)
    if output is not None:
        write_whole(Path(output) / "comparison.csv", table.to_csv(index=False))
    return Estimates.of(table)


def check_comparison(samples: Samples) -> None:
    """Raise what :func:`compare` would raise of the spec alone, before hours go into training.

    Raises
    ------
    SpecError, DataError
        As there.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "samples_per_class": 4, "frames": 16}})
    >>> check_comparison(load_samples(spec))
    Traceback (most recent call last):
    tumorkeras.errors.DataError: splits.folds: 3 faults
    ...
    """
    spec = samples.spec
    sets = check_names(spec.comparison.features, [], clinical=spec.clinical is not None)
    entries_of(spec.comparison.methods or USUAL, sets)
    _checked(samples, sets, outer_folds(samples))


def _checked(samples: Samples, sets: Sequence[str], folds: Folds) -> Folds:
    folds = checked_folds(folds, samples)
    if any(CLINICAL in parts_of(name) for name in sets):
        check_patients(samples, folds)
    return folds


def _of_kind(kind: type[S], samples: Samples | DetectionSamples | None) -> S | None:
    if samples is None or isinstance(samples, kind):
        return samples
    raise DataError("compare", [f"samples: found {type(samples).__name__}, the spec's tasks need {kind.__name__}"])


def _check_detection(**given: object) -> None:
    strange = [name for name, value in given.items() if value is not None]
    if strange:
        raise SpecError("compare", [f"{name}: is of classes, and the spec's task is detect" for name in strange])


def _fingerprint(samples: Samples, folds: Folds) -> str:
    """What the result of a method on a fold depends on; which other methods are compared is not among it."""
    spec = samples.spec
    settings = spec.model_dump(mode="json", include=set(SECTIONS)) | spec.splits.fractions.model_dump()
    settings |= spec.comparison.model_dump(include=set(TUNING))
    described = json.dumps([data_hash(samples), list(samples.classes), settings], sort_keys=True)
    digest = hashlib.sha256(described.encode())
    if samples.groups is not None:  # which decide what is tuned and stopped on
        digest.update(pd.factorize(samples.groups)[0].astype("int64").tobytes())
    if "box_area" in samples.table:  # the size that the trivial row reads
        digest.update(samples.table["box_area"].to_numpy("float64").tobytes())
    for rows in (rows for pair in folds for rows in pair):
        digest.update(rows.astype("int64").tobytes() + b"|")
    return digest.hexdigest()


def _run(problem: Problem, entries: Sequence[Entry], folds: Folds, store: FoldStore, progress: bool) -> dict[str, str]:
    """Compute what the store lacks; why each method that failed did so."""
    errors: dict[str, str] = {}
    with progress_bar(len(entries) * len(folds), "compare", "fold", shown=progress) as bar:
        for entry in entries:
            bar.set_description(entry.key)
            for number, (training, test) in enumerate(folds, start=1):
                if entry.key not in errors and (entry.key, number) not in store:
                    try:
                        result = _fold_result(problem, entry, number, training, test)
                    except Exception as error:  # one method's fault, of any kind, does not end the others
                        logger.warning("%s failed on fold %d: %s", entry.key, number, error)
                        logger.debug("%s", entry.key, exc_info=True)
                        errors[entry.key] = f"fold {number}: {type(error).__name__}: {error}"
                    else:
                        store.add(result)
                bar.update()
    return errors


def _fold_result(problem: Problem, entry: Entry, number: int, training: np.ndarray, test: np.ndarray) -> FoldResult:
    problem.measure(entry.features)
    problem.reused_seconds()
    seed = (problem.samples.spec.training.seed + number) % SEEDS
    with Watch() as watch:
        predictor = METHODS[entry.method].train(Fold(problem, training, seed, entry.features))
    labels, probabilities = problem.samples.labels[test], predictor(test)
    return FoldResult(
        entry.key,
        number,
        round(watch.seconds + problem.reused_seconds(), 3),
        round(watch.peak_memory_mb, 1),
        figures_of(labels, probabilities),
        test.tolist(),
        labels.tolist(),
        probabilities.tolist(),
    )


def _table(
    problem: Problem, entries: Sequence[Entry], folds: Folds, store: FoldStore, errors: Mapping[str, str]
) -> pd.DataFrame:
    metric, groups = problem.samples.spec.comparison.metric, problem.samples.groups
    results = {
        entry.key: [store[entry.key, number] for number in range(1, len(folds) + 1)]
        for entry in entries
        if entry.key not in errors
    }
    means = {key: _mean(own, metric) for key, own in results.items()}
    best = max((key for key in means if np.isfinite(means[key])), key=lambda key: means[key], default=None)
    samples = len(set().union(*(test.tolist() for _, test in folds)))
    rows: list[dict[str, Any]] = []
    for entry in entries:
        own = results.get(entry.key, [])
        row: dict[str, Any] = {"method": entry.method, "features": problem.in_words(entry.features)}
        for name, (value, low, high) in intervals_of(own, groups).items():
            row |= {name: value, f"{name}_low": low, f"{name}_high": high}
        for column, other in {"p_value": best, "p_value_trivial": "trivial"}.items():
            tested = other in results and bool(own) and other != entry.key
            row[column] = p_value(results[str(other)], own, metric, folds, groups) if tested else np.nan
        row["seconds"] = np.mean([found.seconds for found in own] or [np.nan])
        row["peak_memory_mb"] = max([found.peak_memory_mb for found in own], default=np.nan)
        row |= {"samples": samples, "folds": len(folds), "error": errors.get(entry.key, "")}
        rows.append(row)
    table = pd.DataFrame(rows)
    place = next((k for k, entry in enumerate(entries) if entry.key == best), None)
    table.attrs = {
        "caveat": _caveat(len(results), None if place is None else rows[place], len(folds), metric),
        "trivial": problem.in_words("trivial"),
        "best": place,
        "metric": metric,
        "confidence": CONFIDENCE,
    }
    return table


def _mean(results: Sequence[FoldResult], metric: str) -> float:
    """Over the folds where it is defined."""
    return pd.Series([found.metrics[metric] for found in results], dtype="float64").mean()


def _caveat(methods: int, best: Mapping[str, Any] | None, folds: int, metric: str) -> str:
    if best is None:
        return f"No {metric} is defined on these folds." if methods else "No method gave a result."
    name = f"{best['method']} ({best['features']})"
    ranking = (
        f"The p values are not corrected for the number of comparisons ({methods - 1} with the best, as many with the "
        f"trivial feature), and {name} was picked as the best on these same folds: read them as a ranking, not as "
        "proof. "
    )
    if folds == 1:
        return f"{ranking}One held-out part: intervals and tests are from a bootstrap of its samples."
    return f"{ranking}The intervals are over folds, which share training samples, and are somewhat narrow."
