"""FULLY_CONNECTED equals the reference, on the host with sanitizers and on emulated cores."""

import numpy as np
import pytest
from convolutions import RELU, RELU6, RELU_N1, Layers
from harness import tensor
from many import Many

from targets.tflite_micro.graph.ir import Graph, Op, Quantization, Tensor
from targets.tflite_micro.ops.dense import lower
from targets.tflite_micro.ops.registry import obstacle
from targets.tflite_micro.ops.requant import thresholds

VARIANTS = ("portable", "dsp")
GAINS = np.array([1.0, 1.0, 30.0, 1e-3, 1.0])


def every_path():
    layers = Layers(1)
    layers.dense((1, 64), 10, low=-127, per_channel=False, zeros=(-128, 20))
    layers.dense((1, 64), 12, low=-127, gain=np.resize(GAINS, 12), act=RELU)
    layers.dense((1, 640), 9, low=-127, gain=1.0, act=RELU6)
    layers.dense((3, 33), 7, low=-127, per_channel=False, bias=False)
    layers.dense((2, 3, 46), 5, low=-127, gain=np.resize(GAINS, 5), keepNumDims=True, act=RELU_N1)
    layers.dense((4, 18), 4, gain=1.0)  # -128 above negative weights: wide products
    layers.dense((1, 2500), 6, low=-127, gain=1.0)
    layers.dense((1, 1), 1, per_channel=False, gain=1.0)
    layers.dense((5, 2), 3, low=-127, gain=1e-6)
    layers.dense((1, 7), 8, low=-127, gain=40.0)
    layers.dense((4, 20), 8, ties=6, per_channel=False)
    for value in (127, -127, -128):
        kernel = tensor((8, 1200), "int8", 0.5, data=np.full((8, 1200), value))
        layers.many.add("FULLY_CONNECTED", [tensor((1, 1200), "int8", 1), kernel], [tensor((1, 8), "int8", 80000)])
    return layers


@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_the_reference(variant):
    every_path().check(64, variant=variant)


@pytest.mark.parametrize("device", ["cortex-m3-an385", "cortex-m4-an386", "cortex-m55-an547"])
def test_equals_the_reference_on_a_core(device):
    every_path().check(8, device=device)


def at_thresholds(seed):
    """Biases at which the output steps up, and one below: what tells one rounding from another."""
    random, many = np.random.default_rng(seed), Many()
    for exponent in (-1, -2, -3, -4.5, -6, -8):
        source, weight = (float(np.float32(10 ** random.uniform(-3, -1))) for _ in range(2))
        output = float(np.float32(source * weight * 10**-exponent))
        steps = thresholds(source * weight / output, -(1 << 30), 1 << 30, (-128, 127))
        biases = [first - back for _, first in steps for back in (0, 1)]
        kernel = tensor((len(biases), 1), "int8", weight, data=np.ones((len(biases), 1)))
        bias = tensor((len(biases),), "int32", source * weight, data=biases)
        many.add(
            "FULLY_CONNECTED",
            [tensor((1, 1), "int8", source), kernel, bias],
            [tensor((1, len(biases)), "int8", output)],
        )
    powers = np.arange(-40, 41)
    kernel = tensor((81, 1), "int8", 0.5, data=np.zeros((81, 1)))
    many.add(
        "FULLY_CONNECTED",
        [tensor((1, 1), "int8", 1), kernel, tensor((81,), "int32", 0.5, data=powers)],
        [tensor((1, 81), "int8", 4)],
    )
    return many


@pytest.mark.parametrize("seed", range(3))
def test_rounds_as_the_reference_does(seed):
    many = at_thresholds(seed)
    samples = [[np.full((1, 1), value, np.int8) for _ in range(7)] for value in (0, 1, -1, 2, -3)]
    many.check(samples=samples, variants=VARIANTS)


def graph_with(weights=(4, 6), output=(2, 4), zero=0, fmt="default", bias=0, scales=1):
    values = np.ones(weights, np.int8)
    tensors = {
        0: Tensor(0, "x", (2, 6), "int8", Quantization((0.5,), (3,))),
        1: Tensor(1, "w", weights, "int8", Quantization((0.1,) * scales, (zero,) * scales), values),
        2: Tensor(2, "b", (4,), "int32", None, np.full(4, bias, np.int32)),
        3: Tensor(3, "y", output, "int8", Quantization((0.001,), (-5,))),
    }
    options = {"weights_format": fmt, "fused_activation_function": "none"}
    op = Op(0, "FULLY_CONNECTED", (0, 1, 2), (3,), options)
    return op, Graph("g", tensors, (op,), (0,), (3,))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"zero": 1}, "zero point of the weights is 0"),
        ({"fmt": "shuffled4x16int8"}, "Weights have the default format"),
        ({"weights": (4, 5)}, "whole rows"),
        ({"output": (3, 4)}, "whole rows"),
        ({"bias": 1 << 30}, "No output reaches 2^31"),
    ],
)
def test_what_cannot_be_built_is_said_in_words(change, words):
    assert obstacle(*graph_with()) == ""
    assert words in obstacle(*graph_with(**change))


@pytest.mark.parametrize(("scales", "requant"), [(1, 5), (4, 20)])
def test_weights_take_a_byte_each_and_constants_few(scales, requant):
    call = lower(*graph_with(scales=scales), "dsp")
    sizes = {name: value.values.nbytes for name, value in call.params.items() if hasattr(value, "values")}
    assert sizes == {"weights": 24, "bias": 16, "multiplier": requant // 5 * 4, "shift": requant // 5}
