"""CONV_2D equals the reference, on the host with sanitizers and on emulated cores."""

import dataclasses
from unittest import mock

import harness
import numpy as np
import pytest
from convolutions import NONE, RELU, RELU6, RELU_N1, VALID, Layers, check_overlap
from hypothesis import given, settings
from hypothesis import strategies as st

from targets.tflite_micro.firmware import flags
from targets.tflite_micro.graph.ir import Graph, Op, Quantization, Tensor
from targets.tflite_micro.ops import pack, pack_dsp
from targets.tflite_micro.ops.conv import line_head_start, lower, pixel_head_start
from targets.tflite_micro.ops.geometry import Geometry, head_start
from targets.tflite_micro.ops.registry import obstacle

VARIANTS = ("portable", "dsp")


def every_path():
    layers = Layers(1)
    layers.conv((1, 8, 8, 16), 16, (3, 3), low=-127, zeros=(-128, -128), act=RELU)  # the usual one
    layers.conv((1, 9, 8, 3), 8, (3, 3), stride=(2, 2), low=-127)  # a first layer: odd windows
    layers.conv((1, 12, 10, 1), 6, (10, 4), stride=(2, 2), low=-127, act=RELU6)
    layers.conv((1, 5, 5, 6), 7, (3, 3), low=-127)  # an odd channel, two values left, odd rows
    layers.conv((1, 4, 9, 8), 12, (3, 3), groups=4, zeros=(127, 3))
    layers.conv((1, 3, 7, 6), 6, (2, 2), groups=6, low=-127)
    layers.conv((1, 9, 11, 4), 5, (3, 2), dilation=(2, 3), low=-127)
    layers.conv((2, 7, 6, 4), 4, (2, 3), stride=(1, 2), dilation=(3, 1), act=RELU_N1)
    layers.conv((1, 30, 4, 4), 4, (3, 3), padding=VALID, low=-127)  # the ring moves back several times
    layers.conv((1, 8, 8, 4), 4, (1, 3), stride=(3, 2), low=-127)
    layers.conv((3, 5, 5, 8), 9, (1, 1), low=-127, act=RELU6)  # pointwise
    layers.conv((1, 6, 7, 5), 6, (1, 1), stride=(2, 3), low=-127)
    layers.conv((1, 2, 2, 1), 3, (1, 1))
    layers.conv((1, 1, 3, 16), 1, (1, 1), low=-127, per_channel=False)
    layers.conv((1, 4, 4, 60), 4, (3, 3), low=-127, gain=1.0)
    layers.conv((1, 2, 2, 64), 4, (3, 3), zeros=(-128, 0))  # -128 above negative weights: wide products
    layers.conv((1, 1, 5, 2), 4, (1, 5), gain=1e-8)
    layers.conv((1, 1, 23, 4), 6, (1, 5), low=-127, act=RELU)  # along one axis
    layers.conv((2, 17, 1, 3), 5, (4, 1), stride=(2, 1), low=-127)
    layers.conv((1, 6, 1, 5), 4, (9, 1), low=-127)
    layers.conv((1, 1, 20, 2), 3, (1, 3), stride=(1, 4), padding=VALID)
    layers.conv((1, 1, 9, 4), 4, (1, 3), dilation=(1, 2), low=-127)
    layers.conv((1, 8, 8, 4), 4, (3, 3), ties=5)
    layers.conv((1, 8, 8, 4), 4, (1, 1), ties=1, zeros=(-128, -128))
    return layers


@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_the_reference(variant):
    every_path().check(64, variant=variant)


@pytest.mark.parametrize("device", ["cortex-m3-an385", "cortex-m4-an386", "cortex-m33-an505"])
def test_equals_the_reference_on_a_core(device):
    every_path().check(8, device=device)


def test_equals_the_reference_when_compiled_for_size():
    with mock.patch.object(flags, "is_compact", lambda stem: True):
        every_path().check(4, device="cortex-m4-an386")


def random_shapes(seed, count):
    layers = Layers(seed)
    random = layers.random
    for _ in range(count):
        groups = int(random.integers(1, 4)) if random.random() < 0.3 else 1
        image = (int(random.integers(1, 3)), *random.integers(1, 14, 2).tolist(), groups * int(random.integers(1, 10)))
        padding = int(random.integers(0, 2))
        kernel, stride, dilation = (random.integers(1, n, 2) for n in (6, 4, 3))
        if padding == VALID:
            kernel = np.minimum(kernel, (np.array(image[1:3]) - 1) // dilation + 1)
        words = {"stride": stride.tolist(), "dilation": dilation.tolist(), "padding": padding, "groups": groups}
        layers.conv(
            image, groups * int(random.integers(1, 7)), kernel.tolist(), low=-127, act=int(random.integers(4)), **words
        )
    return layers


@pytest.mark.parametrize("variant", VARIANTS)
def test_random_shapes_equal_the_reference(variant):
    random_shapes(7, 24).check(8, variant=variant)


def test_random_shapes_equal_the_reference_on_a_core():
    random_shapes(8, 24).check(5, device="cortex-m4-an386")


@pytest.mark.parametrize("device", [None, "cortex-m4-an386"])
def test_the_largest_sums_equal_the_reference(device):
    layers = Layers(3)
    many = layers.many
    for depth, values in ((500, 127), (508, -127), (600, 127), (1600, -128)):
        shape = (1, 1, 5, depth)
        weights = np.full((5, 1, 1, depth), values)
        weights[1::2] *= -1
        weights = weights.clip(-128, 127)
        bias = harness.tensor((5,), "int32", [0.5] * 5, data=np.zeros(5))
        kernel = harness.tensor(weights.shape, "int8", [0.5] * 5, data=weights)
        operands = [harness.tensor(shape, "int8", 1, 127), kernel, bias]
        options = {"padding": 0, "strideH": 1, "strideW": 1}
        many.add("CONV_2D", operands, [harness.tensor((1, 1, 5, 5), "int8", depth * 40.0, 3)], options)
    layers.check(6, variant="dsp", device=device)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_output_may_come_as_close_to_the_input_as_promised(variant):
    cases = [
        ((1, 6, 5, 4), 4, (3, 3), {}),
        ((1, 6, 5, 3), 9, (3, 3), {}),
        ((2, 5, 5, 4), 2, (3, 3), {"stride": (2, 2)}),
        ((1, 5, 5, 8), 8, (1, 1), {}),
        ((1, 5, 5, 4), 9, (1, 1), {}),
        ((1, 5, 5, 9), 5, (1, 1), {"stride": (2, 2)}),
        ((2, 1, 19, 4), 4, (1, 5), {}),
        ((1, 19, 1, 4), 7, (4, 1), {"stride": (2, 1)}),
    ]
    for shape, channels, kernel, words in cases:
        check_overlap(Layers(2).conv(shape, channels, kernel, low=-127, **words).many.model(), variant)


def plain(name, shape):
    return Tensor(0, name, shape, "int8", Quantization((1.0,), (0,)))


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_head_start_is_the_smallest_that_keeps_unread_rows(data):
    batch, in_h, in_row, out_row, kernel, stride, dilation = (
        data.draw(st.integers(1, n)) for n in (2, 7, 4, 6, 4, 3, 2)
    )
    span = (kernel - 1) * dilation + 1
    pad = data.draw(st.integers(0, span - 1))
    behind = data.draw(st.integers(0, span - 1))
    out_h = (in_h + pad + behind - span) // stride + 1
    if out_h < 1:
        return
    image, output = plain("x", (batch, in_h, in_row, 1)), plain("y", (batch, out_h, out_row, 1))
    geometry = Geometry((out_h, out_row), (kernel, 1), (stride, 1), (dilation, 1), (pad, 0))

    def safe(ahead):
        memory = {}  # what is written where, in order
        for n in range(batch):
            loaded = 0
            for y in range(out_h):
                wanted = min(in_h, y * stride + geometry.reach)
                for row in range(loaded, wanted):
                    start = ahead + (n * in_h + row) * in_row
                    if any(memory.get(start + i) for i in range(in_row)):
                        return False
                loaded = max(loaded, wanted)
                memory |= {(n * out_h + y) * out_row + i: True for i in range(out_row)}
        return True

    found = head_start(image, output, geometry)
    assert safe(found), f"{found} is not enough"
    assert found == -image.bytes or not safe(found - 1), f"{found} is more than is needed"


@given(st.integers(1, 2), st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_pixel_head_start_is_the_smallest_that_keeps_unread_pixels(batch, out_h, out_w, in_c, out_c, stride):
    image = plain("x", (batch, (out_h - 1) * stride + 1, out_w * stride, in_c))
    output = plain("y", (batch, out_h, out_w, out_c))
    starts = [
        ((n * image.shape[1] + y * stride) * image.shape[2] + x * stride) * in_c
        for n in range(batch) for y in range(out_h) for x in range(out_w)
    ]  # fmt: skip

    def safe(ahead):
        return all(ahead + start >= (place + 1) * out_c for place, start in enumerate(starts[1:]))

    found = pixel_head_start(image, output, (stride, stride))
    assert safe(found), f"{found} is not enough"
    assert found == -image.bytes or not safe(found - 1), f"{found} is more than is needed"


@given(*(st.integers(1, n) for n in (2, 12, 9, 4, 4, 4)), st.integers(0, 8))
@settings(max_examples=60, deadline=None)
def test_line_head_start_is_the_smallest_that_keeps_unread_windows(batch, size, kernel, stride, in_c, out_c, pad):
    pad = min(pad, kernel - 1)
    out = max((size + pad - kernel) // stride + 1, 1)
    names = {
        "batch": batch,
        "in_w": size,
        "out_w": out,
        "in_c": in_c,
        "out_c": out_c,
        "stride_w": stride,
        "pad_left": pad,
    }
    windows = [
        [(n * size + x) * in_c for x in range(max(o * stride - pad, 0), min(o * stride - pad + kernel, size))]
        for n in range(batch) for o in range(out)
    ]  # fmt: skip

    def safe(ahead):
        later = [[start for window in windows[place + 1 :] for start in window] for place in range(len(windows))]
        return all(ahead + start >= (place + 1) * out_c for place, starts in enumerate(later) for start in starts)

    found = line_head_start(names)
    assert safe(found), f"{found} is not enough"
    assert found == -batch * size * in_c or not safe(found - 1), f"{found} is more than is needed"


@given(st.integers(1, 7), st.integers(1, 13), st.booleans(), st.integers(0, 2**32))
def test_packed_pairs_hold_every_weight_once(channels, depth, wide, seed):
    rows = np.random.default_rng(seed).integers(-127, 128, (channels, depth)).astype(np.int8)
    packed = pack_dsp.pairs(rows, wide)
    assert packed.dtype == np.int8 and packed.size == rows.size
    found = np.zeros(rows.shape, int)
    for pair in range(channels // 2):
        stream = packed[2 * depth * pair : 2 * depth * (pair + 1)].astype(int)
        first, second = stream[::2], stream[1::2] if wide else stream[1::2] + (stream[::2] < 0)
        order = [*range(depth % 2)]
        for group in range(depth // 4):
            order += [depth % 2 + 4 * group + place for place in (0, 2, 1, 3)]
        order += range(len(order), depth)
        found[2 * pair, order], found[2 * pair + 1, order] = first, second
    if channels % 2:
        found[-1] = packed[-depth:]
    assert np.array_equal(found, rows)


@pytest.mark.parametrize("variant", ["portable", "dsp", "mve"])
def test_weights_take_a_byte_each_and_constants_nine_per_channel(variant):
    for call in (
        lower(*graph_with(), variant),
        lower(*graph_with(kernel=1), variant),
        lower(*graph_with(in_c=9, out_c=9, groups=3), variant),
    ):
        sizes = {name: value.values.nbytes for name, value in call.params.items() if hasattr(value, "values")}
        weights = sizes.pop("weights")
        assert weights == call.macs // (call.params["out_h"] * call.params["out_w"])
        assert sum(sizes.values()) == 9 * call.params["out_c"]


def graph_with(
    in_c=6, out_c=4, kernel=3, groups=1, dtype="int8", zero=0, scales=None, axis=0, out_h=5, bias="int32", act="none"
):
    weights = np.ones((out_c, kernel, kernel, in_c // groups), np.int8)
    scales = (0.1,) * (scales or out_c)
    tensors = {
        0: Tensor(0, "x", (1, 5, 5, in_c), "int8", Quantization((0.5,), (3,))),
        1: Tensor(1, "w", weights.shape, dtype, Quantization(scales, (zero,) * len(scales), axis), weights),
        2: Tensor(2, "b", (out_c,), bias, None, np.zeros(out_c, np.int32)),
        3: Tensor(3, "y", (1, out_h, 5, out_c), "int8", Quantization((0.2,), (-5,))),
    }
    options = {"stride_h": 1, "stride_w": 1, "padding": "same", "fused_activation_function": act}
    op = Op(0, "CONV_2D", (0, 1, 2), (3,), options)
    return op, Graph("g", tensors, (op,), (0,), (3,))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"zero": 1}, "zero point of the weights is 0"),
        ({"dtype": "int16"}, "Weights are constant int8"),
        ({"scales": 2}, "2 scales"),
        ({"axis": 3}, "scales along axis 3"),
        ({"bias": "int64"}, "The bias is constant int32"),
        ({"out_h": 4}, "where (1, 5, 5, 4) belongs"),
        ({"act": "tanh"}, "A fused activation is"),
        ({"in_c": 6, "out_c": 4, "groups": 3}, "multiples of the number of groups"),
    ],
)
def test_what_cannot_be_built_is_said_in_words(change, words):
    assert words in obstacle(*graph_with(**change))


@pytest.mark.parametrize("options", [{"stride_h": 0}, {"dilation_w_factor": -1}, {"stride_w": 1 << 20}])
def test_strides_that_make_no_sense_are_refused(options):
    op, graph = graph_with()
    op = dataclasses.replace(op, options={**op.options, **options})
    assert "Strides and dilations are at least 1" in obstacle(op, graph)


def test_what_can_be_built_has_no_obstacle():
    assert obstacle(*graph_with()) == ""
    assert obstacle(*graph_with(scales=1)) == ""
    assert pack.conv_scratch({**lower(*graph_with(), "dsp").params}, "dsp") > 0
    assert NONE == 0
