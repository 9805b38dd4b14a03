"""Layer-wise learning rates: smaller ones for earlier layers, and layers that begin to learn later."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from tumorkeras.models.freezing import BASE_END, layers_until
from tumorkeras.spec import DataSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layerwise:
    """How the learning rate of a layer depends on its distance from the head.

    The head has distance 0, the last convolution before it 1, the one before that 2, and so on.

    Parameters
    ----------
    decay : float
        Layer-wise decay: the learning rate of a layer is that of the head times ``decay ** distance``; above 0 to 1.
    unfreeze_every : int, optional
        Gradual unfreezing: a layer begins to learn after ``distance * unfreeze_every`` epochs; None: at once.

    References
    ----------
    Discriminative fine-tuning and gradual unfreezing: Howard & Ruder, *Universal Language Model Fine-tuning for Text
    Classification*, ACL 2018.

    Examples
    --------
    >>> Layerwise().is_plain, Layerwise(decay=0.5).is_plain
    (True, False)
    """

    decay: float = 1.0
    unfreeze_every: int | None = None

    @property
    def is_plain(self) -> bool:
        """Whether all layers learn alike."""
        return self.decay == 1 and self.unfreeze_every is None


EVENLY = Layerwise()


def layerwise_of(spec: DataSpec) -> Layerwise:
    """How the layers of a spec's classifier learn.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "motion", "input": {"shape": [16, 24, 24, 1]},
    ...     "source": {"kind": "simulation", "frames": 16}, "classifier": {"layer_decay": 0.5}})
    >>> layerwise_of(spec)
    Layerwise(decay=0.5, unfreeze_every=None)
    """
    return Layerwise(spec.classifier.layer_decay, spec.classifier.unfreeze_every)


@keras.saving.register_keras_serializable(package="tumorkeras")
class LayerwiseAdam(keras.optimizers.Adam):
    """Adam with a factor on the learning rate of each variable, which depends on the optimizer's step alone.

    So nothing is compiled anew when a layer begins to learn, and a training that was stopped goes on by its step. The
    moments of a layer that waits are followed from the first step: its own first step is as large as any other.

    Parameters
    ----------
    learning_rate : float or keras.optimizers.schedules.LearningRateSchedule
        That of variables at distance 0.
    distances : mapping of str to int
        From the paths of variables to their distance from the head; 0 for those that are not named.
    decay : float
        The factor is ``decay ** distance``.
    unfreeze_steps : int
        The factor is 0 for the first ``distance * unfreeze_steps`` steps.
    **kwargs
        As :class:`keras.optimizers.Adam` takes them.

    Examples
    --------
    >>> kernel = keras.Variable([1.0], name="kernel")
    >>> optimizer = LayerwiseAdam(0.1, distances={kernel.path: 2}, decay=0.5)
    >>> optimizer.apply([ops.convert_to_tensor([3.0])], [kernel])
    >>> round(float(kernel[0]), 6)  # Adam's first step is the learning rate, here 0.1 * 0.5 ** 2
    0.975
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        distances: Mapping[str, int] | None = None,
        decay: float = 1.0,
        unfreeze_steps: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.distances, self.decay, self.unfreeze_steps = dict(distances or {}), decay, unfreeze_steps

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Adam's step, with the learning rate of the variable."""
        # TensorFlow hands its own variable over, which does not know its path in the model.
        path = self._trainable_variables[self._get_variable_index(variable)].path
        distance = self.distances.get(path, 0)
        begun = ops.cast(self.iterations >= distance * self.unfreeze_steps, variable.dtype)
        own = ops.cast(learning_rate, variable.dtype) * begun * self.decay**distance
        super().update_step(gradient, variable, own)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal optimizer."""
        own = {"distances": self.distances, "decay": self.decay, "unfreeze_steps": self.unfreeze_steps}
        return {**super().get_config(), **own}


def adam(
    model: keras.Model, learning_rate: Any, layerwise: Layerwise, steps: int, epochs: int
) -> keras.optimizers.Adam:
    """Adam for a model, with gradients clipped to norm 1; a :class:`LayerwiseAdam` where layers differ.

    Parameters
    ----------
    model : keras.Model
        With a layer ``"features"`` where its base ends.
    learning_rate : float or keras.optimizers.schedules.LearningRateSchedule
    layerwise : Layerwise
    steps, epochs : int
        Steps an epoch, and how many epochs there are at most.

    Examples
    --------
    >>> from tumorkeras.models import build_classifier
    >>> model = build_classifier((8, 12, 12, 1), 2, filters=(4, 8))
    >>> type(adam(model, 1e-3, Layerwise(), steps=10, epochs=5)).__name__
    'Adam'
    >>> optimizer = adam(model, 1e-3, Layerwise(unfreeze_every=2), steps=10, epochs=5)
    >>> optimizer.unfreeze_steps, optimizer.distances["conv_2/kernel"], optimizer.distances["conv_1/kernel"]
    (20, 1, 2)
    """
    if layerwise.is_plain:
        return keras.optimizers.Adam(learning_rate, clipnorm=1.0)
    distances = distances_of(model)
    every = layerwise.unfreeze_every or 0
    late = sorted({path.rpartition("/")[0] for path, distance in distances.items() if distance * every >= epochs})
    if late:
        logger.warning("unfreeze_every: %s would begin to learn after the last of %d epochs", ", ".join(late), epochs)
    return LayerwiseAdam(learning_rate, distances, layerwise.decay, every * steps, clipnorm=1.0)


def distances_of(model: keras.Model) -> dict[str, int]:
    """Distance from the head of each variable that trains in the base: 1 in its last layer with weights, and so on.

    Examples
    --------
    >>> from tumorkeras.models import build_classifier
    >>> distances_of(build_classifier((8, 12, 12, 1), 2, filters=(4, 8)))
    {'conv_2/kernel': 1, 'conv_2/bias': 1, 'conv_1/kernel': 2, 'conv_1/bias': 2}
    """
    weighted = [layer for layer in layers_until(model, BASE_END) if layer.weights]
    return {
        variable.path: distance
        for distance, layer in enumerate(reversed(weighted), start=1)
        for variable in layer.trainable_variables
    }
