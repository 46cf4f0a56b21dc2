"""What the compiler planned stays beside what was measured, and never in its place."""

import toolchain
from profiles.measurement import Kind, Metric
from profiles.profiler import Profile
from profiles.runner import Counters
from targets.onnxruntime.target import OnnxRuntimeTarget
from toolchain.steps.planned import with_planned


def counted(value, kind=Kind.ESTIMATED):
    return Metric(value, "1", kind, "the schedule")


def test_what_the_engine_says_comes_first():
    profile = Profile({"kernels": counted(12.0, Kind.MEASURED)}, (), {}, {"engine": "1.8"}, {}, {}, stable=True)
    plan = Counters({"kernels": counted(13.0), "dram_bytes": counted(7.0)}, facts={"engine": "1.7", "warnings": "none"})
    found = with_planned(profile, plan)
    assert (found.metrics["kernels"].value, found.metrics["dram_bytes"].value) == (12.0, 7.0)
    assert found.facts == {"engine": "1.8", "warnings": "none"}


def test_measuring_again_keeps_it(built, here, monkeypatch):
    facts = {"requantization kernels": "9 of 71 kernels round to 8 bits on their own"}
    told = Counters({"kernels": counted(71.0)}, facts=facts)
    monkeypatch.setattr(OnnxRuntimeTarget, "static_counters", lambda self, folder, compiled: told)
    found = toolchain.profile(built.bundle("local-cpu-onnxruntime-fp32", here), runs=3)
    assert found.metrics["kernels"].value == 71.0, "the plan is lost as soon as the bundle is measured"
    assert found.metrics["latency_p50"].kind is Kind.MEASURED
    assert found.facts["requantization kernels"] == facts["requantization kernels"]
