"""The epochs of a training, whatever is trained: history, best weights, early stopping, and the state on disk."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from tumorkeras.errors import ModelError
from tumorkeras.progress import in_notebook, progress_bar
from tumorkeras.training.devices import share_statistics, shared_out
from tumorkeras.training.live import LiveCurves, as_line
from tumorkeras.training.state import Progress, TrainingState

logger = logging.getLogger(__name__)


def run_epochs(
    model: keras.Model,
    stream: Callable[[int], tf.data.Dataset],
    steps: int,
    epochs: int,
    *,
    state: TrainingState,
    patience: int,
    held_out: tf.data.Dataset | None = None,
    measure: Callable[[], dict[str, float]] = dict,
    value_of: Callable[[Mapping[str, float]], float | None] = lambda row: row.get("val_loss"),
    progress: bool = True,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Progress:
    """Go on from the state's last epoch to the end, or to where patience ends.

    Parameters
    ----------
    model : keras.Model
        Compiled, in the scope of its strategy where it trains on several devices. Where its optimizer keeps a moving
        average of the weights, that is what is measured and kept.
    stream : callable
        The endless training stream that begins with a given epoch.
    steps, epochs : int
    state : TrainingState
        Whose ``best_weights`` are those of the best epoch, or of the last where nothing is measured.
    patience : int
        Epochs without a better value after which the training stops.
    held_out : tf.data.Dataset, optional
        What Keras measures the validation loss on.
    measure : callable, optional
        Figures that are added to the row of an epoch.
    value_of : callable, optional
        From a row to what is to become small; None where it is unknown.
    progress : bool
        Live curves in a notebook, a bar on a terminal, and elsewhere a logged line an epoch.
    callbacks : sequence of keras.callbacks.Callback
        Keras' own, such as TensorBoard, told of every epoch after its figures are measured.

    Raises
    ------
    ModelError
        If the loss is no longer a number, or never had a value.
    """
    reached = state.restore()
    if reached.epoch < epochs and not reached.stopped:
        keeper = _Keeper(state, reached, patience, epochs, measure, value_of, progress)
        live = [LiveCurves(reached.history)] if progress and in_notebook() else []
        strategy = model.distribute_strategy
        # With an end, for those who look through all of it, as the autologging of MLflow does.
        left = stream(reached.epoch).take(steps * (epochs - reached.epoch))
        with _without_retracing_warnings():
            model.fit(
                shared_out(left, strategy, fill=True),
                steps_per_epoch=steps,
                initial_epoch=reached.epoch,
                epochs=epochs,
                callbacks=[keeper, *live, *callbacks],
                verbose=0,
                shuffle=False,
                **_validation(held_out, strategy),
            )
    _check_finite(model, reached)
    return reached


def _validation(held_out: tf.data.Dataset | None, strategy: tf.distribute.Strategy) -> dict[str, Any]:
    """The arguments of Keras' fit: what is shared out has no end of its own."""
    if held_out is None or strategy.num_replicas_in_sync == 1:
        return {"validation_data": held_out}
    parts = shared_out(held_out, strategy, fill=False)
    return {"validation_data": parts, "validation_steps": int(held_out.cardinality())}


@contextmanager
def _without_retracing_warnings() -> Iterator[None]:
    """Each model has a step of its own; trained one after the other they look to TensorFlow like one traced anew."""

    def is_another(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()

    logger = tf.get_logger()
    logger.addFilter(is_another)
    try:
        yield
    finally:
        logger.removeFilter(is_another)


def _check_finite(model: keras.Model, reached: Progress) -> None:
    mend = "lower training.learning_rate or rescale the input (preprocessing)"
    if not math.isfinite(reached.history[-1]["loss"]):
        raise ModelError(model.name, [f"the loss of epoch {len(reached.history)} is not a finite number; {mend}"])
    if not reached.best_epoch:
        raise ModelError(model.name, [f"no epoch has a finite validation loss; {mend}"])


class _Keeper(keras.callbacks.Callback):
    """After each epoch: a row of history, the best weights, the state on disk, and the decision to stop."""

    def __init__(
        self,
        state: TrainingState,
        reached: Progress,
        patience: int,
        epochs: int,
        measure: Callable[[], dict[str, float]],
        value_of: Callable[[Mapping[str, float]], float | None],
        progress: bool,
    ) -> None:
        super().__init__()
        self.state, self.reached, self.patience = state, reached, patience
        self.measure, self.value_of, self.epochs = measure, value_of, epochs
        shown = progress and not in_notebook()  # where there are curves
        self.bar = progress_bar(epochs, state.model.name, "epoch", shown=shown, initial=reached.epoch)
        self.lines = shown and self.bar.disable

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        row = {name: float(value) for name, value in (logs or {}).items()}
        share_statistics(self.model)
        with averaged_weights(self.model):
            row |= self.measure()
            self._keep_the_best(epoch, self.value_of(row))
        if logs is not None:
            logs.update(row)  # for the callbacks after this one, as Keras' own do
        self.reached.epoch = epoch + 1
        self.reached.history.append({"epoch": epoch + 1, **row})
        self.model.stop_training = self.reached.stopped or not math.isfinite(row["loss"])
        if not math.isfinite(row["loss"]):
            return
        self.state.save(self.reached)
        self.bar.set_postfix({name: f"{value:.4f}" for name, value in row.items()})
        self.bar.update()
        if self.lines:
            logger.info("%s: epoch %d of %d: %s", self.model.name, epoch + 1, self.epochs, as_line(row))

    def _keep_the_best(self, epoch: int, value: float | None) -> None:
        reached = self.reached
        if value is None or value < reached.best_value:  # NaN never is
            reached.best_value = float("inf") if value is None else value
            reached.best_epoch = epoch + 1
            self.state.best_weights = self.model.get_weights()
        reached.stopped = epoch + 1 - reached.best_epoch >= self.patience

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.bar.close()


@contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Let a model have the moving average of its weights for a while, where its optimizer keeps one."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)  # under mixed precision it is wrapped
    if not optimizer.use_ema:
        yield
        return
    # As in keras.callbacks.SwapEMAWeights, which would leave the average in the model while the state is saved.
    averages = optimizer._model_variables_moving_average
    own = [variable.numpy() for variable in model.trainable_variables]
    for variable, average in zip(model.trainable_variables, averages, strict=True):
        variable.assign(average)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, own, strict=True):
            variable.assign(value)


def warmed_up_cosine(learning_rate: float, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """A learning rate that rises over a tenth of the steps and falls to 0 along a cosine."""
    warmup = max(1, steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup), warmup_target=learning_rate, warmup_steps=warmup
    )
