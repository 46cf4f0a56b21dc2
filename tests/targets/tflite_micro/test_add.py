"""ADD and SUB equal the reference for every pair of operands, every shape, in place and under QEMU."""

import itertools

import harness
import numpy as np
import pytest
from harness import tensor, tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from many import Many, check_overlap

from targets.tflite_micro.ops.broadcast import walk
from targets.tflite_micro.ops.registry import obstacle

BYTES = np.arange(-128, 128).astype(np.int8)
PAIRS = [grid.reshape(-1) for grid in np.meshgrid(BYTES, BYTES, indexing="ij")]
RESNET = [
    ((0.0393935516, -128), (0.1041949615, 4), (0.0509456731, -128)),
    ((0.0447614267, -17), (0.1131188422, 4), (0.0532362163, -128)),
    ((0.0838583037, 38), (0.2172436416, -2), (0.1270691454, -128)),
]
#: For these no formula was found that equals the reference.
STUBBORN = [
    ((0.576631921206613, 8), (11.128190811773063, 63), (1.0, 42)),
    ((12.694501575271262, -77), (0.4129676841075362, 4), (1.0, 118)),
    ((0.001, 127), (1000.0, -128), (0.002, 0)),
    ((1e-12, 3), (1e12, 3), (1e11, 3)),
]
LARGE = [((1.0, 0), (1.0, 0), (2.0**-17, 0)), ((1e-6, 1), (1e-6, -1), (1e6, 5))]

quantization = st.tuples(
    st.floats(-3, 1).map(lambda x: 10.0**x), st.sampled_from([-128, 0, 127]) | st.integers(-128, 127)
)


#: Shapes of two operands; steps, merged axes and single elements of every kind.
SHAPES = [
    ((1, 8, 8, 16), (1, 8, 8, 16)),
    ((1, 5, 7, 3), (1, 1, 1, 3)),  # per channel
    ((1, 1, 1, 6), (1, 4, 3, 6)),
    ((1, 5, 4, 1), (1, 5, 4, 7)),  # per pixel
    ((2, 3, 4, 5), (3, 1, 5)),
    ((3, 1, 5), (2, 3, 4, 1)),
    ((19,), (1,)),
    ((1,), (19,)),
    ((1, 1), (1,)),
    ((), ()),
    ((4, 1, 3, 1, 2), (1, 5, 3, 2, 1)),
    ((2, 1, 3, 1, 2, 1), (1, 3, 1, 2, 1, 2)),  # no axes to merge
]
BOARDS = ("cortex-m4-an386", "cortex-m55-an547")
A, B, OUT = (0.031, -5), (0.047, 20), (0.052, 7)


def every_pair(kinds, quantizations):
    many = Many()
    for (one, two, out), kind in zip(quantizations, itertools.cycle(kinds), strict=False):
        many.add(kind, [tensor((65536,), "int8", *q) for q in (one, two)], [tensor((65536,), "int8", *out)])
    return many


def check_every_pair(many, **words):
    many.check(samples=[PAIRS * len(many.ops)], **words)


def added(many, shape_a, shape_b, kind="ADD", activation=0, *, quantizations=(A, B, OUT), **data):
    out = np.broadcast_shapes(shape_a, shape_b)
    ins = [tensor(shape_a, "int8", *quantizations[0]), tensor(shape_b, "int8", *quantizations[1], **data)]
    outs = [tensor(out, "int8", *quantizations[2])]
    return many.add(kind, ins, outs, {"fusedActivationFunction": activation})


def functions_of(many, variant="dsp"):
    return [call.function for call in harness.program_of(many.model(), variant).calls]


def test_scales_of_real_models_and_extreme_ones():
    cases = [(q, kind) for q in [*RESNET, *STUBBORN, *LARGE] for kind in ("ADD", "SUB")]
    many = every_pair([kind for _, kind in cases], [q for q, _ in cases])
    check_every_pair(many, sanitize=True)
    functions = functions_of(many)
    assert functions[:6] == ["ew_add"] * 6, functions
    assert functions[6:14].count("ew_add_exact") >= 6, functions


@settings(max_examples=3, deadline=None, database=None, derandomize=True)
@given(st.lists(st.tuples(quantization, quantization, quantization), min_size=16, max_size=16))
def test_any_scales(quantizations):
    fine = [q for q in quantizations if q[2][0] > 2**-18 * max(q[0][0], q[1][0])]
    check_every_pair(every_pair(["ADD", "SUB"], fine))


def test_shapes_activations_and_constants():
    many, random = Many(), np.random.default_rng(1)
    for shapes, kind in itertools.product(SHAPES, ("ADD", "SUB")):
        added(many, *shapes, kind)
    for activation, size in itertools.product((1, 2, 3), (1, 4, 31)):
        added(many, (size,), (size,), "SUB", activation)
    added(many, (3, 5), (5,), activation=3)
    added(many, (2, 9, 4), (9, 4), data=random.integers(-128, 128, (9, 4)))
    added(many, (7, 5), (7, 5), "SUB", data=random.integers(-128, 128, (7, 5)))
    added(many, (2, 9, 4), (1, 1), "SUB", 1, data=[-77])
    for quantizations in STUBBORN[:2]:
        added(many, (3, 9), (3, 9), quantizations=quantizations)
        added(many, (3, 1), (3, 9), "SUB", activation=3, quantizations=quantizations)
    many.check(16, sanitize=True, devices=BOARDS)
    assert functions_of(many)[-5] == "ew_lut"


def test_the_output_may_lie_in_the_memory_of_an_operand():
    for shape in [(1, 6, 5, 4), (5, 4), (4,)]:
        data = np.random.default_rng(0).integers(-128, 128, shape)
        assert check_overlap(added(Many(), (1, 6, 5, 4), shape, data=data).model()) == 0
        check_overlap(added(Many(), (1, 6, 5, 4), shape, data=data).model(), shift=3)


shape = st.lists(st.integers(1, 4), min_size=5, max_size=5)


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(shape, st.lists(st.sampled_from("ab="), min_size=5, max_size=5), st.integers(0, 4))
def test_walk_visits_what_numpy_broadcasts(sizes, kept, dropped):
    a = tuple(1 if keep == "b" else size for size, keep in zip(sizes, kept, strict=True))
    b = tuple(1 if keep == "a" else size for size, keep in zip(sizes, kept, strict=True))[dropped:]
    found = walk(a, b)
    wanted = [np.broadcast_to(np.arange(np.prod(s)).reshape(s), np.broadcast_shapes(a, b)).ravel() for s in (a, b)]
    at, left = [0, 0], [extent for extent, _, _ in found.axes]
    seen = [[], []]
    while True:
        for side, step in enumerate(found.steps):
            seen[side] += [at[side] + i * step for i in range(found.count)]
        for axis, (extent, *jumps) in enumerate(found.axes):
            at = [place + jump for place, jump in zip(at, jumps, strict=True)]
            left[axis] -= 1
            if left[axis]:
                break
            left[axis] = extent
        else:
            break
    assert [list(map(int, w)) for w in wanted] == seen, f"{a} and {b} as {found}"


@pytest.mark.parametrize(
    ("a", "b", "out", "seen"),
    [
        (((4,), "int8", 1e6), ((4,), "int8", 1), ((4,), "int8", 1), "1 beside 1e+06"),
        (((4,), "int8", 1), ((4,), "int8"), ((4,), "int8", 1), "int8 with 0 scales"),
        (((4,), "float32"), ((4,), "float32"), ((4,), "float32"), "float32"),
    ],
)
def test_what_cannot_be_built_is_named(a, b, out, seen):
    graph = harness.graph_of(tiny([("ADD", [0, 1], [2], {})], [tensor(*a), tensor(*b), tensor(*out)], [0, 1], [2]))
    assert seen in obstacle(graph.ops[0], graph)
