"""What the inspector and the profiler of the library tell, in the dialects of TensorRT 10, 11 and TensorRT-RTX."""

import collections
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.measurement import Kind
from targets.tensorrt.gpu.inspector import Layer, number_format, read_layers
from targets.tensorrt.gpu.layers import Times, executed, merged


def tensor(**words):
    return {"Name": "t", "Dimensions": [1, 8, 8, 8], **words}


TEN = tensor(**{"Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format"})
ELEVEN = tensor(Format="Thirty-two wide channel vectorized row major", Datatype="Int8")


@pytest.mark.parametrize("inputs", [TEN, ELEVEN], ids=["TensorRT 10", "TensorRT 11"])
def test_a_layer_has_the_precision_of_its_activation(inputs):
    row = {
        "Name": "conv + relu", "LayerType": "CaskConvolution", "Inputs": [inputs], "ParameterType": "Convolution",
        "Outputs": [tensor(Datatype="Float")], "Metadata": "[ONNX Layer: /c/Conv]\x1e[ONNX Layer: /r/Relu]",
    }  # fmt: skip
    (layer,) = read_layers(json.dumps({"Layers": [row], "Bindings": ["x", "y"]}))
    assert layer == Layer("conv + relu", "CaskConvolution Convolution", "int8", ("/c/Conv", "/r/Relu"))
    assert layer.computes


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("Row major linear FP32", "fp32"), ("Float", "fp32"), ("Row major linear FP16 format", "fp16"),
        ("Half", "fp16"), ("BFloat16", "bf16"), ("BF16", "bf16"), ("Int8", "int8"), ("FP8", "fp8"), ("Int4", "int4"),
        ("Int32", "int32"), ("Int64", "int64"), ("Bool", "bool"), ("FP4", "fp4"), ("N/A due to dynamic shapes", ""),
        ("Two wide channel vectorized row major FP16 format", "fp16"),
    ],
)  # fmt: skip
def test_number_formats_are_read_from_the_inspectors_words(words, name):
    assert number_format(words) == name


@pytest.mark.parametrize(
    ("op", "computes"),
    [
        ("CaskConvolution", True), ("CaskGemmMatrixMultiply", True), ("gemm", True), ("correlation", True),
        ("fully_connected", True), ("CaskDeconvolutionV2", True), ("Reformat", False), ("kgen", False),
        ("Convert", False), ("PointWiseV2", False), ("fused_mha_v2", True), ("NoOp", False),
    ],
)  # fmt: skip
def test_only_layers_with_arithmetic_count(op, computes):
    assert Layer("l", op).computes is computes


def test_an_engine_without_details_gives_names_alone():
    assert read_layers('{"Layers": ["conv", "reformat"]}') == [Layer("conv"), Layer("reformat")]


@pytest.mark.parametrize("text", ["", "not JSON", "[]", '{"Bindings": []}', "null", '{"Layers": null}'])
def test_what_is_no_such_json_gives_no_layers(text):
    assert read_layers(text) == []


def test_a_layer_without_inputs_has_the_format_of_its_output():
    row = {"Name": "constant", "LayerType": "Constant", "Inputs": [], "Outputs": [tensor(Datatype="Half")]}
    assert read_layers(json.dumps({"Layers": [row]}))[0].precision == "fp16"


def test_names_of_the_compilers_own_give_way_to_those_of_the_nodes():
    nodes = ("a", "b", "c", "d", "e")
    assert Layer("__myl_MulRelu_myl0_3", nodes=nodes).title == "a + b + c + 2 more"
    assert Layer("__myl_MulRelu_myl0_3").title == "__myl_MulRelu_myl0_3"
    assert Layer("conv + relu", nodes=nodes).title == "conv + relu"


@given(runs=st.lists(st.lists(st.sampled_from("abc"), max_size=6), min_size=1, max_size=4))
def test_layers_of_one_name_are_told_apart_by_their_place_in_the_run(runs):
    times = Times()
    wanted = collections.defaultdict(list)
    for number, names in enumerate(runs):
        times.start()
        for place, name in enumerate(names):
            times.add(name, 10.0 * number + place)
            wanted[name, names[:place].count(name)].append((10.0 * number + place) * 1e-3)
    assert times.rows == dict(wanted)


def test_rows_come_in_the_order_in_which_they_ran_with_the_middle_of_their_times():
    times = Times()
    for first, second in ((1.0, 5.0), (3.0, 6.0), (2.0, 400.0)):
        times.start()
        times.add("b", first)
        times.add("a", second)
    rows = merged([Layer("a", "conv", "int8"), Layer("b", "gemm", "fp16")], times)
    assert [(row.name, row.op, row.precision) for row in rows] == [("b", "gemm", "fp16"), ("a", "conv", "int8")]
    assert [row.metrics["latency_p50"].value for row in rows] == pytest.approx([0.002, 0.006])


def test_layers_without_a_time_say_why():
    rows = merged([Layer("a", "conv")], Times())
    assert rows[0].metrics["latency_p50"].kind is Kind.UNAVAILABLE
    assert "reported no layer" in rows[0].metrics["latency_p50"].reason
    times = Times()
    times.add("b", 1.0)
    known, rest = merged([Layer("a", "conv")], times)
    assert (known.name, known.op) == ("b", ""), "a layer that only the profiler knows is a row too"
    assert "did not report this layer" in rest.metrics["latency_p50"].reason


def test_precisions_are_counted_over_layers_that_compute():
    layers = [
        Layer("1", "conv", "int8"), Layer("2", "conv", "int8"), Layer("3", "gemm", "fp32"),
        Layer("4", "Reformat", "fp32"), Layer("5", "conv"),
    ]  # fmt: skip
    assert executed(layers) == {"int8": 2, "fp32": 1}
