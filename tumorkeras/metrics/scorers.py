"""Scores of fitted scikit-learn models, for a search of their settings."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from tumorkeras.metrics.ranking import weighted_auc


def mean_auc(model: BaseEstimator, table: pd.DataFrame, labels: np.ndarray) -> float:
    """The area under the ROC curve, of more than two classes the mean over those that occur, each against the rest."""
    scores = model.decision_function(table) if hasattr(model, "decision_function") else model.predict_proba(table)
    if len(model.classes_) == 2:  # a decision function has one column
        return float(weighted_auc(labels == model.classes_[1], scores if np.ndim(scores) == 1 else scores[:, 1])[0])
    areas = [weighted_auc(labels == name, scores[:, k])[0] for k, name in enumerate(model.classes_)]
    return float(np.nanmean(areas))
