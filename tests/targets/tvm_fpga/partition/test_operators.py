"""Every kind of operator equals the float reference to one step of the last bit, and the machine equals the layers."""

import numpy as np
import pytest
import qdq
from agreement import assert_close, compare

KINDS = {
    "conv 3x3": lambda g, x: g.stored(g.conv(x, 12, 3), 0.3),
    "conv 1x1": lambda g, x: g.stored(g.conv(x, 12, 1), 0.1),
    "conv 5x5": lambda g, x: g.stored(g.conv(x, 4, 5), 0.4),
    "conv 2x3": lambda g, x: g.stored(g.conv(x, 4, (2, 3)), 0.2),
    "conv without bias": lambda g, x: g.stored(g.conv(x, 4, 3, bias=False), 0.3),
    "conv with a stride": lambda g, x: g.stored(g.conv(x, 12, 3, stride=2), 0.3),
    "conv, padding on two sides": lambda g, x: g.stored(g.conv(x, 12, 3, stride=2, pads=(0, 0, 1, 1)), 0.3),
    "conv without padding": lambda g, x: g.stored(g.conv(x, 5, 3, pads=(0, 0, 0, 0)), 0.3),
    "conv with a dilation": lambda g, x: g.stored(g.conv(x, 4, 3, pads=(2, 2, 2, 2), dilation=2), 0.3),
    "grouped conv": lambda g, x: g.stored(g.conv(x, 12, 3, group=3), 0.2),
    "two filters per channel": lambda g, x: g.stored(g.conv(x, 12, 3, group=6), 0.1),
    "depthwise 3x3": lambda g, x: g.stored(g.depthwise(x, 3), 0.1),
    "depthwise 3x3 with a stride": lambda g, x: g.stored(g.depthwise(x, 3, stride=2), 0.1),
    "depthwise 5x5": lambda g, x: g.stored(g.depthwise(x, 5), 0.2),
    "depthwise with a dilation": lambda g, x: g.stored(g.depthwise(x, 3, pads=(2, 2, 2, 2), dilation=2), 0.1),
    "one scale for all weights": lambda g, x: g.stored(
        g.conv(x, 5, 3, weights=g.weights(5, 6, 3, 3, per_channel=False)), 0.3
    ),
    "weights as uint8": lambda g, x: g.stored(
        g.conv(x, 5, 3, weights=g.weights(5, 6, 3, 3, dtype=np.uint8, zero=128)), 0.3
    ),
    "conv and relu": lambda g, x: g.stored(g.same("Relu", g.conv(x, 5, 3)), 0.1),
    "conv and relu6": lambda g, x: g.stored(g.relu6(g.conv(x, 5, 3)), 0.05),
    "max pool": lambda g, x: g.stored(g.pool("MaxPool", x, 2), 0.05),
    "max pool with padding": lambda g, x: g.stored(g.pool("MaxPool", x, 3, stride=2, pads=(1, 1, 1, 1)), 0.043),
    "average pool": lambda g, x: g.stored(g.pool("AveragePool", x, 2), 0.02),
    "average pool 3x3": lambda g, x: g.stored(g.pool("AveragePool", x, 3, stride=2), 0.02),
    "average pool, padding counted": lambda g, x: g.stored(
        g.pool("AveragePool", x, 3, stride=1, pads=(1, 1, 1, 1), count_include_pad=1), 0.02
    ),
    "global average": lambda g, x: g.stored(g.global_average(x), 0.005),
    "mean, axes kept": lambda g, x: g.stored(g.mean(x, keepdims=True), 0.005),
    "mean": lambda g, x: g.stored(g.mean(x, keepdims=False), 0.005),
    "factor": lambda g, x: g.stored(g.same("Mul", x, g.constant(np.float32(-0.37))), 0.021),
    "factor in front": lambda g, x: g.stored(g.node("Mul", g.constant(np.float32(0.37)), x, shape=g.shapes[x]), 0.021),
    "factors and summands": lambda g, x: g.stored(g.same("Relu", g.normalized(x)), 0.041),
    "relu": lambda g, x: g.stored(g.same("Relu", x), 0.02),
    "relu6": lambda g, x: g.stored(g.relu6(x), 0.031),
    "another scale": lambda g, x: g.stored(x, 0.07),
    "sum with itself": lambda g, x: g.stored(g.add(x, x), 0.09),
    "flatten and gemm": lambda g, x: g.stored(g.gemm(g.flatten(x), 10), 0.5),
    "flatten, stored again, and gemm": lambda g, x: g.stored(g.gemm(g.stored(g.flatten(x), 0.0517, 100), 10), 0.5),
}


def graph_of(build, dtype):
    graph = qdq.Graph(3, dtype)
    zero = 100 if dtype == np.uint8 else -28
    return graph.output(build(graph, graph.input(1, 6, 9, 8, zero=zero)))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8], ids=["uint8", "int8"])
@pytest.mark.parametrize("kind", KINDS)
def test_operator(kind, dtype):
    if "stored again" in kind and dtype == np.int8:
        pytest.skip("its zero point is of uint8")
    assert_close(graph_of(KINDS[kind], dtype))


@pytest.mark.parametrize("bias", [True, False])
def test_dense(bias):
    graph = qdq.Graph(4)
    assert_close(graph.output(graph.stored(graph.gemm(graph.input(1, 40), 21, bias=bias), 0.2)))


def test_dense_with_relu():
    graph = qdq.Graph(5)
    assert_close(graph.output(graph.stored(graph.same("Relu", graph.matmul(graph.input(1, 40), 21)), 0.1)))


@pytest.mark.parametrize("relu", [True, False])
def test_sum_of_two_inputs(relu):
    graph = qdq.Graph(6)
    total = graph.add(graph.input(1, 6, 5, 4, scale=0.0511), graph.input(1, 6, 5, 4, scale=0.0203))
    assert_close(graph.output(graph.stored(graph.same("Relu", total) if relu else total, 0.06)))


@pytest.mark.parametrize("channels", [(8, 8), (8, 16, 8), (3, 6), (5, 8, 9, 2)])
def test_concat(channels):
    graph = qdq.Graph(7)
    parts = [graph.input(1, count, 5, 4, scale=0.0203 + 0.0101 * count) for count in channels]
    assert_close(graph.output(graph.stored(graph.concat(*parts), 0.06)))


def test_residual_sum_goes_into_the_convolution():
    graph = qdq.Graph(8)
    x = graph.input(1, 8, 6, 6)
    y = graph.stored(graph.same("Relu", graph.conv(x, 8, 3)), 0.1)
    z = graph.stored(graph.conv(y, 8, 3), 0.3)
    assert_close(graph.output(graph.stored(graph.same("Relu", graph.add(z, y)), 0.3)), machine=True)


def test_halves_are_rounded_up():
    """Sums of four with the same scale: a quarter are halves, of which ONNX rounds every second one down."""
    graph = qdq.Graph(10)
    x = graph.input(1, 8, 8, 8, scale=0.05, zero=128)
    seen = compare(graph.output(graph.stored(graph.pool("AveragePool", x, 2), 0.05, 128)))
    assert set(np.unique(seen.steps)) == {0, 1} and 0.08 < seen.share < 0.18


def test_sums_at_the_edge_of_32_bits_are_right():
    """The largest weights and inputs over a whole image: sums of some millions."""
    graph = qdq.Graph(9)
    x = graph.input(1, 64, 8, 8, scale=0.05, zero=0)
    values = np.full((4, 64 * 64), 127, np.int8)
    weights = graph.node(
        "DequantizeLinear", graph.constant(values), graph.constant(np.float32(0.01)), shape=values.shape
    )
    y = graph.node("Gemm", graph.flatten(x), weights, shape=(1, 4), transB=1)
    graph.output(graph.stored(y, 300.0, 0))
    samples = [{"x0": np.full((1, 64, 8, 8), level, np.float32)} for level in (0.0, 3.0, 6.0, 12.75)]
    seen = compare(graph, samples)
    assert seen.largest <= 1
