"""SOFTMAX equals the reference for any scale, beta and shape, in place and under QEMU."""

import harness
import numpy as np
import pytest
from harness import tensor, tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from many import Many, check_overlap
from test_add import BOARDS

from targets.tflite_micro.ops.registry import obstacle


def softmax(many, shape, scale, beta=1.0):
    out = tensor(shape, "int8", 1 / 256, -128)
    return many.add("SOFTMAX", [tensor(shape, "int8", scale, 14)], [out], {"beta": beta})


def rows(sizes, spread, seed=0):
    """Rows of values that lie close to each other, so that all of them count."""
    random = np.random.default_rng(seed)
    top = random.integers(-128 + spread, 128, (*sizes[:-1], 1))
    return (top - random.integers(0, spread + 1, sizes)).astype(np.int8)


def test_scales_betas_and_shapes():
    many = Many()
    for shape, scale, beta in [
        ((1, 10), 0.1718535125, 1.0),  # ResNet-8
        ((1, 12), 0.1446925104, 1.0),  # DS-CNN
        ((2, 3, 5), 0.01, 1.0),
        ((2, 2, 2, 2, 2), 1.0, 0.3),
        ((7,), 20.0, 1.0),
        ((3, 1), 0.05, 1.0),
        ((1, 511), 0.001, 1.0),
        ((4, 9), 1e-7, 1.0),
        ((4, 9), 1e7, 1e7),
    ]:
        softmax(many, shape, scale, beta)
    many.check(48, sanitize=True, devices=BOARDS)


def test_every_difference_and_equal_values():
    many, samples = Many(), []
    for number in range(12):
        softmax(many, (256, 2), 10.0 ** (-2.5 + number * 0.3))
        samples.append(np.stack([np.full(256, 127), np.arange(-128, 128)], axis=1).astype(np.int8))
    for depth in (1, 2, 3, 4, 8, 256, 510, 511):  # sums at and beside powers of two
        softmax(many, (2, depth), 0.1)
        samples.append(np.full((2, depth), 5, np.int8))
    many.check(samples=[samples], sanitize=True)


@settings(max_examples=4, deadline=None, database=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(1, 30), st.floats(-4, 1), st.integers(1, 255)), min_size=20, max_size=20))
def test_any_scale(cases):
    many = Many()
    for depth, scale, _ in cases:
        softmax(many, (8, depth), 10.0**scale)
    many.check(samples=[[rows((8, depth), spread, seed) for depth, _, spread in cases] for seed in range(3)])


def test_in_place():
    many = softmax(Many(), (5, 7), 0.05)
    assert check_overlap(many.model()) == 0
    assert check_overlap(many.model(), shift=2) == 2


@pytest.mark.parametrize(
    ("shape", "scale", "result", "seen"),
    [
        ((1, 512), 0.1, (1 / 256, -128), "the shape (1, 512)"),
        ((1, 4), 0.1, (1 / 128, -128), "0.0078125 and -128"),
        ((1, 4), 0.1, (1 / 256, 0), "0.00390625 and 0"),
        ((1, 4), 1e-9, (1 / 256, -128), "1e-09"),
    ],
)
def test_what_cannot_be_built_is_named(shape, scale, result, seen):
    tensors = [tensor(shape, "int8", scale), tensor(shape, "int8", *result)]
    graph = harness.graph_of(tiny([("SOFTMAX", [0], [1], {"beta": 1.0})], tensors, [0], [1]))
    assert seen in obstacle(graph.ops[0], graph)
