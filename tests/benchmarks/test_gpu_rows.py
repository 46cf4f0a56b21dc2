"""The GPU benchmark's run, with the cells' answers made up: no GPU, a bare machine, and one that crashes."""

from __future__ import annotations

import json

import pytest

from benchmarks import gpu, gpu_rows
from benchmarks.gpu_cells import ACTIONS
from benchmarks.gpu_results import CAPABILITIES, PRECISIONS, Results
from profiles.device import PRECISIONS as ALL_PRECISIONS
from profiles.device import load_device
from profiles.errors import MissingToolError, ToolCrashError
from profiles.measurement import Kind, Metric
from targets.tensorrt.device import plan_for
from toolchain.project import project_from_dict

CARD = {"name": "NVIDIA H200", "compute_capability": "9.0", "driver": "570.1", "cuda": "12.8", "memory": 2**37}


class Cells:
    """Answers as processes would; ``missing`` engines and actions refuse."""

    def __init__(self, *, has_gpu: bool, missing: tuple[str, ...] = ()) -> None:
        self.missing = missing if has_gpu else (*missing, "gpu")
        self.asked: list[str] = []

    def __call__(self, action, request, events=None):
        assert action in ACTIONS, f"no cell knows {action}"
        json.dumps(request)
        self.asked.append(action)
        if action in self.missing:
            raise MissingToolError(f"wanted {action}", seen="not here")
        return getattr(self, action)(request, [] if events is None else events)

    def gpu(self, request, events):
        return {"gpu": CARD}

    def build(self, request, events):
        entry = request["project"]["device"][0]
        if entry["target"] in self.missing:
            raise MissingToolError(f"the target '{entry['target']}' needs its packages", seen="not installed")
        if "int8" in entry["precision"] and "int8" in self.missing:
            raise ToolCrashError("the compiler ended without a result", seen="signal 11")
        latency = Metric(1e-3, "s", Kind.MEASURED, "m").as_dict()
        return {
            "entries": [
                {
                    "target": entry["target"],
                    "precision": each,
                    "bundle": f"/b/{each}",
                    "metrics": {"latency_p50": latency},
                }
                for each in entry["precision"]
            ]
        }

    def plans(self, request, events):
        for capability in request["capabilities"][:3]:
            events.append({"event": "plan", "capability": capability, "seconds": 0.5, "engine": 9, "kernels": 3})
        raise ToolCrashError("the compiler ended without a result", seen="signal 11")

    def onnxruntime(self, request, events):
        return {"metrics": {"latency_p50": Metric(2e-3, "s", Kind.MEASURED, "m").as_dict()}}

    def energy(self, request, events):
        return {"counted": 100.0, "integrated": 101.0, "joules": 0.1, "deviation": 0.01, "margin": 0.01}

    def unlisted(self, request, events):
        events.append({"event": "attempt", "attempt": "an engine for SM 9.0", "outcome": "refused"})
        return {}


@pytest.fixture
def outcome(tmp_path, monkeypatch):
    def go(cells, models=("dscnn",)):
        monkeypatch.setattr(gpu_rows, "ask", cells)
        if "rtx-4070" not in gpu_rows.device_names():
            monkeypatch.setattr(gpu_rows, "device_names", lambda: ["jetson-orin-nano"])
        failed = gpu.run(1, gpu.Options(models, tmp_path))
        data = json.loads((tmp_path / "gpu.json").read_text())
        return Results.from_dict(data), (tmp_path / "gpu.md").read_text(), failed

    return go


def test_without_a_gpu_engines_are_compiled_and_nothing_is_timed(outcome):
    cells = Cells(has_gpu=False)
    results, text, failed = outcome(cells)
    assert set(cells.asked) == {"gpu", "build", "plans"}
    assert results.gpu is None and "nothing was measured" in text
    made = [(row.precision, row.capability) for row in results.planned if not row.why]
    assert made == [(precision, capability) for precision in PRECISIONS for capability in CAPABILITIES[:3]]
    assert len(failed) == 6, "two engines of each format were lost when the compiler died"
    assert all("signal 11" in row.why for row in results.planned if row.why)


def test_a_format_that_fails_does_not_take_the_others_along(outcome):
    results, text, _ = outcome(Cells(has_gpu=False, missing=("int8",)))
    assert [(row.precision, bool(row.why)) for row in results.timed] == [
        ("fp32", False), ("fp16", False), ("int8", True),
    ]  # fmt: skip
    assert "signal 11" in text and len(results.planned) == 15, "every engine has a row, or a reason"


def test_every_piece_that_a_bare_machine_lacks_is_a_reason(outcome):
    missing = ("tensorrt", "onnxruntime", "energy", "unlisted")
    results, text, _ = outcome(Cells(has_gpu=True, missing=missing))
    assert results.timing("dscnn", "pytorch", "fp16").value("latency_p50") == 1e-3, "PyTorch alone must be enough"
    assert (
        results.timing("dscnn", "tensorrt", "fp16").why
        == "the target 'tensorrt' needs its packages; seen: not installed"
    )
    assert "no bundle was built for TensorRT" in results.timing("dscnn", "onnxruntime CUDA", "int8").why
    assert all(row.why for row in results.compared) and results.unlisted[0][1].startswith("wanted unlisted")
    assert "needs its packages" in text


def test_with_everything_there_is_a_row_for_every_engine(outcome):
    results, text, _ = outcome(Cells(has_gpu=True), ("dscnn", "fc_autoencoder"))
    assert {(row.engine, row.precision) for row in results.timed} == {
        *(("tensorrt", p) for p in PRECISIONS), *(("onnxruntime CUDA", p) for p in PRECISIONS),
        ("pytorch", "fp32"), ("pytorch", "fp16"),
    }  # fmt: skip
    assert results.unlisted == (("an engine for SM 9.0", "refused"),), "tried once, not once per model"
    assert len(results.compared) == 2 * 5 and "SM 9.0" in text


@pytest.mark.parametrize("model", gpu_rows.MODELS)
def test_every_model_s_project_is_accepted(model):
    device = {"profile": "local-cpu"}
    made = project_from_dict(gpu_rows.project(model, "onnxruntime", ("fp32", "int8"), device), where="here")
    assert [entry.precision for entry in made.devices] == ["fp32", "int8"]


def test_the_baseline_is_also_compiled():
    device = {"profile": "local-cpu"}
    made = project_from_dict(gpu_rows.project("dscnn", "pytorch", ("fp16",), device), where="here")
    assert made.baseline.compiled, "torch.compile was never asked for"
    assert made.baseline.precision == ("fp16",), "a format that is not asked for would be built besides"
    assert project_from_dict(gpu_rows.project("dscnn", "tensorrt", ("fp16",), device), where="here").baseline is None


def test_without_a_gpu_nothing_is_claimed_of_one(outcome):
    without, with_gpu = outcome(Cells(has_gpu=False))[1], outcome(Cells(has_gpu=True))[1]
    assert "agree within 5 %" not in without.splitlines()[2] and "nothing was measured" in without.splitlines()[2]
    assert with_gpu.splitlines()[2] == gpu.CLAIM


def test_a_gpu_without_a_profile_gets_its_number_by_an_override():
    for capability, library in (("99.9", "tensorrt"), ("12.1", "tensorrt_rtx")):
        entry = {**gpu_rows.device_for(capability), "target": "tensorrt", "name": "gpu"}
        made = project_from_dict({"model": {"source": "zoo:dscnn"}, "device": [entry]}, where="here").devices[0]
        plan = plan_for(made.device(), "fp32")
        assert (plan.compute_capabilities, plan.library) == ((capability,), library), "an engine for another GPU"
    assert gpu_rows.device_for("") == {"profile": gpu_rows.COMPILED_FOR}


def test_formats_and_capabilities_are_those_of_the_project():
    from targets.tensorrt.device import AHEAD_OF_TIME
    from targets.tensorrt.target import TensorRtTarget

    assert TensorRtTarget.side_by_side == PRECISIONS and set(PRECISIONS) <= set(ALL_PRECISIONS)
    assert set(CAPABILITIES) <= set(AHEAD_OF_TIME)
    assert "tensorrt" in load_device(gpu_rows.COMPILED_FOR).targets
