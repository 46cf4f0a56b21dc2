"""What is measured on a GPU, with a ``torch.cuda`` of our own. Built, not run on a GPU.

The fake keeps the order of calls and refuses what CUDA refuses: a capture without a warm-up on a side stream.
"""

import contextlib

import pytest
import torch

from profiles.measurement import Kind
from targets.pytorch import on_cuda
from targets.pytorch.on_cuda import capture, cuda_facts, events_latency, graph_latency, memory


class FakeCuda:
    def __init__(self, refuses=""):
        self.log, self.refuses, self.clock = [], refuses, 0.0
        self.current = "main"

    def Stream(self):
        return FakeStream(self, "side")

    def current_stream(self):
        return FakeStream(self, self.current)

    @contextlib.contextmanager
    def stream(self, stream):
        before, self.current = self.current, stream.name
        yield
        self.current = before

    def CUDAGraph(self):
        return FakeGraph(self)

    @contextlib.contextmanager
    def graph(self, graph):
        if self.refuses:
            raise RuntimeError(f"{self.refuses}\nCompile with TORCH_USE_CUDA_DSA")
        self.log.append("capture")
        before, self.current = self.current, "capturing"
        yield
        self.current = before

    def Event(self, enable_timing):
        assert enable_timing
        return FakeEvent(self)

    def synchronize(self):
        self.log.append("synchronize")

    def max_memory_reserved(self):
        return 3 << 20

    def get_device_capability(self):
        return (8, 6)

    def get_device_name(self):
        return "NVIDIA RTX A2000"


class FakeStream:
    def __init__(self, cuda, name):
        self.cuda, self.name = cuda, name

    def wait_stream(self, other):
        self.cuda.log.append(f"{self.name} waits for {other.name}")


class FakeGraph:
    def __init__(self, cuda):
        self.cuda = cuda

    def replay(self):
        self.cuda.log.append("replay")


class FakeEvent:
    def __init__(self, cuda):
        self.cuda, self.at, self.ready = cuda, None, False

    def record(self):
        self.at = self.cuda.clock

    def synchronize(self):
        self.ready = True

    def elapsed_time(self, end):
        assert end.ready, "the second event must have been waited for"
        return end.at - self.at  # milliseconds


class Program:
    def __init__(self, cuda, milliseconds=0.25):
        self.cuda, self.milliseconds = cuda, milliseconds

    def forward(self, *tensors):
        self.cuda.log.append(f"forward on {self.cuda.current}")
        self.cuda.clock += self.milliseconds
        return tensors


@pytest.fixture
def cuda():
    return FakeCuda()


def test_events_count_in_milliseconds_and_figures_in_seconds(cuda):
    metric = events_latency(Program(cuda), [], cuda)
    assert metric.value == pytest.approx(0.25e-3) and metric.unit == "s" and metric.kind is Kind.MEASURED
    assert "CUDA events" in metric.method


def test_a_graph_is_captured_after_a_warm_up_on_a_side_stream(cuda):
    replay = capture(Program(cuda), [], cuda)
    warm = ["forward on side"] * 3
    assert cuda.log == ["side waits for main", *warm, "main waits for side", "capture", "forward on capturing"]
    replay()
    assert cuda.log[-1] == "replay" and cuda.log.count("forward on main") == 0, "a replay runs no Python"


def test_every_replay_is_waited_for(cuda, monkeypatch):
    calls = []

    def once(call, settings):
        call()
        calls.append(tuple(cuda.log[-2:]))
        return type("Samples", (), {"wall": (1e-4, 3e-4, 2e-4)})()

    monkeypatch.setattr(on_cuda, "sample", once)
    metric = graph_latency(Program(cuda), [], cuda)
    assert calls == [("replay", "synchronize")]
    assert metric.value == pytest.approx(2e-4) and "3 runs" in metric.method


def test_a_program_that_cannot_be_captured_says_why():
    cuda = FakeCuda(refuses="CUDA error: operation not permitted when stream is capturing")
    metric = graph_latency(Program(cuda), [], cuda)
    assert metric.kind is Kind.UNAVAILABLE
    assert metric.reason == "capture failed: CUDA error: operation not permitted when stream is capturing"


def test_memory_and_facts_are_cuda_s_own(cuda):
    assert (memory(cuda).value, memory(cuda).unit) == (3 << 20, "B")
    facts = cuda_facts(cuda)
    assert facts["GPU"] == "NVIDIA RTX A2000, compute capability 8.6"
    assert str(torch.version.cuda) in facts["CUDA"] and facts["TF32"].startswith("off")
