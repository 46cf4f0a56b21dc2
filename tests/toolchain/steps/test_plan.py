"""What is decided before anything long is started, and what is refused."""

import dataclasses

import numpy as np
import pytest

from profiles.device import load_device
from profiles.errors import ConfigError, EdgewrightError, UnsupportedError
from profiles.measurement import Kind, Metric, unavailable
from targets.base import OpSupport, SupportReport, Verdict
from toolchain.steps.plan import make_plans, refuse_unsupported


@pytest.fixture
def plans(source, tiny, samples):
    """``plans(*devices, **sections)``: plans for the tiny model and these ``[[device]]`` entries."""

    def made(*devices, **sections):
        data = {"model": {"source": "tiny.onnx"}, "device": list(devices), **sections}
        opened = source(data)
        return make_plans(opened.project, opened)

    return made


def refusal(plans, *devices, **sections):
    with pytest.raises(EdgewrightError) as caught:
        plans(*devices, **sections)
    return caught.value


def test_the_target_is_the_best_of_the_device_that_reads_the_file(plans, source, here, tflite):
    assert plans({"profile": "local-cpu"})[0].target == "onnxruntime"
    assert plans({"profile": "intel-nuc"})[0].target == "openvino"
    (here / "net.tflite").write_bytes(tflite["float_model"]())
    opened = source({"model": {"source": "net.tflite"}, "device": [{"profile": "local-cpu"}]})
    assert [(plan.target, plan.format) for plan in make_plans(opened.project, opened)] == [("litert", "tflite")]


def test_the_threads_reach_the_device(plans):
    two, one = plans(
        {"profile": "local-cpu", "name": "two", "overrides": {"threads": 2}}, {"profile": "local-cpu", "name": "one"}
    )
    assert (two.device.parameters["threads"], one.device.parameters["threads"]) == (2, 1)


def test_the_scheme_is_the_project_s(plans):
    (plan,) = plans(
        {"profile": "local-cpu", "precision": "int8", "calibrator": "percentile"},
        data={"source": "npz:samples.npz"},
        quantize={"percentile": 99.5, "per_channel": False},
    )
    scheme = plan.scheme
    assert (scheme.precision, scheme.calibrator, scheme.percentile, scheme.per_channel) == (
        "int8",
        "percentile",
        99.5,
        False,
    )


def test_a_job_has_calibration_samples_only_when_it_needs_them(source, tiny, samples):
    data = {
        "model": {"source": "tiny.onnx"},
        "data": {"source": "npz:samples.npz", "calibration": 16},
        "device": [{"profile": "local-cpu", "target": "onnxruntime", "precision": ["fp32", "int8"]}],
    }
    opened = source(data)
    float_plan, int8_plan = make_plans(opened.project, opened)
    model = opened.export({"onnx"})
    assert float_plan.job(opened, model).calibration is None
    with np.load(int8_plan.job(opened, model).calibration) as archive:
        assert archive["x"].shape == (16, 1, 1, 8, 8)


def test_no_entry_at_all(plans):
    assert "[[device]]" in refusal(plans).next_step


@pytest.mark.parametrize(
    ("entry", "kind", "word"),
    [
        ({"profile": "local-cpu", "target": "litert"}, UnsupportedError, "cannot read"),
        ({"profile": "cortex-m4-an386"}, ConfigError, "tflite_micro"),
        ({"profile": "local-cpu", "target": "onnxruntime", "precision": "bf16"}, UnsupportedError, "precision"),
        ({"profile": "local-cpu", "target": "onnxruntime", "precision": "int8"}, ConfigError, "calibration samples"),
    ],
)
def test_what_cannot_be_built(plans, entry, kind, word):
    error = refusal(plans, entry)
    assert type(error) is kind and word in str(error)


def test_a_calibrator_that_the_target_lacks(plans):
    entry = {"profile": "local-cpu", "target": "openvino", "precision": "int8", "calibrator": "entropy"}
    error = refusal(plans, entry, data={"source": "npz:samples.npz"})
    assert isinstance(error, UnsupportedError) and error.seen == "entropy"
    assert "minmax" in error.allowed and 'calibrator = "minmax"' in error.next_step


def test_a_quantized_file_stays_as_it_is(source, here, tflite):
    (here / "net.tflite").write_bytes(tflite["quantized_model"]())
    data = {"model": {"source": "net.tflite"}, "device": [{"profile": "local-cpu", "precision": "fp32"}]}
    opened = source(data)
    with pytest.raises(ConfigError, match="quantized already"):
        make_plans(opened.project, opened)
    opened = source({**data, "device": [{"profile": "local-cpu", "precision": "int8"}]})
    assert make_plans(opened.project, opened)[0].precision == "int8", "and needs no calibration samples"


def test_missing_packages_are_told_before_the_work(plans, monkeypatch):
    monkeypatch.setattr("targets.registry.installed_version", lambda name: None)
    error = refusal(plans, {"profile": "local-cpu", "target": "openvino"})
    assert "pip install 'edgewright[openvino]'" in error.next_step


def test_figures_are_marked_by_where_they_were_obtained(plans):
    here, there = plans({"profile": "local-cpu"}, {"profile": "raspberry-pi-5", "target": "onnxruntime"})
    board = dataclasses.replace(here, device=load_device("cortex-m55-an547"))
    metrics = {"sqnr": Metric(40.0, "dB", Kind.MEASURED, "golden"), "accuracy": unavailable("accuracy", "no data")}
    assert here.as_run(metrics) == metrics
    marked = there.as_run(metrics)
    assert marked["sqnr"].kind is Kind.STAND_IN and "not on the device" in marked["sqnr"].method
    assert marked["accuracy"] == metrics["accuracy"]
    emulated = board.as_run(metrics)
    assert emulated["sqnr"].kind is Kind.SIMULATED and "executed by QEMU" in emulated["sqnr"].method


def test_reasons_against_a_model_are_listed_up_to_three():
    ops = tuple(OpSupport(f"n{number}", "Odd", Verdict.UNSUPPORTED, "why not") for number in range(5))
    with pytest.raises(UnsupportedError) as caught:
        refuse_unsupported(SupportReport("null", "local-cpu", "fp32", ops))
    assert caught.value.seen.count("Odd") == 3 and caught.value.seen.endswith("(and 2 more)")
    refuse_unsupported(SupportReport("null", "local-cpu", "fp32", (OpSupport("n", "Odd", Verdict.FALLBACK, "so"),)))
