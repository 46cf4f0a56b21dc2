"""Plans as a whole: what is told about every node, what the candidates change, and Q/DQ graphs of random networks."""

import runpy
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import onnx
import pytest

from targets.calibration import observe, ranges
from targets.tensorrt.formats.cast import rest_to_fp16
from targets.tensorrt.formats.prepare import name_nodes
from targets.tensorrt.formats.scales import symmetric_scales
from targets.tensorrt.placement.candidates import candidates, default_choice, weights_style
from targets.tensorrt.placement.graph import Net, macs
from targets.tensorrt.placement.insert import insert
from targets.tensorrt.placement.placement import Choice, Weights
from targets.tensorrt.placement.plan import explain, plan
from targets.tensorrt.placement.rules import RULES

nets = runpy.run_path(str(Path(__file__).parents[1] / "nets.py"))
node, const, weights, make = nets["node"], nets["const"], nets["weights"], nets["make"]
LIBRARIES = ("tensorrt", "tensorrt_rtx")


def watched(model, sample):
    """Every float32 tensor of a network by name."""
    wider = onnx.ModelProto()
    wider.CopyFrom(model)
    known = {value.name for value in wider.graph.output}
    made = [name for n in wider.graph.node for name in n.output if name not in known]
    wider.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made)
    return {**sample, **nets["run"](wider, sample)}


def quantized(model, sample, choice=None, style=Weights.CHANNEL):
    """A network with pairs whose ranges are those of one sample."""
    placement = plan(model, choice)
    seen = ranges(observe([watched(model, sample)]), "minmax")
    return insert(model, placement, symmetric_scales(seen, placement.shared), style)


def names(decisions, int8):
    return {decision.node for decision in decisions if decision.int8 is int8}


def test_every_node_is_explained():
    model = nets["cnn"]()
    decisions = explain(model)
    assert [decision.node for decision in decisions] == [n.name for n in model.graph.node]
    sentences = {rule.name: rule.sentence for rule in RULES}
    for decision in decisions:
        assert decision.reason.endswith("."), decision
        assert not decision.rule or decision.reason == sentences[decision.rule]
    assert names(decisions, False) == set(), "everything in this network is int8, or is carried along"


def test_reasons_for_float_are_specific():
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="conv"),
        node("Sigmoid", ["c"], ["s"], name="sigmoid"),
        node("GlobalAveragePool", ["s"], ["y"], name="pool"),
    ]
    model = make(nodes, [weights("w", 4, 4, 1, 1)], {"x": (1, 4, 3, 3)}, {"y": (1, 4, 1, 1)})
    reasons = {decision.node: decision.reason for decision in explain(model)}
    assert "no int8 form" in reasons["sigmoid"]
    assert "Nothing reads its result as int8" in reasons["pool"]
    choice = Choice("quiet", "For a test.", in_float=frozenset({"conv"}))
    assert explain(model, choice)[0].reason == "Left in float by the placement 'quiet': For a test."


def test_tensorrt_rtx_leaves_out_what_it_gains_nothing_from():
    model = nets["cnn"]()
    reasons = {d.node: d.reason for d in explain(model, default_choice("tensorrt_rtx")) if not d.int8}
    assert set(reasons) == {"depthwise"} and "TensorRT-RTX pads" in reasons["depthwise"]
    assert names(explain(model, default_choice("tensorrt")), False) == set()
    known = {rule.name for rule in RULES}
    assert set(default_choice("tensorrt_rtx").without) <= known


@pytest.mark.parametrize(
    ("library", "per_channel", "style"),
    [
        ("tensorrt", True, Weights.CHANNEL),
        ("tensorrt_rtx", True, Weights.BEHIND),
        ("tensorrt", False, Weights.TENSOR),
        ("tensorrt_rtx", False, Weights.TENSOR),
    ],
)
def test_scales_follow_the_scheme(library, per_channel, style):
    assert weights_style(library, per_channel=per_channel) is style


def test_candidates_change_one_thing_each():
    model = nets["cnn"]()
    made = {placement.name: placement for placement in candidates(model)}
    first, *_ = made
    assert first == "default" and made["default"].inputs == plan(model).inputs
    everything = {(item.node, item.index) for item in made["default"].inputs}

    def missing(name):
        return everything - {(item.node, item.index) for item in made[name].inputs}

    assert {node for node, _ in missing("first layer in float")} == {"first"}
    assert {node for node, _ in missing("last layer in float")} == {"last", "pool"}, "the pool is int8 for its sake"
    assert {node for node, _ in missing("residual additions in float")} == {"add"}
    assert {node for node, _ in missing("average pooling in float")} == {"pool"}
    assert {node for node, _ in missing("depthwise convolutions in float")} == {"depthwise"}
    assert not missing("one scale per weight tensor")
    assert made["one scale per weight tensor"].choice.weights is Weights.TENSOR
    assert {item.node for item in made["heaviest layers"].inputs} == {"wide"}, "the 7x7 window has nearly all of it"
    assert len({(p.inputs, p.choice.weights) for p in made.values()}) == len(made), "no two are the same"
    for placement in made.values():
        assert placement.choice.sentence.endswith("."), placement.choice


@pytest.mark.parametrize("library", LIBRARIES)
def test_candidates_never_offer_what_quantizes_nothing(library):
    nodes = [node("Gemm", ["x", "w"], ["y"], name="only", transB=1)]
    model = make(nodes, [weights("w", 3, 4)], {"x": (1, 4)}, {"y": (1, 3)})
    made = candidates(model, library)
    assert made[0].name == "default" and all(placement.inputs for placement in made)
    nothing = make([node("Relu", ["x"], ["y"], name="only")], [], {"x": (1, 4)}, {"y": (1, 4)})
    assert [placement.inputs for placement in candidates(nothing, library)] == [()]


@pytest.mark.parametrize(
    ("op", "shapes", "count", "more"),
    [
        ("Conv", ((1, 4, 6, 6), (8, 4, 3, 3), (1, 8, 4, 4)), 8 * 16 * 4 * 9, {}),
        ("Conv", ((1, 4, 6, 6), (4, 1, 3, 3), (1, 4, 4, 4)), 4 * 16 * 9, {"group": 4}),
        ("ConvTranspose", ((1, 4, 3, 3), (4, 5, 2, 2), (1, 5, 6, 6)), 4 * 9 * 5 * 4, {"strides": [2, 2]}),
        ("Gemm", ((2, 6), (5, 6), (2, 5)), 2 * 6 * 5, {"transB": 1}),
        ("Gemm", ((6, 2), (6, 5), (2, 5)), 2 * 6 * 5, {"transA": 1}),
        ("MatMul", ((3, 2, 6), (6, 5), (3, 2, 5)), 3 * 2 * 6 * 5, {}),
    ],
)
def test_multiplications_are_counted(op, shapes, count, more):
    model = make(
        [node(op, ["x", "w"], ["y"], name="n", **more)], [weights("w", *shapes[1])], {"x": shapes[0]}, {"y": shapes[2]}
    )
    net = Net(model)
    assert macs(net, net.nodes[0]) == count


def test_a_pair_is_made_once_and_stands_before_its_first_reader():
    model = nets["cnn"]()
    made = quantized(model, nets["samples"](model, 1)[0])
    ops = [n.name for n in made.graph.node]
    assert len(set(ops)) == len(ops)
    assert ops.index("r1_QuantizeLinear") + 1 == ops.index("r1_DequantizeLinear")
    readers = [n.name for n in made.graph.node if "r1_DequantizeLinear_Output" in n.input]
    assert readers == ["depthwise", "add"]
    assert [n.name for n in made.graph.node if n.name in {old.name for old in model.graph.node}] == [
        n.name for n in model.graph.node
    ], "nodes keep names and order"
    assert not {f"w{i}" for i in range(1, 6)} & set(nets["constants"](made)), "float weights are gone"


def test_shared_weights_are_stored_once():
    nodes = [node("Gemm", ["x", "w", "b"], ["a"], name="one"), node("Gemm", ["a", "w", "b"], ["y"], name="two")]
    model = make(nodes, [weights("w", 4, 4), weights("b", 4)], {"x": (1, 4)}, {"y": (1, 4)})
    made = quantized(model, nets["samples"](model, 1)[0])
    assert sum(n.name.startswith("w") for n in made.graph.node) == 1
    turned = make(
        [node("MatMul", ["x", "w"], ["a"], name="one"), node("MatMul", ["w", "a"], ["y"], name="two")],
        [weights("w", 4, 4)], {"x": (4, 4)}, {"y": (4, 4)},
    )  # fmt: skip
    made = quantized(turned, nets["samples"](turned, 1)[0])
    scales = nets["constants"](made)
    floats = nets["constants"](turned)["w"]
    assert scales["w_axis1_scale"] == pytest.approx(np.abs(floats).max(axis=0) / 127, rel=1e-3)
    assert scales["w_scale"] == pytest.approx(np.abs(floats).max(axis=1) / 127, rel=1e-3)


def test_joined_tensors_are_copied_without_rescaling():
    """The concatenation of int8 values equals the quantized concatenation, value by value."""
    nodes = [
        node("Conv", ["x", "w1"], ["a"], name="one"),
        node("Conv", ["x", "w2"], ["b"], name="two"),
        node("Concat", ["a", "b"], ["j"], name="join", axis=1),
        node("Conv", ["j", "w3"], ["y"], name="last"),
    ]
    constants = [weights("w1", 4, 4, 1, 1), const("w2", np.full((4, 4, 1, 1), 3.0)), weights("w3", 2, 8, 1, 1)]
    model = make(nodes, constants, {"x": (1, 4, 5, 5)}, {"y": (1, 2, 5, 5)})
    sample = nets["samples"](model, 1)[0]
    made = quantized(model, sample)
    seen = watched(made, sample)
    parts = [seen[f"{name}_QuantizeLinear_Output"] for name in ("a", "b")]
    assert np.array_equal(np.concatenate(parts, axis=1), seen["j_QuantizeLinear_Output"])


@pytest.mark.parametrize("style", list(Weights))
def test_a_bias_stays_as_it_is(style):
    model = nets["cnn"]()
    made = quantized(model, nets["samples"](model, 1)[0], style=style)
    before, after = nets["constants"](model), nets["constants"](made)
    if style is Weights.BEHIND:
        assert np.array_equal(after["c1_bias"].ravel(), before["b1"]) and after["c1_factors"].shape == (1, 16, 1, 1)
    else:
        assert np.array_equal(after["b1"], before["b1"])
    assert np.array_equal(after["b5"], before["b5"])


def test_names_are_given_and_kept():
    nodes = [
        node("Relu", ["x"], ["a"], name="twice"),
        node("Relu", ["a"], ["b"], name="twice"),
        node("Relu", ["b"], ["y"]),
    ]
    model = make(nodes, [], {"x": (1, 4)}, {"y": (1, 4)})
    assert name_nodes(model)
    assert [n.name for n in model.graph.node] == ["twice", "twice_1", "Relu_2"]
    assert not name_nodes(model), "a second time there is nothing to do"


#: Kinds of layers that random networks are made of.
LAYERS = (
    "conv",
    "depthwise",
    "grouped",
    "pointwise",
    "relu",
    "clip",
    "add",
    "concat",
    "maxpool",
    "avgpool",
    "gate",
    "swish",
)


class Network:
    """A random network: every layer takes one or two of the tensors made so far."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.constants = [], []
        self.tensors = [("x", 8, 8)]

    def op(self, kind, inputs, **more):
        result = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(node(kind, inputs, [result], name=f"node{len(self.nodes)}", **more))
        return result

    def weights(self, *shape):
        name = f"w{len(self.constants)}"
        values = self.random.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) or 1)
        self.constants.append(const(name, values * self.random.uniform(0.2, 3)))
        return name

    def conv(self, source, channels, result, size=1, group=1):
        given = [source, self.weights(result, channels // group, size, size)]
        given += [self.weights(result)] if self.random.random() < 0.7 else []
        return self.op("Conv", given, group=group, pads=[size // 2] * 4)

    def add_layer(self, kind, which):
        source, channels, size = self.tensors[which % len(self.tensors)]
        others = [tensor for tensor, c, s in self.tensors if (c, s) == (channels, size)]
        other = others[self.random.integers(len(others))]
        if kind in ("conv", "pointwise", "depthwise", "grouped"):
            group = {"depthwise": channels, "grouped": 2}.get(kind, 1)
            wide = channels if kind == "depthwise" else int(self.random.choice([4, 8, 6]))
            made = self.conv(source, channels, wide, 1 if kind == "pointwise" else 3, group), wide, size
        elif kind in ("maxpool", "avgpool"):
            if size < 4:
                return
            op = {"maxpool": "MaxPool", "avgpool": "AveragePool"}[kind]
            made = self.op(op, [source], kernel_shape=[2, 2], strides=[2, 2]), channels, size // 2
        elif kind == "concat":
            made = self.op("Concat", [source, other], axis=1), 2 * channels, size
        elif kind == "gate":
            pooled = self.conv(self.op("GlobalAveragePool", [source]), channels, channels)
            made = self.op("Mul", [source, self.op("Sigmoid", [pooled])]), channels, size
        elif kind == "swish":
            made = self.op("Mul", [source, self.op("Sigmoid", [source])]), channels, size
        elif kind == "clip":
            self.constants += [const(f"low{len(self.nodes)}", 0.0), const(f"high{len(self.nodes)}", 6.0)]
            made = self.op("Clip", [source, *(t.name for t in self.constants[-2:])]), channels, size
        else:
            made = self.op({"relu": "Relu", "add": "Add"}[kind], [source, other][: 1 + (kind == "add")]), channels, size
        self.tensors.append(made)

    def model(self):
        last, channels, _ = self.tensors[-1]
        flat = self.op("Flatten", [self.op("GlobalAveragePool", [self.conv(last, channels, 6)])])
        self.nodes.append(node("Gemm", [flat, self.weights(5, 6), self.weights(5)], ["y"], name="head", transB=1))
        return make(self.nodes, self.constants, {"x": (1, 8, 8, 8)}, {"y": (1, 5)})


def build(seed, layers):
    network = Network(seed)
    for kind, which in layers:
        network.add_layer(kind, which)
    return network.model()


def check(model, made):
    """What must hold for any Q/DQ graph of ours."""
    onnx.checker.check_model(made, full_check=True)
    known = nets["constants"](made)
    for pair in (n for n in made.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")):
        zero = known[pair.input[2]]
        assert zero.dtype == np.int8 and not zero.any() and np.all(known[pair.input[1]] > 0)
    biases = {n.input[2] for n in model.graph.node if n.op_type in ("Conv", "Gemm") and len(n.input) > 2}
    assert not {f"{bias}_quantized" for bias in biases} & set(known), "no bias is quantized"
    assert {n.name for n in model.graph.node} <= {n.name for n in made.graph.node}


@hypothesis.settings(max_examples=40, deadline=None)
@hypothesis.given(
    st.integers(0, 2**16),
    st.lists(st.tuples(st.sampled_from(LAYERS), st.integers(0, 30)), max_size=9),
    st.sampled_from(list(Weights)),
    st.sampled_from(LIBRARIES),
)
def test_random_networks_stay_sound_and_close(seed, layers, style, library):
    """Calibrated on the very sample that is run, so nothing is cut: each of a handful of layers adds at most 1/254
    of its range in error, and the result stays within a fifth of the float result's size."""
    model = build(seed, layers)
    sample = nets["samples"](model, 1, seed)[0]
    made = quantized(model, sample, default_choice(library), style)
    check(model, made)
    before = watched(model, sample)
    seen = nets["run"](made, sample)["y"]
    scale = max(np.abs(before["y"]).max(), np.abs(before[model.graph.node[-1].input[0]]).max())
    assert np.abs(seen - before["y"]).max() <= 0.2 * scale
    for group in plan(model, default_choice(library)).shared:
        constants = nets["constants"](made)
        assert len({float(constants[f"{name}_scale"]) for name in group}) == 1, group


@pytest.mark.parametrize("seed", range(6))
def test_random_networks_compile_strongly_typed(seed):
    random = np.random.default_rng(seed)
    layers = [(LAYERS[random.integers(len(LAYERS))], int(random.integers(30))) for _ in range(8)]
    model = build(seed, [*layers, (LAYERS[seed], 7), (LAYERS[seed + 6], 8)])
    style = list(Weights)[seed % 3]
    made = quantized(model, nets["samples"](model, 1)[0], default_choice(LIBRARIES[seed % 2]), style)
    planned = nets["schedule"](rest_to_fp16(made) if seed % 2 else made, "int8", "8.6")
    assert nets["computed"](planned, "head") == {"head": "int8"}


def test_names_that_are_taken_stay_with_their_owners():
    """Exporters call biases after the layer's output (``c_bias``), and may call anything ``x_scale``."""
    nodes = [
        node("Conv", ["x", "x_scale", "c_bias"], ["c"], name="one"),
        node("Relu", ["c"], ["c_raw"], name="relu"),
        node("Conv", ["c_raw", "w", "c_factors"], ["x_DequantizeLinear_Output"], name="two"),
        node("Add", ["x_DequantizeLinear_Output", "c"], ["y"], name="add"),
    ]
    constants = [
        weights("x_scale", 4, 4, 1, 1),
        weights("c_bias", 4),
        weights("w", 4, 4, 1, 1),
        weights("c_factors", 4),
    ]
    model = make(nodes, constants, {"x": (1, 4, 5, 5)}, {"y": (1, 4, 5, 5)})
    sample = nets["samples"](model, 1)[0]
    for style in Weights:
        made = quantized(model, sample, style=style)
        check(model, made)
        assert nets["run"](made, sample)["y"] == pytest.approx(nets["run"](model, sample)["y"], abs=0.2), style


@pytest.mark.parametrize("style", list(Weights))
def test_a_bias_that_is_computed_stays_with_its_convolution(style):
    nodes = [
        node("Reshape", ["z", "shape"], ["b"], name="reshape"),
        node("Conv", ["x", "w", "b"], ["y"], name="conv"),
    ]
    constants = [const("shape", [4], np.int64), weights("w", 4, 4, 1, 1)]
    model = make(nodes, constants, {"x": (1, 4, 5, 5), "z": (1, 4)}, {"y": (1, 4, 5, 5)})
    sample = nets["samples"](model, 1)[0]
    made = quantized(model, sample, style=style)
    check(model, made)
    assert next(n for n in made.graph.node if n.op_type == "Conv").input[2] == "b"
    assert nets["run"](made, sample)["y"] == pytest.approx(nets["run"](model, sample)["y"], abs=0.2)
