"""What the accelerator cannot do stays on the host, with a sentence that says why and what was seen."""

import numpy as np
import pytest
import qdq
from agreement import SMALL, split

from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.partition.checks import CONSTRAINTS, sentence

TINY = Geometry(lanes=4, activations=64, weights=64)


def refused(build, shape=(1, 8, 8, 8), geometry=SMALL, **more):
    """The reason for the operator named ``it``; nothing may run on the accelerator."""
    graph = qdq.Graph(1)
    value = build(graph, graph.input(*shape, **more))
    parted = split(graph.output(value), geometry)
    found = {each.name: each for each in parted.split.operators}
    assert not found["it"].accelerated, "the accelerator took it"
    return found["it"].reason


def half_scale(g, x):
    """An input with one scale per channel."""
    scales, zeros = g.constant(np.linspace(0.1, 0.2, 8, dtype=np.float32)), g.constant(np.full(8, 3, np.uint8))
    kept = g.node("QuantizeLinear", x, scales, zeros, shape=g.shapes[x], axis=1)
    return g.node("DequantizeLinear", kept, scales, zeros, shape=g.shapes[x], axis=1)


CASES = {
    "(1, C, H, W)": (lambda g, x: g.stored(g.conv(x, 4, 3, name="it")), {"shape": (2, 8, 8, 8)}),
    "stored in 8 bits": (
        lambda g, x: g.stored(g.conv(g.stored(x, 0.001, 30_000, np.uint16), 4, 3, name="it")),
        {"stored": False},
    ),
    "one zero point": (lambda g, x: g.stored(g.conv(half_scale(g, x), 4, 3, name="it")), {"stored": False}),
    "weights' zero point is 0": (
        lambda g, x: g.stored(g.conv(x, 4, 3, weights=g.weights(4, 8, 3, 3, dtype=np.uint8, zero=120), name="it")),
        {},
    ),
    "one per output": (
        lambda g, x: g.stored(g.conv(x, 4, 3, weights=g.weights(4, 8, 3, 3, axis=1), name="it")),
        {},
    ),
    "64 x 1": (lambda g, x: g.stored(g.conv(x, 4, (64, 1), pads=(32, 0, 31, 0), name="it")), {}),
    "at most 7 (seen: 8)": (lambda g, x: g.stored(g.conv(x, 4, 1, stride=8, name="it")), {"shape": (1, 8, 16, 16)}),
    "1023 rows": (lambda g, x: g.stored(g.conv(x, 4, 1, name="it")), {"shape": (1, 2, 2, 1024)}),
    "on the left": (lambda g, x: g.stored(g.conv(x, 4, 1, pads=(0, 65, 0, 0), name="it")), {}),
    "weight memory": (lambda g, x: g.stored(g.conv(x, 4, 5, name="it")), {"geometry": TINY}),
    "activation memory": (
        lambda g, x: g.stored(g.conv(x, 4, 1, name="it")),
        {"shape": (1, 8, 2, 40), "geometry": TINY},
    ),
    "count its padding": (
        lambda g, x: g.stored(g.pool("AveragePool", x, 3, stride=1, pads=(1, 1, 1, 1), name="it")),
        {},
    ),
    "same shape": (
        lambda g, x: g.stored(g.same("Add", x, g.stored(g.global_average(x), 0.01), name="it")),
        {},
    ),
    "along their channels": (
        lambda g, x: g.stored(g.node("Concat", x, x, shape=(1, 8, 16, 8), axis=2, name="it")),
        {},
    ),
    "rows and columns": (
        lambda g, x: g.stored(g.node("ReduceMean", x, g.constant(np.array([1])), shape=(1, 1, 8, 8), name="it")),
        {},
    ),
    "no such operator": (lambda g, x: g.stored(g.same("Sigmoid", x, name="it")), {}),
    "both inputs are computed": (
        lambda g, x: g.stored(g.same("Mul", x, g.stored(g.same("Sigmoid", x), 0.01), name="it")),
        {},
    ),
    "no DequantizeLinear": (lambda g, x: g.stored(g.conv(x, 4, 3, name="it")), {"stored": False}),
    "no QuantizeLinear": (lambda g, x: g.conv(x, 4, 3, name="it"), {}),
}


def test_a_result_that_is_needed_in_float_too():
    graph = qdq.Graph(3)
    y = graph.conv(graph.input(1, 4, 8, 8), 8, 3, name="it")
    graph.output(graph.stored(y, 0.2)).output(graph.same("Sigmoid", y))
    parted = split(graph)
    assert not parted.regions and "read it in float too" in parted.split.operators[0].reason


def test_operators_of_the_model_that_become_several_of_tvm():
    """One reason under the model's own name, which is the first call's: what comes behind it is not to blame."""
    graph = qdq.Graph(4)
    x = graph.input(1, 4, 8)
    weights = graph.node("DequantizeLinear", *map(graph.constant, _stored(8, 4, 3)), shape=(8, 4, 3))
    y = graph.stored(graph.node("Conv", x, weights, graph.bias(8), shape=(1, 8, 6), name="one dimension"))
    numbers = graph.constant(np.ones(8, np.float32)), graph.constant(np.zeros(8, np.float32))
    graph.output(graph.stored(graph.node("InstanceNormalization", y, *numbers, shape=(1, 8, 6), name="norm")))
    found = split(graph).split.operators
    assert [each.name for each in found] == ["one dimension", "norm"]
    assert {each.reason for each in found} == {"the accelerator has no such operator"}


def _stored(*shape):
    return np.ones(shape, np.int8), np.float32(0.01), np.int8(0)


@pytest.mark.parametrize("words", CASES)
def test_refusal(words):
    build, more = CASES[words]
    reason = refused(build, **more)
    assert words in reason, f"the reason is: {reason}"
    assert "\n" not in reason and not reason.endswith(".")


def test_every_constraint_is_one_sentence():
    for constraint in CONSTRAINTS:
        text = sentence(constraint)
        assert text[0].isupper() and ". " not in text and len(text) < 120, constraint.__name__


def test_macs_are_counted_on_both_sides():
    graph = qdq.Graph(2)
    x = graph.stored(graph.conv(graph.input(1, 4, 8, 8), 8, 3), 0.2)
    found = split(graph.output(graph.conv(x, 2, 1))).split
    assert found.macs == (64 * 8 * 4 * 9, 64 * 2 * 8)
    assert found.bytes == 4 * 64 + 8 * 64
