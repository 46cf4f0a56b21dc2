import json

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from profiles.errors import ModelError, VerificationError
from targets.onnx_tools import load_onnx, save_onnx
from toolchain.export import onnx as export_module
from toolchain.export.onnx import export_onnx
from toolchain.export.parity import ATOL, RTOL, check_parity, compare, measure_parity
from toolchain.export.tflite import export_tflite
from toolchain.export.yardstick import reference_outputs


def samples_like(sample, count=3):
    rng = np.random.default_rng(5)
    return [{n: rng.standard_normal(v.shape).astype(v.dtype) for n, v in sample.items()} for _ in range(count)]


def test_a_right_onnx_export_passes(net, image, tmp_path):
    samples = samples_like(image)
    report = check_parity(net, export_onnx(net, image, tmp_path / "m.onnx"), samples)
    assert report.ok
    assert report.samples == 3
    assert 0 < report.max_error < report.tolerance / 10, "float32 noise is far below the tolerance, and not exactly 0"
    assert (report.format, report.reference) == ("onnx", "torch, float64")
    assert "optimisations off" in report.engine


def test_a_right_tflite_export_passes_with_several_outputs(several, image_and_vector, tmp_path):
    exported = export_tflite(several, image_and_vector, tmp_path / "m.tflite")
    report = check_parity(several, exported, [image_and_vector])
    assert [output.name for output in report.outputs] == ["map", "heads_0", "heads_1"]
    assert report.ok
    assert "reference kernels" in report.engine


def test_the_tolerance_is_the_stated_one(net, image, tmp_path):
    report = check_parity(net, export_onnx(net, image, tmp_path / "m.onnx"), [image])
    with torch.no_grad():
        largest = float(net.double().eval()(torch.from_numpy(image["image"]).double()).abs().max())
    assert report.tolerance == pytest.approx(RTOL * largest + ATOL, rel=1e-9)


def test_the_report_is_plain_data(net, image, tmp_path):
    report = measure_parity(net, export_onnx(net, image, tmp_path / "m.onnx"), [image])
    data = json.loads(json.dumps(report.as_dict()))
    assert data["ok"] is True
    assert data["max_error"] == report.max_error
    assert data["outputs"][0]["name"] == "output"


def test_a_file_with_one_wrong_weight_is_refused(net, image, tmp_path):
    exported = export_onnx(net, image, tmp_path / "m.onnx")
    model = load_onnx(exported.path)
    (bias,) = [tensor for tensor in model.graph.initializer if tensor.name == "fc.bias"]
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(0.01), "fc.bias"))
    save_onnx(model, exported.path)
    with pytest.raises(VerificationError, match=r"output 'output' is off by up to 0\.01") as failure:
        check_parity(net, exported, [image])
    assert "differs when exported alone, so the model's own forward (Net)" in failure.value.seen


@pytest.fixture
def wrong_relu(monkeypatch):
    """An exporter with a bug: every HardTanh comes out with another limit."""
    right = export_module.convert_onnx

    def wrong(module, inputs):
        model, log = right(module, inputs)
        for node in model.graph.node:
            if node.op_type == "Clip":
                node.input[2] = "limit"
                model.graph.initializer.append(numpy_helper.from_array(np.float32(0.5), "limit"))
        return model, log

    monkeypatch.setattr(export_module, "convert_onnx", wrong)


def test_a_layer_that_is_exported_wrongly_is_named(wrong_relu, image, tmp_path):
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Hardtanh(-1, 1))
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), inner, nn.Flatten())
    exported = export_onnx(model, image, tmp_path / "m.onnx")
    with pytest.raises(VerificationError) as failure:
        check_parity(model, exported, [image])
    assert "the layer that differs when exported alone is layer '2.1' (Hardtanh)" in failure.value.seen
    assert "output 'output' is off by up to" in failure.value.seen
    assert failure.value.allowed.startswith("at most ")


def test_outputs_of_another_shape_or_not_finite_are_infinitely_far():
    zeros = np.zeros((2, 3))
    assert compare("y", [zeros], [np.zeros((3, 2))], RTOL, ATOL).max_error == np.inf
    assert compare("y", [zeros], [np.full((2, 3), np.nan)], RTOL, ATOL).max_error == np.inf
    assert not compare("y", [zeros], [np.full((2, 3), np.nan)], RTOL, ATOL).ok


def test_the_error_is_the_largest_over_all_samples():
    expected = [np.array([1.0, -4.0]), np.array([2.0, 2.0])]
    seen = [np.array([1.0, -4.0]), np.array([2.0, 2.5])]
    output = compare("y", expected, seen, 0.1, 0.0)
    assert (output.max_error, output.scale, output.tolerance) == (0.5, 4.0, 0.4)
    assert not output.ok


def test_the_reference_is_double_precision(several, image_and_vector):
    (outputs,), description = reference_outputs(several, [image_and_vector])
    assert description == "torch, float64"
    assert outputs["map"].dtype == np.float64
    assert next(several.parameters()).dtype == torch.float32, "the module itself stays as it was"
    assert torch.get_default_dtype() == torch.float32


def test_a_module_that_makes_its_own_constants_runs_in_double_precision_too():
    class Offset(nn.Module):
        def forward(self, x):
            return x @ torch.ones(3, 2)

    (outputs,), description = reference_outputs(Offset(), [{"x": np.ones((1, 3), np.float32)}])
    assert description == "torch, float64"
    assert outputs["output"].tolist() == [[3, 3]]


def test_a_module_that_insists_on_single_precision_says_so():
    class Single(nn.Module):
        def forward(self, x):
            return x @ torch.ones(3, 2, dtype=torch.float32)

    _, description = reference_outputs(Single(), [{"x": np.ones((1, 3), np.float32)}])
    assert description.startswith("torch, float32, because the module does not run in float64 (")


def test_a_module_that_computes_nan_is_a_model_error():
    class Log(nn.Module):
        def forward(self, x):
            return torch.log(x)

    with pytest.raises(ModelError, match="wanted finite values in the model's output 'output'"):
        reference_outputs(Log(), [{"x": -np.ones((1, 3), np.float32)}])


def test_a_file_without_the_modules_outputs_is_refused(several, image_and_vector, tmp_path):
    exported = export_onnx(several, image_and_vector, tmp_path / "m.onnx")
    model = onnx.load(exported.path)
    del model.graph.output[1]
    save_onnx(model, exported.path)
    with pytest.raises(VerificationError, match="wanted the outputs map, heads_0, heads_1"):
        check_parity(several, exported, [image_and_vector])
