"""Transposed convolutions equal the reference, on the host and with the output over the input."""

import harness
import numpy as np
import pytest
from close import check_close
from harness import tensor
from hypothesis import given, settings
from hypothesis import strategies as st
from many import Many

from targets.tflite_micro.graph.ir import Graph, Op, Quantization, Tensor
from targets.tflite_micro.ops.registry import obstacle
from targets.tflite_micro.ops.transpose_conv import head_start, pack

SAME, VALID = 0, 1
NONE, RELU, RELU_N1, RELU6 = range(4)

# image (N, H, W, C), output channels, kernel, stride, padding, what the output lacks (SAME) or has more (VALID),
# activation
CASES = [
    ((1, 4, 4, 8), 4, (3, 3), (2, 2), SAME, (0, 0), NONE),  # a decoder's
    ((1, 3, 5, 3), 5, (4, 4), (2, 2), VALID, (0, 0), RELU6),
    ((2, 3, 4, 2), 3, (3, 2), (2, 3), SAME, (1, 2), NONE),
    ((1, 2, 3, 7), 2, (5, 5), (2, 1), VALID, (1, 0), RELU),
    ((1, 3, 3, 4), 4, (2, 2), (3, 3), VALID, (2, 1), NONE),  # stride above kernel: pixels that are bias alone
    ((1, 5, 1, 6), 1, (7, 1), (1, 1), SAME, (0, 0), RELU_N1),
    ((1, 1, 1, 16), 8, (4, 3), (1, 1), VALID, (0, 0), NONE),
    ((3, 2, 2, 1), 1, (1, 1), (1, 1), SAME, (0, 0), NONE),
    ((1, 6, 2, 5), 6, (2, 5), (2, 4), SAME, (0, 1), NONE),
]


def add(many, case, seed=0, zero=3):
    image, out_c, kernel, stride, padding, more, activation = case
    random = np.random.default_rng(seed)
    sizes = [
        image[axis + 1] * stride[axis] - more[axis] if padding == SAME
        else (image[axis + 1] - 1) * stride[axis] + kernel[axis] + more[axis]
        for axis in range(2)
    ]  # fmt: skip
    output = (image[0], *sizes, out_c)
    weights = random.integers(-127, 128, (out_c, *kernel, image[3]))
    scales = random.uniform(0.002, 0.02, out_c if seed % 2 else 1)
    operands = [
        tensor((4,), "int32", data=output), tensor(weights.shape, "int8", scales, data=weights),
        tensor(image, "int8", 0.05, zero),
    ]  # fmt: skip
    if seed % 3:
        operands.append(tensor((out_c,), "int32", scales * 0.05, data=random.integers(-9999, 9999, out_c)))
    options = {"padding": padding, "strideH": stride[0], "strideW": stride[1], "fusedActivationFunction": activation}
    many.add("TRANSPOSE_CONV", operands, [tensor(output, "int8", 0.2, -5)], options)
    return many


def all_cases():
    many = Many()
    for seed, case in enumerate(CASES):
        add(many, case, seed=seed, zero=(3, -128, 127)[seed % 3])
    return many


@pytest.mark.parametrize("variant", ["portable", "dsp"])
def test_equals_the_reference(variant):
    all_cases().check(64, variants=(variant,), sanitize=True)


@pytest.mark.parametrize("device", ["cortex-m3-an385", "cortex-m4-an386", "cortex-m55-an547"])
def test_equals_the_reference_on_every_core(device):
    all_cases().check(8, variants=(), devices=(device,))


@pytest.mark.parametrize("variant", ["portable", "dsp"])
def test_random_shapes_equal_the_reference(variant):
    random, many = np.random.default_rng(5), Many()
    for seed in range(12):
        kernel, stride = random.integers(1, 6, 2), random.integers(1, 4, 2)
        image = (int(random.integers(1, 3)), *(int(n) for n in random.integers(1, 7, 2)), int(random.integers(1, 9)))
        padding = int(random.integers(0, 2))
        more = [int(random.integers(0, s)) for s in stride]
        case = image, int(random.integers(1, 8)), kernel.tolist(), stride.tolist(), padding, more, NONE
        add(many, case, seed)
    many.check(8, variants=(variant,), sanitize=True)


@pytest.mark.parametrize("case", [CASES[0], CASES[2], CASES[7]])
def test_the_output_may_come_as_close_to_the_input_as_promised(case):
    check_close(add(Many(), case, seed=1).model())


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_head_start_is_the_smallest_that_keeps_unread_rows(data):
    batch, in_h, in_w, in_c, out_c, kernel, stride, pad = (
        data.draw(st.integers(1, n)) for n in (2, 4, 3, 3, 3, 5, 3, 3)
    )
    pad = min(pad, kernel) - 1
    image, output = (
        (batch, in_h, in_w, in_c),
        (batch, max(1, (in_h - 1) * stride + kernel - 2 * pad), in_w * stride, out_c),
    )

    def safe(ahead):
        reads = {}  # byte of the input to the output row that needs it last, at the time when it is loaded
        for b in range(batch):
            for row in range(in_h):
                first = min(max(0, row * stride - pad), output[1]) + b * output[1]
                reads |= {ahead + (b * in_h + row) * in_w * in_c + i: first for i in range(in_w * in_c)}
        out_row = output[2] * output[3]
        written = ((y, y * out_row + i) for y in range(batch * output[1]) for i in range(out_row))
        return all(reads.get(byte, -1) <= y for y, byte in written)

    found = head_start(image, output, stride, pad)
    assert safe(found), f"{found} is not enough for {image} to {output}"
    none_left = found == -batch * in_h * in_w * in_c
    assert none_left or not safe(found - 1), f"{found} is more than {image} to {output} needs"


def test_packed_weights_are_those_of_the_kernel_each_once():
    weights = np.arange(1, 2 * 3 * 5 * 3 + 1).reshape(2, 3, 5, 3)
    packed, starts = pack(weights, 2, 3, 4)
    assert sorted(packed[packed > 0]) == list(range(1, weights.size + 1)) and all(starts % 4 == 0)


def graph(weights_dtype="int8", zero=0, bias_dtype="int32", wide=4):
    out, quantized = (1, 4, wide, 2), Quantization((0.1,), (0,))
    tensors = {
        0: Tensor(0, "shape", (4,), "int32", None, np.array(out, np.int32)),
        1: Tensor(1, "w", (2, 3, 3, 1), weights_dtype, Quantization((0.1,), (zero,)), np.zeros((2, 3, 3, 1), np.int8)),
        2: Tensor(2, "x", (1, 2, wide // 2, 1), "int8", quantized),
        3: Tensor(3, "b", (2,), bias_dtype, None, np.zeros(2, np.int32)),
        4: Tensor(4, "y", out, "int8", quantized),
    }
    options = {"stride_h": 2, "stride_w": 2, "padding": "same", "fused_activation_function": "none"}
    op = Op(0, "TRANSPOSE_CONV", (0, 1, 2, 3), (4,), options)
    return op, Graph("g", tensors, (op,), (2,), (4,))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""), ({"weights_dtype": "int4"}, "not int8"), ({"zero": 1}, "a zero point other than 0"),
        ({"bias_dtype": "int64"}, "int64 'b'"), ({"wide": 40000}, "40000"),
    ],
)  # fmt: skip
def test_what_is_refused_is_said(change, words):
    seen = obstacle(*graph(**change))
    assert (words in seen) if words else not seen, seen


def test_reference_clamps_at_a_fused_relu():
    model = add(Many(), CASES[3], seed=1).model()
    assert min(sample[0].min() for sample in harness.reference(model, harness.random_samples(model, 4))) == -5
