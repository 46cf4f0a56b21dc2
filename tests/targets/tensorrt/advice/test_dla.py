"""The documented limits of the deep learning accelerator: each from both of its sides."""

import runpy
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from onnx import TensorProto, helper

from targets.tensorrt.advice import dla_limits
from targets.tensorrt.advice.dla import dla_report
from targets.tensorrt.advice.dla_limits import Graph, beyond

nets = runpy.run_path(str(Path(__file__).parents[1] / "nets.py"))
node, const, make, weights = nets["node"], nets["const"], nets["make"], nets["weights"]
#: An output whose shape is left to inference.
Y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)


def why(op, shape=(1, 8, 64, 64), constants=(), precision="fp16", extra=(), **attributes):
    """What the limits say of one node; ``constants`` are its further inputs."""
    names = ["x", *extra, *(tensor.name for tensor in constants)]
    given = node(op, names, ["y"], name="n", **attributes)
    graph = Graph(make([given], list(constants), dict.fromkeys(("x", *extra), shape), {"y": Y}))
    return beyond(graph, graph.nodes[0], precision)


def sentence(limit):
    return getattr(dla_limits, limit).__doc__


def conv(size=(3, 3), channels=8, outputs=16, group=1, **attributes):
    return {"constants": [weights("w", outputs, channels // group, *size)], "group": group, **attributes}


def cut(low, high):
    return {"constants": [const("a", low), const("b", high)]}


#: The last value within a limit, the first beyond, and the limit.
EDGES = [
    ("Conv", conv((32, 1), pads=[0] * 4), conv((33, 1), pads=[0] * 4), "kernel_size"),
    ("Conv", conv((32, 32), pads=[31] * 4), conv((32, 32), pads=[32] * 4), "padding"),
    ("Conv", conv((3, 3), pads=[2] * 4), conv((3, 3), pads=[2, 3, 2, 2]), "padding"),
    ("Conv", conv(strides=[8, 8]), conv(strides=[9, 8]), "stride"),
    ("Conv", conv(dilations=[1, 32]), conv(dilations=[1, 33]), "dilation"),
    ("Conv", conv(outputs=8192, size=(1, 1)), conv(outputs=8193, size=(1, 1)), "large_dimension"),
    ("Conv", conv(), conv(shape=(4097, 8, 8, 8)), "large_batch"),
    ("Conv", conv(shape=(4096, 8, 8, 8)), conv(shape=(1, 8, 8193, 8)), "large_dimension"),
    ("Conv", conv(), {**conv(), "constants": [weights("w", 16, 8, 3)], "shape": (1, 8, 64)}, "not_two_spatial"),
    ("MaxPool", {"kernel_shape": [8, 8]}, {"kernel_shape": [9, 8]}, "pooling_window"),
    ("AveragePool", {"kernel_shape": [8, 8]}, {"kernel_shape": [8, 9]}, "pooling_window"),
    (
        "MaxPool",
        {"kernel_shape": [8, 8], "strides": [16, 1]},
        {"kernel_shape": [8, 8], "strides": [17, 1]},
        "pooling_steps",
    ),
    ("LRN", {"size": 9}, {"size": 11}, "normalization_window"),
    ("LRN", {"size": 3}, {"size": 4}, "normalization_window"),
    ("Concat", {"extra": ["z"], "axis": 1}, {"extra": ["z"], "axis": 2}, "concat_axis"),
    ("Concat", {"extra": ["z"], "axis": -3}, {"axis": 1}, "concat_axis"),
    ("Softmax", {"shape": (1, 10, 1, 1), "axis": 1}, {"shape": (2, 10, 1, 1), "axis": 1}, "softmax_shape"),
    ("Softmax", {"shape": (1, 10), "axis": -1}, {"shape": (1, 10, 2), "axis": 1}, "softmax_shape"),
    ("Clip", cut(0, 127), cut(0, 128), "clip_range"),
    ("Clip", cut(0, 1), cut(-1, 6), "clip_range"),
    ("Clip", cut(0, 6), {"constants": [const("a", 0)]}, "clip_range"),
    (
        "ConvTranspose",
        {"constants": [weights("w", 8, 4, 32, 32)], "strides": [32, 32]},
        {"constants": [weights("w", 8, 4, 33, 32)], "strides": [32, 32]},
        "transposed_kernel",
    ),
    (
        "ConvTranspose",
        {"constants": [weights("w", 8, 4, 1, 64)]},
        {"constants": [weights("w", 8, 4, 1, 65)]},
        "transposed_kernel",
    ),
    (
        "ConvTranspose",
        {"constants": [weights("w", 8, 4, 2, 2)]},
        {"constants": [weights("w", 8, 4, 2, 2)], "pads": [1, 1, 1, 1]},
        "transposed_plain",
    ),
    (
        "ConvTranspose",
        {"constants": [weights("w", 8, 4, 2, 2)], "group": 1},
        {"constants": [weights("w", 8, 4, 2, 2)], "group": 2},
        "transposed_plain",
    ),
    ("Relu", {}, {"shape": (1, 8)}, "not_two_spatial"),
    ("MatMul", {"constants": [weights("w", 64, 10)]}, {"extra": ["z"]}, "computed_weights"),
]  # fmt: skip


@pytest.mark.parametrize(("op", "within", "over", "limit"), EDGES)
def test_both_sides_of_a_limit(op, within, over, limit):
    assert why(op, **within) == "", f"{op} is within the limit '{limit}' and was refused"
    assert why(op, **over) == sentence(limit)


@pytest.mark.parametrize(
    ("scales", "mode", "good"),
    [
        ([1, 1, 32, 1], "nearest", True), ([1, 1, 33, 1], "nearest", False), ([1, 1, 4, 4], "linear", True),
        ([1, 1, 5, 4], "linear", False), ([1, 1, 1.5, 1], "nearest", False), ([1, 2, 1, 1], "nearest", False),
    ],
)  # fmt: skip
def test_resizing(scales, mode, good):
    given = node("Resize", ["x", "", "s"], ["y"], name="n", mode=mode)
    graph = Graph(make([given], [const("s", scales)], {"x": (1, 8, 8, 8)}, {"y": Y}))
    assert beyond(graph, graph.nodes[0], "fp16") == ("" if good else sentence("resize_scale"))


def buffer_by_the_documentation(channels, height, width, columns, dilation, size):
    """The pseudocode of the section on convolutions, in integers."""
    ceil = lambda value, by: -(-value // by)  # noqa: E731
    banks = ceil(ceil(channels * height * width * size, 128) * 128, 32768)
    entries = ceil(ceil(channels * size, 32) * columns, 4)
    return banks + ceil(entries * ((height - 1) * dilation + 1), 256) <= 16


@hypothesis.given(
    st.integers(1, 512), st.integers(1, 16), st.integers(1, 16), st.integers(32, 256), st.integers(1, 2), st.booleans()
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_the_convolution_buffer(channels, height, width, columns, dilation, int8):
    given = node("Conv", ["x", "w"], ["y"], name="n", dilations=[dilation, 1])
    kernel = const("w", np.zeros((1, channels, height, width)))
    graph = Graph(make([given], [kernel], {"x": (1, channels, 40, columns)}, {"y": Y}))
    fits = buffer_by_the_documentation(channels, height, width, columns, dilation, 1 if int8 else 2)
    said = beyond(graph, graph.nodes[0], "int8" if int8 else "fp16")
    assert said == ("" if fits else sentence("convolution_buffer"))


def test_number_formats():
    assert why("Relu", precision="fp32") == dla_limits.NO_FP32
    assert why("Relu", precision="int8") == ""
    assert why("Slice", precision="int8") == sentence("slice_in_int8")
    assert why("Erf") == why("GlobalAveragePool") == dla_limits.NO_LAYER


def test_every_limit_has_a_sentence():
    limits = {limit for group in dla_limits.OPERATORS.values() for limit in group} | set(dla_limits.GENERAL)
    bad = [limit.__name__ for limit in limits if not (limit.__doc__ or "").endswith(".") or "\n" in limit.__doc__]
    assert not bad, f"no sentence for users: {bad}"


def test_weights_behind_a_dequantization_are_constants():
    nodes = [
        node("DequantizeLinear", ["w", "s"], ["d"], name="dq"),
        node("Conv", ["x", "d"], ["y"], name="conv", kernel_shape=[1, 1]),
    ]
    constants = [const("w", np.ones((8, 8, 1, 1)), np.int8), const("s", 0.1)]
    report = dla_report(make(nodes, constants, {"x": (1, 8, 8, 8)}, {"y": Y}), "int8")
    assert (report.layers, dict(report.on_gpu)) == (1, {})


def test_a_network_is_reported_layer_by_layer():
    report = dla_report(nets["cnn"](), "fp16")
    assert report.layers == 10
    assert set(report.on_gpu) == {"pool", "view"}
    assert report.parts == 2, "the pool and the reshape stand between the convolutions and the linear layer"
    notes = report.notes("fp16")
    assert notes[0].startswith("DLA: 8 of 10 layers are within its limits in fp16 (NVIDIA TensorRT documentation")
    assert any("'pool' (GlobalAveragePool)" in note and dla_limits.NO_LAYER in note for note in notes)
    assert not any("Q/DQ" in note for note in notes)
    assert any("Q/DQ" in note for note in report.notes("int8"))


def test_too_many_parts_are_told():
    pairs = [
        node(op, [source], [target], name=f"{op}{index}")
        for index in range(20)
        for op, source, target in (("Relu", f"t{index}", f"u{index}"), ("Erf", f"u{index}", f"t{index + 1}"))
    ]
    report = dla_report(make(pairs, [], {"t0": (1, 8, 8, 8)}, {"t20": (1, 8, 8, 8)}), "fp16")
    assert report.parts == 20
    notes = report.notes("fp16")
    assert any("20 separate parts, and can hold 16" in note for note in notes)
    assert any("and 10 more" in note for note in notes)
