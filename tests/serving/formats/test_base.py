"""What of a graph a format lacks, in words."""

import tensorflow as tf

from tumorkeras.serving.formats.base import float64


def test_float64_is_found_in_layers_in_branches_and_outside_of_layers():
    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32)])
    def scoped(x):
        with tf.name_scope("model/inner"):
            return tf.cond(tf.shape(x)[0] > 1, lambda: tf.cast(tf.cast(x, tf.float64) / 3, tf.float32), lambda: x)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32)])
    def bare(x):
        return tf.cast(x, tf.float64)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32)])
    def none(x):
        return x + 1

    assert float64(scoped.get_concrete_function().graph) == ["float64 (in inner)"]
    assert float64(bare.get_concrete_function().graph) == ["float64"]
    assert float64(none.get_concrete_function().graph) == []
