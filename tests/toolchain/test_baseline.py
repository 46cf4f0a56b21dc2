"""How many times faster than PyTorch: figures of one kind and one device alone are held against each other."""

import dataclasses

import pytest

from profiles.measurement import Kind, Metric, unavailable
from toolchain.baseline import baseline_of, times_pytorch
from toolchain.cli.tables import versus


@dataclasses.dataclass
class Entry:
    target: str
    seconds: float | None
    kind: Kind = Kind.MEASURED
    device: str = "board"

    @property
    def metrics(self):
        if self.seconds is None:
            return {"latency_p50": unavailable("latency_p50", "not run")}
        return {"latency_p50": Metric(self.seconds, "s", self.kind, "a clock")}


BASE = Entry("pytorch", 6e-3)


def test_the_ratio_is_that_of_the_medians():
    fast, slow = Entry("onnxruntime", 2e-3), Entry("litert", 12e-3)
    entries = [fast, BASE, slow]
    assert times_pytorch(fast, entries) == pytest.approx(3.0)
    assert times_pytorch(slow, entries) == pytest.approx(0.5)
    assert [versus(entry, entries) for entry in entries] == ["×3.00", "baseline", "×0.50"]


def test_other_baselines_are_compared_with_the_first():
    half = Entry("pytorch", 4e-3)
    assert baseline_of(half, [BASE, half]) is BASE
    assert times_pytorch(half, [BASE, half]) == pytest.approx(1.5)


@pytest.mark.parametrize(
    "entry",
    [
        Entry("onnxruntime", 1e-3, Kind.STAND_IN),
        Entry("onnxruntime", 1e-3, device="another"),
        Entry("onnxruntime", None),
    ],
    ids=["of another kind", "on another device", "without a figure"],
)
def test_what_cannot_be_compared_is_not(entry):
    assert times_pytorch(entry, [BASE, entry]) is None
    assert versus(entry, [BASE, entry]) == "–"


def test_a_baseline_that_was_not_run_compares_nothing():
    base, fast = Entry("pytorch", None), Entry("onnxruntime", 1e-3)
    assert times_pytorch(fast, [base, fast]) is None and versus(base, [base, fast]) == "baseline"
    assert times_pytorch(fast, [fast]) is None
    bare = Entry("tensorrt", 1e-3)
    bare.__class__ = type("Bare", (Entry,), {"metrics": {}})
    assert times_pytorch(bare, [BASE, bare]) is None
