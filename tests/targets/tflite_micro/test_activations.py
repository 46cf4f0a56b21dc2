"""Every function of one byte equals the reference for all 256 values and any scales; PRELU for all pairs."""

import itertools

import harness
import numpy as np
import pytest
from harness import tensor, tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from many import Many, check_overlap
from test_add import BOARDS, BYTES, check_every_pair, functions_of, quantization

from targets.tflite_micro.ops.registry import obstacle, rules

LIMITS = ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1")
OTHERS = ("LEAKY_RELU", "HARD_SWISH", "LOGISTIC", "TANH", "GELU", "EXP", "LOG", "ABS")
KINDS = (*LIMITS, *OTHERS, "SQRT")
#: Both ends of an operator: (scale, zero point) of the input and of the output.
CORNERS = [
    ((0.05, -128), (0.05, -128)),
    ((0.05, 127), (0.03, -128)),
    ((0.001, 0), (2.0, 127)),
    ((3.0, -100), (0.0039, 0)),
    ((1 / 16, 17), (1 / 16, 17)),
    ((1e-6, 5), (1e-6, 5)),
    ((1e-9, -5), (30.0, 127)),
]


def activated(many, kind, source, result, *, alpha=0.1, size=256):
    options = {"LEAKY_RELU": {"alpha": alpha}, "GELU": {"approximate": bool(alpha < 0)}}.get(kind, {})
    if kind == "LOGISTIC":
        result = (1 / 256, result[1])
    if kind == "HARD_SWISH":
        result = (max(result[0], source[0] / 127), result[1])
    if kind == "EXP":
        source = (min(source[0], 0.05), source[1])
    if kind == "SQRT":
        source = (source[0], -128)
    return many.add(kind, [tensor((size,), "int8", *source)], [tensor((size,), "int8", *result)], options)


def check_every_value(many, **words):
    many.check(samples=[[BYTES] * len(many.ops)], **words)


def test_every_kind_with_scales_at_the_corners():
    many = Many()
    for kind in KINDS:
        for number, (source, result) in enumerate(CORNERS):
            activated(many, kind, source, result, alpha=[0.1, -0.3, 1.7, 0.0][number % 4])
    check_every_value(many, sanitize=True)


@settings(max_examples=6, deadline=None, database=None, derandomize=True)
@given(st.lists(st.tuples(quantization, quantization, st.floats(-2, 2)), min_size=40, max_size=40))
def test_every_kind_with_any_scales(ends):
    many = Many()
    for number, (source, result, alpha) in enumerate(ends):
        for kind in (KINDS[number % len(KINDS)], OTHERS[number % len(OTHERS)]):
            activated(many, kind, source, result, alpha=alpha)
    check_every_value(many, variants=("portable",))


def test_tables_and_limits_of_every_length_on_boards():
    many = Many()
    for size in (1, 3, 4, 15, 16, 17, 50):
        activated(many, "RELU6", (0.05, -10), (0.05, -10), size=size)
        activated(many, "LOGISTIC", (0.05, -10), (0.05, -128), size=size)
    many.check(16, sanitize=True, devices=BOARDS)
    assert set(functions_of(many)) == {"ew_clamp8", "ew_lut"}


def test_in_place():
    for kind in ("RELU6", "TANH"):
        many = activated(Many(), kind, (0.05, -10), (0.05, -10), size=37)
        assert check_overlap(many.model()) == 0
        assert check_overlap(many.model(), shift=5) == 5


# --- PRELU ---------------------------------------------------------------------------------------


def sloped(many, source, alpha, result, shapes=((65536,), (65536,)), **data):
    ins = [tensor(shapes[0], "int8", *source), tensor(shapes[1], "int8", *alpha, **data)]
    return many.add("PRELU", ins, [tensor(shapes[0], "int8", *result)])


def test_prelu_of_every_pair():
    many = Many()
    sloped(many, (0.05, -10), (0.01, 3), (0.04, 5))
    sloped(many, (1.0, -128), (1.0, 127), (1.0, -128))
    sloped(many, (1.0, 127), (0.01, -128), (0.0002, 0))
    sloped(many, (0.5, 0), (1e-5, 0), (1.0, 127))
    check_every_pair(many, sanitize=True)


@settings(max_examples=2, deadline=None, database=None, derandomize=True)
@given(st.lists(st.tuples(quantization, quantization, quantization), min_size=12, max_size=12))
def test_prelu_with_any_scales(quantizations):
    many = Many()
    for source, alpha, (scale, zero) in quantizations:
        sloped(many, source, alpha, (scale + source[0] * alpha[0] / 1000, zero))
    check_every_pair(many)


def test_prelu_shapes_on_boards():
    many, random = Many(), np.random.default_rng(0)
    for shape in [(4,), (5, 1), (1, 5, 4), (2, 5, 4), (1,)]:
        sloped(many, (0.05, -10), (0.01, 3), (0.04, 5), ((2, 5, 4), shape), data=random.integers(-128, 128, shape))
    sloped(many, (0.05, -10), (0.01, 3), (0.04, 5), ((2, 5, 4), (4,)))
    many.check(16, sanitize=True, devices=BOARDS)
    assert functions_of(many).count("ew_lut") == 1


@pytest.mark.filterwarnings("error")
def test_hostile_scales_are_refused_or_built():
    extremes = (1e-45, 2.0**-40, 1e-7, 1.0, 2.0**40, 3e38)
    built = refused = 0
    kinds = {**dict.fromkeys((*KINDS, "SOFTMAX", "QUANTIZE"), 1), **dict.fromkeys(("ADD", "SUB", "MUL", "PRELU"), 2)}
    for (kind, operands), source, result in itertools.product(kinds.items(), extremes, extremes):
        many = Many()
        options = {"LEAKY_RELU": {"alpha": -3e38}, "SOFTMAX": {"beta": 3e38}}.get(kind, {})
        ins = [tensor((4,), "int8", scale, 127) for scale in (source, extremes[2])[:operands]]
        many.add(kind, ins, [tensor((4,), "int8", result, -128)], options)
        graph = harness.graph_of(many.model())
        for op in graph.ops:
            if obstacle(op, graph):
                refused += 1
            else:
                assert rules()[kind].lower(op, graph, "dsp").params, f"{kind} from {source} to {result} is empty"
                built += 1
    assert built and refused, f"{built} built and {refused} refused: one side is not tested"


@pytest.mark.parametrize(
    ("kind", "result", "seen"),
    [
        ("LOGISTIC", (0.01, 0), "0.01"),
        ("HARD_SWISH", (0.0005, 0), "0.0005 beside 0.1"),
        ("RELU6", (1e-9, 0), "1e+08"),
        ("EXP", (1e-7, 0), "exp(12.7) in steps of 1e-07"),
    ],
)
def test_what_cannot_be_built_is_named(kind, result, seen):
    tensors = [tensor((4,), "int8", 0.1), tensor((4,), "int8", *result)]
    graph = harness.graph_of(tiny([(kind, [0], [1], {})], tensors, [0], [1]))
    assert seen in obstacle(graph.ops[0], graph)
