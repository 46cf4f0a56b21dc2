"""fp16 by casting: what is half precision afterwards, what it costs, what is refused, and that it compiles."""

import runpy
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from profiles.errors import ModelError, UnsupportedError
from targets.tensorrt.formats.cast import rest_to_fp16, to_fp16, to_half
from targets.tensorrt.formats.node_order import in_order
from targets.tensorrt.formats.number_formats import at_least_opset, fp16_scale

nets = runpy.run_path(str(Path(__file__).parents[1] / "nets.py"))
node, const, make = nets["node"], nets["const"], nets["make"]
HALF, FLOAT = TensorProto.FLOAT16, TensorProto.FLOAT
#: All positive fp16 numbers, in order: the bit patterns from the smallest subnormal to the largest finite one.
ALL_HALVES = np.arange(1, 0x7C00, dtype=np.uint16).view(np.float16).astype(np.float64)


def one(op, *constants, **attributes):
    """One operator on x (1, 8, 8, 8) with constants behind it."""
    inputs = ["x", *(tensor.name for tensor in constants)]
    return make(
        [node(op, inputs, ["y"], name="it", **attributes)], constants, {"x": (1, 8, 8, 8)}, {"y": of_any_shape()}
    )


def of_any_shape():
    return helper.make_tensor_value_info("y", FLOAT, None)


def qdq(scale=0.02, weight_scale=(0.01, 0.002), relu=True):
    """A convolution with int8 input and int8 weights, one scale per output channel."""
    count = len(weight_scale)
    values = np.random.default_rng(1).integers(-127, 128, (count, 3, 3, 3))
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], name="Q"),
        node("DequantizeLinear", ["q", "s", "z"], ["d"], name="DQ"),
        node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], name="WDQ", axis=0),
        node("Conv", ["d", "wd", "b"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["y"], name="relu"),
    ]
    constants = [
        const("s", scale), const("z", 0, np.int8), const("w", values, np.int8),
        const("ws", weight_scale), const("wz", np.zeros(count), np.int8), nets["weights"]("b", count),
    ]  # fmt: skip
    return make(nodes, constants, {"x": (1, 3, 6, 6)}, {"y": (1, count, 6, 6)})


def test_all_arithmetic_is_half_and_the_ends_are_float(tmp_path):
    model = nets["cnn"]()
    result = to_fp16(nets["exported"](model, tmp_path / "in.onnx"), tmp_path)
    half = onnx.load(result.onnx)
    kinds = nets["types"](half)
    ends = {value.name for value in (*half.graph.input, *half.graph.output)}
    wrong = {name for name, kind in kinds.items() if kind != (FLOAT if name in ends else HALF)}
    assert not wrong, f"not in half precision: {wrong}"
    stored = {tensor.data_type for tensor in half.graph.initializer} - {TensorProto.INT64}
    assert stored == {HALF}, "some weights are still float32"
    assert result.precision == "fp16" and result.float_onnx.exists()
    onnx.checker.check_model(half)  # nodes in order, too
    inputs = nets["samples"](model, 4)
    quality = nets["sqnr"]([nets["run"](model, x) for x in inputs], [nets["run"](half, x) for x in inputs])
    assert quality > 55, f"{quality:.1f} dB: fp16 keeps 11 bits, 66 dB each time it rounds"


def test_it_compiles_in_half_precision(tmp_path):
    half = onnx.load(to_fp16(nets["exported"](nets["cnn"](), tmp_path / "in.onnx"), tmp_path).onnx)
    for capability in ("8.6", "8.9", "12.0"):
        formats = nets["computed"](nets["schedule"](half, "fp16", capability), "first", "wide", "pointwise")
        assert formats == dict.fromkeys(("first", "wide", "pointwise"), "fp16"), f"on {capability}: {formats}"


def test_the_model_given_stays_as_it_was():
    model = qdq()
    before = model.SerializeToString()
    rest_to_fp16(model)
    assert model.SerializeToString() == before


def test_a_qdq_graph_keeps_its_integers_and_gets_half_scales():
    model = qdq()
    half = rest_to_fp16(model)
    before, after = nets["constants"](model), nets["constants"](half)
    np.testing.assert_array_equal(after["w"], before["w"])
    assert {name: values.dtype.name for name, values in after.items()} == {
        **dict.fromkeys(("s", "ws", "b"), "float16"), **dict.fromkeys(("z", "w", "wz"), "int8"),
    }  # fmt: skip
    kinds = nets["types"](half)
    assert kinds["d"] == kinds["wd"] == kinds["c"] == HALF and kinds["x"] == kinds["y"] == FLOAT
    x = nets["samples"](model, 1)[0]
    wanted, seen = nets["run"](model, x)["y"], nets["run"](half, x)["y"]
    assert np.max(np.abs(wanted - seen)) < 4e-3 * np.max(wanted), "scales rounded to 11 bits and one fp16 sum"
    nets["schedule"](half, "int8", "8.6", "8.9", "12.0")


def test_scales_too_small_for_half_keep_the_weights():
    """A channel with weights of 1e-7 to 1e-5: cast alone, its scale would lose digits or be six times too large."""
    scales = (0.01, 3.1e-5, 7.3e-7, 1e-8)
    model = qdq(weight_scale=scales)
    half = rest_to_fp16(model)
    before, after = nets["constants"](model), nets["constants"](half)
    old = before["w"] * before["ws"].astype(np.float64).reshape(-1, 1, 1, 1)
    new = after["w"] * after["ws"].astype(np.float64).reshape(-1, 1, 1, 1)
    np.testing.assert_array_equal(after["w"][0], before["w"][0], err_msg="a scale that fits must not touch its weights")
    step = after["ws"].astype(np.float64).reshape(-1, 1, 1, 1)
    assert (np.abs(new - old)[1:] <= 0.5001 * step[1:]).all(), "requantized weights are off by more than half a step"


@hypothesis.given(st.floats(1e-12, 60000.0))
def test_the_scale_is_the_next_half_number(value):
    wanted = ALL_HALVES[np.searchsorted(ALL_HALVES, np.float32(value).astype(np.float64))]
    assert float(fp16_scale(np.asarray(value, np.float32))) == wanted


def test_a_scale_of_zero_becomes_one():
    assert fp16_scale(np.asarray([0.0, 1.0])).tolist() == [1.0, 1.0]


def test_weights_beyond_half_precision_are_refused():
    model = one("Conv", const("w", np.full((4, 8, 1, 1), 1e5)))
    with pytest.raises(UnsupportedError, match=r"1e\+05 in the constant 'w' of Conv 'it'"):
        rest_to_fp16(model)


def test_a_factor_beyond_half_precision_is_refused():
    with pytest.raises(UnsupportedError, match="65,504"):
        rest_to_fp16(one("Mul", const("k", 70000.0)))


def test_the_largest_half_number_is_not_refused():
    notes = to_half(one("Mul", const("k", 65504.0)))[1]
    assert notes == {}


def test_not_a_number_is_refused():
    with pytest.raises(ModelError, match="NaN in 'k'"):
        rest_to_fp16(one("Mul", const("k", np.nan)))


def test_a_mask_is_clamped_and_noted():
    half, notes = to_half(one("Add", const("mask", [0.0] * 7 + [-3.4e38])))
    assert notes == {"fp16 bounds": "clamped to 65,504: mask"}
    assert nets["constants"](half)["mask"].tolist() == [0.0] * 7 + [-65504.0]


def test_an_infinite_bound_stays_infinite():
    half, notes = to_half(one("Clip", const("low", 0.0), const("high", np.inf)))
    assert notes == {} and np.isposinf(nets["constants"](half)["high"])


def test_small_weights_are_counted():
    values = [1.0, 0.0, 1e-3, 5e-5, -6e-5, 1e-7, -2e-8, 1e-9]
    notes = to_half(one("Mul", const("k", values)))[1]
    assert notes["fp16 small"].startswith("5 of 8 constants are below 6.1e-05"), notes
    assert "2 of them are below the smallest" in notes["fp16 small"]


@pytest.mark.parametrize("form", [{"value_float": 2.0}, {"value_floats": [2.0] * 8}])
def test_short_constants_are_cast_too(form):
    nodes = [node("Constant", [], ["k"], name="two", **form), node("Mul", ["x", "k"], ["y"], name="it")]
    half = rest_to_fp16(make(nodes, [], {"x": (1, 8)}, {"y": (1, 8)}))
    assert nets["types"](half)["k"] == HALF
    x = np.arange(8, dtype=np.float32).reshape(1, 8)
    np.testing.assert_array_equal(nets["run"](half, {"x": x})["y"], 2 * x)
    nets["schedule"](half, "fp16", "8.6")


OPERATORS = [
    one("Resize", const("", []), const("scales", [1, 1, 2, 2])),
    one("Resize", const("", []), const("", []), const("sizes", [1, 8, 16, 16], np.int64), mode="linear"),
    one("Min", const("k", 1.0)),
    one("LayerNormalization", const("g", np.ones(8)), const("b", np.zeros(8)), axis=-1),
    one("InstanceNormalization", const("g", np.ones(8)), const("b", np.zeros(8))),
    one("PRelu", const("k", np.full((8, 1, 1), 0.1))),
    one("HardSwish"),
    one("CumSum", const("axis", 2, np.int64)),
    one("MeanVarianceNormalization"),
    one("ReduceMean", const("axes", [2, 3], np.int64)),
    one("Pad", const("pads", [0, 0, 1, 1, 0, 0, 1, 1], np.int64), const("value", 0.0)),
    one("Pow", const("two", 2.0)),
    one("ConvTranspose", const("w", np.ones((8, 2, 2, 2)) / 32), strides=[2, 2]),
]


def _name(model):
    return model.graph.node[0].op_type


@pytest.mark.parametrize("model", OPERATORS, ids=_name)
def test_operators_are_strongly_typed_after_the_cast(model):
    """TensorRT takes no mixed types; ONNX Runtime tells whether the numbers are still right."""
    kept = [tensor for tensor in model.graph.initializer if tensor.name]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    x = {"x": np.random.default_rng(3).uniform(0.1, 1, (1, 8, 8, 8)).astype(np.float32)}
    half = rest_to_fp16(model)
    wanted, seen = nets["run"](model, x)["y"], nets["run"](half, x)["y"]
    assert seen.dtype == np.float32
    np.testing.assert_allclose(seen, wanted, atol=6e-3 * np.max(np.abs(wanted)))
    assert nets["schedule"](half, "fp16", "8.6").kernels


def test_an_operator_set_without_half_scales_is_raised():
    model = qdq()
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", 13))
    half = rest_to_fp16(model)
    assert half.opset_import[0].version == 19 and nets["constants"](half)["ws"].dtype == np.float16
    assert at_least_opset(half, 17) is half


def test_an_operator_set_that_does_not_convert_is_refused():
    model = make([node("ThresholdedRelu", ["x"], ["y"])], [], {"x": (1, 2)}, {"y": (1, 2)}, opset=9)
    with pytest.raises(UnsupportedError, match="opset_version = 21"):
        at_least_opset(model, 21)


@hypothesis.given(st.permutations(range(6)))
def test_nodes_come_after_what_they_read(order):
    nodes = [node("Relu", ["x"], ["t0"])]
    nodes += [node("Add", [f"t{i}", f"t{i // 2}"], [f"t{i + 1}"]) for i in range(5)]
    model = make([nodes[i] for i in order], [], {"x": (1, 2)}, {"t5": (1, 2)})
    in_order(model.graph)
    onnx.checker.check_model(model)
    assert len(model.graph.node) == 6
