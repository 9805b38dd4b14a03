"""The steps that a spec may name: each is a layer, in both builders, saved, loaded and exported."""

from __future__ import annotations

from typing import get_args

import keras
import numpy as np
import pytest
import yaml
from model_check import check_models

from tumorkeras.errors import SpecError
from tumorkeras.models import build_autoencoder, build_classifier, target_of
from tumorkeras.serving.export import export
from tumorkeras.serving.verify import verify_export
from tumorkeras.spec import DataSpec
from tumorkeras.spec_steps import (
    PreprocessingStep,
)
from tumorkeras.training.networks import autoencoder_of, classifier_of

SECTIONS = get_args(get_args(PreprocessingStep)[0])

# A chain in which every step stands once; the input is 0 to 1.
STEPS = [
    {"step": "lee_filter", "size": 3, "looks": 4.0},
    {"step": "log_compression", "dynamic_range": 40.0},
    {"step": "equalize", "tiles": 2, "clip_limit": 3.0, "bins": 32},
    {"step": "window", "low": -0.1, "high": 1.1},
    {"step": "percentile_window", "low": 2.0, "high": 98.0},
    {"step": "rescale", "scale": 2.0, "offset": -1.0},
    {"step": "normalize", "mean": [0.1], "std": [0.5]},
    {"step": "standardize"},
]
SHAPES = {"image": [16, 18, 1], "volume": [4, 16, 18, 1]}


def spec_of(steps, shape):
    values = {
        "name": "steps",
        "tasks": ["autoencode", "classify"],
        "source": {"kind": "image_folder", "path": "images", "levels": "class"},
        "input": {"shape": shape},
        "classes": ["a", "b"],
        "preprocessing": steps,
        "autoencoder": {"filters": [4], "bottleneck": 8, "activation": "tanh"},
        "classifier": {"filters": [4], "dense": [8], "activation": "tanh"},
    }
    return DataSpec.from_dict(values)


def test_every_step_is_tried_here():
    assert {section.model_fields["step"].default for section in SECTIONS} == {step["step"] for step in STEPS}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step["step"])
def test_a_step_is_its_layer_with_the_fields_of_the_spec(step):
    spec = spec_of([step], SHAPES["image"])
    assert DataSpec.from_dict(yaml.safe_load(yaml.safe_dump(spec.to_dict()))) == spec
    layer = classifier_of(spec, 2).get_layer(f"{step['step']}_1")
    config = layer.get_config()
    for name, value in spec.preprocessing[0].model_dump(exclude={"step"}).items():
        assert config[name] == value, name


@pytest.mark.slow
def test_models_with_every_step_train_save_and_load(tmp_path):
    builders = {}
    for name, shape in SHAPES.items():
        spec = spec_of(STEPS, shape)
        builders[f"autoencoder_{name}"] = lambda spec=spec: autoencoder_of(spec)
        builders[f"classifier_{name}"] = lambda spec=spec: classifier_of(spec, 2)
    check_models(builders, tmp_path)


def test_the_reconstruction_is_compared_with_what_the_steps_give():
    model = build_autoencoder((16, 18, 1), filters=(4,), preprocessing=STEPS)
    x = np.random.default_rng(0).random((2, 16, 18, 1), dtype="float32")
    expected = x
    for number, step in enumerate(STEPS, start=1):
        expected = model.get_layer(f"{step['step']}_{number}")(expected)
    np.testing.assert_allclose(target_of(model)(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_a_classifier_with_every_step_is_exported(tmp_path):
    keras.utils.set_random_seed(0)
    model = build_classifier((16, 18, 1), 2, filters=(4,), dense=(8,), preprocessing=STEPS)
    samples = np.random.default_rng(0).random((3, 16, 18, 1), dtype="float32")
    folder = export(model, tmp_path, name="steps", samples=samples)
    assert verify_export(folder).ok


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ({"step": "window", "low": 5, "high": 5}, r"preprocessing\[0\]: low is 5, not below high, 5"),
        ({"step": "window", "low": 5}, r"preprocessing\[0\].high: missing"),
        ({"step": "percentile_window", "low": -1}, r"preprocessing\[0\].low: -1"),
        ({"step": "percentile_window", "low": 99.5}, "not below high, 99"),
        ({"step": "log_compression", "gain": 3}, "give one of dynamic_range and gain"),
        ({"step": "log_compression", "dynamic_range": 500}, r"preprocessing\[0\].dynamic_range: 500"),
        ({"step": "equalize", "low": 255, "high": 0}, "low is 255, not below high, 0"),
        ({"step": "equalize", "tiles": 0}, r"preprocessing\[0\].tiles: 0 is not a positive integer"),
        ({"step": "lee_filter", "looks": 0}, r"preprocessing\[0\].looks: 0"),
        ({"step": "normalize", "mean": [0.5], "std": [0]}, r"preprocessing\[0\].std\[0\]: 0 is not a positive number"),
        ({"step": "normalize", "mean": [], "std": [1]}, r"preprocessing\[0\].mean: \[\] is not"),
        ({"step": "equalise"}, "did you mean equalize"),
    ],
)
def test_the_spec_refuses_what_the_layer_would(step, fault):
    with pytest.raises(SpecError, match=fault):
        spec_of([step], SHAPES["image"])
