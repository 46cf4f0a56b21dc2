"""Float islands between DEQUANTIZE and QUANTIZE: int8 afterwards, and equal to the reference to the bit."""

import harness
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

IN, OUT = {"scale": 0.05, "zero_point": 7}, {"scale": 0.031, "zero_point": -20}


def island(*steps, shape=(1, 6, 6, 4), given=IN, wanted=OUT):
    """DEQUANTIZE, then ``steps`` (kind, constants, output shape, options), then QUANTIZE."""
    tensors = [harness.tensor(shape, **given), harness.tensor(shape, "float32")]
    ops = [("DEQUANTIZE", [0], [1], {})]
    at = 1
    for kind, constants, out, options in steps:
        places = [len(tensors) + i for i in range(len(constants))]
        tensors += [harness.tensor(values.shape, values.dtype.name, data=values) for values in constants]
        tensors.append(harness.tensor(out, "float32"))
        ops.append((kind, [at, *places], [len(tensors) - 1], options))
        at, shape = len(tensors) - 1, out
    tensors.append(harness.tensor(shape, **wanted))
    ops.append(("QUANTIZE", [at], [len(tensors) - 1], {}))
    return harness.tiny(ops, tensors, [0], [len(tensors) - 1])


def number(value):
    return np.array(value, np.float32)


AXES = np.array([1, 2], np.int32)
SAME = (1, 6, 6, 4)
ISLANDS = {
    "leaky_relu": [("LEAKY_RELU", [], SAME, {"alpha": 0.1})],
    "relu6": [("RELU6", [], SAME, {"table": ""})],
    "clamp": [("MINIMUM", [number(1.5)], SAME, {}), ("MAXIMUM", [number([-0.3])], SAME, {})],
    "shift_and_scale": [("ADD", [number(0.25)], SAME, {}), ("MUL", [number([1.75])], SAME, {})],
    "abs": [("ABS", [], SAME, {})],
    "largest": [("REDUCE_MAX", [AXES], (1, 1, 1, 4), {"keepDims": True}), ("RELU", [], (1, 1, 1, 4), {})],
    "depth_to_space": [("DEPTH_TO_SPACE", [], (1, 12, 12, 1), {"blockSize": 2})],
    "move_then_bend": [("TRANSPOSE", [np.array([0, 3, 1, 2], np.int32)], (1, 4, 6, 6), {}),
                       ("LEAKY_RELU", [], (1, 4, 6, 6), {"alpha": 0.3})],
    "nothing_but_another_scale": [],
}  # fmt: skip


@pytest.mark.parametrize("name", ISLANDS)
def test_an_island_becomes_int8(name):
    model = island(*ISLANDS[name])
    graph = harness.graph_of(model)
    assert {tensor.dtype for tensor in (graph.tensor(key) for op in graph.ops for key in op.outputs)} == {"int8"}
    harness.check(model, 16, variants=("portable",), devices=("cortex-m55-an547",) if name == "largest" else ())


def test_the_largest_of_what_falls_is_not_the_largest():
    steps = [("MUL", [number(-1.0)], SAME, {}), ("REDUCE_MAX", [AXES], (1, 1, 1, 4), {"keepDims": True})]
    kinds = [op.kind for op in harness.graph_of(island(*steps)).ops]
    assert "TABLE" not in kinds and "REDUCE_MAX" in kinds


def test_two_computed_operands_are_no_island():
    tensors = [harness.tensor((1, 4), **IN), harness.tensor((1, 4), "float32"), harness.tensor((1, 4), "float32"),
               harness.tensor((1, 4), **OUT)]  # fmt: skip
    ops = [("DEQUANTIZE", [0], [1], {}), ("MUL", [1, 1], [2], {}), ("QUANTIZE", [2], [3], {})]
    assert [op.kind for op in harness.graph_of(harness.tiny(ops, tensors, [0], [3])).ops] == [
        "DEQUANTIZE",
        "MUL",
        "QUANTIZE",
    ]


SCALES = st.floats(1e-3, 10).map(lambda x: float(np.float32(x)))
ZEROS = st.integers(-128, 127)


@settings(max_examples=12, deadline=None)
@given(SCALES, ZEROS, SCALES, ZEROS, st.floats(-2, 2).map(lambda x: float(np.float32(x))))
def test_every_value_of_every_scale(scale_in, zero_in, scale_out, zero_out, alpha):
    steps = [("LEAKY_RELU", [], (1, 256), {"alpha": alpha})]
    parts = {
        "given": {"scale": scale_in, "zero_point": zero_in},
        "wanted": {"scale": scale_out, "zero_point": zero_out},
    }
    every = [[np.arange(-128, 128).astype(np.int8).reshape(1, 256)]]
    harness.check(island(*steps, shape=(1, 256), **parts), samples=every, variants=("portable",))
