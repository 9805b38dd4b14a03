from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import PathCollection

from tumorkeras import plots
from tumorkeras.errors import DataError
from tumorkeras.metrics import calibration_error, reliability_table

rng = np.random.default_rng(0)
LABELS, SCORES = rng.integers(0, 2, 60), rng.random(60)


def test_markers_lie_at_probability_and_frequency_with_areas_by_counts():
    ax = plots.reliability(LABELS, SCORES, bins=4)
    table = reliability_table(LABELS, SCORES, bins=4)
    (markers,) = [found for found in ax.collections if isinstance(found, PathCollection)]
    np.testing.assert_allclose(markers.get_offsets(), table[["probability", "frequency"]])
    assert np.argmax(markers.get_sizes()) == np.argmax(table["count"])
    ece = calibration_error(LABELS, SCORES, bins=4).loc["ECE", "value"]
    assert f"ECE {ece:.3f}" in ax.get_legend().get_texts()[1].get_text()


def test_scaled_probabilities_stand_beside_and_more_classes_say_what_is_drawn():
    table = rng.dirichlet(np.ones(3), 60)
    ax = plots.reliability(rng.integers(0, 3, 60), table, table**0.5 / (table**0.5).sum(axis=1, keepdims=True))
    texts = [text.get_text().split("\n")[0] for text in ax.get_legend().get_texts()]
    assert texts == ["as often as said", "as they are", "scaled"]
    assert ax.get_xlabel() == "probability of the class that is called"


def test_a_single_group_has_no_interval():
    ax = plots.reliability(LABELS, SCORES, groups=np.zeros(60))
    assert ax.get_legend().get_texts()[1].get_text().splitlines()[1].endswith(tuple("0123456789"))


def test_bad_input():
    with pytest.raises(DataError, match="60 and 59 rows"):
        plots.reliability(LABELS, SCORES[1:])
