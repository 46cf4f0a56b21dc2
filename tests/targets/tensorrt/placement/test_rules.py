"""Every rule of placement, on a small graph, against the inputs that it must quantize and no others."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from targets.tensorrt.placement.placement import Choice
from targets.tensorrt.placement.plan import plan
from targets.tensorrt.placement.rules import RULES

nets = runpy.run_path(str(Path(__file__).parents[1] / "nets.py"))
node, const, weights, make = nets["node"], nets["const"], nets["weights"], nets["make"]
IMAGE = {"x": (1, 8, 8, 8)}


def conv(source, result, name, size=1, channels=8, **more):
    pads = {"pads": [size // 2] * 4} if size > 1 else {}
    return node("Conv", [source, f"w_{name}"], [result], name=name, **pads, **more)


def net(nodes, output, shape, inputs=None, constants=()):
    """Weights of convolutions are made for 8 channels, unless they are among the constants."""
    given = {tensor.name for tensor in constants}
    missing = [(n.input[1], n) for n in nodes if n.op_type == "Conv" and n.input[1] not in given]
    made = [
        weights(name, 8, 8, *([3, 3] if n.attribute and "pads" in str(n.attribute) else [1, 1])) for name, n in missing
    ]
    return make(nodes, [*constants, *made], inputs or IMAGE, {output: shape})


def activations(model, choice=None):
    """As (node, tensor) pairs, in graph order."""
    return [(item.node, item.tensor) for item in plan(model, choice).inputs if not item.weights]


def stored(model, choice=None):
    """Weights as (node, tensor, axis of the scales)."""
    return [(item.node, item.tensor, item.axis) for item in plan(model, choice).inputs if item.weights]


def rules(model):
    return {item.node: item.rule for item in plan(model).inputs}


@pytest.mark.parametrize(
    ("shape", "group", "rule"),
    [
        ((8, 8, 3, 3), 1, "convolution"),
        ((8, 1, 3, 3), 8, "depthwise convolution"),
        ((16, 1, 3, 3), 8, "depthwise convolution"),
        ((8, 4, 3, 3), 2, "grouped convolution"),
    ],
)
def test_convolutions_take_input_and_weights_but_not_the_bias(shape, group, rule):
    nodes = [node("Conv", ["x", "w", "b"], ["y"], name="conv", group=group, pads=[1] * 4)]
    model = make(nodes, [weights("w", *shape), weights("b", shape[0])], IMAGE, {"y": (1, shape[0], 8, 8)})
    assert activations(model) == [("conv", "x")]
    assert stored(model) == [("conv", "w", 0)]
    assert rules(model) == {"conv": rule}


def test_a_transposed_convolution_has_its_output_channels_second():
    nodes = [node("ConvTranspose", ["x", "w", "b"], ["y"], name="up", strides=[2, 2])]
    model = make(nodes, [weights("w", 8, 6, 2, 2), weights("b", 6)], IMAGE, {"y": (1, 6, 16, 16)})
    assert activations(model) == [("up", "x")]
    assert stored(model) == [("up", "w", 1)]


def test_what_tensorrt_refuses_stays_in_float():
    nodes = [
        node("ConvTranspose", ["x", "w"], ["u"], name="grouped", strides=[2, 2], group=2),
        node("Mul", ["v", "s"], ["computed"], name="scaled"),
        node("Conv", ["u", "computed"], ["y"], name="made"),
    ]
    constants = [weights("w", 8, 4, 2, 2), const("s", 2.0)]
    model = make(nodes, constants, {**IMAGE, "v": (8, 8, 1, 1)}, {"y": (1, 8, 16, 16)})
    assert plan(model).inputs == ()
    reasons = {decision.node: decision.reason for decision in plan(model).decisions}
    assert "groups" in reasons["grouped"] and "constants" in reasons["made"]


@pytest.mark.parametrize(
    ("nodes", "constants", "wanted", "axes"),
    [
        ([node("Gemm", ["x", "w", "b"], ["y"], name="g", transB=1)], [(5, 8), (5,)], [("g", "x")], [("g", "w", 0)]),
        ([node("Gemm", ["x", "w", "b"], ["y"], name="g")], [(8, 5), (5,)], [("g", "x")], [("g", "w", 1)]),
        ([node("MatMul", ["x", "w"], ["y"], name="g")], [(8, 5)], [("g", "x")], [("g", "w", 1)]),
        ([node("MatMul", ["w", "x"], ["y"], name="g")], [(5, 4)], [("g", "x")], [("g", "w", 0)]),
        ([node("MatMul", ["x", "w"], ["y"], name="g")], [(3, 8, 5)], [("g", "x")], [("g", "w", None)]),
        ([node("MatMul", ["x", "w"], ["y"], name="g")], [(8,)], [("g", "x")], [("g", "w", None)]),
        (
            [node("Transpose", ["x"], ["t"], name="t"), node("MatMul", ["x", "t"], ["y"], name="g")],
            [],
            [("g", "x"), ("g", "t")],
            [],
        ),
    ],
    ids=["gemm, transposed", "gemm", "matmul", "from the left", "a stack", "a vector", "two activations"],
)
def test_both_factors_of_a_product_are_int8(nodes, constants, wanted, axes):
    names = ["w", "b"][: len(constants)]
    made = [weights(name, *shape) for name, shape in zip(names, constants, strict=True)]
    model = make(nodes, made, {"x": (4, 8)}, {"y": helper.make_tensor_value_info("y", TensorProto.FLOAT, None)})
    assert activations(model) == wanted
    assert stored(model) == axes


def test_a_skip_connection_is_int8_and_the_convolution_that_absorbs_it_is_not():
    nodes = [
        conv("x", "a", "first"),
        conv("a", "b", "second"),
        node("Add", ["b", "a"], ["sum"], name="add"),
        node("Relu", ["sum"], ["r"], name="relu"),
        conv("r", "y", "last"),
    ]
    model = net(nodes, "y", (1, 8, 8, 8))
    assert activations(model) == [("first", "x"), ("second", "a"), ("add", "a"), ("last", "r")]


def test_of_two_convolutions_the_later_one_absorbs_the_addition():
    """A projection shortcut: the body is deeper, wherever it stands in the file and in the addition."""
    body = [conv("x", "a", "first"), node("Relu", ["a"], ["ar"], name="relu"), conv("ar", "b", "second")]
    for nodes in ([*body, conv("x", "s", "shortcut")], [conv("x", "s", "shortcut"), *body]):
        for operands in (["b", "s"], ["s", "b"]):
            added = [node("Add", operands, ["sum"], name="add"), conv("sum", "y", "last")]
            model = net([*nodes, *added], "y", (1, 8, 8, 8))
            assert [pair for pair in activations(model) if pair[0] == "add"] == [("add", "s")]


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ([conv("x", "a", "c"), node("Add", ["a", "x"], ["y"], name="add")], "nothing takes the sum as int8"),
        (
            [
                conv("x", "a", "c"),
                node("Relu", ["a"], ["r"]),
                node("Add", ["r", "x"], ["s"], name="add"),
                conv("s", "y", "d"),
            ],
            "a ReLU stands between",
        ),
        (
            [conv("x", "a", "c"), node("Add", ["a", "k"], ["s"], name="add"), conv("s", "y", "d")],
            "a constant is added",
        ),
        (
            [
                conv("x", "a", "c"),
                node("Add", ["a", "x"], ["s"], name="add"),
                node("Mul", ["s", "a"], ["t"]),
                conv("t", "y", "d"),
            ],
            "two nodes need the convolution",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_additions_stay_in_float(nodes, why):
    model = net(nodes, "y", (1, 8, 8, 8), constants=[weights("k", 1, 8, 1, 1)])
    assert [pair for pair in activations(model) if pair[0] == "add"] == [], why


def gate(last=True):
    """x through a squeeze-and-excitation block."""
    nodes = [
        conv("x", "f", "features", 3),
        node("GlobalAveragePool", ["f"], ["p"], name="squeeze"),
        conv("p", "q", "reduce"),
        node("Relu", ["q"], ["qr"], name="relu"),
        conv("qr", "e", "expand"),
        node("Sigmoid", ["e"], ["g"], name="sigmoid"),
        node("Mul", ["f", "g"], ["m"], name="excite"),
    ]
    return [*nodes, conv("m", "y", "last")] if last else nodes


def test_both_factors_of_squeeze_and_excitation_are_int8():
    model = net(gate(), "y", (1, 8, 8, 8))
    assert activations(model) == [
        ("features", "x"), ("squeeze", "f"), ("reduce", "p"), ("expand", "qr"),
        ("excite", "f"), ("excite", "g"), ("last", "m"),
    ]  # fmt: skip
    unread = net(gate(last=False), "m", (1, 8, 8, 8))
    assert "excite" not in dict(activations(unread)), "nothing takes the product as int8"


def test_a_swish_is_no_gate():
    nodes = [
        conv("x", "c", "a"),
        node("Sigmoid", ["c"], ["s"]),
        node("Mul", ["c", "s"], ["m"], name="mul"),
        conv("m", "y", "b"),
    ]
    assert activations(net(nodes, "y", (1, 8, 8, 8))) == [("a", "x"), ("b", "m")]


@pytest.mark.parametrize("op", ["AveragePool", "GlobalAveragePool"])
def test_average_pooling_is_int8_where_its_result_is(op):
    window = {"kernel_shape": [8, 8]} if op == "AveragePool" else {}
    pool = [conv("x", "c", "conv", 3), node(op, ["c"], ["p"], name="pool", **window)]
    linear = [node("Flatten", ["p"], ["f"], name="flat"), node("Gemm", ["f", "w"], ["y"], name="linear", transB=1)]
    model = net([*pool, *linear], "y", (1, 5), constants=[weights("w", 5, 8)])
    assert activations(model) == [("conv", "x"), ("pool", "c"), ("linear", "f")]
    assert activations(net(pool, "p", (1, 8, 1, 1))) == [("conv", "x")]


def test_what_only_moves_values_gets_no_pair_of_its_own():
    nodes = [
        conv("x", "c", "a", 3),
        node("Relu", ["c"], ["r"], name="relu"),
        node("MaxPool", ["r"], ["p"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Transpose", ["p"], ["t"], name="turn", perm=[0, 1, 3, 2]),
        conv("t", "y", "b"),
    ]
    model = net(nodes, "y", (1, 8, 4, 4))
    assert activations(model) == [("a", "x"), ("b", "t")]
    verdicts = {decision.node: decision.int8 for decision in plan(model).decisions}
    assert verdicts == {"a": True, "relu": True, "pool": True, "turn": True, "b": True}


def joined():
    return [
        conv("x", "a", "first"),
        node("MaxPool", ["x"], ["b"], name="pool", kernel_shape=[3, 3], pads=[1] * 4),
        node("Concat", ["a", "b"], ["j"], name="join", axis=1),
        node("Conv", ["j", "w"], ["y"], name="last"),
    ]


def test_what_is_joined_has_one_scale():
    model = net(joined(), "y", (1, 8, 8, 8), constants=[weights("w", 8, 16, 1, 1)])
    assert activations(model) == [("first", "x"), ("join", "a"), ("join", "b"), ("last", "j")]
    assert sorted(map(sorted, plan(model).shared)) == [["a", "b", "j", "x"]], "x too: the pool only moves its values"
    unread = net(joined()[:3], "j", (1, 16, 8, 8))
    assert "join" not in dict(activations(unread)), "nothing takes the result as int8"


def test_chains_of_joins_share_one_scale():
    nodes = [
        conv("x", "a", "first"),
        conv("a", "b", "second"),
        node("Concat", ["a", "b"], ["ab"], name="inner", axis=1),
        node("Concat", ["ab", "b"], ["abb"], name="outer", axis=1),
        node("Conv", ["abb", "w"], ["y"], name="last"),
    ]
    model = net(nodes, "y", (1, 8, 8, 8), constants=[weights("w", 8, 24, 1, 1)])
    assert sorted(map(sorted, plan(model).shared)) == [["a", "ab", "abb", "b"]]


def test_first_and_last_layer_are_int8_and_the_output_is_not():
    model = nets["cnn"]()
    pairs = activations(model)
    assert pairs[0] == ("first", "x") and pairs[-1] == ("last", "f")
    assert "y" not in {tensor for _, tensor in pairs}


def test_other_number_formats_are_left_alone():
    half = [helper.make_tensor_value_info(name, TensorProto.FLOAT16, (1, 8, 8, 8)) for name in ("x", "y")]
    model = make(
        [conv("x", "y", "conv")], [const("w_conv", np.ones((8, 8, 1, 1)), np.float16)], {"x": half[0]}, {"y": half[1]}
    )
    assert plan(model).inputs == ()
    assert "float32" in plan(model).decisions[0].reason


@pytest.mark.parametrize(("direction", "count"), [("forward", 1), ("bidirectional", 2)])
@pytest.mark.parametrize("joined", [False, True])
def test_nothing_is_quantized_behind_a_recurrent_layer_of_two_directions(direction, count, joined):
    nodes = [
        node("LSTM", ["x", "w", "r"], ["h"], name="lstm", hidden_size=4, direction=direction),
        node("Transpose", ["h"], ["t"], name="turn", perm=[0, 2, 1, 3]),
        node("Reshape", ["t", "flat"], ["f"], name="view"),
        node("Concat", ["f", "f"], ["j"], name="join", axis=1)
        if joined
        else node("Identity", ["f"], ["j"], name="same"),
        node("Gemm", ["j", "v"], ["y"], name="linear", transB=1),
    ]
    wide = 4 * count * (1 + joined)
    constants = [weights("w", count, 16, 3), weights("r", count, 16, 4), weights("v", 2, wide)]
    model = make(nodes, [*constants, const("flat", [5, -1], np.int64)], {"x": (5, 1, 3)}, {"y": (5, 2)})
    wanted = {"linear", "join"} if joined else {"linear"}
    assert {name for name, _ in activations(model)} == (wanted if count == 1 else set())
    if count == 2:
        assert "two directions" in plan(model).decisions[-1].reason


def test_an_operator_of_another_domain_is_not_taken_for_onnxs():
    model = make([conv("x", "y", "conv")], [weights("w_conv", 8, 8, 1, 1)], IMAGE, {"y": (1, 8, 8, 8)})
    model.graph.node[0].domain = "somebody.else"
    model.opset_import.append(helper.make_opsetid("somebody.else", 1))
    assert plan(model).inputs == ()


def test_every_rule_is_a_sentence_and_can_be_switched_off():
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.sentence[0].isupper() and rule.sentence.endswith("."), f"{rule.name}: {rule.sentence}"
        assert rule.ops and rule.name == rule.name.lower()
    model = net(gate(), "y", (1, 8, 8, 8))
    for rule in {rule for rule in RULES if rule.name in rules(model).values()}:
        without = plan(model, Choice("less", "", {rule.name: f"no {rule.name}."}))
        assert rule.name not in {item.rule for item in without.inputs}
        reasons = {decision.reason for decision in without.decisions if not decision.int8}
        assert f"Left in float: no {rule.name}." in reasons
