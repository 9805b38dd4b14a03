"""Pooling of volumes, written as pooling of images."""

import numpy as np
import pytest
import tensorflow as tf

from tumorkeras.serving.formats.pooling import without_max_pool_3d


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("size", "stride"), [((2, 2, 2), (2, 2, 2)), ((3, 2, 1), (2, 1, 3)), ((1, 3, 2), (1, 1, 2))])
def test_the_same_numbers_come_out(size, stride, padding):
    """Over odd sizes, of negative values too, in one graph twice."""
    given = np.random.default_rng(0).normal(-1, 1, (3, 7, 9, 8, 2)).astype("float32")
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (None, 7, 9, 8, 2), name="x")
        pooled = tf.nn.max_pool3d(x, size, stride, padding, name="first")
        tf.nn.max_pool3d(tf.exp(pooled), (2, 1, 2), 1, padding, name="second")
    rewritten = without_max_pool_3d(graph)
    assert "MaxPool3D" not in {node.op for node in rewritten.node}
    wanted, found = run(graph.as_graph_def(), given), run(rewritten, given)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_pooling_of_open_sizes_stays():
    with tf.Graph().as_default() as graph:
        tf.nn.max_pool3d(tf.compat.v1.placeholder(tf.float32, (None, None, 9, 8, 2)), 2, 2, "SAME")
    assert [node.op for node in without_max_pool_3d(graph).node] == ["Placeholder", "MaxPool3D"]


def run(graph, given):
    with tf.Graph().as_default() as fresh:
        tf.graph_util.import_graph_def(graph, name="")
    with tf.compat.v1.Session(graph=fresh) as session:
        return session.run(["first:0", "second:0"], {"x:0": given})
