"""Making one bundle, in this process: what is in it, what it is checked against."""

import json

import numpy as np
import pytest

from profiles.device import load_device
from profiles.errors import VerificationError
from targets.artifact import load_artifact
from targets.base import ExportedModel, Scheme, TensorSpec
from targets.golden import load_golden
from targets.processes import Leash
from toolchain.steps import bundle as module
from toolchain.steps.bundle import BundleJob, build_bundle
from toolchain.steps.bundle_worker import build_apart
from toolchain.steps.data import random_inputs
from toolchain.steps.figures import golden_metrics, layer_rows, size_metrics

INPUTS, OUTPUTS = (TensorSpec("x", (1, 1, 8, 8), layout="NCHW"),), (TensorSpec("y", (1, 3), layout="NC"),)


@pytest.fixture
def job(tiny):
    """``job(target, precision)``: an order for the tiny model; its float outputs come from ONNX's own evaluator."""

    def made(target="onnxruntime", precision="fp32", **changes):
        from onnx.reference import ReferenceEvaluator

        golden = random_inputs(INPUTS)
        evaluator = ReferenceEvaluator(str(tiny))
        outputs = {"y": np.stack([evaluator.run(None, {"x": x})[0] for x in golden["x"]])}
        model = ExportedModel(
            "tiny", INPUTS, OUTPUTS, onnx=tiny, golden_inputs=golden, golden_outputs=outputs, reference="by hand"
        )
        np.savez(tiny.parent / "calibration.npz", **golden)
        settings = {
            "model": model,
            "target": target,
            "device": load_device("local-cpu"),
            "scheme": Scheme(precision),
            "calibration": tiny.parent / "calibration.npz",
            "facts": {"source": "tiny.onnx", "weights": "file"},
            **changes,
        }
        return BundleJob(**settings)

    return made


def build(job, folder):
    folder.mkdir()
    build_bundle(job, folder)
    return load_artifact(folder)


def test_a_float_bundle(job, tmp_path):
    artifact = build(job(), tmp_path / "b")
    assert sorted(path.name for path in artifact.folder.iterdir()) == ["golden.npz", "manifest.json", "model.onnx"]
    assert artifact.model["source"] == "tiny.onnx" and artifact.build["calibration"] == "none needed"
    golden = load_golden(artifact.folder / "golden.npz")
    assert np.allclose(golden.outputs["y"], golden.reference["y"], atol=1e-5)
    assert artifact.golden["tolerance"]["y"] > 0 and artifact.golden["reference"] == "by hand"
    assert layer_rows(artifact.folder) == []


def test_a_quantized_bundle_has_errors_per_layer(job, tmp_path):
    artifact = build(job(precision="int8"), tmp_path / "b")
    assert artifact.build["calibration"] == "minmax on samples of the training part"
    rows = layer_rows(artifact.folder)
    assert rows and all(
        row["max_error"]["method"] == "float against quantized graph on 4 golden samples" for row in rows
    )
    metrics = golden_metrics(artifact)
    golden = load_golden(artifact.folder / "golden.npz")
    worst = float(np.max(np.abs(golden.outputs["y"] - golden.reference["y"])))
    assert metrics["parity_max_error"].value == pytest.approx(worst, rel=1e-6) and worst > 0
    noise = np.sum((golden.reference["y"] - golden.outputs["y"]).astype(np.float64) ** 2)
    ratio = 10 * np.log10(np.sum(golden.reference["y"].astype(np.float64) ** 2) / noise)
    assert metrics["sqnr"].value == pytest.approx(ratio, rel=1e-6) and 20 < ratio < 60
    assert size_metrics(artifact)["model_size"].value == (artifact.folder / "model.onnx").stat().st_size


def test_the_same_order_makes_the_same_bytes_in_another_process(job, tmp_path):
    order = job(precision="int8")
    one = build(order, tmp_path / "one")
    (tmp_path / "there").mkdir()
    build_apart(order, tmp_path / "there", Leash())
    assert load_artifact(tmp_path / "there").digest() == one.digest()


@pytest.mark.parametrize(("precision", "share"), [("fp32", 1e-3), ("fp16", 3e-2)])
def test_a_bundle_that_strays_is_refused(job, tmp_path, precision, share, monkeypatch):
    """Right at the documented limit: a share of the largest output."""
    order = job(precision=precision)
    reference = order.model.golden_outputs["y"]
    limit = share * np.max(np.abs(reference)) + 1e-5
    for factor, fine in ((0.9, True), (1.2, False)):
        outputs = {"y": reference + np.float32(factor * limit)}
        monkeypatch.setattr(module, "run_bundle", lambda folder, inputs, emulate, outputs=outputs: (outputs, {}))
        monkeypatch.setattr(module, "canonical_outputs", lambda outputs, artifact: outputs)
        if fine:
            build(order, tmp_path / f"{factor}")
            continue
        with pytest.raises(VerificationError) as caught:
            build(order, tmp_path / f"{factor}")
        assert caught.value.allowed == f"at most {limit:.4g}" and caught.value.next_step


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_outputs_that_are_not_numbers_are_refused(job, tmp_path, monkeypatch, precision, value):
    order = job(precision=precision)
    outputs = {"y": np.full_like(order.model.golden_outputs["y"], value)}
    monkeypatch.setattr(module, "run_bundle", lambda folder, inputs, emulate: (outputs, {}))
    monkeypatch.setattr(module, "canonical_outputs", lambda outputs, artifact: outputs)
    with pytest.raises(VerificationError):
        build(order, tmp_path / "b")


def test_noise_alone_is_refused_as_int8(job, tmp_path, monkeypatch):
    order = job(precision="int8")
    outputs = {"y": np.zeros_like(order.model.golden_outputs["y"])}
    monkeypatch.setattr(module, "run_bundle", lambda folder, inputs, emulate: (outputs, {}))
    with pytest.raises(VerificationError, match="must follow the reference") as caught:
        build(order, tmp_path / "b")
    assert "SQNR" in caught.value.seen and caught.value.allowed == "at least 3 dB"


def test_the_null_target_is_not_compared(job, tmp_path):
    artifact = build(job("null"), tmp_path / "b")
    for metric in golden_metrics(artifact).values():
        assert metric.value is None and "null target" in metric.reason


def test_the_key_holds_everything_that_the_bundle_depends_on(job, onnx_model, tmp_path):
    """Two orders with the same key make the same bundle; every part of the order is in the key."""
    plain = job()
    same = json.dumps(plain.key(), default=str, sort_keys=True)
    assert json.dumps(job().key(), default=str, sort_keys=True) == same
    others = [
        job("openvino"),
        job(precision="fp16"),
        job(scheme=Scheme("fp32", "mse")),
        job(device=load_device("raspberry-pi-5")),
        job(calibration=None),
        job(facts={"source": "other.onnx", "weights": "file"}),
        job(model=ExportedModel("tiny", INPUTS, OUTPUTS, onnx=onnx_model(tmp_path / "other.onnx", seed=5))),
    ]
    keys = [json.dumps(order.key(), default=str, sort_keys=True) for order in others]
    assert len({same, *keys}) == len(others) + 1
    assert json.dumps(job(title="other words").key(), default=str, sort_keys=True) == same
