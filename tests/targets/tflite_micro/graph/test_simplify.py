"""Every pass keeps LiteRT's outputs bit for bit, and does what it is for."""

import dataclasses

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from graph_files import file, ints, main_graph, q8, random_inputs, same_outputs, to_file
from harness import reference, shared_model, tensor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiles.errors import ModelError, UnsupportedError
from targets.tflite_micro.graph.fold import fold
from targets.tflite_micro.graph.simplify import simplify

SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
RELU, RELU6 = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.RELU6
SLIDE = {"strideH": 1, "strideW": 1, "padding": VALID}


def kinds(graph):
    return [op.kind for op in graph.ops]


def weights(*shape, seed=0):
    return tensor(shape, "int8", 0.02, 0, data=np.random.default_rng(seed).integers(-127, 128, shape))


def f32(shape, **rest):
    return tensor(shape, "float32", **rest)


# --- float inputs and outputs ---------------------------------------------------------------------


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


# --- folding ----------------------------------------------------------------------------------------


def test_a_flatten_that_computes_its_shape_becomes_an_alias():
    tensors = [
        q8((1, 3, 3, 2)), tensor((4,), "int32"), ints(0), ints(1), ints(1), tensor((), "int32"),
        tensor((), "int32", data=18), tensor((2,), "int32"), q8((1, 18)), weights(5, 18), q8((1, 5)),
    ]  # fmt: skip
    ops = [
        ("SHAPE", [0], [1], {"outType": schema.TensorType.INT32}),
        ("STRIDED_SLICE", [1, 2, 3, 4], [5], {"shrinkAxisMask": 1}),
        ("PACK", [5, 6], [7], {"valuesCount": 2}),
        ("RESHAPE", [0, 7], [8], {}),
        ("FULLY_CONNECTED", [8, 9], [10], {}),
    ]
    model = file(ops, tensors, [0], [10])
    graph = simplify(main_graph(model))
    assert kinds(graph) == ["RESHAPE", "FULLY_CONNECTED"]
    assert not same_outputs(model, graph)


def numbers(shape, dtype="int32", seed=0):
    return tensor(shape, dtype, data=np.random.default_rng(seed).integers(-50, 50, shape))


FOLDED = {
    "TRANSPOSE": ([weights(2, 3, 4), ints(2, 0, 1)], weights(4, 2, 3), {}),
    "RESHAPE": ([weights(2, 6), ints(3, 4)], weights(3, 4), {}),
    "CONCATENATION": ([numbers((2,)), numbers((3,))], numbers((5,)), {}),
    "PACK": ([numbers((2,)), numbers((2,), seed=1)], numbers((2, 2)), {"valuesCount": 2, "axis": 1}),
    "SLICE": ([numbers((6,)), ints(2), ints(-1)], numbers((4,)), {}),
    "STRIDED_SLICE": ([numbers((6,)), ints(-1), ints(0), ints(-2)], numbers((3,)), {}),
    "GATHER": ([numbers((6, 2)), ints(5, 0, 5)], numbers((3, 2)), {}),
    "ADD": ([numbers((3,)), numbers((1,))], numbers((3,)), {}),
    "SUB": ([numbers((3,)), numbers((2, 1))], numbers((2, 3)), {}),
    "MUL": ([numbers((3,)), numbers(())], numbers((3,)), {}),
    "MAXIMUM": ([numbers((3,)), numbers((3,), seed=4)], numbers((3,)), {}),
    "REDUCE_PROD": ([numbers((3, 2)), ints(0)], numbers((2,)), {"table": "ReducerOptions"}),
    "FILL": ([ints(2, 3), numbers(())], numbers((2, 3)), {}),
    "CAST": ([numbers((3,))], tensor((3,), "int64"), {"inDataType": 2, "outDataType": 4}),
    "DEQUANTIZE": ([weights(256)], f32((256,)), {}),
    "QUANTIZE": (
        [f32((999,), data=(np.arange(999) - 500) / 8)], q8((999,), 0.25, 7), {}
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", FOLDED)
def test_folded_constants_are_what_litert_computes(kind):
    inputs, out, options = FOLDED[kind]
    made = dict(out, data=None)
    places = list(range(len(inputs)))
    model = file([(kind, places, [len(inputs)], options)], [*inputs, made, q8((1,))], [len(inputs) + 1], [len(inputs)])
    ((wanted,),) = reference(model, [[np.zeros(1, np.int8)]])
    graph = fold(dataclasses.replace(main_graph(model), outputs=()))
    assert not graph.ops
    got = graph.tensor(len(inputs)).data
    assert got is not None and got.dtype == wanted.dtype and np.array_equal(got, wanted)


def test_folding_has_a_limit():
    """A thousand times the same constant joined, and again: 4 GB of a file of a few thousand bytes."""
    tensors = [
        ints(*range(1000)),
        tensor((1000, 1000), "int32"),
        tensor((1000, 1000, 1000), "int32"),
        tensor((1,), "int32"),
    ]
    tensors += [ints(0, 0, 0), ints(1), tensor((1, 1, 1), "int32"), ints(1, 1, 1)]
    ops = [
        ("PACK", [0] * 1000, [1], {"valuesCount": 1000}), ("PACK", [1] * 1000, [2], {"valuesCount": 1000}),
        ("SLICE", [2, 4, 7], [6], {}), ("RESHAPE", [6, 5], [3], {}),
    ]  # fmt: skip
    with pytest.raises(ModelError, match="2 GiB"):
        main_graph(file(ops, tensors, [], [3]))
    tensors[2] = tensor((400, 1000, 1000), "int32")
    ops[1] = ("PACK", [1] * 400, [2], {"valuesCount": 400})
    assert "PACK" in kinds(simplify(main_graph(file(ops, tensors, [], [3]))))


def test_a_shape_that_a_constant_contradicts_is_refused():
    tensors = [q8((1, 8)), ints(0), tensor((), "int32"), tensor((2,), "int32"), q8((1, 8)), numbers(()), ints(4)]
    ops = [("PACK", [6, 6], [3], {"valuesCount": 2, "axis": -1}), ("RESHAPE", [0, 3], [4], {})]
    tensors[3] = tensor((1, 2), "int32")
    with pytest.raises(ModelError, match="RESHAPE"):
        simplify(main_graph(file(ops, tensors, [0], [4])))


def test_sizes_that_are_computed_at_run_time_are_not_supported():
    tensors = [q8((1, 2, 2, 1)), tensor((2,), "int32"), q8((1, 4, 4, 1))]
    graph = main_graph(file([("RESIZE_BILINEAR", [0, 1], [2], {})], tensors, [0, 1], [2]))
    with pytest.raises(UnsupportedError, match="run time"):
        simplify(graph)


# --- operators that change nothing --------------------------------------------------------------------


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


# --- fusing -----------------------------------------------------------------------------------------


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


# --- the rest ------------------------------------------------------------------------------------------


def test_dead_operators_and_equal_constants_go():
    one, two = weights(4, 4), weights(4, 4)
    tensors = [q8((1, 4)), one, two, q8((1, 4)), q8((1, 4)), q8((1, 4))]
    ops = [("FULLY_CONNECTED", [0, 1], [3], {}), ("FULLY_CONNECTED", [3, 2], [4], {}), ("RELU", [0], [5], {})]
    model = file(ops, tensors, [0], [4])
    graph = simplify(main_graph(model))
    assert kinds(graph) == ["FULLY_CONNECTED"] * 2
    assert sorted(graph.tensors) == [0, 1, 3, 4]
    assert not same_outputs(model, graph)


def test_simplifying_twice_is_simplifying_once():
    graph = simplify(main_graph(pad_model()))
    assert simplify(graph) == graph


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
