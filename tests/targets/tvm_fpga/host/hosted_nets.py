"""Networks of a few layers with the forms that partitioning has to cope with."""

import numpy as np
import qdq


def residual(dtype="uint8"):
    """Like ResNet-8: two blocks, one of them with a strided shortcut, a pool, a dense layer, a softmax on the host."""
    g = qdq.Graph(11, dtype)
    x = g.input(1, 3, 16, 16, scale=0.031)
    x = g.stored(g.same("Relu", g.conv(x, 8, 3)), 0.041, g.lowest)
    y = g.stored(g.same("Relu", g.conv(x, 8, 3)), 0.11, g.lowest)
    y = g.stored(g.conv(y, 8, 3), 0.31)
    x = g.stored(g.same("Relu", g.add(y, x)), 0.21, g.lowest)
    y = g.stored(g.same("Relu", g.conv(x, 16, 3, stride=2)), 0.51, g.lowest)
    y = g.stored(g.conv(y, 16, 3), 1.53)
    z = g.stored(g.conv(x, 16, 1, stride=2), 0.17)
    x = g.stored(g.same("Relu", g.add(y, z)), 1.07, g.lowest)
    x = g.stored(g.global_average(x), 0.53, g.lowest)
    x = g.stored(g.gemm(g.flatten(x), 10), 7.3)
    x = g.node("Mul", x, g.constant(np.float32(0.003)), shape=(1, 10))
    return g.output(g.node("Softmax", x, shape=(1, 10), name="last"))


def branches():
    """Four ways from one tensor, joined by their channels."""
    g = qdq.Graph(12)
    x = g.input(1, 8, 10, 10, scale=0.031)
    a = g.stored(g.conv(x, 8, 1), 0.11)
    b = g.stored(g.same("Relu", g.conv(x, 16, 3)), 0.11, g.lowest)
    c = g.stored(g.conv(g.stored(g.pool("MaxPool", x, 3, stride=1, pads=(1, 1, 1, 1)), 0.031), 8, 1), 0.13)
    d = g.stored(g.conv(x, 5, 5), 0.37)
    x = g.stored(g.concat(a, b, c, d), 0.29)
    return g.output(g.stored(g.conv(x, 6, 1), 0.47))


def host_between():
    """An operator that the accelerator does not have between two convolutions."""
    g = qdq.Graph(13)
    x = g.input(1, 4, 8, 8)
    x = g.stored(g.conv(x, 8, 3, name="before"), 0.11)
    x = g.stored(g.same("Sigmoid", x, name="middle"), 0.0039, 0)
    return g.output(g.stored(g.conv(x, 8, 3, name="after"), 0.037))


def refused():
    """Nothing that the accelerator can run: floats, and a batch of two."""
    g = qdq.Graph(14)
    x = g.input(2, 4, 8, 8, stored=False)
    x = g.stored(x, 0.05)
    values = g.constant(g.random.normal(0, 0.1, (4, 4, 3, 3)).astype("float32"))
    return g.output(g.node("Conv", x, values, shape=(2, 4, 8, 8), name="in float", pads=(1, 1, 1, 1)))


def two_outputs():
    """One region whose inner tensor the host wants too."""
    g = qdq.Graph(15)
    x = g.stored(g.conv(g.input(1, 4, 8, 8), 8, 3), 0.11)
    y = g.stored(g.conv(x, 8, 3), 0.57)
    return g.output(x).output(y)


def images(graph, count=3):
    return graph.samples(count, spread=1.0)
