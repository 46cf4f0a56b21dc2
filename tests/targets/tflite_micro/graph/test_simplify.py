"""Every pass keeps LiteRT's outputs bit for bit, and does what it is for."""

import numpy as np
import pytest
from graph_files import (
    RELU,
    RELU6,
    SLIDE,
    f32,
    file,
    ints,
    kinds,
    main_graph,
    q8,
    random_inputs,
    same_outputs,
    to_file,
    weights,
)
from harness import reference, shared_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from targets.tflite_micro.graph.simplify import simplify


def float_ends(more=()):
    tensors = [
        f32((1, 6, 6, 2), name="x"), q8((1, 6, 6, 2)), weights(3, 3, 3, 2), q8((1, 4, 4, 3)),
        f32((1, 4, 4, 3), name="y"), *(() if not more else (f32((1, 6, 6, 2)),)),
    ]  # fmt: skip
    ops = [("QUANTIZE", [0], [1], {}), ("CONV_2D", [1, 2], [3], SLIDE), ("DEQUANTIZE", [3], [4], {}), *more]
    return file(ops, tensors, [0], [4, *([5] if more else [])])


def test_float_ends_become_int8_under_their_names():
    model = float_ends()
    graph = simplify(main_graph(model))
    assert kinds(graph) == ["CONV_2D"]
    ends = [graph.tensor(key) for key in (*graph.inputs, *graph.outputs)]
    assert [(one.name, one.dtype) for one in ends] == [("x", "int8"), ("y", "int8")]
    steps = random_inputs(graph)
    reals = [[((x.astype(np.float32) - 3) * 0.5).astype(np.float32)] for (x,) in steps]
    for (wanted,), (got,) in zip(reference(model, reals), reference(to_file(graph), steps), strict=True):
        assert np.array_equal(wanted, (got.astype(np.float32) - 3) * 0.5)


def test_a_float_input_with_another_reader_stays():
    graph = simplify(main_graph(float_ends([("ABS", [0], [5], {})])))
    assert kinds(graph) == ["QUANTIZE", "CONV_2D", "ABS"]


def test_two_outputs_of_one_tensor_stay_two():
    tensors = [q8((1, 4)), q8((1, 4)), f32((1, 4)), f32((1, 4))]
    ops = [("LEAKY_RELU", [0], [1], {"alpha": 0.5}), ("DEQUANTIZE", [1], [2], {}), ("DEQUANTIZE", [1], [3], {})]
    graph = simplify(main_graph(file(ops, tensors, [0], [2, 3])))
    assert len(set(graph.outputs)) == 2
    assert [graph.tensor(key).dtype for key in graph.outputs] == ["int8", "float32"]


@pytest.mark.parametrize(("scale", "zero"), [(0.5, 3), (0.0123, -128), (1e-7, 127), (3e20, 0)])
def test_a_round_trip_through_float_goes(scale, zero):
    tensors = [q8((256,), scale, zero), f32((256,)), q8((256,), scale, zero), q8((256,), scale / 2, zero)]
    model = file(
        [("DEQUANTIZE", [0], [1], {}), ("QUANTIZE", [1], [2], {}), ("QUANTIZE", [2], [3], {})], tensors, [0], [3]
    )
    graph = simplify(main_graph(model))
    assert kinds(graph) == ["QUANTIZE"]
    assert not same_outputs(model, graph, [[np.arange(-128, 128, dtype=np.int8)]])


@pytest.mark.parametrize("scale", [1e-38, 3e37])
def test_a_round_trip_that_may_lose_bits_stays(scale):
    tensors = [q8((256,), scale), f32((256,)), q8((256,), scale), q8((256,), scale)]
    model = file([("DEQUANTIZE", [0], [1], {}), ("QUANTIZE", [1], [2], {}), ("RELU", [2], [3], {})], tensors, [0], [3])
    assert kinds(simplify(main_graph(model))) == ["DEQUANTIZE", "QUANTIZE", "RELU"]


IDENTITIES = {
    "TRANSPOSE": ([ints(0, 3, 1, 2)], (1, 1, 2, 3), {}, (1, 2, 3, 1)),
    "PAD": ([ints(*[0] * 8, shape=(4, 2))], (1, 2, 3, 1), {}, (1, 2, 3, 1)),
    "SLICE": ([ints(0, 0, 0, 0), ints(1, 2, 3, -1)], (1, 2, 3, 1), {}, (1, 2, 3, 1)),
    "STRIDED_SLICE": ([ints(0, 0, 0), ints(1, 9, 3), ints(5, 1, 1)], (2, 3), {"shrinkAxisMask": 1}, (1, 2, 3)),
    "CONCATENATION": ([], (1, 2, 3, 1), {}, (1, 2, 3, 1)),
    "SQUEEZE": ([], (2, 3), {}, (1, 2, 3, 1)),
    "EXPAND_DIMS": ([ints(2)], (2, 3, 1), {}, (2, 3)),
    "UNPACK": ([], (2, 3), {"num": 1}, (1, 2, 3)),
    "PACK": ([], (1, 2, 3), {"valuesCount": 1}, (2, 3)),
    "SPLIT_V": ([ints(1), ints(0, shape=())], (1, 2, 3), {"numSplits": 1}, (1, 2, 3)),
}


@pytest.mark.parametrize("kind", IDENTITIES)
def test_what_keeps_the_order_becomes_a_reshape_or_nothing(kind):
    constants, shape, options, source = IDENTITIES[kind]
    end = [*shape, 1]
    tensors = [q8(source), q8(source), *constants, q8(shape), q8(end), ints(*end), q8(end)]
    at = 2 + len(constants)
    ops = [
        ("LEAKY_RELU", [0], [1], {"alpha": 0.5}),
        (kind, [1, *range(2, at)], [at], options),
        ("RESHAPE", [at, at + 2], [at + 1], {}),
        ("LEAKY_RELU", [at + 1], [at + 3], {"alpha": 0.5}),
    ]
    model = file(ops, tensors, [0], [at + 3])
    graph = simplify(main_graph(model))
    assert kinds(graph) == ["LEAKY_RELU", "RESHAPE", "LEAKY_RELU"]
    assert graph.ops[1].inputs == (1,), "the two reshapes are one"
    assert not same_outputs(model, graph)


def test_a_reverse_and_a_real_transpose_stay():
    tensors = [q8((2, 3)), ints(-1, 0), ints(-3, 3), ints(-1, 1), q8((2, 3)), ints(1, 0), q8((3, 2))]
    ops = [("STRIDED_SLICE", [0, 1, 2, 3], [4], {}), ("TRANSPOSE", [4, 5], [6], {})]
    model = file(ops, tensors, [0], [6])
    graph = simplify(main_graph(model))
    assert kinds(graph) == ["STRIDED_SLICE", "TRANSPOSE"]
    assert not same_outputs(model, graph)


def test_dead_operators_and_equal_constants_go():
    one, two = weights(4, 4), weights(4, 4)
    tensors = [q8((1, 4)), one, two, q8((1, 4)), q8((1, 4)), q8((1, 4))]
    ops = [("FULLY_CONNECTED", [0, 1], [3], {}), ("FULLY_CONNECTED", [3, 2], [4], {}), ("RELU", [0], [5], {})]
    model = file(ops, tensors, [0], [4])
    graph = simplify(main_graph(model))
    assert kinds(graph) == ["FULLY_CONNECTED"] * 2
    assert sorted(graph.tensors) == [0, 1, 3, 4]
    assert not same_outputs(model, graph)


@pytest.mark.parametrize("name", ["ic_resnet8_int8", "kws_dscnn_int8"])
def test_the_shared_models_keep_their_outputs(name):
    model = shared_model(name)
    graph = simplify(main_graph(model))
    assert not same_outputs(model, graph, random_inputs(graph, 4))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(data=st.data())
def test_random_networks_keep_their_outputs(data):
    model = network(data.draw)
    assert not same_outputs(model, simplify(main_graph(model)), None)


def network(draw):
    """A chain of up to eight operators with a branch that is added at the end where the shapes are equal."""
    zero = draw(st.sampled_from([-128, 3]))
    tensors, ops, now = [q8((1, 5, 5, 2), 0.5, zero)], [], 0
    for _ in range(draw(st.integers(1, 8))):
        kind = draw(
            st.sampled_from(["PAD", "CONV_2D", "RELU", "RELU6", "TRANSPOSE", "MAX_POOL_2D", "TRIP", "QUANTIZE", "ADD"])
        )
        batch, height, width, channels = shape = tensors[now]["shape"]
        scale, zero = tensors[now]["scale"], tensors[now]["zero_point"]
        free, same = len(tensors), q8(shape, scale, zero)
        if kind == "PAD":
            a, b, c, d = (draw(st.integers(0, 2)) for _ in range(4))
            tensors += [
                ints(0, 0, a, b, c, d, 0, 0, shape=(4, 2)),
                q8((batch, height + a + b, width + c + d, channels), scale, zero),
            ]
            ops.append(("PAD", [now, free], [free + 1], {}))
        elif kind == "CONV_2D":
            side = draw(st.integers(1, min(3, height, width)))
            tensors += [
                weights(2, side, side, channels),
                q8((batch, height - side + 1, width - side + 1, 2), 0.5, zero),
            ]
            ops.append(("CONV_2D", [now, free], [free + 1], SLIDE))
        elif kind == "MAX_POOL_2D":
            tensors += [q8((batch, height - 1 or 1, width - 1 or 1, channels), scale, zero)]
            if min(height, width) < 2:
                tensors.pop()
                continue
            ops.append((kind, [now], [free], {"filterHeight": 2, "filterWidth": 2, **SLIDE}))
        elif kind == "TRANSPOSE":
            order = draw(st.sampled_from([(0, 1, 2, 3), (1, 0, 2, 3), (0, 2, 1, 3)]))
            tensors += [ints(*order), q8([shape[at] for at in order], scale, zero)]
            ops.append((kind, [now, free], [free + 1], {}))
        elif kind == "TRIP":
            tensors += [f32(shape), same]
            ops += [("DEQUANTIZE", [now], [free], {}), ("QUANTIZE", [free], [free + 1], {})]
        elif kind == "ADD":
            tensors += [same]
            ops.append((kind, [now, now], [free], {"fusedActivationFunction": draw(st.sampled_from([0, RELU, RELU6]))}))
        else:
            tensors += [same if draw(st.booleans()) else q8(shape, 0.25, -128)]
            ops.append((kind, [now], [free], {}))
        now = len(tensors) - 1
    if not ops:
        tensors.append(q8(tensors[0]["shape"]))
        ops.append(("LEAKY_RELU", [0], [1], {"alpha": 0.1}))
        now = 1
    return file(ops, tensors, [0], [now])
