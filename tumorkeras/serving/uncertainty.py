"""How sure a classifier is: the spread of its answers over dropout or over views of a sample, as graph functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tumorkeras.data.augment_views import View
from tumorkeras.layers.float32 import is_count
from tumorkeras.models.passes import dropout_layers, dropout_passes

Passes = Callable[[tf.Tensor], tf.Tensor]

METHODS = ("dropout", "augmentation")
PREFIX = "uncertainty_"  # of the signatures
PASSES, SEED = 20, 0
TINY = np.finfo("float32").tiny  # a mean below may be rounded to 0


@dataclass(frozen=True)
class Uncertainty:
    """What is asked of a classifier beside its answer.

    Attributes
    ----------
    methods : sequence of {"dropout", "augmentation"}
        Each is a signature ``uncertainty_<method>``; none by default.
    passes : int
        Networks that Monte-Carlo dropout makes of the one, 2 or more.
    seed : int
        Of the units that each of them lacks.
    views : sequence of View
        Forms of a sample that the training held to be the same thing, the sample as it is among them.
    """

    methods: Sequence[str] = ()
    passes: int = PASSES
    seed: int = SEED
    views: Sequence[View] = ()

    def facts(self) -> dict[str, Any]:
        """For the card of an export; empty where nothing is asked."""
        facts: dict[str, Any] = {}
        if "dropout" in self.methods:
            facts["dropout"] = {"passes": int(self.passes), "seed": int(self.seed)}
        if "augmentation" in self.methods:
            facts["augmentation"] = {"views": len(self.views)}
        return {"uncertainty": facts} if facts else {}


def uncertainty_faults(model: keras.Model, kind: str, asked: Uncertainty) -> list[str]:
    """Why a model cannot tell what it is asked; empty where it can.

    Examples
    --------
    >>> from tumorkeras.models import build_classifier
    >>> model = build_classifier((8, 8, 1), 2, filters=(2,), dense=(4,), dropout=0)
    >>> uncertainty_faults(model, "classifier", Uncertainty(["dropout"]))
    ['uncertainty: no layer of the model drops units (keras.layers.Dropout), so there is nothing to pass through']
    """
    unknown = [method for method in asked.methods if method not in METHODS]
    faults = [f"uncertainty: {method!r} found, expected 'dropout' or 'augmentation'" for method in unknown]
    for name, value, least in (("passes", asked.passes, 2), ("seed", asked.seed, 0)):
        if not is_count(value, least) or value >= 2**32:
            faults.append(f"{name}: {value!r} found, expected an integer of {least} or more")
    if asked.methods and kind != "classifier":
        return [*faults, f"uncertainty: is of classifiers, and this is of the kind {kind}"]
    if "dropout" in asked.methods and not dropout_layers(model):
        what = "no layer of the model drops units (keras.layers.Dropout), so there is nothing to pass through"
        faults.append(f"uncertainty: {what}")
    if "augmentation" in asked.methods and len(asked.views) < 2:
        mend = "give a trained model whose training.augment has flip or rotate"
        faults.append(f"uncertainty: no flips or turns are known that leave the classes as they are; {mend}")
    return faults


def passes_of(model: keras.Model, asked: Uncertainty) -> dict[str, Passes]:
    """The answers whose spread is the uncertainty, by the name of the signature.

    Returns
    -------
    dict of str to callable
        Samples (batch, *input_shape) -> probabilities (passes, batch, classes) float32.
    """
    makers: dict[str, Callable[[], Passes]] = {
        "dropout": lambda: dropout_passes(model, asked.passes, asked.seed),
        "augmentation": lambda: _seen(model, asked.views),
    }
    return {f"{PREFIX}{method}": _in_float32(makers[method]()) for method in asked.methods}


def _seen(model: keras.Model, views: Sequence[View]) -> Passes:
    """All views of the samples in one call."""

    def run(samples: tf.Tensor) -> tf.Tensor:
        found = model(tf.concat([view(samples) for view in views], axis=0), training=False)
        return tf.reshape(found, [len(views), -1, found.shape[-1]])

    return run


def _in_float32(passes: Passes) -> Passes:
    return lambda samples: tf.cast(passes(samples), tf.float32)


def spread(probabilities: tf.Tensor) -> dict[str, tf.Tensor]:
    """Sum up the answers of several passes.

    Parameters
    ----------
    probabilities : tensor, shape (passes, batch, classes), float32

    Returns
    -------
    dict of str to tensor
        ``probabilities`` (batch, classes), their mean over the passes; ``std`` (batch, classes), their standard
        deviation, 0 to 0.5; ``entropy`` (batch,), that of the mean, in nats, 0 to log(classes); and
        ``mutual_information`` (batch,), the part of it that is disagreement between the passes, in nats.

    Examples
    --------
    Two passes, each sure of another class, and two that agree on not knowing:

    >>> found = spread(tf.constant([[[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]]]))
    >>> {name: found[name].numpy().astype(float).round(3).tolist() for name in ("entropy", "mutual_information")}
    {'entropy': [0.693, 0.693], 'mutual_information': [0.693, 0.0]}
    >>> found["std"].numpy().tolist()
    [[0.5, 0.5], [0.0, 0.0]]

    References
    ----------
    Houlsby et al., *Bayesian Active Learning for Classification and Preference Learning*, arXiv 1112.5745 (2011).
    """
    mean = tf.reduce_mean(probabilities, 0)
    entropy = 0.0 - tf.reduce_sum(tf.math.xlogy(mean, mean), -1)  # not -0.0
    # The mean divergence from the mean answer. It is the entropy of the mean less the mean entropy, but not the small
    # difference of two large numbers.
    ratio = probabilities / tf.maximum(mean, TINY)
    divergence = tf.reduce_sum(tf.math.xlogy(probabilities, ratio), -1)
    return {
        "probabilities": mean,
        "std": tf.math.reduce_std(probabilities, 0),
        "entropy": entropy,
        "mutual_information": tf.maximum(tf.reduce_mean(divergence, 0), 0.0),
    }
