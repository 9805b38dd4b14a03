"""A backbone as a layer that gives the maps of its pyramid levels."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Self

import keras

from tumorkeras.errors import ModelError

# Of the running statistics of batch normalisation. Keras' own 0.99 follows the weights over hundreds of steps, which
# are many epochs of a few hundred images: until the learning rate has fallen, a detector fails outside of training.
MOMENTUM = 0.9


@keras.saving.register_keras_serializable(package="tumorkeras")
class PyramidLevels(keras.layers.Layer):
    """The feature maps of a KerasCV backbone at the end of each of its stages.

    Its batch normalisation gets a momentum of 0.9.

    The backbone is kept whole, so that a saved model names its class and arguments, never the lambdas inside it. Its
    layers that no level needs, such as those before a classifier, are not trained.
    Input (batch, height, width, channels) as the backbone takes it; output a list of maps, from fine to coarse.

    Parameters
    ----------
    backbone : keras.Model
        With ``pyramid_level_inputs``, as every KerasCV backbone has it.
    levels : list of str, optional
        Such as ``["P2", "P3"]``; by default all levels.
    frozen : {False, True} or str
        Not trained: nothing, everything, or all up to the end of the named level. Frozen batch normalisation uses
        its running statistics.

    Raises
    ------
    ModelError
        If the model has no ``pyramid_level_inputs``, or not the named level.

    Examples
    --------
    >>> import keras_cv
    >>> backbone = keras_cv.models.CSPDarkNetBackbone(
    ...     stackwise_channels=[8, 16], stackwise_depth=[1, 1], include_rescaling=False, input_shape=(32, 32, 1))
    >>> [tuple(level.shape) for level in PyramidLevels(backbone)(keras.Input((32, 32, 1)))]
    [(None, 8, 8, 8), (None, 4, 4, 16)]
    """

    def __init__(
        self, backbone: keras.Model, levels: list[str] | None = None, frozen: bool | str = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        found = getattr(backbone, "pyramid_level_inputs", None)
        if not found:
            raise ModelError(
                self.name,
                [f"backbone: {type(backbone).__name__} has no pyramid_level_inputs, as a KerasCV backbone has"],
            )
        wanted = list(found) if levels is None else list(levels)
        unknown = [f"level {name!r} is not one of {', '.join(found)}" for name in wanted if name not in found]
        unknown += _unknown_level(frozen, found)
        if unknown:
            raise ModelError(self.name, unknown)
        self.backbone, self.level_names = backbone, wanted
        ends = {name: backbone.get_layer(layer).output for name, layer in found.items()}
        # In a tuple of its own kind: were it an attribute, Keras would save the shared layers under it too.
        self._graph = _Untracked(keras.Model(backbone.input, [ends[name] for name in wanted]))
        self._stop(frozen)
        for layer in backbone._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = MOMENTUM

    def freeze(self, frozen: bool | str) -> None:
        """Freeze anew: what the argument ``frozen`` of the layer says, and all else that a level needs is trained.

        Raises
        ------
        ModelError
            If the backbone has not the named level.
        """
        unknown = _unknown_level(frozen, self.backbone.pyramid_level_inputs)
        if unknown:
            raise ModelError(self.name, unknown)
        for layer in self.backbone.layers:
            layer.trainable = True
        self._stop(frozen)

    def _stop(self, frozen: bool | str) -> None:
        self.frozen = frozen
        needed = {id(layer) for layer in self._graph.model.layers}
        still = [layer for layer in self.backbone.layers if id(layer) not in needed]
        if frozen is True:
            still = self.backbone.layers
        elif frozen:
            end = self.backbone.get_layer(self.backbone.pyramid_level_inputs[frozen]).output
            still += keras.Model(self.backbone.input, end).layers
        for layer in still:
            layer.trainable = False

    def build(self, input_shape: Any) -> None:
        """The backbone is built already."""

    def call(self, images: Any, training: bool | None = None) -> list[Any]:
        """Run the backbone."""
        found = self._graph.model(images, training=training)
        return found if isinstance(found, list) else [found]

    def compute_output_spec(self, images: Any, training: bool | None = None) -> list[keras.KerasTensor]:
        """One map a level."""
        found = self._graph.model.compute_output_spec(images)
        return found if isinstance(found, list) else [found]

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "levels": self.level_names,
            "frozen": self.frozen,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make an equal layer."""
        return cls(**{**config, "backbone": keras.saving.deserialize_keras_object(config["backbone"])})


def _unknown_level(frozen: bool | str, levels: Collection[str]) -> list[str]:
    if not isinstance(frozen, str) or frozen in levels:
        return []
    return [f"frozen: {frozen!r} is neither a truth value nor one of {', '.join(levels)}"]


class _Untracked:
    """Holds a model that shares the layers of another, where Keras does not look."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
