"""ONNX Runtime: its dialect by processor, what it says before it builds, and what its engine then runs."""

import dataclasses
import runpy
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from profiles.device import Cpu, Device, Memory
from profiles.errors import DataError, ToolCrashError, UnsupportedError
from profiles.measurement import Kind
from targets.base import ExportedModel, Scheme, Verdict
from targets.onnxruntime.dialect import activations_signed, describe, reduce_range
from targets.onnxruntime.target import OnnxRuntimeTarget
from targets.reference import run_onnx

tiny = runpy.run_path(str(Path(__file__).with_name("tiny_onnx.py")))
TARGET = OnnxRuntimeTarget()


def processor(arch, *features, memories=()):
    return Device("d", "D", (), Cpu(arch, features=features), memories, parameters={"threads": 1})


NEW_X86, OLD_X86, ARM = processor("x86_64", "avx512_vnni"), processor("x86_64", "avx2"), processor("aarch64")


@pytest.fixture
def model(tmp_path):
    return tiny["net"](tmp_path / "net.onnx")


@pytest.fixture
def int8(model, tmp_path):
    """Quantized for a device, below a folder of its own."""

    def quantized(device=NEW_X86, source=model, **scheme):
        out = tmp_path / f"work{len(list(tmp_path.iterdir()))}"
        out.mkdir()
        return TARGET.quantize(source, tiny["samples"](source, 8), device, Scheme("int8", **scheme), out)

    return quantized


def constants(path):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(str(path)).graph.initializer}


def weights(path):
    """Stored weights of all layers, by the name of the quantized tensor."""
    return {name: values for name, values in constants(path).items() if name.startswith("w") and "quantized" in name}


@pytest.mark.parametrize(
    ("device", "signed", "reduced", "words"),
    [
        (NEW_X86, False, False, "uint8 activations, 8-bit"),
        (processor("amd64", "avx_vnni"), False, False, "uint8 activations, 8-bit"),
        (OLD_X86, False, True, "uint8 activations, 7-bit"),
        (ARM, True, False, "int8 activations, 8-bit"),
    ],
)
def test_the_dialect_follows_the_processor(device, signed, reduced, words):
    assert (activations_signed(device), reduce_range(device)) == (signed, reduced)
    assert words in describe(device)


@pytest.mark.parametrize(("device", "dtype"), [(NEW_X86, np.uint8), (ARM, np.int8)])
def test_activations_have_the_dialects_sign(int8, device, dtype):
    made = int8(device)
    graph, known = onnx.load(str(made.onnx)).graph, constants(made.onnx)
    points = [known[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"]
    assert points, "activations must be quantized"
    assert {point.dtype for point in points} == {np.dtype(dtype)}
    assert describe(device) == made.notes["dialect"]


def test_weights_lose_a_bit_where_products_would_saturate(int8):
    for device, most in ((NEW_X86, 127), (OLD_X86, 64)):
        stored = weights(int8(device).onnx).values()
        assert max(np.abs(values.astype(int)).max() for values in stored) == most


def test_scales_are_per_channel_unless_told_otherwise(int8):
    for per_channel, size in ((True, 8), (False, 1)):
        known = constants(int8(per_channel=per_channel).onnx)
        assert known["w1_scale"].size == size


def test_the_calibrator_sets_the_ranges(int8):
    wide, narrow = (int8(calibrator=name, percentile=80.0) for name in ("minmax", "percentile"))
    seen = np.stack([sample["x"] for sample in tiny["samples"](wide, 8)])
    assert constants(wide.onnx)["x_scale"] == pytest.approx(np.ptp(seen) / 255, rel=1e-3)
    inside = np.percentile(seen, 90) - np.percentile(seen, 10)
    assert constants(narrow.onnx)["x_scale"] == pytest.approx(inside / 255, rel=0.05)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda sample: {"x": sample["x"] * np.float32(np.nan)}, "NaN"),
        (lambda sample: {"x": sample["x"][:, :2]}, "shape"),
        (lambda sample: {"z": sample["x"]}, "no such input"),
    ],
)
def test_bad_calibration_samples_are_refused(model, tmp_path, spoil, words):
    samples = tiny["samples"](model, 3)
    with pytest.raises(DataError, match=words):
        TARGET.quantize(model, [*samples, spoil(samples[0])], NEW_X86, Scheme("int8"), tmp_path)
    with pytest.raises(DataError, match="at least one sample"):
        TARGET.quantize(model, [], NEW_X86, Scheme("int8"), tmp_path)


def test_a_graph_that_cannot_be_prepared_is_a_tools_failure(tmp_path):
    """Two nodes that need each other: sound for a parser, and not to be run."""
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Add", ["x", "a"], ["b"])]
    knot = tiny["save"](tmp_path / "knot.onnx", nodes, [], {"x": (1, 4)}, {"b": (1, 4)})
    with pytest.raises(ToolCrashError) as caught:
        TARGET.quantize(knot, tiny["samples"](knot, 1), NEW_X86, Scheme("int8"), tmp_path)
    assert caught.value.seen


def test_fp16_keeps_float32_at_both_ends(model, tmp_path):
    made = TARGET.quantize(model, [], ARM, Scheme("fp16"), tmp_path)
    graph = onnx.load(str(made.onnx)).graph
    kinds = {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)}
    assert kinds == {onnx.TensorProto.FLOAT}
    stored = {values.dtype for name, values in constants(made.onnx).items() if name.startswith("w")}
    assert stored == {np.dtype(np.float16)}
    assert made.onnx.stat().st_size < model.onnx.stat().st_size


def rows(report):
    return {op.op: op for op in report.ops}


def test_support_knows_which_operators_have_int8_kernels(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
        helper.make_node("ConvTranspose", ["c", "v"], ["y"], name="up"),
    ]
    model = tiny["save"](
        tmp_path / "m.onnx",
        nodes,
        [tiny["constant"]("w", 4, 4, 1, 1), tiny["constant"]("v", 4, 2, 1, 1)],
        {"x": (1, 4, 5, 5)},
        {"y": (1, 2, 5, 5)},
    )
    found = rows(TARGET.support(model, NEW_X86, "int8"))
    assert found["Conv"].verdict is Verdict.NATIVE
    assert found["ConvTranspose"].verdict is Verdict.FALLBACK
    assert "fp32" in found["ConvTranspose"].note
    assert rows(TARGET.support(model, NEW_X86, "fp32"))["ConvTranspose"].verdict is Verdict.NATIVE
    for device, verdict in ((NEW_X86, Verdict.FALLBACK), (ARM, Verdict.NATIVE)):
        assert rows(TARGET.support(model, device, "fp16"))["Conv"].verdict is verdict


@pytest.mark.parametrize(
    ("op", "domain", "words"), [("Conv", "my.company", "my.company"), ("Convolve", "", "no operator of that name")]
)
def test_an_operator_without_a_kernel_is_unsupported(tmp_path, op, domain, words):
    node = helper.make_node(op, ["x"], ["y"], name="odd", domain=domain)
    domains = [domain] if domain else []
    model = tiny["save"](tmp_path / "m.onnx", [node], [], {"x": (1, 4)}, {"y": (1, 4)}, domains=domains)
    report = TARGET.support(model, NEW_X86, "fp32")
    assert not report.ok
    assert words in report.blockers()[0]


def test_support_needs_a_file_and_room_for_the_weights(model):
    report = TARGET.support(ExportedModel("m", model.inputs, model.outputs), NEW_X86, "fp32")
    assert "no ONNX file" in report.blockers()[0]
    tight = processor("x86_64", memories=(Memory("ram", "ram", 1024),))
    report = TARGET.support(model, tight, "fp32")
    assert report.weights_bytes == 4 * (8 * 4 * 9 + 8 + 8 * 9 + 5 * 8 + 5)
    assert not report.ok
    assert "does not fit" in report.blockers()[0]


def test_compile_copies_the_file_and_keeps_the_threads(model, tmp_path):
    device = dataclasses.replace(NEW_X86, parameters={"threads": 3})
    compiled = TARGET.compile(model, device, tmp_path)
    assert (tmp_path / "model.onnx").read_bytes() == model.onnx.read_bytes()
    assert compiled.options == {"threads": 3}
    assert [spec.name for spec in (*compiled.inputs, *compiled.outputs)] == ["x", "y"]
    with pytest.raises(UnsupportedError, match="ONNX file"):
        TARGET.compile(dataclasses.replace(model, onnx=None), device, tmp_path)


def opened(made, tmp_path):
    folder = tmp_path / "bundle"
    folder.mkdir()
    return TARGET.runner(folder, TARGET.compile(made, NEW_X86, folder), {})


def test_the_runner_computes_the_graph(model, tmp_path):
    sample = tiny["samples"](model, 1)[0]
    with opened(model, tmp_path) as runner:
        outputs = runner.run(sample)
        runner.bind(sample)()
    assert list(outputs) == ["y"]
    assert np.allclose(outputs["y"], run_onnx(model.onnx, sample)["y"], atol=1e-6)


def test_the_engine_tells_what_it_ran(int8, model, tmp_path):
    with opened(int8(), tmp_path) as runner:
        assert runner.counters().layers == (), "nothing ran yet, so there is nothing to tell"
    with TARGET.runner(tmp_path / "bundle", TARGET.compile(int8(), NEW_X86, tmp_path / "bundle"), {}) as runner:
        runner.bind(tiny["samples"](model, 1)[0])()
        counters = runner.counters()
    assert counters.executed == {"int8": 3}, "all three layers run in int8"
    assert counters.facts["threads"] == "1"
    latencies = [layer.metrics["latency_p50"] for layer in counters.layers]
    assert {(metric.kind, metric.unit) for metric in latencies} == {(Kind.MEASURED, "s")}
    assert sum(layer.precision == "int8" for layer in counters.layers) >= 3


def test_layers_are_named_after_their_nodes(int8):
    made = int8()
    found = TARGET.layer_errors(made, tiny["samples"](made, 3, seed=9))
    names = ["relu", "depthwise", "pool", "flatten", "last"]  # the first convolution's output is the ReLU's
    assert [row.name for row in found] == names
    assert found[1].op == "Conv"
    assert all(row.sqnr is None or row.sqnr > 15 for row in found), "8 bits keep the signal well above the noise"
    assert TARGET.layer_errors(dataclasses.replace(made, float_onnx=None), []) == []


def test_outputs_of_one_node_are_told_apart(tmp_path, int8):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
        helper.make_node("Split", ["c"], ["a", "b"], name="halves", axis=1, num_outputs=2),
        helper.make_node("Mul", ["a", "b"], ["y"], name="product"),
    ]
    constants = [tiny["constant"]("w", 4, 4, 1, 1)]
    model = tiny["save"](tmp_path / "m.onnx", nodes, constants, {"x": (1, 4, 5, 5)}, {"y": (1, 2, 5, 5)})
    names = [row.name for row in TARGET.layer_errors(int8(source=model), tiny["samples"](model, 2))]
    assert names == ["conv", "halves", "halves:1", "product"]
