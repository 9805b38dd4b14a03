"""The detector learns: eight simulated ultrasound images by heart."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from made_detectors import small_encoder

from tumorkeras import simulate_ultrasound
from tumorkeras.anchors import propose_anchors
from tumorkeras.metrics import average_precision
from tumorkeras.models.detector import build_detector

SIDE, STEPS = 96, 200


@pytest.mark.slow
def test_eight_images_are_learnt_by_heart():
    found = simulate_ultrasound(8, (SIDE, SIDE), most=2, without=0.2, seed=0)
    images, truth = found.images[..., None], {"boxes": found.boxes, "classes": found.classes}
    keras.utils.set_random_seed(0)
    detector = build_detector(
        (SIDE, SIDE, 1),
        2,
        backbone=small_encoder(),
        anchors=propose_anchors(found.boxes[found.classes >= 0], (SIDE, SIDE)),
        fusion_width=24,
        rpn_candidates=200,
        rpn_proposals=50,
        dense=(64,),
        dropout=0.0,
    )
    detector.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(8e-3, STEPS)))
    data = tf.data.Dataset.from_tensors((images, truth)).repeat(STEPS)
    history = detector.fit(data, verbose=0, shuffle=False)
    assert np.isfinite(history.history["loss"]).all()
    answer = {key: np.asarray(value) for key, value in detector(images, training=False).items()}
    figures = average_precision(truth, answer, ["benign", "malignant"])
    assert figures.ap50 > 0.95
    assert figures.ap > 0.85  # boxes that fit, not only boxes that meet
