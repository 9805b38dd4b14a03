"""What a network sees as features: a scikit-learn transformer over any of our models, or any Keras model."""

from __future__ import annotations

from copy import deepcopy
from numbers import Integral
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from tumorkeras.errors import ModelError
from tumorkeras.features.detections import region_finder, region_table
from tumorkeras.features.layer_outputs import POOLS, FeatureGraph, Pool, feature_graph, input_of
from tumorkeras.features.network_inputs import HEADING, NetworkInputs, network_inputs
from tumorkeras.features.networks import network_of, with_files
from tumorkeras.models import Detector
from tumorkeras.training.folder import TrainedModel

SETTINGS = ("_sklearn_output_config", "_metadata_request")  # what scikit-learn's own clone carries along


class FeatureExtractor(TransformerMixin, BaseEstimator):
    """Turns images or volumes into what a layer of a network answers to them, a row each.

    Nothing is learnt: ``fit`` reads the network and checks that ``X`` is of its kind. Batches go through the compiled
    graph, and only their pooled outputs are kept.

    Parameters
    ----------
    model : keras.Model, TrainedModel, str or Path
        Any of this package's models or any other Keras model with one input, trained or not; or the folder of a
        trained model. A network is shared, never copied, by ``sklearn.base.clone``; a folder is read by ``fit``.
    layer : str, optional
        Name of the layer that gives the features. By default ``"features"``: the central layer of an autoencoder, the
        pooled convolutions of a classifier. Of a detector the levels of its pyramid, finest first; of a network that
        has no such layer the last one whose output has spatial axes (the end of its convolutional base), or where
        there is none what its last layer reads.
    pool : {"mean", "max", "mean_max", "flatten"}, default "mean"
        Over the spatial axes of the output; "mean_max" gives all means, then all maxima. An output that has none stays
        as it is.
    batch_size : int, default 64
        Samples a call. A detector with a large canvas wants fewer.

    Attributes
    ----------
    network_ : keras.Model
        That is asked; in inference, whatever its training set.
    feature_names_ : list of str
        Layer (of a detector P2, P3, ... by the power of two that is the stride), of ``mean_max`` the kind, and number.
    taken_ : tuple
        ``layer`` and ``pool`` at the time of the fit.
    spec_ : DataSpec or None
        What a trained model was trained with; files of volumes are brought to its ``input.spacing``.

    Raises
    ------
    ModelError
        From ``fit``: no such layer, with the names of all; a pooling or batch size out of its range; a network without
        a graph or with several inputs (of a detector with proposals from outside only the images are read).
    DataError
        From ``transform``: samples that the network cannot read, files that nobody can read, values that are not
        finite. All are named, by row or by file; ``fit`` already names what can be seen without reading.

    Notes
    -----
    ``X`` may be

    - an array (n, \\*input_shape) of any numeric dtype; without rows the result has none either, (0, k);
    - a list of arrays of one sample each, of any size where the network reads any, as a detector does;
    - a list or column of paths, a sample each, read by :func:`tumorkeras.read` and brought to the channels and, where
      the network reads one size, to the size of its input: images letterboxed, volumes as a spec of them would be;
    - :class:`~tumorkeras.data.samples.Samples` or :class:`~tumorkeras.data.detection.DetectionSamples`, whose classes
      need not be those of the network;
    - a ``tf.data.Dataset`` of batches, alone or as (arrays, labels, ...); ``batch_size`` then says nothing.

    What scikit-learn splits into folds is an array, a list or a column.

    A pickle holds the network as the bytes of its ``.keras`` file, without the optimizer's state, and Keras' safe mode
    is on when they are read: a model with a Lambda layer is refused.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from tumorkeras import build_autoencoder
    >>> network = build_autoencoder((8, 8, 1), filters=(4,), bottleneck=5)
    >>> X = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1)).astype("uint8")
    >>> FeatureExtractor(network).fit_transform(X).shape
    (6, 5)
    >>> FeatureExtractor(network, layer="conv_1", pool="max").fit(X).get_feature_names_out().tolist()
    ['conv_1_0', 'conv_1_1', 'conv_1_2', 'conv_1_3']
    >>> pipeline = make_pipeline(FeatureExtractor(network), LogisticRegression()).fit(X, [0, 1, 0, 1, 0, 1])
    >>> pipeline.predict(X[:2]).shape
    (2,)
    """

    def __init__(
        self,
        model: keras.Model | TrainedModel | str | Path,
        layer: str | None = None,
        pool: Pool = "mean",
        batch_size: int = 64,
    ) -> None:
        self.model = model
        self.layer = layer
        self.pool = pool
        self.batch_size = batch_size

    def fit(self, X: Any, y: Any = None) -> Self:
        """Read the network and check that samples ``X`` are of its kind; ``y`` is not looked at."""
        self._check_parameters()
        network, spec = network_of(self.model)
        names = list(feature_graph(network, self.layer, self.pool).names)
        self.network_, self.spec_, self.taken_, self.feature_names_ = network, spec, (self.layer, self.pool), names
        self._find: Any = None  # compiled when regions are first asked for
        self._inputs(X)
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """The features (n, k) of samples ``X``, float32."""
        check_is_fitted(self)
        graph: FeatureGraph = feature_graph(self.network_, *self.taken_)
        found, order = [np.empty((0, len(graph.names)), "float32")], [np.empty(0, "int64")]
        for rows, batch in self._inputs(X).batches(self.batch_size):
            found.append(graph.features_of(batch))
            order.append(np.asarray(rows, "int64"))
        features = np.empty((sum(map(len, order)), len(graph.names)), "float32")
        features[np.concatenate(order)] = np.concatenate(found)
        return features

    def regions(self, X: Any) -> pd.DataFrame:
        """What a detector finds in images ``X``, and what it saw there.

        Parameters
        ----------
        X
            Images as for ``transform``.

        Returns
        -------
        pandas.DataFrame
            A row a region, by image and best first; every detection above the model's own ``score_threshold`` is
            there. ``image``, the row in ``X``; ``xmin``, ``ymin``, ``xmax`` and ``ymax`` float32, in pixels of the
            array or file (of ``DetectionSamples``, too, of the file); ``score``, 0 to 1; ``class_id``; and
            ``region_0``, ``region_1``, ...: the last dense layer before the scores, 0 and more, when the detector reads
            the found box itself. ``layer`` and ``pool`` have no part in it.

        Raises
        ------
        ModelError
            If the network is no detector.
        DataError
            As from ``transform``.
        """
        check_is_fitted(self)
        network = self.network_
        if not isinstance(network, Detector):
            raise ModelError(HEADING, [f"regions: {network.name!r} is no detector, and finds none"])
        if self._find is None:
            self._find = region_finder(network)
        width = network.get_layer("region_head").get_layer("logits").input.shape[-1]
        return region_table(self._find, self._inputs(X), self.batch_size, width)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names of the columns; ``input_features`` is not looked at."""
        check_is_fitted(self)
        return np.array(self.feature_names_, dtype=object)

    def _inputs(self, X: Any) -> NetworkInputs:
        return network_inputs(X, tuple(input_of(self.network_).shape[1:]), self.spec_)

    def _check_parameters(self) -> None:
        faults = []
        if self.layer is not None and not isinstance(self.layer, str):
            faults.append(f"layer: {self.layer!r} is neither None nor the name of a layer")
        if self.pool not in POOLS:
            faults.append(f"pool: {self.pool!r} is not one of {', '.join(POOLS)}")
        if not isinstance(self.batch_size, Integral) or isinstance(self.batch_size, bool) or self.batch_size < 1:
            faults.append(f"batch_size: {self.batch_size!r} is not a positive integer")
        if faults:
            raise ModelError(HEADING, faults)

    def __sklearn_clone__(self) -> Self:
        # scikit-learn would copy the network.
        twin = type(self)(**self.get_params(deep=False))
        twin.__dict__.update({name: deepcopy(value) for name, value in vars(self).items() if name in SETTINGS})
        return twin

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))
        twin.__dict__.update(vars(self))
        return twin

    def __getstate__(self) -> dict[str, Any]:
        return with_files({**super().__getstate__(), **({"_find": None} if "_find" in vars(self) else {})})
