"""What a comparison is about: the samples, their features, and the part of them that a method may learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd

from tumorkeras.comparison.feature_sets import CLINICAL, HAND_MADE, LEARNED, parts_of
from tumorkeras.comparison.resources import Watch
from tumorkeras.data.clinical import clinical_features
from tumorkeras.data.samples import Samples
from tumorkeras.data.splits import split_off, stratified_folds
from tumorkeras.features.table import sample_features, trivial_feature, trivial_name
from tumorkeras.models.autoencoder import encoder_of
from tumorkeras.spec import Training
from tumorkeras.training.fit import fit
from tumorkeras.training.networks import autoencoder_of
from tumorkeras.training.predict import predict

INNER_FOLDS = 3  # of the tuning and calibration inside a training fold
VALIDATION_SHARE = 0.15  # of a training fold, where the spec sets no share aside for stopping


class Learned(NamedTuple):
    """What was learnt from a training fold, and how long it took."""

    value: Any
    seconds: float


@dataclass(frozen=True)
class Problem:
    """The samples of a comparison and their features, which are measured once for all methods and folds.

    No measured feature of a sample depends on another sample, so nothing of a test fold reaches a training fold.
    Learned features come from an autoencoder of each training fold.

    Parameters
    ----------
    samples : Samples
    tables : dict of str to DataFrame
        Features of the user's own, a row a sample.
    n_jobs : int, optional
        Processes of the tuning, as in scikit-learn.

    Examples
    --------
    >>> from tumorkeras import DataSpec, load_samples
    >>> samples = load_samples(DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "samples_per_class": 8, "frames": 16}}))
    >>> problem = Problem(samples)
    >>> problem.trivial.shape, problem.in_words("trivial")
    ((24, 1), 'mean step')
    """

    samples: Samples
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    n_jobs: int | None = None
    _learned: dict[bytes, Learned] = field(default_factory=dict, repr=False)  # autoencoders, by fold
    _codes: dict[bytes, Learned] = field(default_factory=dict, repr=False)  # of all samples, by fold
    _reused: list[float] = field(default_factory=list, repr=False)

    @cached_property
    def hand_made(self) -> pd.DataFrame:
        """Finite float64 (n, features)."""
        return sample_features(self.samples)

    @cached_property
    def clinical(self) -> pd.DataFrame:
        """The spec's clinical columns, a row a sample; missing where a patient is not in the table."""
        return clinical_features(self.samples)

    @cached_property
    def trivial(self) -> np.ndarray:
        """Float64 (n, 1), never negative."""
        return trivial_feature(self.samples)[1].to_numpy()

    def table_of(self, name: str) -> pd.DataFrame:
        """A feature set that hangs on no fold, a row a sample."""
        if name in self.tables:
            return self.tables[name]
        return self.clinical if name == CLINICAL else self.hand_made

    def measure(self, features: str) -> None:
        """Measure feature sets now, so that their time is not counted as training."""
        for part in parts_of(features):
            if part == "trivial":
                _ = self.trivial
            elif part in (HAND_MADE, CLINICAL):
                self.table_of(part)

    def in_words(self, features: str) -> str:
        """What feature sets are for these samples."""
        return " + ".join(map(self._in_words, parts_of(features)))

    def _in_words(self, features: str) -> str:
        pixels = "volumes" if len(self.samples.spec.input.shape) == 4 else "images"
        words = {
            "none": "none",
            "trivial": trivial_name(self.samples),
            "pixels": pixels,
            HAND_MADE: "motility features" if self.samples.are_tracks else f"features of {pixels}",
            LEARNED: "autoencoder features",
            CLINICAL: "clinical columns",
        }
        return words.get(features, features)

    def hash_of(self, features: str) -> str:
        """What hangs on more than samples and settings: the content of clinical tables and of the user's own."""
        digest = hashlib.sha256()
        for part in parts_of(features):
            if part in self.tables or part == CLINICAL:
                table = self.table_of(part)
                digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
                digest.update("|".join(table.columns).encode())
        return digest.hexdigest()

    def reused_seconds(self) -> float:
        """Time that autoencoders and their codes took which were there already, since the last call."""
        total = sum(self._reused)
        self._reused.clear()
        return total


@dataclass(frozen=True)
class Fold:
    """All that a method may learn from: the training rows of one outer fold, and the features it reads.

    Parameters
    ----------
    problem : Problem
    rows : ndarray
        Of the samples.
    seed : int
        Of whatever a method draws.
    features : str
        Feature sets, joined by ``+``.

    Examples
    --------
    >>> from tumorkeras import DataSpec, load_samples
    >>> samples = load_samples(DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "samples_per_class": 8, "frames": 16}}))
    >>> fold = Fold(Problem(samples), rows=np.arange(0, 24, 2), seed=0)
    >>> len(fold.labels), fold.classes
    (12, 3)
    """

    problem: Problem
    rows: np.ndarray
    seed: int
    features: str = HAND_MADE

    @property
    def samples(self) -> Samples:
        """The samples of the training fold."""
        return self.problem.samples.select(self.rows)

    @property
    def labels(self) -> np.ndarray:
        """Class ids of the training fold."""
        return self.problem.samples.labels[self.rows]

    @property
    def classes(self) -> int:
        """Number of classes, those that the training fold lacks among them."""
        return len(self.problem.samples.classes)

    @cached_property
    def table(self) -> pd.DataFrame:
        """The features of every sample of the problem, whatever its fold."""
        found = [self._part(part) for part in parts_of(self.features)]
        table = pd.concat(found, axis=1)
        # Two sets may call a feature alike, and a pipeline finds its columns by name.
        return table.set_axis([f"{k}_{name}" for k, name in enumerate(table.columns)], axis=1)

    def _part(self, name: str) -> pd.DataFrame:
        if name != LEARNED:
            return self.problem.table_of(name)
        model = self.autoencoder()  # before the code, whose time is its own
        return self._once(self.problem._codes, lambda: self._codes_of(model))

    def inner_splits(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Pairs of rows of the training fold, to tune on: stratified, with groups whole."""
        labels, everyone = self.labels, self.problem.samples.groups
        groups = None if everyone is None else everyone[self.rows]
        units = np.arange(len(labels)) if groups is None else groups
        scarcest = min(len(np.unique(units[labels == label])) for label in np.unique(labels))
        count = max(2, min(INNER_FOLDS, scarcest))
        return stratified_folds(labels, groups, count, self.seed, names=self.problem.samples.classes)

    def inner_parts(self) -> tuple[Samples, Samples]:
        """What a network is fitted to, and what stops it."""
        samples = self.samples
        shares = samples.spec.splits.fractions
        share = shares.val / (shares.train + shares.val) or VALIDATION_SHARE
        rest, part = split_off(samples.labels, share, samples.groups, self.seed, names=samples.classes)
        return samples.select(rest), samples.select(part)

    @property
    def settings(self) -> Training:
        """The spec's training with the seed of this fold."""
        return self.problem.samples.spec.training.model_copy(update={"seed": self.seed})

    def autoencoder(self) -> keras.Model:
        """The spec's autoencoder, trained on the training fold without its labels; once for all methods."""
        return self._once(self.problem._learned, self._trained_autoencoder)

    def _once(self, kept: dict[bytes, Learned], make: Callable[[], Any]) -> Any:
        """What this fold made of something before, or makes now; its time counts for everyone who asks."""
        key = self.rows.tobytes() + str(self.seed).encode()
        if key in kept:
            self.problem._reused.append(kept[key].seconds)
        else:
            with Watch() as watch:
                made = make()
            kept[key] = Learned(made, watch.seconds)
        return kept[key].value

    def _codes_of(self, model: keras.Model) -> pd.DataFrame:
        values = predict(encoder_of(model), self.problem.samples)
        return pd.DataFrame(values, columns=[f"code_{k}" for k in range(values.shape[1])])

    def _trained_autoencoder(self) -> keras.Model:
        spec, settings = self.problem.samples.spec, self.settings
        training, stopping = self.inner_parts()
        keras.utils.set_random_seed(settings.seed)
        model = autoencoder_of(spec)
        fit(model, training, stopping, settings, epochs=spec.autoencoder.epochs, progress=False)
        return model
