"""DEPTHWISE_CONV_2D equals the reference, on the host with sanitizers and on emulated cores."""

from unittest import mock

import numpy as np
import pytest
from convolutions import RELU, RELU6, RELU_N1, VALID, Layers, check_overlap
from hypothesis import given
from hypothesis import strategies as st

from targets.tflite_micro.firmware import flags
from targets.tflite_micro.graph.ir import Graph, Op, Quantization, Tensor
from targets.tflite_micro.ops import pack_dsp
from targets.tflite_micro.ops.depthwise import lower
from targets.tflite_micro.ops.registry import obstacle

VARIANTS = ("portable", "dsp")


def every_path():
    layers = Layers(1)
    layers.depthwise((1, 8, 9, 8), (3, 3), zeros=(-128, -128), act=RELU)
    layers.depthwise((1, 9, 8, 5), (3, 3), gain=1.0)
    layers.depthwise((1, 9, 7, 6), (3, 3), stride=(2, 2), act=RELU6)
    layers.depthwise((1, 8, 12, 4), (3, 3), stride=(1, 3))
    layers.depthwise((1, 30, 3, 3), (3, 3), padding=VALID)
    layers.depthwise((1, 7, 7, 3), (5, 5), act=RELU_N1)
    layers.depthwise((2, 6, 11, 4), (3, 2), times=3, dilation=(2, 3))
    layers.depthwise((1, 6, 5, 2), (3, 3), times=4, zeros=(127, 0))
    layers.depthwise((1, 5, 5, 1), (3, 3), times=5, stride=(2, 1))
    layers.depthwise((1, 9, 9, 2), (3, 3), dilation=(2, 2))
    layers.depthwise((1, 20, 1, 7), (9, 1), stride=(2, 1))
    layers.depthwise((1, 1, 14, 4), (1, 7))
    layers.depthwise((3, 4, 4, 9), (1, 1), per_channel=False)
    layers.depthwise((1, 5, 4, 4), (2, 2), bias=False)
    layers.depthwise((1, 5, 4, 4), (3, 3), gain=1e-8)
    layers.depthwise((1, 13, 13, 2), (12, 12), zeros=(0, 0))
    layers.depthwise((1, 8, 8, 4), (3, 3), ties=4)
    layers.depthwise((1, 8, 8, 4), (2, 3), ties=1, zeros=(-128, -128))
    return layers


@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_the_reference(variant):
    every_path().check(64, variant=variant)


@pytest.mark.parametrize("device", ["cortex-m3-an385", "cortex-m4-an386", "cortex-m7-an500"])
def test_equals_the_reference_on_a_core(device):
    every_path().check(8, device=device)


def test_equals_the_reference_when_compiled_for_size():
    with mock.patch.object(flags, "is_compact", lambda stem: True):
        every_path().check(4, device="cortex-m4-an386")


def random_shapes(seed, count):
    layers = Layers(seed)
    random = layers.random
    for _ in range(count):
        image = (int(random.integers(1, 3)), *random.integers(1, 14, 2).tolist(), int(random.integers(1, 10)))
        padding = int(random.integers(0, 2))
        kernel = np.array([3, 3]) if random.random() < 0.5 else random.integers(1, 6, 2)
        stride, dilation = random.integers(1, 4, 2), random.integers(1, 3, 2)
        if padding == VALID:
            kernel = np.minimum(kernel, (np.array(image[1:3]) - 1) // dilation + 1)
        words = {"stride": stride.tolist(), "dilation": dilation.tolist(), "padding": padding}
        layers.depthwise(
            image, kernel.tolist(), times=int(random.choice([1, 1, 2, 3])), act=int(random.integers(4)), **words
        )
    return layers


@pytest.mark.parametrize("variant", VARIANTS)
def test_random_shapes_equal_the_reference(variant):
    random_shapes(7, 24).check(8, variant=variant)


def test_random_shapes_equal_the_reference_on_a_core():
    random_shapes(8, 24).check(5, device="cortex-m4-an386")


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_output_may_come_as_close_to_the_input_as_promised(variant):
    cases = [
        ((1, 6, 5, 4), {}),
        ((2, 6, 5, 3), {"times": 2}),
        ((1, 7, 5, 4), {"stride": (2, 2)}),
    ]
    for shape, words in cases:
        check_overlap(Layers(2).depthwise(shape, (3, 3), **words).many.model(), variant)


@given(st.integers(1, 5), st.integers(1, 30), st.integers(0, 2**32))
def test_packed_taps_hold_every_weight_once(channels, taps, seed):
    rows = np.random.default_rng(seed).integers(-128, 128, (channels, taps)).astype(np.int8)
    packed = pack_dsp.taps(rows).reshape(channels, taps)
    order = [4 * group + place for group in range(taps // 4) for place in (0, 2, 1, 3)]
    order += range(len(order), taps)
    assert np.array_equal(packed, rows[:, order])


def graph_with(in_c=4, out_c=8, batch=1, zero=0):
    weights = np.ones((batch, 3, 3, out_c), np.int8)
    tensors = {
        0: Tensor(0, "x", (1, 5, 5, in_c), "int8", Quantization((0.5,), (3,))),
        1: Tensor(1, "w", weights.shape, "int8", Quantization((0.1,) * out_c, (zero,) * out_c, 3), weights),
        2: Tensor(2, "y", (1, 5, 5, out_c), "int8", Quantization((0.2,), (-5,))),
    }
    options = {"stride_h": 1, "stride_w": 1, "padding": "same", "fused_activation_function": "none"}
    op = Op(0, "DEPTHWISE_CONV_2D", (0, 1, -1), (2,), options)
    return op, Graph("g", tensors, (op,), (0,), (2,))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"in_c": 3}, "same number of output channels"),
        ({"batch": 2}, "same number of output channels"),
        ({"zero": 5}, "zero point of the weights is 0. Seen: a zero point of 5."),
    ],
)
def test_what_cannot_be_built_is_said_in_words(change, words):
    assert obstacle(*graph_with()) == ""
    assert words in obstacle(*graph_with(**change))


@pytest.mark.parametrize("variant", ["portable", "dsp", "mve"])
def test_weights_take_a_byte_each_and_constants_nine_per_channel(variant):
    params = lower(*graph_with(), variant).params
    sizes = {name: value.values.nbytes for name, value in params.items() if hasattr(value, "values")}
    assert sizes.pop("weights") == 9 * 8 and sum(sizes.values()) == 9 * 8
