"""The cells of the GPU benchmark without a GPU: each says what is missing; and the arithmetic of energy."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import gpu_cells
from profiles.errors import EdgewrightError, MissingToolError, UnsupportedError
from profiles.meters import nvml, nvml_power
from profiles.meters.base import EnergyReading
from targets import artifact, golden


def ignore(event):
    """Nobody listens."""


def test_a_missing_cuda_provider_is_named(tmp_path):
    pytest.importorskip("onnxruntime")
    with pytest.raises(MissingToolError, match="CUDAExecutionProvider"):
        gpu_cells.onnxruntime_cuda({"bundle": str(tmp_path)}, ignore)


def test_a_missing_meter_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(nvml.NvmlMeter, "available", lambda self: "NVML is not here")
    with pytest.raises(MissingToolError, match="NVML is not here"):
        gpu_cells.energy({"bundle": str(tmp_path)}, ignore)


class Instrument:
    """Says what a card at 100 W would, off by a factor."""

    lag = 0.0

    def __init__(self, factor: float, *, sampled: bool) -> None:
        self.name, self.factor, self.sampled = "fake", factor, sampled

    def available(self) -> str:
        return ""

    def start(self) -> None:
        self.began = time.monotonic()

    def stop(self) -> EnergyReading:
        seconds = time.monotonic() - self.began
        watts = 100.0 * self.factor
        samples = tuple((t, watts) for t in np.linspace(0.0, seconds, 200)) if self.sampled else ()
        return EnergyReading(watts * seconds, seconds, 1e-6, "by hand", samples=samples)


@pytest.mark.parametrize(("factor", "deviation"), [(1.0, 0.0), (1.08, 0.08)])
def test_energy_is_compared_over_the_same_time(monkeypatch, factor, deviation):
    calls = []

    class Runner:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def bind(self, inputs):
            assert inputs["x"].shape == (1, 2), "one sample, not the stack"
            return lambda: (time.sleep(0.002), calls.append(1))

    kept = golden.Golden({"x": np.zeros((4, 1, 2))}, {}, {})
    bundle = artifact.Artifact(Path("b"), {}, "null", "fp32", None)
    monkeypatch.setattr(nvml, "NvmlMeter", lambda: Instrument(1.0, sampled=False))
    monkeypatch.setattr(nvml_power, "NvmlPowerMeter", lambda: Instrument(factor, sampled=True))
    monkeypatch.setattr(artifact, "load_artifact", lambda folder: bundle)
    monkeypatch.setattr(golden, "load_golden", lambda path: kept)
    monkeypatch.setattr(gpu_cells.worker, "open_runner", lambda found: Runner())
    monkeypatch.setattr(gpu_cells, "SETTLE", 0.0)
    found = gpu_cells.energy({"bundle": "b", "seconds": 0.3}, ignore)
    assert found["counted"] == pytest.approx(100.0, rel=1e-3)
    assert found["deviation"] == pytest.approx(deviation, abs=2e-3)
    assert found["joules"] == pytest.approx(100.0 * 0.3 / len(calls), rel=0.2), "joules per inference, idle included"


def test_an_attempt_that_is_refused_is_told_in_the_library_s_words():
    def refused():
        raise UnsupportedError("wanted an engine", seen="compute capability 9.0", allowed="8.6, 8.9")

    assert gpu_cells._outcome(refused) == "wanted an engine; seen: compute capability 9.0; allowed: 8.6, 8.9"
    assert gpu_cells._outcome(lambda: b"12345") == "built, 5 bytes"


def test_a_gpu_that_is_not_there_is_an_error_and_no_crash():
    from targets.tensorrt.gpu.cuda import can_load

    if not can_load():
        pytest.skip("this machine has NVIDIA's driver")
    with pytest.raises(EdgewrightError):
        gpu_cells.gpu({}, ignore)
