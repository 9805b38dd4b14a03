"""How sure a classifier in memory is, with settings of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from tumorkeras.errors import ModelError
from tumorkeras.scoring.backends import Asked
from tumorkeras.scoring.job import score

if TYPE_CHECKING:
    import keras

    from tumorkeras.data.augment_views import View
    from tumorkeras.training import TrainedModel

TURNS = ("flip", "rotate")


def predict_uncertainty(
    model: keras.Model | TrainedModel | str | Path,
    inputs: Any,
    method: Literal["dropout", "augmentation"] = "dropout",
    *,
    passes: int = 20,
    seed: int = 0,
    augment: Sequence[Literal["flip", "rotate"]] | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Ask a classifier several times, and see how its answers agree.

    The mean of the answers, their spread, and how much of what is not known comes from the model. The same input has
    the same answer on every call, whatever stands beside it in a batch. Of an export with this signature, and where the
    settings may stay as they are, ``score(model, inputs, signature="uncertainty_dropout")`` gives the same table.

    Parameters
    ----------
    model : keras.Model, TrainedModel or path
        A classifier, of images or volumes, or the folder of a trained one.
    inputs : ndarray, paths, tf.data.Dataset, DataSpec or Samples
        What :func:`tumorkeras.score` takes.
    method : {"dropout", "augmentation"}, default "dropout"
        Passes through networks that each lack some units, as in training (Monte-Carlo dropout); or through the mirrored
        and turned forms of each sample.
    passes : int, default 20
        Networks that dropout makes, 2 or more.
    seed : int, default 0
        Of the units that each of them lacks.
    augment : sequence of {"flip", "rotate"}, optional
        What leaves the classes as they are; by default ``training.augment`` of the model's spec, which a Keras model
        does not have.
    **options
        Those of :func:`tumorkeras.score`, such as ``batch_size`` and ``split``.

    Returns
    -------
    pandas.DataFrame
        A row a sample: ``path``, ``id``, ``status`` and ``error``; ``class_id`` and ``class_name`` of the mean answer,
        ``probability_<class>``, that mean, and ``std_<class>``, the standard deviation over the passes, 0 to 0.5;
        ``entropy`` of the mean, in nats, 0 (sure) to log(classes); and ``mutual_information``, the part of it that is
        disagreement between the passes, 0 to ``entropy``.

    Raises
    ------
    ModelError
        If the model is no classifier, drops no units, or no flips or turns are known; or an argument is wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from tumorkeras.models import build_classifier
    >>> model = build_classifier((8, 8, 1), 2, filters=(4,), dense=(8,))
    >>> table = predict_uncertainty(model, np.random.default_rng(0).random((3, 8, 8, 1)), passes=10)
    >>> table.columns[4:].tolist()
    ['class_id', 'probability_0', 'probability_1', 'std_0', 'std_1', 'entropy', 'mutual_information']
    >>> bool((table["mutual_information"] <= table["entropy"]).all())
    True

    References
    ----------
    Gal and Ghahramani, *Dropout as a Bayesian Approximation*, ICML 2016; Houlsby et al., arXiv 1112.5745 (2011).
    """
    from tumorkeras.serving.uncertainty import METHODS, PREFIX, Uncertainty
    from tumorkeras.training.folder import TrainedModel, load

    if method not in METHODS:
        raise ModelError("predict_uncertainty", [f"method: {method!r} found, expected {' or '.join(METHODS)}"])
    model = load(model) if isinstance(model, str | Path) else model
    network = model.model if isinstance(model, TrainedModel) else model
    chosen = () if augment is None else _views_of(network, augment)
    asked = Uncertainty([method], passes, seed, chosen)
    return score(Asked(model, asked), inputs, signature=f"{PREFIX}{method}", **options)


def _views_of(network: Any, augment: Sequence[str]) -> list[View]:
    """The views of what a network reads.

    Raises
    ------
    ModelError
        For what is neither flipped nor turned.
    """
    from tumorkeras.data.augment_views import views

    faults = [f"augment: {name!r} found, expected some of 'flip', 'rotate'" for name in augment if name not in TURNS]
    shape: Any = getattr(network, "input_shape", None)
    planar = isinstance(shape, tuple) and len(shape) in (4, 5)
    if not planar:
        faults.append(f"model: reads {shape}, expected images or volumes")
    square = planar and shape[-3] is not None and shape[-3] == shape[-2]
    if planar and "rotate" in augment and "flip" not in augment and not square:
        faults.append(f"augment: planes of {shape[-3]} x {shape[-2]} are not square, and are not turned by a quarter")
    if faults:
        raise ModelError("predict_uncertainty", faults)
    return views(augment, square=square)
