"""MINIMUM and MAXIMUM equal the reference for every pair of operands, every shape, in place and under QEMU."""

import itertools

import harness
import numpy as np
from harness import tensor, tiny
from many import Many, check_overlap
from test_add import BOARDS, SHAPES, check_every_pair, every_pair, functions_of

from targets.tflite_micro.ops.registry import obstacle

KINDS = ("MINIMUM", "MAXIMUM")


def picked(many, kind, shape_a, shape_b, **data):
    ins = [tensor(shape_a, "int8", 0.1, 3), tensor(shape_b, "int8", 0.1, 3, **data)]
    return many.add(kind, ins, [tensor(np.broadcast_shapes(shape_a, shape_b), "int8", 0.1, 3)])


def test_every_pair():
    check_every_pair(every_pair(KINDS, [((0.1, 0),) * 3] * 2), sanitize=True)


def test_shapes_and_constants():
    many, random = Many(), np.random.default_rng(1)
    for kind, shapes in itertools.product(KINDS, SHAPES):
        picked(many, kind, *shapes)
    for kind, size in itertools.product(KINDS, (1, 3, 15, 16, 17, 33)):
        picked(many, kind, (size,), (size,))
        picked(many, kind, (size,), (size,), data=random.integers(-128, 128, (size,)))
        picked(many, kind, (size,), (1,), data=[size])
    many.check(16, sanitize=True, devices=BOARDS)
    assert functions_of(many)[-1] == "ew_clamp8"


def test_the_output_may_lie_in_the_memory_of_an_operand():
    for kind, shape in itertools.product(KINDS, [(6, 5, 4), (5, 4)]):
        data = np.random.default_rng(0).integers(-128, 128, shape)
        assert check_overlap(picked(Many(), kind, (6, 5, 4), shape, data=data).model(), shift=1) == 1


def test_different_scales_are_refused():
    tensors = [tensor((4,), "int8", 0.1), tensor((4,), "int8", 0.2), tensor((4,), "int8", 0.1)]
    graph = harness.graph_of(tiny([("MINIMUM", [0, 1], [2], {})], tensors, [0, 1], [2]))
    assert "0.1 and 0, 0.2 and 0" in obstacle(graph.ops[0], graph)
