"""Verdicts before anything is built."""

import pytest

from targets.base import Verdict
from toolchain.project import project_from_dict
from toolchain.support import support


def project(file, *devices):
    return project_from_dict({"model": {"source": file}, "device": list(devices)})


def test_one_report_per_entry(tiny):
    reports = support(
        project(
            tiny.name,
            {"profile": "local-cpu", "target": "onnxruntime"},
            {"profile": "raspberry-pi-5", "target": "openvino"},
        )
    )
    assert [(report.device, report.target) for report in reports] == [
        ("local-cpu", "onnxruntime"),
        ("raspberry-pi-5", "openvino"),
    ]
    assert all(report.ok for report in reports)
    assert {op.op for op in reports[0].ops} == {"Sum", "Conv", "Relu", "GlobalAveragePool", "Flatten", "MatMul"}


def test_nothing_is_run_for_it(tiny, monkeypatch):
    monkeypatch.setattr("targets.execute.converse", lambda *_, **__: pytest.fail("something was started"))
    assert support(project(tiny.name, {"profile": "local-cpu", "target": "onnxruntime"}))[0].ok


def test_an_unsupported_operator_is_a_verdict_and_no_error(here, onnx_model):
    onnx_model(here / "custom.onnx", domain="com.example")
    (report,) = support(project("custom.onnx", {"profile": "local-cpu", "target": "onnxruntime"}))
    assert not report.ok
    assert [op.name for op in report.ops if op.verdict is Verdict.UNSUPPORTED] == ["middle"]


def test_training_is_not_needed_for_a_verdict(here, samples, monkeypatch):
    (here / "my_little_net.py").write_text(
        "import torch\ndef make():\n    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))\n"
    )
    monkeypatch.setattr("toolchain.frontend.train.train", lambda *_, **__: pytest.fail("it was trained"))
    made = project_from_dict(
        {
            "model": {"source": "my_little_net:make", "input": {"shape": [1, 1, 8, 8], "layout": "NCHW"}},
            "data": {"source": "npz:samples.npz"},
            "train": {"epochs": 1000},
            "device": [{"profile": "local-cpu", "target": "onnxruntime"}],
        }
    )
    (report,) = support(made)
    assert report.ok and "Gemm" in {op.op for op in report.ops}


def test_int8_of_a_float_model_is_told_without_samples_to_calibrate_with(tiny):
    (report,) = support(project(tiny.name, {"profile": "local-cpu", "target": "onnxruntime", "precision": "int8"}))
    assert report.ok and report.precision == "int8", f"nothing is quantized for a verdict: {report.blockers()}"


def test_compression_is_done_without_its_training(here, samples, monkeypatch):
    """Zeros and shapes are told after the steps; nothing is trained or measured for it."""
    (here / "my_small_net.py").write_text(
        "import torch\ndef make():\n    return torch.nn.Sequential("
        "torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))\n"
    )
    monkeypatch.setattr("toolchain.frontend.train.train", lambda *_, **__: pytest.fail("it was trained"))
    monkeypatch.setattr("targets.measure.profile_bundle", lambda *_, **__: pytest.fail("it was measured"))
    made = project_from_dict(
        {
            "model": {"source": "my_small_net:make", "input": {"shape": [1, 1, 8, 8], "layout": "NCHW"}},
            "data": {"source": "npz:samples.npz"},
            "train": {"epochs": 1000},
            "compress": [
                {"prune": {"method": "l1", "ratio": 0.5, "epochs": 100}},
                {"sparsify": {"method": "nm", "pattern": "2:4", "epochs": 100}},
                {"finetune": {"epochs": 100}},
                {"distill": {"teacher": "zoo:resnet8"}},
            ],
            "device": [{"profile": "local-cpu", "target": "onnxruntime"}],
        }
    )
    (report,) = support(made)
    assert report.ok and report.weights_bytes < 4 * (64 * 8 + 8 + 8 * 3 + 3) + 100
    zeros, steps = report.notes
    assert zeros.startswith("50% of the weights are zero (2:4 in 2 of 2 layers); ")
    assert steps == "told of the model after 2 steps of compression, as they are without training"
