"""Learning curves that grow under the cell of a notebook while a model trains."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import keras
import pandas as pd

from tumorkeras import markup
from tumorkeras.curves import curves
from tumorkeras.progress import in_notebook

SOONEST = 1.0  # seconds from one drawing to the next


class LiveCurves(keras.callbacks.Callback):
    """Draw the learning curves in place, at most once a second, and leave the last ones there.

    A callback for any Keras model: ``model.fit(..., callbacks=[LiveCurves()], verbose=0)``. Outside a notebook it shows
    nothing, and Keras' own lines serve. :func:`tumorkeras.train` uses it in a notebook.

    Parameters
    ----------
    history : DataFrame or iterable of mappings, optional
        Rows of epochs that were trained before, with their number in ``epoch``; they are drawn as well.

    Examples
    --------
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> live = LiveCurves()
    >>> _ = model.fit(np.zeros((4, 2)), np.zeros(4), epochs=2, callbacks=[live], verbose=0)
    >>> list(live.history), len(live.history)
    (['epoch', 'loss'], 2)
    """

    def __init__(self, history: pd.DataFrame | Iterable[Mapping[str, float]] = ()) -> None:
        super().__init__()
        earlier = history.to_dict("records") if isinstance(history, pd.DataFrame) else history
        self._earlier = [{str(name): float(value) for name, value in row.items()} for row in earlier]
        self._rows: list[dict[str, float]] = []
        self._handle: Any = None
        self._where = ""

    @property
    def history(self) -> pd.DataFrame:
        """A row an epoch: its number, and the figures that Keras gave."""
        return pd.DataFrame(self._rows)

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Display the first state, in a notebook."""
        self._rows, self._began, self._drawn = list(self._earlier), time.monotonic(), time.monotonic()
        self._handle, self._where = None, "the first step takes longest"
        if in_notebook():
            from IPython.display import display

            self._handle = display(self._shown(), display_id=True)

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Say how far the epoch is."""
        # Not at the end of a step: there Keras would wait for the device to hand over the figures.
        if self._handle is not None and time.monotonic() - self._drawn >= SOONEST:
            epochs, steps = self.params.get("epochs"), self.params.get("steps")
            self._draw(f"epoch {self._next} of {epochs}, step {batch + 1}" + (f" of {steps}" if steps else ""))

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Take the number of the epoch."""
        self._next = epoch + 1

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Take the figures of the epoch."""
        self._rows.append({"epoch": epoch + 1, **{name: float(value) for name, value in (logs or {}).items()}})
        if self._handle is not None and time.monotonic() - self._drawn >= SOONEST:
            self._draw(f"epoch {epoch + 1} of {self.params.get('epochs')}")

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Leave the last curves there."""
        if self._handle is not None:
            count, epochs = len(self._rows), self.params.get("epochs")
            last = self._rows[-1]["epoch"] if self._rows else 0
            early = f" (of {epochs}: stopped early)" if epochs and last < epochs else ""
            self._draw(f"{count} epoch{'' if count == 1 else 's'}{early}")

    def _draw(self, where: str) -> None:
        self._where = where
        self._handle.update(self._shown())
        self._drawn = time.monotonic()

    def _shown(self) -> _Shown:
        seconds = time.monotonic() - self._began
        where = f"{self._where}, {in_minutes(seconds)}" if seconds >= SOONEST else self._where
        return _Shown(self.model.name, where, list(self._rows), self.params.get("epochs"))


class _Shown(NamedTuple):
    """What is displayed: curves where they can be, else a line."""

    name: str
    where: str
    rows: list[dict[str, float]]
    epochs: int | None

    def __repr__(self) -> str:
        last = {name: value for name, value in self.rows[-1].items() if name != "epoch"} if self.rows else {}
        return f"{self.name}: {self.where}" + (f": {as_line(last)}" if last else "")

    def _repr_html_(self) -> str:
        drawn = curves(pd.DataFrame(self.rows), self.epochs)
        return markup.card(f"Training {self.name}", [markup.paragraph(self.where), drawn])


def as_line(row: Mapping[str, float]) -> str:
    """The figures of an epoch in a line.

    Examples
    --------
    >>> as_line({"loss": 0.51234, "val_loss": 0.6})
    'loss 0.5123, val_loss 0.6000'
    """
    return ", ".join(f"{name} {value:.4f}" for name, value in row.items())


def in_minutes(seconds: float) -> str:
    """How long something takes, in words.

    Examples
    --------
    >>> in_minutes(7.4), in_minutes(75), in_minutes(7325)
    ('7 s', '1 min 15 s', '2 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
