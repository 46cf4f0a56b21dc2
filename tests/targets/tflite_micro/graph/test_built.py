"""What the passes leave is built, and computes what LiteRT does on the file: paddings and aliases in C."""

import pytest
from ai_edge_litert import schema_py_generated as schema
from graph_files import file, ints, q8
from harness import check, graph_of, tensor
from numpy.random import default_rng

SLIDE = {"strideH": 2, "strideW": 1, "padding": schema.Padding.VALID}
OPERATORS = {
    "CONV_2D": ([[2, 3, 3, 2]], {}),
    "DEPTHWISE_CONV_2D": ([[1, 3, 3, 2]], {"depthMultiplier": 1}),
    "MAX_POOL_2D": ([], {"filterHeight": 3, "filterWidth": 3}),
}


@pytest.mark.parametrize("kind", OPERATORS)
def test_a_fused_padding(kind):
    shapes, options = OPERATORS[kind]
    weights = [tensor(shape, "int8", 0.02, 0, data=default_rng(1).integers(-127, 128, shape)) for shape in shapes]
    scale = (0.5, -128)
    tensors = [
        q8((1, 7, 6, 2), *scale), ints(0, 0, 1, 2, 2, 0, 0, 0, shape=(4, 2)), q8((1, 10, 8, 2), *scale),
        *weights, q8((1, 4, 6, 2), *scale), q8((48,), *scale), q8((48,), 0.25, 3),
    ]  # fmt: skip
    out = 3 + len(weights)
    ops = [
        ("PAD", [0, 1], [2], {}), (kind, [2, *range(3, out)], [out], SLIDE | options),
        ("RESHAPE", [out], [out + 1], {"newShape": [48]}), ("LEAKY_RELU", [out + 1], [out + 2], {"alpha": 0.25}),
    ]  # fmt: skip
    model = file(ops, tensors, [0], [out + 2])
    assert [op.kind for op in graph_of(model).ops] == [kind, "RESHAPE", "LEAKY_RELU"]
    check(model, count=8)


def test_an_output_that_is_a_reshaped_input():
    model = file([("RESHAPE", [0], [1], {"newShape": [6]})], [q8((2, 3)), q8((6,))], [0], [1])
    check(model, count=4)
