"""QUANTIZE and DEQUANTIZE equal the reference for all bytes, and for floats at and beside every half step."""

import itertools

import harness
import numpy as np
import pytest
from harness import tensor, tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from many import Many, check_overlap
from test_add import BOARDS, functions_of, quantization

from targets.tflite_micro.ops.registry import obstacle

EVERY = {"int8": np.arange(256, dtype=np.uint8).view(np.int8), "uint8": np.arange(256, dtype=np.uint8)}


def ends(many, kind, source, result, size=256):
    return many.add(kind, [tensor((size,), *source)], [tensor((size,), *result)])


def half_steps(scale, zero, random):
    """Floats at and beside what is halfway between two steps, zeros, and floats beyond all steps."""
    middle = ((np.arange(-140, 140) - zero + 0.5) * float(np.float32(scale))).astype(np.float32)
    limits = np.float32([np.inf, -np.inf])
    some = random.normal(0, 60 * scale, 160).astype(np.float32)
    rest = np.float32([0, -0.0, scale * 0.49999997, -scale * 0.49999997, scale * 1e6, -scale * 1e6])
    return np.concatenate([middle, *(np.nextafter(middle, limit) for limit in limits), some, rest])


def test_bytes_into_bytes():
    many, kinds = Many(), itertools.product(EVERY, EVERY)
    for (one, two), scales in itertools.product(
        kinds, [(0.1, 0.1), (0.1, 0.03), (0.004, 2.0), (3.0, 4e-7), (1e-9, 3.0)]
    ):
        low, middle = (-128 if one == "int8" else 0), (3 if two == "int8" else 131)
        ends(many, "QUANTIZE", (one, scales[0], low + 128), (two, scales[1], middle))
        ends(many, "QUANTIZE", (one, scales[0], low), (two, scales[1], 127))
    ends(many, "QUANTIZE", ("uint8", 0.1, 5), ("int8", 0.1, -123))
    ends(many, "QUANTIZE", ("int8", 0.1, -123), ("uint8", 0.1, 5))
    many.check(samples=[[EVERY[many.tensors[key]["dtype"]] for key in many.inputs]], sanitize=True, devices=BOARDS)
    assert functions_of(many)[-2:] == ["ew_flip"] * 2


@settings(max_examples=3, deadline=None, database=None, derandomize=True)
@given(st.lists(st.tuples(quantization, quantization), min_size=40, max_size=40))
def test_any_scales(pairs):
    many = Many()
    for source, result in pairs:
        ends(many, "QUANTIZE", ("int8", *source), ("int8", *result))
    many.check(samples=[[EVERY["int8"]] * len(pairs)], variants=("portable",))


@settings(max_examples=3, deadline=None, database=None, derandomize=True)
@given(st.lists(quantization, min_size=12, max_size=12))
def test_floats(quantizations):
    many, random, samples = Many(), np.random.default_rng(0), []
    for scale, zero in quantizations:
        samples += [half_steps(scale, zero, random), EVERY["int8"]]
        ends(many, "QUANTIZE", ("float32",), ("int8", scale, zero), samples[-2].size)
        ends(many, "DEQUANTIZE", ("int8", scale, zero), ("float32",))
    many.check(samples=[samples], variants=("portable",), sanitize=True, devices=BOARDS[:1])


def test_floats_beyond_all_steps_saturate():
    values = np.float32([np.nan, np.inf, -np.inf, 3e38, -3e38])
    many = ends(Many(), "QUANTIZE", ("float32",), ("int8", 1e-3, 4), 5)
    assert harness.host(many.model(), [[values]], sanitize=True)[0][0].tolist() == [-128, 127, -128, 127, -128]


def test_in_place():
    for source, result in [(("uint8", 0.1, 133), ("int8", 0.1, 5)), (("float32",), ("int8", 0.1, 5))]:
        many = ends(Many(), "QUANTIZE", source, result, 23)
        assert check_overlap(many.model()) == 0
        assert check_overlap(many.model(), shift=3) == 3


@pytest.mark.parametrize(
    ("kind", "source", "result", "seen"),
    [
        ("QUANTIZE", ("float32",), ("uint8", 0.1, 3), "float32 to uint8"),
        ("QUANTIZE", ("int8", 1.0), ("int8", 1e-7), "1 beside 1e-07"),
        ("QUANTIZE", ("int16", 0.1), ("int8", 0.1, 3), "int16 to int8"),
        ("DEQUANTIZE", ("uint8", 0.1, 3), ("float32",), "uint8 to float32"),
    ],
)
def test_what_cannot_be_built_is_named(kind, source, result, seen):
    tensors = [tensor((4,), *source), tensor((4,), *result)]
    graph = harness.graph_of(tiny([(kind, [0], [1], {})], tensors, [0], [1]))
    assert seen in obstacle(graph.ops[0], graph)
