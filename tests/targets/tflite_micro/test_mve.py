"""Convolutions with the vector extension equal the reference, on an emulated Cortex-M55."""

from __future__ import annotations

import math

import numpy as np
from harness import tensor
from many import Many, image

from targets.tflite_micro.ops import pack_mve
from targets.tflite_micro.ops.common import out_size

DEVICE = "cortex-m55-an547"
SAME, VALID = 0, 1
NONE, RELU, RELU_N1, RELU6 = range(4)
IN_SCALE, WEIGHT_SCALE = 0.05, 0.01
#: How many steps of the output one standard deviation of the sums is: some saturate.
SPREAD = 60.0


class Layers:
    """Operators with random weights, side by side; every one has an input of its own."""

    def __init__(self, seed):
        self.random, self.many = np.random.default_rng(seed), Many()

    def add(self, kind, shape, weights, out, *, gain=1.0, zeros=(-3, 5), **options):
        """``gain``: times what spreads the sums over the range of an output, for all channels or each."""
        axis = 3 if kind == "DEPTHWISE_CONV_2D" else 0
        channels, count = weights[axis], 1 if kind == "FULLY_CONNECTED" else weights[axis]
        out_scale = IN_SCALE * WEIGHT_SCALE * math.sqrt(math.prod(weights) / channels) * 74 * 74 / SPREAD
        scales = WEIGHT_SCALE * self.random.uniform(0.3, 3, count) * np.broadcast_to(gain, (count,))
        kernel = tensor(weights, "int8", scales, data=self.random.integers(-127, 128, weights), axis=axis)
        bias = self.random.integers(-3000, 3000, channels)
        bias_scales = np.float32(IN_SCALE) * scales.astype(np.float32)
        ins = [image(shape, IN_SCALE, zeros[0]), kernel, tensor((channels,), "int32", bias_scales, data=bias)]
        self.many.add(kind, ins, [image(out, out_scale, zeros[1])], options)

    def conv(self, shape, channels, kernel, *, groups=1, **more):
        """CONV_2D; for ``more`` see :func:`window`."""
        out, words = window(shape, channels, kernel, **more)
        self.add("CONV_2D", shape, (channels, *kernel, shape[3] // groups), out, **words)

    def depthwise(self, shape, kernel, *, times=1, **more):
        """DEPTHWISE_CONV_2D; for ``more`` see :func:`window`."""
        channels = shape[3] * times
        out, words = window(shape, channels, kernel, **more)
        self.add("DEPTHWISE_CONV_2D", shape, (1, *kernel, channels), out, depthMultiplier=times, **words)

    def dense(self, batch, inputs, outputs, *, act=NONE, **more):
        """FULLY_CONNECTED."""
        shapes = (batch, inputs), (outputs, inputs), (batch, outputs)
        self.add("FULLY_CONNECTED", *shapes, fusedActivationFunction=act, **more)

    def check(self, count):
        """Assert that all of them equal the reference on the emulated core."""
        self.many.check(count, variants=(), devices=(DEVICE,))


def window(shape, channels, kernel, *, stride=(1, 1), dilation=(1, 1), padding=SAME, act=NONE, **more):
    """The output's shape, and the schema's options beside ``more``."""
    sizes = [out_size(shape[1 + i], kernel[i], stride[i], dilation[i], ["same", "valid"][padding]) for i in range(2)]
    options = {
        "padding": padding, "strideH": stride[0], "strideW": stride[1], "fusedActivationFunction": act,
        "dilationHFactor": dilation[0], "dilationWFactor": dilation[1],
    }  # fmt: skip
    return (shape[0], *sizes, channels), {**options, **more}


def channel_gains(count, seed):
    """Per channel: usual ones, and real multipliers far above and below."""
    return np.random.default_rng(seed).choice([1.0, 1.0, 300.0, 4000.0, 1e6, 1e-3], count)


def test_convolutions():
    layers = Layers(1)
    layers.conv((1, 12, 10, 3), 16, (3, 3))  # first layers: short windows
    layers.conv((1, 20, 10, 1), 8, (10, 4), stride=(2, 2), act=RELU)
    layers.conv((2, 9, 8, 16), 8, (3, 3), zeros=(-128, -128), act=RELU)
    layers.conv((1, 9, 9, 16), 16, (3, 3), stride=(2, 2))
    layers.conv((1, 6, 40, 4), 5, (3, 3), act=RELU6)  # more than one block of windows
    layers.conv((1, 7, 7, 5), 17, (3, 3), padding=VALID)
    layers.conv((1, 5, 5, 17), 3, (3, 2), stride=(1, 2), act=RELU_N1)
    layers.conv((1, 4, 4, 3), 1, (2, 3))
    layers.conv((1, 30, 3, 4), 4, (9, 1), stride=(3, 1))
    layers.conv((1, 11, 9, 4), 8, (3, 3), dilation=(2, 2))
    layers.conv((1, 12, 9, 2), 6, (2, 3), stride=(2, 1), dilation=(3, 2), padding=VALID)
    layers.conv((1, 1, 25, 6), 4, (1, 3), dilation=(1, 4))
    layers.conv((1, 6, 6, 8), 8, (3, 3), groups=2)
    layers.conv((1, 6, 5, 9), 6, (3, 3), dilation=(1, 2), groups=3)
    layers.conv((1, 5, 4, 8), 12, (3, 3), groups=2)  # the last two of six channels
    layers.conv((1, 5, 4, 8), 16, (3, 3), gain=channel_gains(16, 1))
    layers.conv((1, 5, 4, 8), 7, (3, 3), gain=channel_gains(7, 2), zeros=(127, -128))
    layers.check(10)


def test_pointwise_and_dense():
    layers = Layers(2)
    layers.conv((1, 7, 7, 64), 32, (1, 1))
    layers.conv((2, 5, 5, 16), 12, (1, 1), act=RELU6)
    layers.conv((1, 9, 9, 16), 8, (1, 1), stride=(2, 2))
    layers.conv((1, 8, 9, 5), 17, (1, 1), stride=(1, 3))
    layers.conv((1, 1, 1, 33), 3, (1, 1))
    layers.conv((1, 1, 2, 3), 1, (1, 1), act=RELU)
    layers.conv((1, 6, 6, 20), 16, (1, 1), gain=channel_gains(16, 3))
    layers.dense(1, 64, 10)
    layers.dense(3, 17, 5, act=RELU6)
    layers.dense(1, 1, 1)
    layers.dense(1, 100, 33, gain=2e3)
    layers.dense(2, 250, 3, gain=1e-4)
    layers.check(10)


def test_depthwise():
    layers = Layers(3)
    layers.depthwise((1, 9, 5, 16), (3, 3))
    layers.depthwise((2, 7, 6, 8), (3, 3), stride=(2, 2), act=RELU, zeros=(-128, -128))
    layers.depthwise((1, 8, 7, 5), (3, 3), padding=VALID)
    layers.depthwise((1, 7, 7, 3), (3, 3), act=RELU6)
    layers.depthwise((1, 20, 4, 1), (4, 4), stride=(1, 3))
    layers.depthwise((1, 9, 9, 6), (5, 5))
    layers.depthwise((1, 8, 8, 17), (7, 5), stride=(2, 1), act=RELU_N1)
    layers.depthwise((1, 6, 5, 4), (3, 3), times=2)
    layers.depthwise((1, 9, 7, 2), (2, 3), stride=(2, 2), times=3)
    layers.depthwise((1, 9, 9, 4), (3, 3), dilation=(2, 2))
    layers.depthwise((1, 12, 9, 5), (3, 2), dilation=(1, 3), padding=VALID)
    layers.depthwise((1, 6, 6, 12), (3, 3), gain=channel_gains(12, 4))
    layers.depthwise((1, 3, 3, 9), (2, 2), gain=channel_gains(9, 5), zeros=(127, 127))
    layers.check(10)


def test_weights_take_one_byte_each():
    random = np.random.default_rng(4)
    weights = random.integers(-127, 128, (5, 3, 2, 7)).astype(np.int8)
    for packed in (pack_mve.conv(weights, 1), pack_mve.depthwise(weights[0]), pack_mve.pointwise(weights[:, 0, 0])):
        assert packed.dtype == np.int8 and packed.ndim == 1
    assert pack_mve.conv(weights, 1).size == weights.size
    assert np.array_equal(pack_mve.conv(weights, 1)[:21].reshape(3, 7), weights[0, :, 0])  # the first column
    assert np.array_equal(pack_mve.depthwise(weights[0])[:3], weights[0, :, 0, 0])


def pointwise_params(image, channels, stride):
    """Members of ew_conv_t."""
    n, h, w, c = image
    sizes = {"in_h": h, "in_w": w, "in_c": c, "out_h": -(-h // stride), "out_w": -(-w // stride), "out_c": channels}
    return {**sizes, "batch": n, "stride_h": stride, "stride_w": stride}


def test_pointwise_head_start_keeps_a_block_until_it_is_done():
    """Brute force: which inputs are still to be read when each output is written, block by block."""
    for shape, channels, stride in [
        ((1, 5, 25, 4), 4, 1),
        ((2, 7, 9, 3), 8, 2),
        ((1, 9, 9, 16), 2, 1),
        ((1, 1, 1, 4), 9, 1),
    ]:
        params = pointwise_params(shape, channels, stride)
        pixels = np.arange(math.prod(shape[:3])).reshape(shape[:3])[:, ::stride, ::stride].reshape(-1)
        run = len(pixels) if stride == 1 else params["out_w"]
        needed = -(10**9)
        for start in range(0, len(pixels), run):
            for block in range(start, start + run, pack_mve.BLOCK):
                written = min(block + pack_mve.BLOCK, start + run) * channels
                needed = max(needed, written - pixels[block] * shape[3])
        assert pack_mve.pointwise_head_start(params) == needed, f"{shape} to {channels} channels, stride {stride}"
