"""The MLPerf Tiny networks with random weights: for figures that do not depend on what a network has learned."""

from __future__ import annotations

import harness
import numpy as np

SAME, VALID = 0, 1
NONE, RELU = 0, 1


class Net:
    """A graph that grows layer by layer; every activation has a scale of its own and an odd zero point."""

    def __init__(self, shape, seed):
        self.random = np.random.default_rng(seed)
        self.tensors, self.ops = [], []
        self.input = self.last = self._add(shape, scale=0.02, zero_point=-3)

    def _add(self, shape, dtype="int8", **more):
        self.tensors.append(harness.tensor(shape, dtype, **more))
        return len(self.tensors) - 1

    def shape(self, tensor):
        return self.tensors[tensor]["shape"]

    def _out(self, shape, fan_in=1, zero_point=None):
        zero = int(self.random.integers(-128, 0)) if zero_point is None else zero_point
        return self._add(shape, scale=float(self.random.uniform(0.02, 0.04)), zero_point=zero)

    def _weights(self, shape, axis, count, source):
        scales = self.random.uniform(0.5, 2.0, count) / np.sqrt(np.prod(shape) / count) / 60
        data = self.random.integers(-127, 128, shape)
        weights = self._add(shape, scale=scales, data=data, axis=axis)
        bias_scale = scales.astype(np.float32) * np.float32(self.tensors[source]["scale"])
        bias = self._add((count,), "int32", scale=bias_scale, data=self.random.integers(-2000, 2000, count))
        return weights, bias

    def conv(self, channels, kernel, stride=1, act=RELU, source=None):
        source = self.last if source is None else source
        _, h, w, c = self.shape(source)
        kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
        weights, bias = self._weights((channels, *kernel, c), 0, channels, source)
        self.last = self._out((1, -(-h // stride), -(-w // stride), channels))
        options = {"padding": SAME, "strideH": stride, "strideW": stride, "fusedActivationFunction": act}
        self.ops.append(
            ("CONV_2D", [source, weights, bias], [self.last], {**options, "dilationWFactor": 1, "dilationHFactor": 1})
        )
        return self.last

    def depthwise(self, kernel=3, stride=1):
        _, h, w, c = self.shape(self.last)
        weights, bias = self._weights((1, kernel, kernel, c), 3, c, self.last)
        source, self.last = self.last, self._out((1, -(-h // stride), -(-w // stride), c))
        options = {"padding": SAME, "strideH": stride, "strideW": stride, "depthMultiplier": 1}
        more = {"fusedActivationFunction": RELU, "dilationWFactor": 1, "dilationHFactor": 1}
        self.ops.append(("DEPTHWISE_CONV_2D", [source, weights, bias], [self.last], {**options, **more}))
        return self.last

    def pool(self, kind, window, stride):
        spec, source = self.tensors[self.last], self.last
        _, h, w, c = spec["shape"]
        shape = (1, -(-h // stride), -(-w // stride), c)
        self.last = self._add(shape, scale=spec["scale"], zero_point=spec["zero_point"])
        options = {"padding": SAME, "strideH": stride, "strideW": stride, "filterHeight": window, "filterWidth": window}
        self.ops.append((kind, [source], [self.last], options))
        return self.last

    def add(self, one, two):
        self.last = self._out(self.shape(one))
        self.ops.append(("ADD", [one, two], [self.last], {"fusedActivationFunction": RELU}))
        return self.last

    def head(self, classes):
        _, h, w, c = self.shape(self.last)
        spec = self.tensors[self.last]
        source, self.last = self.last, self._add((1, 1, 1, c), scale=spec["scale"], zero_point=spec["zero_point"])
        pool = {"padding": VALID, "strideH": h, "strideW": w, "filterHeight": h, "filterWidth": w}
        self.ops.append(("AVERAGE_POOL_2D", [source], [self.last], pool))
        flat = self._add((1, c), scale=spec["scale"], zero_point=spec["zero_point"])
        shape = self._add((2,), "int32", data=[1, c])
        self.ops.append(("RESHAPE", [self.last, shape], [flat], {"newShape": [1, c]}))
        weights = self._add((classes, c), scale=0.004, data=self.random.integers(-127, 128, (classes, c)))
        bias = self._add((classes,), "int32", scale=0.0001, data=self.random.integers(-900, 900, classes))
        logits = self._out((1, classes), zero_point=7)
        self.ops.append(("FULLY_CONNECTED", [flat, weights, bias], [logits], {}))
        self.last = self._add((1, classes), scale=1 / 256, zero_point=-128)
        self.ops.append(("SOFTMAX", [logits], [self.last], {"beta": 1.0}))

    def bytes(self):
        return harness.tiny(self.ops, self.tensors, [self.input], [self.last])


def resnet8():
    """He et al. 2015 as MLPerf Tiny uses it: 12.5 M multiply-accumulates on 32x32x3."""
    net = Net((1, 32, 32, 3), seed=8)
    x = net.conv(16, 3)
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        net.conv(channels, 3, stride, source=x)
        y = net.conv(channels, 3, act=NONE)
        skip = x if stride == 1 else net.conv(channels, 1, stride, act=NONE, source=x)
        x = net.add(y, skip)
    net.head(10)
    return net.bytes()


def dscnn():
    """Zhang et al. 2017 as MLPerf Tiny uses it: 2.7 M multiply-accumulates on 49x10."""
    net = Net((1, 49, 10, 1), seed=9)
    net.conv(64, (10, 4), 2)
    for _ in range(4):
        net.depthwise()
        net.conv(64, 1)
    net.head(12)
    return net.bytes()
