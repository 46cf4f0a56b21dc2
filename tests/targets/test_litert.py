"""LiteRT: which tensor is which, ranges on their way into the file, what stays in float, and what runs."""

import dataclasses
import runpy
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from profiles.device import Cpu, Device, Memory
from profiles.errors import DataError, ToolCrashError, UnsupportedError
from profiles.measurement import Kind
from targets.adapt import outputs_to_canonical
from targets.base import ExportedModel, Scheme, TensorSpec, Verdict
from targets.golden import sqnr_db
from targets.litert.layers import executed_precisions, load_model, time_layers
from targets.litert.target import LiteRtTarget
from targets.reference import run_tflite
from targets.tflite_io import native_io, tensor_index
from targets.tflite_tools import read_tflite

tiny = runpy.run_path(str(Path(__file__).with_name("tiny_tflite.py")))
TARGET = LiteRtTarget()
DEVICE = Device("d", "D", (), Cpu("aarch64"), parameters={"threads": 1})


def saved(path, data, inputs, outputs, **more):
    path.write_bytes(data)
    return ExportedModel("net", inputs, outputs, tflite=path, **more)


@pytest.fixture
def model(tmp_path):
    """One fully connected layer: x (1, 4) to y (1, 3)."""
    data = tiny["float_model"](signature=("x", "y"))
    return saved(tmp_path / "m.tflite", data, (TensorSpec("x", (1, 4)),), (TensorSpec("y", (1, 3)),))


def samples(count, seed=0):
    random = np.random.default_rng(seed)
    return [{"x": random.standard_normal((1, 4)).astype(np.float32)} for _ in range(count)]


def int8(model, out, count=16, **scheme):
    out.mkdir(exist_ok=True)
    return TARGET.quantize(model, samples(count), DEVICE, Scheme("int8", **scheme), out)


def renamed(data, names):
    """The model with other tensor names."""
    made = tiny["unpack"](data)
    for tensor, name in zip(made.subgraphs[0].tensors, names, strict=True):
        tensor.name = name
    return tiny["pack"](made)


def two_inputs(path, names):
    """ADD of two inputs, of shapes (1, 2) and (1, 2); tensors and inputs in this order."""
    graph, operator = schema.SubGraphT(), schema.OperatorT()
    graph.tensors = [tiny["tensor"](name, (1, 2)) for name in (*names, "sum")]
    operator.inputs, operator.outputs = [0, 1], [2]
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
    graph.inputs, graph.outputs, graph.operators = [0, 1], [2], [operator]
    path.write_bytes(tiny["model"]([graph], [tiny["buffer"]()], [schema.BuiltinOperator.ADD]))
    return path


@pytest.mark.parametrize(
    ("names", "wanted", "order"),
    [
        (("b", "a"), ("a", "b"), ["1:a", "0:b"]),  # by name
        (("args_1", "args_0"), ("p", "q"), ["1:args_0", "0:args_1"]),  # by number
        (("left", "right"), ("p", "q"), ["0:left", "1:right"]),  # as the graph has them
    ],
)
def test_tensors_are_found_by_name_by_number_or_by_place(tmp_path, names, wanted, order):
    path = two_inputs(tmp_path / "m.tflite", names)
    specs = tuple(TensorSpec(name, (1, 2)) for name in wanted)
    inputs, outputs = native_io(path, specs, (TensorSpec("y", (1, 2)),), ())
    assert [spec.name for spec in inputs] == order
    assert [spec.name for spec in outputs] == ["2:sum"]
    assert [tensor_index(name) for name in order] == [int(name[0]) for name in order]


def test_a_file_with_another_number_of_inputs_is_refused(model):
    with pytest.raises(UnsupportedError) as caught:
        native_io(model.tflite, (*model.inputs, TensorSpec("z", (1,))), model.outputs, ())
    assert caught.value.allowed == "2: x, z"


def test_layouts_move_for_the_named_tensors_only(tmp_path):
    path = two_inputs(tmp_path / "m.tflite", ("a", "b"))
    specs = tuple(TensorSpec(name, (1, 2, 3, 4), layout="NCHW") for name in ("a", "b"))
    inputs, _ = native_io(path, specs, (TensorSpec("y", (1, 2)),), ("b",))
    assert [spec.layout for spec in inputs] == ["NCHW", "NHWC"]


def test_support_reads_the_file(model, tmp_path):
    report = TARGET.support(model, DEVICE, "int8")
    assert [(op.op, op.verdict) for op in report.ops] == [("FULLY_CONNECTED", Verdict.NATIVE)]
    assert report.weights_bytes == 4 * (12 + 3)
    (op,) = TARGET.support(model, DEVICE, "fp16").ops
    assert op.verdict is Verdict.FALLBACK
    assert "arithmetic is fp32" in op.note
    assert "no TFLite file" in TARGET.support(dataclasses.replace(model, tflite=None), DEVICE, "fp32").blockers()[0]
    tight = dataclasses.replace(DEVICE, memories=(Memory("ram", "ram", 32),))
    assert "does not fit" in TARGET.support(model, tight, "fp32").blockers()[0]


def with_operator(path, kind, custom=None):
    """One operator from x (1, 4) to y (1, 4)."""
    graph, operator = schema.SubGraphT(), schema.OperatorT()
    graph.tensors = [tiny["tensor"]("x", (1, 4)), tiny["tensor"]("y", (1, 4))]
    operator.inputs, operator.outputs = [0], [1]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [operator]
    made = tiny["unpack"](tiny["model"]([graph], [tiny["buffer"]()], [schema.BuiltinOperator.ABS]))
    (code,) = made.operatorCodes
    code.builtinCode, code.deprecatedBuiltinCode, code.customCode = kind, min(kind, 127), custom
    return saved(path, tiny["pack"](made), (TensorSpec("x", (1, 4)),), (TensorSpec("y", (1, 4)),))


def test_a_custom_operator_is_unsupported(tmp_path):
    model = with_operator(tmp_path / "m.tflite", schema.BuiltinOperator.CUSTOM, "Magic")
    report = TARGET.support(model, DEVICE, "fp32")
    assert not report.ok
    assert "Magic" in report.blockers()[0]
    with pytest.raises(ToolCrashError, match="Magic"):
        int8(model, tmp_path / "work")


@pytest.mark.parametrize("kind", ["CONV_3D", "STABLEHLO_REDUCE_WINDOW", "UNIDIRECTIONAL_SEQUENCE_LSTM"])
def test_operators_without_an_int8_recipe_are_announced(tmp_path, kind):
    model = with_operator(tmp_path / "m.tflite", getattr(schema.BuiltinOperator, kind))
    (op,) = TARGET.support(model, DEVICE, "int8").ops
    assert op.verdict is Verdict.FALLBACK
    assert "fp32" in op.note


def test_ranges_are_those_of_all_samples_with_zero_inside(model, tmp_path):
    """The library's own calibrator keeps a moving average, which would cut the tails."""
    made = int8(model, tmp_path / "work")
    file = read_tflite(made.tflite)
    values = np.concatenate([sample["x"].reshape(-1) for sample in samples(16)])
    (inner,) = file.inputs
    assert inner.tensor.dtype == "int8"
    assert inner.tensor.scale[0] == pytest.approx(np.ptp(np.append(values, 0.0)) / 255, rel=1e-5)
    outputs = np.concatenate([run_tflite(model.tflite, sample)["y"].reshape(-1) for sample in samples(16)])
    assert file.outputs[0].tensor.scale[0] == pytest.approx(np.ptp(np.append(outputs, 0.0)) / 255, rel=1e-5)


def test_inputs_on_one_side_of_zero_keep_zero_in_their_range(model, tmp_path):
    positive = [{"x": np.abs(sample["x"]) + 5} for sample in samples(8)]
    made = TARGET.quantize(model, positive, DEVICE, Scheme("int8"), tmp_path)
    tensor = read_tflite(made.tflite).inputs[0].tensor
    assert tensor.zero_point[0] == -128, "zero is the lowest value"
    largest = max(sample["x"].max() for sample in positive)
    assert tensor.scale[0] == pytest.approx(largest / 255, rel=1e-5)


def test_int8_follows_the_float_file(model, tmp_path):
    made = int8(model, tmp_path / "work")
    pairs = [(run_tflite(model.tflite, s)["y"], run_tflite(made.tflite, s)["y"]) for s in samples(16)]
    assert sqnr_db(*(np.stack(side) for side in zip(*pairs, strict=True))) > 35
    assert made.float_tflite == model.tflite
    rows = TARGET.layer_errors(made, samples(4))
    assert [(row.name, row.op) for row in rows] == [("last_y", "FULLY_CONNECTED")]
    assert rows[0].sqnr > 20
    assert TARGET.layer_errors(dataclasses.replace(made, float_tflite=None), []) == []


def test_scales_are_per_channel_unless_told_otherwise(model, tmp_path):
    for per_channel, count in ((True, 3), (False, 1)):
        file = read_tflite(int8(model, tmp_path / str(per_channel), per_channel=per_channel).tflite)
        (weights,) = (t for t in file.tensors if t.constant and t.dtype == "int8")
        assert len(weights.scale) == count


def test_bad_calibration_samples_are_refused(model, tmp_path):
    with pytest.raises(DataError, match="NaN"):
        TARGET.quantize(model, [{"x": np.full((1, 4), np.nan, np.float32)}], DEVICE, Scheme("int8"), tmp_path)
    with pytest.raises(DataError, match="at least one sample"):
        TARGET.quantize(model, [], DEVICE, Scheme("int8"), tmp_path)


def test_names_that_are_not_unique_are_the_librarys_complaint(model, tmp_path):
    model.tflite.write_bytes(renamed(tiny["float_model"](), ["x", "w", "w", "y"]))
    with pytest.raises(UnsupportedError) as caught:
        int8(model, tmp_path / "work")
    assert "not unique" in caught.value.seen


def test_fp16_halves_the_weights_and_keeps_float32_outside(tmp_path):
    weights, bias = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32), np.zeros(3, np.float32)
    data = tiny["float_model"](weights, bias)
    model = saved(tmp_path / "m.tflite", data, (TensorSpec("x", (1, 4)),), (TensorSpec("y", (1, 3)),))
    file = read_tflite(TARGET.quantize(model, [], DEVICE, Scheme("fp16"), tmp_path / "..").tflite)
    assert {"float16"} <= {tensor.dtype for tensor in file.tensors if tensor.constant}
    assert {io.tensor.dtype for io in (*file.inputs, *file.outputs)} == {"float32"}


def padded_pool(path):
    """torch's MaxPool2d(3, stride=2, padding=1) as it is converted: PADV2 with minus infinity, then MAX_POOL_2D."""
    graph, pad, pool = schema.SubGraphT(), schema.OperatorT(), schema.OperatorT()
    rows = np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)
    graph.tensors = [
        tiny["tensor"]("x", (1, 8, 8, 2)),
        tiny["tensor"]("rows", (4, 2), 1, schema.TensorType.INT32),
        tiny["tensor"]("minus_infinity", (), 2),
        tiny["tensor"]("padded", (1, 10, 10, 2)),
        tiny["tensor"]("y", (1, 4, 4, 2)),
    ]
    pad.inputs, pad.outputs, pad.opcodeIndex = [0, 1, 2], [3], 0
    pool.inputs, pool.outputs, pool.opcodeIndex = [3], [4], 1
    options = schema.Pool2DOptionsT()
    options.padding, options.strideH, options.strideW = schema.Padding.VALID, 2, 2
    options.filterHeight = options.filterWidth = 3
    pool.builtinOptionsType, pool.builtinOptions = schema.BuiltinOptions.Pool2DOptions, options
    graph.inputs, graph.outputs, graph.operators = [0], [4], [pad, pool]
    buffers = [tiny["buffer"](), tiny["buffer"](rows), tiny["buffer"](np.array(-np.inf, np.float32))]
    kinds = [schema.BuiltinOperator.PADV2, schema.BuiltinOperator.MAX_POOL_2D]
    return saved(
        path, tiny["model"]([graph], buffers, kinds), (TensorSpec("x", (1, 8, 8, 2)),), (TensorSpec("y", (1, 4, 4, 2)),)
    )


@pytest.mark.parametrize("offset", [0.0, 4.0, -4.0])
def test_padding_with_minus_infinity_becomes_the_low_end_of_the_range(tmp_path, offset):
    model = padded_pool(tmp_path / "m.tflite")
    random = np.random.default_rng(0)
    images = [{"x": (random.standard_normal((1, 8, 8, 2)) + offset).astype(np.float32)} for _ in range(12)]
    made = TARGET.quantize(model, images[:8], DEVICE, Scheme("int8"), tmp_path)
    step = read_tflite(made.tflite).inputs[0].tensor.scale[0]
    seen = np.stack([image["x"] for image in images[:8]])
    for image in images[8:]:
        expected, found = (run_tflite(path, image)["y"] for path in (model.tflite, made.tflite))
        inside = np.clip(expected, min(seen.min(), 0.0), max(seen.max(), 0.0))
        assert np.max(np.abs(inside - found)) <= 1.01 * step


def opened(made, folder):
    folder.mkdir()
    compiled = TARGET.compile(made, DEVICE, folder)
    return compiled, TARGET.runner(folder, compiled, {})


def test_the_runner_computes_the_graph(model, tmp_path):
    compiled, runner = opened(model, tmp_path / "bundle")
    assert [spec.name for spec in (*compiled.inputs, *compiled.outputs)] == ["0:first_x", "3:last_y"]
    sample = samples(1)[0]["x"]
    with runner:
        outputs = runner.run({"0:first_x": sample})
        runner.bind({"0:first_x": sample})()
    expected = sample @ tiny["WEIGHTS"].T + tiny["BIAS"]
    assert np.allclose(outputs["3:last_y"], expected, atol=1e-6)
    with pytest.raises(UnsupportedError, match="TFLite file"):
        TARGET.compile(dataclasses.replace(model, tflite=None), DEVICE, tmp_path)


def test_a_quantized_bundle_takes_and_gives_integers_with_their_scales(model, tmp_path):
    compiled, runner = opened(int8(model, tmp_path / "work"), tmp_path / "bundle")
    (inner,), (outer,) = compiled.inputs, compiled.outputs
    assert (inner.dtype, outer.dtype) == ("int8", "int8")
    zeros = np.full((1, 4), inner.zero_point, np.int8)
    with runner:
        outputs = runner.run({inner.name: zeros})
        runner.bind({inner.name: zeros})()
        counters = runner.counters()
    real = outputs_to_canonical(outputs, compiled.outputs, model.outputs)["y"]
    assert np.allclose(real, tiny["BIAS"], atol=outer.scale), "x = 0 gives the bias"
    assert counters.executed == {"int8": 1}
    assert counters.facts["engine"].startswith("ai-edge-litert ")
    times = [layer.metrics["latency_p50"] for layer in counters.layers]
    assert {(metric.kind, metric.unit) for metric in times} == {(Kind.MEASURED, "s")}
    assert all("fusion with neighbours is not seen" in metric.method for metric in times)


def test_the_precision_of_a_transposed_convolution_is_that_of_its_image(tmp_path):
    """Its first input is the shape of the output, which is an integer constant."""
    graph, operator = schema.SubGraphT(), schema.OperatorT()
    weights = np.ones((2, 2, 2, 2), np.float32)
    graph.tensors = [
        tiny["tensor"]("shape", (4,), 1, schema.TensorType.INT32),
        tiny["tensor"]("weights", weights.shape, 2),
        tiny["tensor"]("x", (1, 3, 3, 2)),
        tiny["tensor"]("y", (1, 6, 6, 2)),
    ]
    operator.inputs, operator.outputs = [0, 1, 2], [3]
    options = schema.TransposeConvOptionsT()
    options.padding, options.strideH, options.strideW = schema.Padding.VALID, 2, 2
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.TransposeConvOptions, options
    graph.inputs, graph.outputs, graph.operators = [2], [3], [operator]
    buffers = [tiny["buffer"](), tiny["buffer"](np.array([1, 6, 6, 2], np.int32)), tiny["buffer"](weights)]
    path = tmp_path / "m.tflite"
    path.write_bytes(tiny["model"]([graph], buffers, [schema.BuiltinOperator.TRANSPOSE_CONV]))
    assert executed_precisions(load_model(path)) == {"fp32": 1}
    (layer,) = time_layers(load_model(path), 1)
    assert (layer.name, layer.op, layer.precision) == ("y", "TRANSPOSE_CONV", "fp32")
    assert layer.metrics["latency_p50"].value > 0
