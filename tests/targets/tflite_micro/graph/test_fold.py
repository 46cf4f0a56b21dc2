"""Constant folding computes what LiteRT computes, within limits, and keeps files honest."""

import dataclasses

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from graph_files import (
    f32,
    file,
    ints,
    kinds,
    main_graph,
    q8,
    same_outputs,
    weights,
)
from harness import reference, tensor

from profiles.errors import ModelError, UnsupportedError
from targets.tflite_micro.graph.fold import fold
from targets.tflite_micro.graph.simplify import simplify


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
