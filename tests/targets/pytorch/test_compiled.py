"""``torch.compile``: its figure, its time limit, its errors in words, and that nothing is left behind.

The backend of these tests is PyTorch's own "eager", because compiling C++ takes half a minute.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time

import pytest
import torch

from profiles.measurement import Kind
from profiles.sampling import Settings
from targets.pytorch import compiled
from targets.pytorch.compiled import NAME, compiled_latency
from targets.pytorch.program import load_program

COMPILE = torch.compile


def nothing():
    pass


@pytest.fixture
def measured(model, sample, monkeypatch):
    """``measured(compile)``: the metric with something else in place of ``torch.compile``."""
    module = load_program(model.pt2)
    tensors = [torch.from_numpy(values) for values in sample.values()]
    monkeypatch.setattr(compiled, "_SETTINGS", Settings(runs=30, warmup_seconds=0.0))

    def run(compile_, **settings):
        monkeypatch.setattr(torch, "compile", compile_)
        with torch.inference_mode():
            return compiled_latency(module, tensors, nothing, **settings)

    return run


def test_a_program_that_compiles_has_a_figure(measured):
    metric = measured(lambda module, **more: COMPILE(module, backend="eager", **more))
    assert metric.kind is Kind.MEASURED and metric.unit == "s" and metric.value > 0, metric
    assert "torch.compile" in metric.method and len(metric.samples) == 30


def test_what_the_compiler_says_is_the_reason(measured):
    def fails(module, **more):
        raise RuntimeError("\nNo working C++ compiler found in config\nhint: more lines")

    metric = measured(fails)
    assert metric.kind is Kind.UNAVAILABLE
    assert metric.reason == "torch.compile failed: No working C++ compiler found in config"


SLOW = """
import signal, sys, time
import torch
from targets.pytorch.compiled import compiled_latency

class Program:
    def forward(self, x):
        return (x,)

def slow(module, **more):
    try:
        time.sleep(60)
    except Exception:  # a compiler that goes on after every error
        time.sleep(60)

torch.compile = slow
metric = compiled_latency(Program(), [torch.zeros(3)], lambda: None, limit=0.3)
assert signal.getitimer(signal.ITIMER_REAL)[0] == 0, "no alarm is left"
print(metric.reason)
"""


def test_a_compiler_that_takes_too_long_is_stopped():
    """In a process of its own, as in a worker: the limit is an alarm, and other libraries here know alarms too."""
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", SLOW], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "torch.compile did not finish within 0.3 s"
    assert time.perf_counter() - start < 50


def test_another_thread_has_no_limit_and_no_alarm(measured):
    found = []
    thread = threading.Thread(target=lambda: found.append(measured(lambda module, **more: module.forward, limit=0.01)))
    thread.start()
    thread.join()
    assert found[0].kind is Kind.MEASURED


@pytest.mark.parametrize(("factor", "kind"), [(1.0001, Kind.MEASURED), (1.01, Kind.UNAVAILABLE)])
def test_a_compiled_program_must_compute_the_same(measured, factor, kind):
    def wrong(module, **more):
        return lambda *tensors: tuple(value * factor for value in module.forward(*tensors))

    metric = measured(wrong)
    assert metric.kind is kind, metric
    if kind is Kind.UNAVAILABLE:
        assert "computes something else" in metric.reason


def test_16_bits_have_16_bit_tolerances(measured):
    def rough(module, **more):
        return lambda *tensors: tuple(value * 1.01 for value in module.forward(*tensors))

    assert measured(rough, dtype=torch.bfloat16).kind is Kind.MEASURED


def test_files_of_the_compiler_go_to_a_folder_that_goes(measured, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/a/place/of/the/user")
    monkeypatch.delenv("TRITON_CACHE_DIR", raising=False)
    seen = []

    def looks(module, **more):
        seen.append(os.environ["TORCHINDUCTOR_CACHE_DIR"])
        assert seen[0] == os.environ["TRITON_CACHE_DIR"] and seen[0].startswith(tempfile.gettempdir())
        return module.forward

    assert measured(looks).kind is Kind.MEASURED
    assert not os.path.exists(seen[0])
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "/a/place/of/the/user" and "TRITON_CACHE_DIR" not in os.environ


def test_the_metric_has_a_unit_in_the_one_list():
    from profiles.measurement import METRIC_UNITS

    assert METRIC_UNITS[NAME] == "s"
