"""Convolutions and dense layers with random weights, for tests of their kernels."""

from __future__ import annotations

import functools
import math
from unittest import mock

import harness
import numpy as np
from close import check_close
from harness import tensor
from many import Many

from targets.tflite_micro.ops.common import out_size

SAME, VALID = 0, 1
NONE, RELU, RELU_N1, RELU6 = range(4)
IN_SCALE, WEIGHT_SCALE = float(np.float32(0.05)), 0.01


class Layers:
    """Operators side by side; every one has an input of its own."""

    def __init__(self, seed=0):
        self.random, self.many = np.random.default_rng(seed), Many()

    def conv(self, image, channels, kernel, *, groups=1, **more):
        """CONV_2D; ``more`` as for :meth:`window` and :meth:`add`."""
        return self.window("CONV_2D", image, (channels, *kernel, image[3] // groups), kernel, channels, **more)

    def depthwise(self, image, kernel, *, times=1, **more):
        """DEPTHWISE_CONV_2D."""
        channels = image[3] * times
        more = {"depthMultiplier": times, **more}
        return self.window("DEPTHWISE_CONV_2D", image, (1, *kernel, channels), kernel, channels, **more)

    def dense(self, shape, channels, **more):
        """FULLY_CONNECTED; the last axis is summed over."""
        return self.add("FULLY_CONNECTED", shape, (channels, shape[-1]), (*shape[:-1], channels), **more)

    def window(self, kind, image, weights, kernel, channels, *, stride=(1, 1), dilation=(1, 1), padding=SAME, **more):
        """Fills in the size of the output."""
        sizes = [
            out_size(image[1 + i], kernel[i], stride[i], dilation[i], ["same", "valid"][padding]) for i in range(2)
        ]
        options = {
            "padding": padding, "strideH": stride[0], "strideW": stride[1],
            "dilationHFactor": dilation[0], "dilationWFactor": dilation[1],
        }  # fmt: skip
        return self.add(kind, image, weights, (image[0], *sizes, channels), **options, **more)

    def add(
        self, kind, image, weights, output, *, act=NONE, zeros=None, low=-128, bias=True, per_channel=True, gain=None,
        spread=60.0, ties=0, **options,
    ):  # fmt: skip
        """One operator.

        Args:
            low: the lowest weight.
            gain: times what spreads the sums over the range of an output: per channel, or drawn from a few.
            spread: how many steps of the output one standard deviation of the sums is.
            ties: the real multiplier is 2^-ties, and sums are small: many lie between two outputs.
        """
        axis = 3 if kind == "DEPTHWISE_CONV_2D" else 0
        channels = weights[axis]
        values = self.random.integers(*(-2, 3) if ties else (low, 128), weights)
        if gain is None:
            gain = self.random.choice([1.0, 1.0, 1.0, 300.0, 4000.0, 1e6, 1e-3], channels)
        scales = WEIGHT_SCALE * self.random.uniform(0.3, 3, channels) * gain
        scales = scales.astype(np.float32) if per_channel else scales[:1].astype(np.float32)
        taps = math.prod(weights) / channels
        out_scale = IN_SCALE * float(np.median(scales)) * math.sqrt(taps) * 74 * 74 / spread
        if ties:
            scales, out_scale = np.full(len(scales), 2.0**-7, np.float32), IN_SCALE * 2.0 ** (ties - 7)
        zeros = self.random.integers(-128, 128, 2).tolist() if zeros is None else zeros
        operands = [
            tensor(image, "int8", IN_SCALE, zeros[0]),
            tensor(weights, "int8", scales, data=values, axis=axis if per_channel else 0),
        ]
        if bias:
            values = self.random.integers(-3000, 3000, channels)
            operands.append(tensor((channels,), "int32", np.float32(IN_SCALE) * scales, data=values))
        options = {"fusedActivationFunction": act, **options}
        self.many.add(kind, operands, [tensor(output, "int8", out_scale, zeros[1])], options)
        return self

    def check(self, count, *, variant=None, device=None):
        """Assert that all of them equal the reference, on the host with sanitizers or on an emulated core."""
        if device:
            self.many.check(count, variants=(), devices=(device,))
        else:
            self.many.check(count, variants=(variant,), sanitize=True)


def check_overlap(model, variant):
    """Assert that the output may come as close to the input as the call says."""
    program, binary = functools.partial(harness.program_of, variant=variant), harness._host_binary

    def build(placed, _variant, sanitize):
        return binary(placed, variant, sanitize)

    with mock.patch.object(harness, "program_of", program), mock.patch.object(harness, "_host_binary", build):
        check_close(model)
