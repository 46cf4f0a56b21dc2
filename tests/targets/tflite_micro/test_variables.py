"""Streaming models: what is kept from one inference to the next equals the reference, in every form of file."""

import ctypes
import subprocess
from types import SimpleNamespace

import harness
import numpy as np
import pytest
from harness import tensor

from profiles.errors import UnsupportedError
from targets.tflite_micro.emit.source import write_model
from targets.tflite_micro.graph.ir import Graph, Op, Quantization, Tensor
from targets.tflite_micro.graph.variables import resolve, write_through
from targets.tflite_micro.kernels import INCLUDE, SOURCES

STEPS, NEW, CHANNELS = 4, 2, 3
SCALE, ZERO = 0.05, 3
HANDLE = {"container": "", "sharedName": "buffer"}
RANDOM = np.random.default_rng(3)
BEGIN = RANDOM.integers(-128, 128, (1, STEPS, 1, CHANNELS))


def values(steps, **words):
    return tensor((1, steps, 1, CHANNELS), "int8", SCALE, ZERO, **words)


def numbers(*items):
    return tensor((len(items),), "int32", data=items)


def streaming(begin=BEGIN, read_after=False, assign_input=False):
    """A causal convolution over a rolling buffer: CONCATENATION(state, x), the newest part becomes the state.

    ``read_after`` gives the old state out as well, ``assign_input`` keeps the input instead.
    """
    filters = RANDOM.integers(-127, 128, (4, STEPS + NEW, 1, CHANNELS))
    tensors = [
        values(STEPS if assign_input else NEW), tensor((), "resource"), values(STEPS),
        values(STEPS + NEW), values(STEPS), numbers(0, NEW, 0, 0), numbers(1, STEPS + NEW, 1, CHANNELS),
        numbers(1, 1, 1, 1), tensor(filters.shape, "int8", [0.01] * 4, data=filters),
        tensor((4,), "int32", [SCALE * 0.01] * 4, data=RANDOM.integers(-500, 500, 4)),
        tensor((1, 1, 1, 4), "int8", 0.5, -2),
    ]  # fmt: skip
    convolution = {"padding": 1, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    ops = [
        ("VAR_HANDLE", [], [1], HANDLE),
        ("READ_VARIABLE", [1], [2], {}),
        ("CONCATENATION", [2, 0], [3], {"axis": 1}),
        ("STRIDED_SLICE", [3, 5, 6, 7], [4], {}),
        ("ASSIGN_VARIABLE", [1, 0 if assign_input else 4], [], {}),
        ("CONV_2D", [3, 8, 9], [10], convolution),
    ]
    if assign_input:
        tensors[3], tensors[6] = values(2 * STEPS), numbers(1, NEW + STEPS + NEW, 1, CHANNELS)
        ops[3] = ("STRIDED_SLICE", [3, 5, 6, 7], [11], {})
        tensors.append(values(STEPS + NEW))
        ops[5] = ("CONV_2D", [11, 8, 9], [10], convolution)
    first = (
        [("VAR_HANDLE", [], [0], HANDLE), ("ASSIGN_VARIABLE", [0, 1], [], {})],
        [tensor((), "resource"), values(STEPS, data=begin)], [], [],
    )  # fmt: skip
    once = [("CALL_ONCE", [], [], {"initSubgraphIndex": 1})]
    return harness.tiny(once + ops, tensors, [0], [10, 2] if read_after else [10], [first])


def kinds(model):
    return [op.kind for op in harness.graph_of(model).ops]


@pytest.mark.parametrize(
    ("words", "copies"),
    [
        ({}, 0),
        ({"read_after": True}, 1),
        ({"assign_input": True}, 1),
        ({"begin": np.full((1, STEPS, 1, CHANNELS), 7)}, 0),
    ],
)
def test_a_rolling_buffer_equals_the_reference(words, copies):
    model = streaming(**words)
    harness.check(model, 24, sanitize=True)
    assert kinds(model).count("COPY") == copies, kinds(model)


def test_a_rolling_buffer_equals_the_reference_on_every_core():
    cores = ("cortex-m3-an385", "cortex-m4-an386", "cortex-m7-an500", "cortex-m33-an505", "cortex-m55-an547")
    harness.check(streaming(), 24, variants=(), devices=cores)


def test_init_makes_a_model_forget(tmp_path):
    program = harness.program_of(streaming())
    write_model(program, tmp_path)
    sources = [str(SOURCES / name) for name in sorted({name for call in program.calls for name in call.sources})]
    flags = ["-shared", "-fPIC", "-DEW_PORTABLE", f"-I{INCLUDE}", f"-I{tmp_path}"]
    subprocess.run(["gcc", *flags, "-o", tmp_path / "m.so", tmp_path / "edgewright_model.c", *sources], check=True)
    library = ctypes.CDLL(str(tmp_path / "m.so"))
    library.edgewright_model_input.restype = library.edgewright_model_output.restype = ctypes.c_void_p
    memory = (ctypes.c_uint8 * (program.arena + 16))()
    model = ctypes.c_void_p(-(-ctypes.addressof(memory) // 16) * 16)
    seen = []
    for step in range(4):
        if step % 2 == 0:
            library.edgewright_model_init(model)
        ctypes.memset(library.edgewright_model_input(model, 0), 100, NEW * CHANNELS)
        library.edgewright_model_run(model)
        seen.append(ctypes.string_at(library.edgewright_model_output(model, 0), 4))
    assert seen[:2] == seen[2:] and seen[0] != seen[1], seen


Q = Quantization((SCALE,), (ZERO,))


def model_of(ops, others=(), outputs=("y",), dtype="int8", **data):
    """A graph from (kind, inputs, outputs, options) with tensors by name; names with h are handles."""
    names = dict.fromkeys(name for _, ins, outs, _ in ops for name in (*ins, *outs))
    keys = {name: index for index, name in enumerate([*names, "x", "y"])}

    def made(name):
        if name[0] == "h":
            return Tensor(keys[name], name, (), "resource")
        return Tensor(keys[name], name, (1, 4), dtype, Q, data.get(name))

    listed = tuple(
        Op(i, kind, tuple(keys[n] for n in ins), tuple(keys[n] for n in outs), options)
        for i, (kind, ins, outs, options) in enumerate(ops)
    )
    graph = Graph("g", {keys[n]: made(n) for n in keys}, listed, (keys["x"],), tuple(keys[n] for n in outputs))
    return SimpleNamespace(main=graph, others=others)


def handle(name, resource="a"):
    return ("VAR_HANDLE", (), (name,), {"container": "", "shared_name": resource})


def written(graph):
    """Operators by kind with names of tensors."""
    name = {key: tensor.name for key, tensor in graph.tensors.items()}
    return [(op.kind, *(name[k] for k in op.inputs), "->", *(name[k] for k in op.outputs)) for op in graph.ops]


def test_a_resource_without_first_value_begins_as_its_zero_point():
    ops = [
        handle("h"),
        ("READ_VARIABLE", ("h",), ("v",), {}),
        ("ADD", ("v", "x"), ("y",), {}),
        ("ASSIGN_VARIABLE", ("h", "y"), (), {}),
    ]
    graph = resolve(model_of(ops))
    (variable,) = [tensor for tensor in graph.tensors.values() if tensor.variable]
    assert variable.name == "a" and set(variable.data.ravel()) == {ZERO}
    assert written(graph) == [("ADD", "a", "x", "->", "y"), ("COPY", "y", "->", "a")]
    assert written(write_through(graph)) == written(graph), "an output of the graph must stay where it is"


def test_two_handles_of_one_name_are_one_variable():
    ops = [
        handle("h"), handle("h2"), ("READ_VARIABLE", ("h",), ("v",), {}), ("ADD", ("v", "x"), ("s",), {}),
        ("ASSIGN_VARIABLE", ("h2", "s"), (), {}), ("READ_VARIABLE", ("h",), ("w",), {}),
        ("MUL", ("w", "x"), ("y",), {}),
    ]  # fmt: skip
    graph = resolve(model_of(ops))
    assert written(graph) == [("ADD", "a", "x", "->", "s"), ("COPY", "s", "->", "a"), ("MUL", "a", "x", "->", "y")]
    # ADD reads the old value: it could be computed in place, but nothing says that its kernel may
    assert written(write_through(graph)) == written(graph)


def test_an_old_value_that_is_used_after_the_assignment_is_copied():
    ops = [
        handle("h"), ("READ_VARIABLE", ("h",), ("v",), {}), ("RELU", ("x",), ("s",), {}),
        ("ASSIGN_VARIABLE", ("h", "s"), (), {}), ("ADD", ("v", "s"), ("y",), {}),
    ]  # fmt: skip
    graph = resolve(model_of(ops))
    assert written(graph) == [
        ("COPY", "a", "->", "v"), ("RELU", "x", "->", "s"), ("COPY", "s", "->", "a"), ("ADD", "v", "s", "->", "y"),
    ]  # fmt: skip
    assert written(write_through(graph))[1:] == [("RELU", "x", "->", "a"), ("ADD", "v", "a", "->", "y")]


def test_two_variables_that_change_places_do():
    ops = [
        handle("h"), handle("h2", "b"), ("READ_VARIABLE", ("h",), ("v",), {}), ("READ_VARIABLE", ("h2",), ("w",), {}),
        ("ASSIGN_VARIABLE", ("h", "w"), (), {}), ("ASSIGN_VARIABLE", ("h2", "v"), (), {}),
        ("ADD", ("v", "w"), ("y",), {}),
    ]  # fmt: skip
    graph = write_through(resolve(model_of(ops)))
    state = {"a": 1, "b": 2, "x": 0}
    for kind, *ins, _, out in written(graph):
        state[out] = state[ins[0]] if kind == "COPY" else state[ins[0]] * 10 + state[ins[1]]
    assert (state["a"], state["b"], state["y"]) == (2, 1, 12), written(graph)


FILL = [handle("h"), ("ASSIGN_VARIABLE", ("h", "c"), (), {})]
USE = [handle("h"), ("READ_VARIABLE", ("h",), ("y",), {})]
ONCE = ("CALL_ONCE", (), (), {"init_subgraph_index": 1})
CONSTANT = np.ones((1, 4), np.int8)


@pytest.mark.parametrize(
    ("ops", "fill", "words"),
    [
        ([ONCE, *USE], FILL, ""),
        ([*USE, ONCE], FILL, "CALL_ONCE after state was read"),
        ([("CALL_ONCE", (), (), {"init_subgraph_index": 2}), *USE], FILL, "CALL_ONCE of graph 2"),
        ([ONCE, *USE], [*FILL, ("ADD", ("c", "c"), ("d",), {})], "ADD in the graph that fills the state"),
        ([*USE, ("ADD", ("h", "x"), ("s",), {})], FILL, "ADD of 'h'"),
        ([("READ_VARIABLE", ("h",), ("y",), {})], FILL, "READ_VARIABLE of 'h'"),
        ([("READ_VARIABLE", ("x",), ("y",), {})], FILL, "READ_VARIABLE of 'x'"),
        ([handle("x"), ("READ_VARIABLE", ("x",), ("y",), {})], FILL, "READ_VARIABLE of 'x'"),
        ([*USE, ("ASSIGN_VARIABLE", ("h", "h"), (), {})], FILL, "ASSIGN_VARIABLE of 'h'"),
        ([handle("h"), ("READ_VARIABLE", ("h",), ("h2",), {})], FILL, "as resource ()"),
    ],
)
def test_what_is_refused_is_said(ops, fill, words):
    model = model_of(ops, (model_of(fill, c=CONSTANT).main,))
    if not words:
        (variable,) = [tensor for tensor in resolve(model).tensors.values() if tensor.variable]
        assert np.array_equal(variable.data, CONSTANT)
        return
    with pytest.raises(UnsupportedError) as caught:
        resolve(model)
    assert words in caught.value.seen
