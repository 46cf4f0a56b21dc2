"""MUL equals the reference for every pair of operands, every shape, in place and under QEMU."""

import harness
import numpy as np
import pytest
from harness import tensor, tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from many import Many, check_overlap
from test_add import BOARDS, PAIRS, SHAPES, check_every_pair, every_pair, functions_of, quantization

from targets.tflite_micro.ops.registry import obstacle

A, B, OUT = (0.031, -5), (0.0039, -128), (0.0052, 7)
#: Ratios at which a shift is 0, to the left, the longest, and past what matters.
RATIOS = [
    ((1.0, 0), (1.0, 0), (1.0, 0)),
    ((0.5, -128), (1.0, 127), (1.0, -3)),
    ((0.75, -128), (1.0, -128), (1.0, 0)),
    ((1.0, 127), (16000.0, -128), (1.0, 5)),
    ((1.0, 127), (2.0**-16, 127), (1.0, 5)),
    ((1.0, 0), (3.1e-7, 0), (1.0, -128)),
    ((1e-9, 1), (1e-9, 2), (1.0, 127)),
    ((1e-12, 1), (1e-12, 2), (1.0, -128)),
]


def multiplied(many, shape_a, shape_b, activation=0, **data):
    out = np.broadcast_shapes(shape_a, shape_b)
    ins = [tensor(shape_a, "int8", *A), tensor(shape_b, "int8", *B, **data)]
    return many.add("MUL", ins, [tensor(out, "int8", *OUT)], {"fusedActivationFunction": activation})


def test_every_shift():
    check_every_pair(every_pair(["MUL"], RATIOS), sanitize=True)


@settings(max_examples=3, deadline=None, database=None, derandomize=True)
@given(st.lists(st.tuples(quantization, quantization, quantization, st.floats(-2, 4)), min_size=16, max_size=16))
def test_any_scales(quantizations):
    near = [(a, b, (a[0] * b[0] * 10.0**ratio, out[1])) for a, b, out, ratio in quantizations]
    check_every_pair(every_pair(["MUL"], near))


def test_shapes_activations_and_constants():
    many, random = Many(), np.random.default_rng(1)
    for shapes in SHAPES:
        multiplied(many, *shapes)
    for activation in (1, 2, 3):
        multiplied(many, (31,), (31,), activation)
    multiplied(many, (3, 5), (5,), activation=3)
    multiplied(many, (2, 9, 4), (9, 4), data=random.integers(-128, 128, (9, 4)))
    multiplied(many, (7, 5), (7, 5), data=random.integers(-128, 128, (7, 5)))
    multiplied(many, (2, 9, 4), (1,), 1, data=[-77])
    many.check(16, sanitize=True, devices=BOARDS)
    assert functions_of(many)[-1] == "ew_lut"


def test_every_shift_on_boards():
    many, places = Many(), np.random.default_rng(0).integers(0, 65536, 2000)
    for one, two, out in RATIOS:
        many.add("MUL", [tensor((2000,), "int8", *q) for q in (one, two)], [tensor((2000,), "int8", *out)])
    many.check(samples=[[pair[places] for pair in PAIRS] * len(RATIOS)], variants=(), devices=BOARDS)


def test_the_output_may_lie_in_the_memory_of_an_operand():
    for shape in [(1, 6, 5, 4), (5, 4)]:
        data = np.random.default_rng(0).integers(-128, 128, shape)
        assert check_overlap(multiplied(Many(), (1, 6, 5, 4), shape, data=data).model()) == 0


@pytest.mark.parametrize(("out", "seen"), [(((4,), "int8", 1e-5), "2^"), (((4,), "int8"), "int8 with 0 scales")])
def test_what_cannot_be_built_is_named(out, seen):
    ins = [tensor((4,), "int8", 1.0), tensor((4,), "int8", 1.0)]
    graph = harness.graph_of(tiny([("MUL", [0, 1], [2], {})], [*ins, tensor(*out)], [0, 1], [2]))
    assert seen in obstacle(graph.ops[0], graph)
