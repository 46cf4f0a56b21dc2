"""Activations and paddings are fused where not a bit changes, and stay elsewhere."""

import pytest
from ai_edge_litert import schema_py_generated as schema
from graph_files import (
    SAME,
    SLIDE,
    VALID,
    file,
    ints,
    kinds,
    main_graph,
    q8,
    same_outputs,
    weights,
)
from harness import tensor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from targets.tflite_micro.graph.simplify import simplify


@pytest.mark.parametrize("zero", [-128, -20, 0, 127])
@pytest.mark.parametrize("after", [["RELU"], ["RELU6"], ["RELU_N1_TO_1"], ["RELU", "RELU6"], ["RELU6", "RELU", "RELU"]])
def test_activations_with_equal_scales_are_fused(after, zero):
    tensors = [q8((1, 6, 6, 2)), weights(3, 3, 3, 2), *(q8((1, 4, 4, 3), 0.03, zero) for _ in range(len(after) + 1))]
    ops = [("CONV_2D", [0, 1], [2], SLIDE)]
    ops += [(kind, [place + 2], [place + 3], {}) for place, kind in enumerate(after)]
    model = file(ops, tensors, [0], [len(tensors) - 1])
    graph = simplify(main_graph(model))
    assert kinds(graph) == ["CONV_2D"]
    assert not same_outputs(model, graph)


def test_activations_that_cannot_be_one_stay_two():
    tensors = [q8((1, 6, 6, 2)), weights(3, 3, 3, 2), *(q8((1, 4, 4, 3), 0.03, -20) for _ in range(2))]
    fused = SLIDE | {"fusedActivationFunction": schema.ActivationFunctionType.RELU_N1_TO_1}
    model = file([("CONV_2D", [0, 1], [2], fused), ("RELU", [2], [3], {})], tensors, [0], [3])
    graph = simplify(main_graph(model))
    assert kinds(graph) == ["CONV_2D", "RELU"]
    assert not same_outputs(model, graph)


def test_an_activation_of_another_scale_or_of_an_output_stays():
    tensors = [q8((1, 4)), weights(3, 4), q8((1, 3), 0.1), q8((1, 3), 0.2), q8((1, 3), 0.1)]
    ops = [("FULLY_CONNECTED", [0, 1], [2], {}), ("RELU", [2], [3], {})]
    assert kinds(simplify(main_graph(file(ops, tensors, [0], [3])))) == ["FULLY_CONNECTED", "RELU"]
    ops[1] = ("RELU", [2], [4], {})
    assert kinds(simplify(main_graph(file(ops, tensors, [0], [4, 2])))) == ["FULLY_CONNECTED", "RELU"]


@st.composite
def padded(draw, kind):
    size, kernel, stride = draw(st.integers(2, 8)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    dilation = 1 if kind == "MAX_POOL_2D" else draw(st.integers(1, 2))
    reach = (kernel - 1) * dilation + 1
    amounts = [draw(st.integers(0, reach)) for _ in range(4)]
    padding = draw(st.sampled_from([SAME, VALID]))
    height, width = size + sum(amounts[:2]), size + sum(amounts[2:])
    if padding == VALID:
        sides = [max(1, (n - reach) // stride + 1) if n >= reach else 0 for n in (height, width)]
    else:
        sides = [-(-n // stride) for n in (height, width)]
    return size, kernel, stride, dilation, amounts, padding, (height, width), sides


@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D"])
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_paddings_are_fused(kind, data):
    size, kernel, stride, dilation, amounts, padding, between, sides = data.draw(padded(kind))
    if 0 in sides:
        return
    zero = -128 if kind == "MAX_POOL_2D" else data.draw(st.sampled_from([-128, 3]))
    options = {"strideH": stride, "strideW": stride, "padding": padding}
    if kind == "MAX_POOL_2D":
        options |= {"filterHeight": kernel, "filterWidth": kernel}
    else:
        options |= {"dilationHFactor": dilation, "dilationWFactor": dilation}
    options |= {"depthMultiplier": 1} if kind == "DEPTHWISE_CONV_2D" else {}
    shape = (1, kernel, kernel, 2) if kind == "DEPTHWISE_CONV_2D" else (2, kernel, kernel, 2)
    out = q8((1, *sides, 2), 0.1, 5) if kind != "MAX_POOL_2D" else q8((1, *sides, 2), 0.5, zero)
    tensors = [
        q8((1, size, size, 2), 0.5, zero), ints(0, 0, *amounts, 0, 0, shape=(4, 2)), q8((1, *between, 2), 0.5, zero),
        weights(*shape), out,
    ]  # fmt: skip
    inputs = [2] if kind == "MAX_POOL_2D" else [2, 3]
    model = file([("PAD", [0, 1], [2], {}), (kind, inputs, [4], options)], tensors, [0], [4])
    graph = simplify(main_graph(model))
    if graph.ops[0].kind == kind and any(amounts):
        assert graph.ops[0].options["padding"] == "explicit"
    elif any(amounts):
        assert max(amounts) + (kernel - 1) * dilation // 2 + 1 > (kernel - 1) * dilation, "small paddings are fused"
    assert not same_outputs(model, graph)


def pad_model(value=None, zero=3, outputs=(5,), kind="CONV_2D", extra=()):
    tensors = [
        q8((1, 4, 4, 2), 0.5, zero), ints(0, 0, 1, 1, 1, 1, 0, 0, shape=(4, 2)), q8((1, 6, 6, 2), 0.5, zero),
        weights(3, 3, 3, 2), tensor((1,), "int8", 0.5, zero, data=[value or 0]), q8((1, 4, 4, 3)),
        q8((1, 6, 6, 2), 0.5, zero), q8((1, 4, 4, 2), 0.5, zero),
    ]  # fmt: skip
    ops = [("PAD" if value is None else "PADV2", [0, 1, *([] if value is None else [4])], [2], {})]
    ops += [("CONV_2D", [2, 3], [5], SLIDE), *extra]
    return file(ops, tensors, [0], list(outputs))


def test_a_padding_with_the_zero_point_as_value_is_fused():
    model = pad_model(value=3)
    graph = simplify(main_graph(model))
    assert kinds(graph) == ["CONV_2D"] and graph.ops[0].options["pad"] == (1, 1, 1, 1)
    assert not same_outputs(model, graph)


POOL = {"filterHeight": 3, "filterWidth": 3, **SLIDE}
KEPT = {
    "another value": {"value": 4},
    "an output": {"outputs": (5, 2)},
    "another reader": {"outputs": (5, 6), "extra": [("RELU", [2], [6], {})]},
    "a max pool whose zero point may win": {"outputs": (5, 7), "extra": [("MAX_POOL_2D", [2], [7], POOL)]},
    "an average pool, which counts": {"outputs": (5, 7), "zero": -128, "extra": [("AVERAGE_POOL_2D", [2], [7], POOL)]},
}


@pytest.mark.parametrize("why", KEPT)
def test_other_paddings_stay(why):
    model = pad_model(**KEPT[why])
    graph = simplify(main_graph(model))
    assert set(kinds(graph)) & {"PAD", "PADV2"}, why
    assert not same_outputs(model, graph)


def test_simplifying_twice_is_simplifying_once():
    graph = simplify(main_graph(pad_model()))
    assert simplify(graph) == graph
