"""The table of predictions: its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tumorkeras.boxes import CORNERS, NO_CLASS
from tumorkeras.errors import ModelError

INPUT = "_input"  # the number of the input of a row, only while a scoring is under way


@dataclass(frozen=True)
class Layout:
    """The columns of a job's table.

    Parameters
    ----------
    output : str
        As :class:`tumorkeras.scoring.predictor.Predictor` has it.
    shape : tuple of int
        Of the answer to a sample: (width,), or (most, 6) for detections.
    classes : sequence of str or None
        Names by class id; without, classes are called by their ids.
    has_names : bool
        Whether ids are text; else they are numbers.
    carried : pandas.DataFrame or None
        Further columns, a row an input.
    """

    output: str
    shape: tuple[int, ...]
    classes: Sequence[str] | None = None
    has_names: bool = False
    carried: pd.DataFrame | None = None

    def table(
        self,
        paths: Sequence[str],
        ids: Sequence[int | str | None],
        errors: Sequence[str | None],
        values: np.ndarray,
        numbers: Sequence[int],
    ) -> pd.DataFrame:
        """A row a sample; of detections a row a detection, and one for a sample without any.

        Parameters
        ----------
        paths, ids, errors : sequence
            Of the samples; an error is None where there is an answer.
        values : ndarray, shape (n, *shape)
            The answers; not numbers where ``errors`` says why. Of detections class id, score, xmin, ymin, xmax and
            ymax, best first, padded with class -1.
        numbers : sequence of int
            Of the input that each sample is of; they are the column ``_input``.

        Examples
        --------
        >>> found = np.array([[[0, 0.75, 1, 2, 9, 8], [-1, 0, 0, 0, 0, 0]], np.full((2, 6), np.nan)])
        >>> layout = Layout("detections", (2, 6), ["cyst"])
        >>> layout.table(["a.png", "b.png"], [None, None], [None, "is empty"], found, [0, 1]).drop(columns="id")
            path status     error class  score  xmin  ymin  xmax  ymax  _input
        0  a.png     ok       NaN  cyst   0.75   1.0   2.0   9.0   8.0       0
        1  b.png  error  is empty   NaN    NaN   NaN   NaN   NaN   NaN       1
        """
        front, back = self._outcomes(paths, ids, errors), self._beside(np.asarray(numbers, "int64"))
        if self.output == "detections":
            sample, answers = _detections(values, self.classes)
            front, back = (part.iloc[sample].reset_index(drop=True) for part in (front, back))
        elif self.output in ("probabilities", "uncertainty"):
            of_classes = _probabilities if self.output == "probabilities" else _uncertainty
            answers = of_classes(values, (front["status"] == "ok").to_numpy(), self.classes)
        elif self.output == "out_of_distribution":
            answers = _errors(values)
        else:
            many = self.output == "features"
            names = [f"feature_{k}" for k in range(values.shape[1])] if many else [self.output]
            answers = pd.DataFrame(values, columns=names)
        return pd.concat([front, answers, back], axis=1)

    def empty(self) -> pd.DataFrame:
        """The table of nothing, as users see it: without the number of the input."""
        return self.table([], [], [], np.empty((0, *self.shape), "float32"), []).drop(columns=INPUT)

    def _outcomes(self, paths: Any, ids: Any, errors: Any) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "path": pd.Series(paths, dtype="str"),
                "id": pd.Series(ids, dtype="str" if self.has_names else "Int64"),
                "status": pd.Series(["ok" if error is None else "error" for error in errors], dtype="str"),
                "error": pd.Series(errors, dtype="str"),
            }
        )

    def _beside(self, numbers: np.ndarray) -> pd.DataFrame:
        if self.carried is None:
            return pd.DataFrame({INPUT: numbers})
        return self.carried.iloc[numbers].reset_index(drop=True).assign(**{INPUT: numbers})


def _probabilities(values: np.ndarray, ok: np.ndarray, classes: Sequence[str] | None) -> pd.DataFrame:
    winners = np.zeros(len(values), dtype="int64")
    winners[ok] = values[ok].argmax(axis=1)
    table = pd.DataFrame({"class_id": pd.Series(winners, dtype="Int64").mask(~ok)})
    if classes is not None:
        table["class_name"] = pd.Series(np.asarray(classes, dtype=object)[winners], dtype="str").mask(~ok)
    columns = [f"probability_{name}" for name in classes or range(values.shape[1])]
    return pd.concat([table, pd.DataFrame(values, columns=columns)], axis=1)


def _uncertainty(values: np.ndarray, ok: np.ndarray, classes: Sequence[str] | None) -> pd.DataFrame:
    """Means, standard deviations, entropy and mutual information, side by side."""
    means, deviations, sums = np.split(values, [(values.shape[1] - 2) // 2, values.shape[1] - 2], axis=1)
    table = _probabilities(means, ok, classes)
    columns = [f"std_{name}" for name in classes or range(means.shape[1])]
    further = pd.DataFrame(np.hstack([deviations, sums]), columns=[*columns, "entropy", "mutual_information"])
    return pd.concat([table, further], axis=1)


def _errors(values: np.ndarray) -> pd.DataFrame:
    """Errors, and whether they are too large."""
    large = pd.Series(values[:, 1] > 0, dtype="boolean").mask(np.isnan(values[:, 1]))
    return pd.DataFrame({"reconstruction_error": values[:, 0], "out_of_distribution": large})


def _detections(found: np.ndarray, classes: Sequence[str] | None) -> tuple[np.ndarray, pd.DataFrame]:
    """The sample of each row, and the rows."""
    real = found[..., 0] > NO_CLASS  # not so for what is no number
    real[~real.any(axis=1), 0] = True  # a row that says that there is nothing
    sample, place = np.nonzero(real)
    rows = np.where(found[sample, place, :1] > NO_CLASS, found[sample, place], np.float32(np.nan))
    table = pd.DataFrame({"class": _class_names(rows[:, 0], classes)})
    return sample, pd.concat([table, pd.DataFrame(rows[:, 1:], columns=["score", *CORNERS])], axis=1)


def _class_names(labels: np.ndarray, classes: Sequence[str] | None) -> pd.Series:
    known = np.isfinite(labels)
    ids = np.where(known, labels, 0).astype("int64")
    most = int(ids.max(initial=0)) + 1
    names = list(classes) if classes is not None else [str(k) for k in range(most)]
    if known.any() and most > len(names):
        raise ModelError("score", [f"there are {len(names)} names of classes, but the model finds class {most - 1}"])
    return pd.Series(np.asarray([*names, ""], dtype=object)[np.where(known, ids, -1)], dtype="str").where(known)
