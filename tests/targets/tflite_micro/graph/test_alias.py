"""Reshapes that need no code, and those that do."""

from graph_files import file, ints, main_graph, q8
from harness import tensor

from targets.tflite_micro.graph.alias import aliases, without_aliases
from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.graph.rewrite import live
from targets.tflite_micro.graph.simplify import simplify


def chain(outputs):
    """x -> leaky -> flat -> back -> leaky, with reshapes of reshapes."""
    tensors = [q8((1, 4)), q8((1, 4)), q8((4,)), q8((2, 2)), q8((2, 2))]
    ops = [
        ("LEAKY_RELU", [0], [1], {"alpha": 0.5}), ("RESHAPE", [1], [2], {}), ("SQUEEZE", [2], [2], {}),
        ("RESHAPE", [2], [3], {}), ("LEAKY_RELU", [3], [4], {"alpha": 0.5}),
    ]  # fmt: skip
    return main_graph(file([ops[0], ops[1], ops[3], ops[4]], tensors, [0], outputs))


def test_reshapes_of_reshapes_have_one_root():
    graph = chain([4])
    assert aliases(graph) == {2: 1, 3: 1}
    assert [op.kind for op in without_aliases(graph)] == ["LEAKY_RELU", "LEAKY_RELU"]
    assert aliases(simplify(graph)) == {3: 1}


def test_an_output_may_be_an_alias_of_what_is_computed():
    graph = chain([3, 4])
    assert aliases(graph)[3] == 1 and aliases(simplify(graph)) == {3: 1}


def test_an_output_is_no_alias_of_an_input():
    graph = main_graph(file([("RESHAPE", [0, 2], [1], {})], [q8((1, 4)), q8((4,)), ints(4)], [0], [1]))
    assert aliases(graph) == {} and len(without_aliases(simplify(graph))) == 1


def test_an_input_may_be_seen_in_another_shape():
    tensors = [q8((1, 4)), q8((4,)), q8((4,))]
    graph = main_graph(file([("RESHAPE", [0], [1], {}), ("LEAKY_RELU", [1], [2], {"alpha": 0.5})], tensors, [0], [2]))
    assert aliases(graph) == {1: 0}


def test_a_variable_is_copied():
    """It may change while its other shape is in use."""
    tensors = [q8((1, 4), variable=True), q8((4,)), q8((4,))]
    graph = main_graph(file([("RESHAPE", [0], [1], {}), ("LEAKY_RELU", [1], [2], {"alpha": 0.5})], tensors, [], [2]))
    assert aliases(graph) == {} == aliases(simplify(graph))


def test_an_operator_that_changes_a_variable_is_alive():
    variable = Tensor(1, "state", (4,), "int8", variable=True)
    tensors = {
        0: Tensor(0, "x", (4,), "int8"),
        1: variable,
        2: Tensor(2, "y", (4,), "int8"),
        3: Tensor(3, "z", (4,), "int8"),
    }
    ops = (Op(0, "COPY", (0,), (1,)), Op(1, "LEAKY_RELU", (0,), (2,)), Op(2, "LEAKY_RELU", (0,), (3,)))
    graph = live(Graph("test", tensors, ops, (0,), (2,)))
    assert [op.index for op in graph.ops] == [0, 1] and sorted(graph.tensors) == [0, 1, 2]


def test_a_constant_that_is_an_output_is_copied():
    tensors = [q8((4,), data=[1, 2, 3, 4]), q8((2, 2)), tensor((2,), "int32", data=[2, 2])]
    graph = simplify(main_graph(file([("RESHAPE", [0, 2], [1], {})], tensors, [], [1])))
    assert [op.kind for op in graph.ops] == ["RESHAPE"] and aliases(graph) == {}
