"""The whole target: a float ONNX file or an int8 TFLite file in, numbers and cycles out."""

import dataclasses
import os
import shutil

import numpy as np
import pytest
import tfl
import tiny_onnx
import tiny_tflite

from profiles.device import load_device
from profiles.errors import UnsupportedError
from profiles.measurement import Kind
from targets.base import ExportedModel, Scheme, TensorSpec, Verdict
from targets.registry import load_target

TARGET = load_target("tvm_fpga")
pytestmark = pytest.mark.skipif(
    shutil.which("g++") is None and not os.environ.get("CI"), reason="needs g++; run: edgewright doctor"
)


@pytest.fixture(scope="module")
def device():
    """An array of 8 x 8."""
    sim = load_device("fpga-sim-16x16")
    return dataclasses.replace(sim, parameters={**sim.parameters, "lanes": 8})


def images(count, shape=(1, 4, 8, 8)):
    random = np.random.default_rng(3)
    return [{"x": random.standard_normal(shape).astype(np.float32)} for _ in range(count)]


def built(model, device, out):
    out.mkdir()
    return TARGET.compile(model, device, out)


@pytest.fixture(scope="module")
def quantized(tmp_path_factory, device):
    folder = tmp_path_factory.mktemp("net")
    return TARGET.quantize(tiny_onnx.net(folder / "net.onnx"), images(8), device, Scheme("int8"), folder)


def test_support_of_a_float_model_is_that_of_the_quantized_one(tmp_path, device, quantized):
    before = TARGET.support(tiny_onnx.net(tmp_path / "net.onnx"), device, "int8")
    after = TARGET.support(quantized, device, "int8")
    assert before.ops == after.ops, "quantizing moves operators"
    assert [op.verdict for op in before.ops if op.op == "Conv"] == [Verdict.NATIVE] * 2
    assert not before.problems
    assert "the 8 x 8 array" in before.notes[0]


def test_support_asks_tvm_once_for_the_same_bytes(tmp_path, device, monkeypatch):
    from targets.tvm_fpga import support

    asked = []
    real = support.load_module
    monkeypatch.setattr(support, "load_module", lambda path: asked.append(path) or real(path))
    model = tiny_onnx.net(tmp_path / "net.onnx")
    first = TARGET.support(model, device, "int8")
    wider = dataclasses.replace(device, parameters={**device.parameters, "lanes": 16})
    assert TARGET.support(model, device, "int8") == first
    assert "16 x 16" in TARGET.support(model, wider, "int8").notes[0], "another array, another answer"
    assert len(asked) == 1, "TVM imported the same file again"
    model.onnx.write_bytes(model.onnx.read_bytes() + b"\x22\x00")  # an empty field more
    TARGET.support(model, device, "int8")
    assert len(asked) == 2, "another file got the answer of the first"


def test_other_precisions_are_a_problem(tmp_path, device):
    report = TARGET.support(tiny_onnx.net(tmp_path / "net.onnx"), device, "fp32")
    assert report.problems == ("the array computes in int8 only, not in fp32",)


def test_from_onnx_to_cycles(tmp_path, device, quantized):
    import onnxruntime

    compiled = built(quantized, device, tmp_path / "out")
    peer = onnxruntime.InferenceSession(str(quantized.onnx), providers=["CPUExecutionProvider"])
    with TARGET.runner(tmp_path / "out", compiled, device.as_dict()) as runner:
        for image in images(3):
            made, wanted = runner.run(image)["y"], peer.run(None, image)[0]
            step = np.ptp(wanted) / 255
            assert np.abs(made - wanted).max() <= 3 * step, f"differs by {np.abs(made - wanted).max() / step:.1f} steps"
        counters = runner.counters()
    assert counters.metrics["cycles"].kind is Kind.SIMULATED
    assert counters.metrics["latency_p50"].kind is Kind.ESTIMATED
    total = sum(layer.metrics["cycles"].value for layer in counters.layers)
    assert 0 < total <= counters.metrics["cycles"].value, "layers take longer than the whole"


def tflite_model(path):
    net = tfl.Net(1, 8, 8, 3)
    made = net.pool("AVERAGE_POOL_2D", net.conv(net.conv(net.input, 8, 3, act="RELU"), 8, 3), 8)
    net.save(path, net.dense(net.reshape(made, 1, 8), 5))
    ends = (TensorSpec("t0", (1, 8, 8, 3), layout="NHWC"),), (TensorSpec(f"t{len(net.tensors) - 1}", (1, 5)),)
    return ExportedModel("net", *ends, tflite=path, precision="int8")


def test_from_tflite_to_the_integers_of_litert(tmp_path, device):
    model = tflite_model(tmp_path / "net.tflite")
    compiled = built(model, device, tmp_path / "out")
    (entry,), (left,) = compiled.inputs, compiled.outputs
    assert (entry.dtype, left.dtype) == ("int8", "int8"), "the file's own types"
    reference = tfl.Reference(model.tflite)
    with TARGET.runner(tmp_path / "out", compiled, device.as_dict()) as runner:
        for image in reference.images(3):
            off = runner.run({entry.name: image})[left.name].astype(int) - reference.run(image)
            assert np.abs(off).max() <= 2, f"differs by {np.abs(off).max()} steps of the last bit"


def test_a_tflite_file_in_float_is_a_problem(tmp_path, device):
    path = tmp_path / "net.tflite"
    path.write_bytes(tiny_tflite.float_model())
    model = ExportedModel("net", (TensorSpec("x", (1, 4)),), (TensorSpec("y", (1, 3)),), tflite=path)
    (problem,) = TARGET.support(model, device, "int8").problems
    assert "a TFLite file in float" in problem


def test_nothing_for_the_array_is_refused(tmp_path, device):
    from onnx import helper

    nodes = [helper.make_node("Sigmoid", ["x"], ["y"], name="alone")]
    model = tiny_onnx.save(tmp_path / "net.onnx", nodes, [], {"x": (1, 4)}, {"y": (1, 4)})
    (problem,) = TARGET.support(model, device, "int8").problems
    nothing = "no operator would run on the accelerator"
    assert problem == f"{nothing}: Sigmoid 'alone': the accelerator has no such operator"
    (tmp_path / "out").mkdir()
    with pytest.raises(UnsupportedError, match="nothing in 'net' can run on the accelerator"):
        TARGET.compile(model, device, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir()), "nothing is left behind"
