from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tumorkeras.errors import ModelError
from tumorkeras.models import build_autoencoder, encoder_of, receptive_field

layers = keras.layers


def chain(*steps, shape=(40, 40, 1)):
    x = inputs = keras.Input(shape)
    for step in steps:
        x = step(x)
    return keras.Model(inputs, x)


def test_two_valid_3x3_convolutions_see_the_papers_5_pixels():
    model = build_autoencoder((16, 16, 1), filters=(4, 4), padding="valid", pool=None)
    assert receptive_field(model) == (5, 5)
    assert receptive_field(encoder_of(model)) == (5, 5)


@pytest.mark.parametrize("tied", [True, False])
def test_by_hand_with_pooling_and_volumes(tied):
    model = build_autoencoder((8, 16, 16, 1), filters=(4, 4), pool=(1, 2, 2), tied=tied, bottleneck=3)
    # 3, pooled to 4 with units 2 apart, and 2 * 2 more: 8; on the first axis 3 + 2.
    assert receptive_field(model) == (5, 8, 8)
    assert receptive_field(model, layer="conv_1") == (3, 3, 3)
    assert receptive_field(model, layer="pool_1") == (3, 4, 4)
    assert receptive_field(model, layer="pool_2") == (5, 10, 10)


def test_by_hand_strides_and_dilation():
    model = chain(layers.Conv2D(1, 3, strides=2), layers.Conv2D(1, (3, 1), dilation_rate=2), layers.Conv2D(1, 3))
    # Rows: 3, + 2*2*2 = 11, + 2*2 = 15; columns: 3, + 0, + 4.
    assert receptive_field(model) == (15, 7)


# No kernel is smaller than its stride: the gradient of 1x1 kernels at stride 2 crashes TensorFlow 2.21 (oneDNN).
stack = st.lists(
    st.one_of(
        st.builds(partial, st.just(layers.Conv2D), st.just(1), st.integers(2, 4), strides=st.integers(1, 2)),
        st.builds(partial, st.just(layers.Conv2D), st.just(1), st.integers(1, 3), dilation_rate=st.integers(1, 3)),
        st.builds(partial, st.just(layers.DepthwiseConv2D), st.integers(1, 3)),
        st.builds(partial, st.just(layers.AveragePooling2D), st.integers(1, 3), strides=st.integers(1, 2)),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=40, deadline=None)
@given(stack)
def test_it_is_the_footprint_of_the_gradient(steps):
    """With all kernels one, the input's gradient of one unit is nonzero exactly on its receptive field."""
    model = chain(*(make() for make in steps), layers.Conv2D(1, 2), shape=(90, 90, 1))
    for kernel in model.trainable_variables:
        kernel.assign(tf.ones_like(kernel))
    x = tf.zeros((1, 90, 90, 1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = model(x)
        unit = output[0, output.shape[1] // 2, output.shape[2] // 2, 0]
    rows, columns = np.nonzero(np.asarray(tape.gradient(unit, x))[0, :, :, 0])
    assert receptive_field(model) == (np.ptp(rows) + 1, np.ptp(columns) + 1)


def test_of_branches_the_widest_counts():
    inputs = keras.Input((32, 32, 1))
    thin = layers.Conv2D(2, 3, padding="same")(inputs)
    wide = layers.Conv2D(2, (1, 7), padding="same")(inputs)
    joined = layers.Conv2D(2, 3, padding="same")(layers.Concatenate()([thin, wide]))
    assert receptive_field(keras.Model(inputs, layers.Add()([joined, thin]))) == (5, 9)


@pytest.mark.parametrize("end", [layers.Flatten(), layers.GlobalMaxPooling2D(keepdims=True), layers.Reshape((-1,))])
def test_layers_that_read_the_whole_input_end_the_walk(end):
    model = chain(layers.Conv2D(2, 3), layers.ReLU(), layers.BatchNormalization(), end)
    assert receptive_field(model) == (3, 3)


def test_a_model_inside_a_model():
    inner = chain(layers.MaxPooling2D(2), layers.Conv2D(1, 3), shape=(None, None, 2))
    assert receptive_field(chain(layers.Conv2D(2, 3), inner, layers.Conv2D(1, 3))) == (12, 12)


def test_the_window_of_the_speckle_filter_counts():
    steps = [{"step": "lee_filter", "size": 5}]
    model = build_autoencoder((16, 16, 1), filters=(4,), pool=None, preprocessing=steps)
    assert receptive_field(model) == (7, 7)


def test_pooling_alone():
    assert receptive_field(chain(layers.MaxPooling2D(2), layers.MaxPooling2D((3, 2)))) == (6, 4)


def test_models_without_an_image_are_refused():
    with pytest.raises(ModelError, match="expected \\(batch"):
        receptive_field(chain(layers.Dense(2), shape=(4,)))
    with pytest.raises(ModelError, match="not a functional model"):
        receptive_field(keras.Sequential([layers.Dense(2)]))
    with pytest.raises(ModelError, match="no layer named 'none'"):
        receptive_field(chain(layers.Conv2D(2, 3)), layer="none")
