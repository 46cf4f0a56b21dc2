"""The profiler on a runner that keeps a diary: what is measured, in which order, and of which kind it is."""

import dataclasses
import json
import time

import numpy as np
import pytest

from profiles import profiler
from profiles.machine import MachineState
from profiles.measurement import METRIC_UNITS, Kind, Metric, percentile, unavailable
from profiles.profiler import Profile, measure
from profiles.runner import Counters, LayerCounters
from profiles.sampling import Settings

MIB = 2**20
QUICK = Settings(runs=40, warmup_seconds=0.0, max_warmup_seconds=0.05)
INPUTS = {"x": np.arange(4, dtype=np.float32)}


class DiaryRunner:
    """Takes memory when it is loaded; writes down what is asked of it."""

    timed = True

    def __init__(self, diary, megabytes=0, fail=""):
        self.diary = diary
        self.megabytes = megabytes
        self.fail = fail
        self.memory = None

    def __enter__(self):
        self.diary.append("enter")
        self.memory = np.ones(self.megabytes * MIB, np.uint8)
        return self

    def __exit__(self, *_):
        self.diary.append("exit")
        self.memory = None

    def run(self, inputs):
        raise AssertionError("the profiler times bound calls only")

    def bind(self, inputs):
        self.diary.append("bind")
        assert inputs is INPUTS

        def call():
            if self.fail == "call":
                raise RuntimeError("engine")
            self.diary.append("call")

        return call

    def counters(self):
        self.diary.append("counters")
        arena = Metric(1234.0, "B", Kind.MEASURED, "the engine's arena")
        layer = LayerCounters("conv1", "Conv", {"latency_p50": Metric(1e-5, "s", Kind.MEASURED, "engine")}, "int8")
        return Counters({"arena": arena}, (layer,), {"int8": 1}, {"engine": "diary 1.0"})


@pytest.fixture(scope="module")
def found():
    diary = []
    profile = measure(lambda: DiaryRunner(diary, megabytes=64), INPUTS, QUICK, meter_reason="no meter in a test")
    return profile, diary


def test_the_engine_is_loaded_once_bound_once_and_let_go(found):
    _, diary = found
    assert [word for word in diary if word != "call"] == ["enter", "bind", "counters", "exit"]
    assert diary.index("counters") > max(index for index, word in enumerate(diary) if word == "call")


def test_every_call_is_accounted_for(found):
    profile, diary = found
    assert diary.count("call") == profile.settings["warmup_runs"] + profile.settings["timed_runs"]
    assert profile.settings["timed_runs"] == 40


def test_percentiles_come_from_the_raw_samples(found):
    metrics = found[0].metrics
    raw = metrics["latency_p50"].samples
    assert len(raw) == 40
    for name, percent in (("latency_p50", 50), ("latency_p90", 90), ("latency_p99", 99)):
        assert metrics[name].value == percentile(sorted(raw), percent) == pytest.approx(np.percentile(raw, percent))
    assert metrics["throughput"].value == pytest.approx(len(raw) / sum(raw))
    assert metrics["cpu_time_p50"].value == pytest.approx(np.median(metrics["cpu_time_p50"].samples))


def test_units_and_kinds(found):
    for name, metric in found[0].metrics.items():
        assert metric.unit == METRIC_UNITS[name]
        assert metric.kind is Kind.MEASURED or metric.reason, name
    assert found[0].metrics["energy"] == unavailable("energy", "no meter in a test")
    assert found[0].metrics["power"] == unavailable("power", "no meter in a test")


def test_the_engines_memory_counts_and_ours_does_not(found):
    assert 56 * MIB < found[0].metrics["peak_memory"].value < 96 * MIB
    small = measure(lambda: DiaryRunner([]), INPUTS, QUICK)
    assert small.metrics["peak_memory"].value < 24 * MIB, "the 64 MiB of the run before must not count"


def test_what_the_engine_says_is_taken_over(found):
    profile, _ = found
    assert profile.metrics["arena"].value == 1234.0
    assert profile.executed == {"int8": 1}
    assert profile.facts == {"engine": "diary 1.0"}
    assert [layer.name for layer in profile.layers] == ["conv1"]


def test_a_profile_survives_json(found):
    profile, _ = found
    text = json.dumps(profile.as_dict(), allow_nan=False)
    again = Profile.from_dict(json.loads(text))
    assert json.dumps(again.as_dict()) == text
    assert again == dataclasses.replace(profile, machine=again.machine), "but for tuples that became lists"
    MachineState.from_dict(again.machine["before"])


def test_a_stand_in_marks_every_measured_figure_and_no_other(found):
    profile, _ = found
    elsewhere = profile.on_stand_in("a laptop")
    for name, metric in profile.metrics.items():
        other = elsewhere.metrics[name]
        assert other.value == metric.value
        if metric.kind is Kind.MEASURED:
            assert other.kind is Kind.STAND_IN, name
            assert "a laptop" in other.method
        else:
            assert other == metric, name
    layer = elsewhere.layers[0].metrics["latency_p50"]
    assert layer.kind is Kind.STAND_IN
    assert profile.metrics["latency_p50"].kind is Kind.MEASURED, "the original stays as it was"


def test_the_engine_is_let_go_when_it_fails():
    diary = []
    with pytest.raises(RuntimeError, match="engine"):
        measure(lambda: DiaryRunner(diary, fail="call"), INPUTS, QUICK)
    assert diary == ["enter", "bind", "exit"]


def test_an_unstable_run_is_marked(monkeypatch):
    """The engine becomes three times slower half-way through the samples."""
    clock = type("Clock", (), {"now": 0, "calls": 0})()

    class Slowing(DiaryRunner):
        def bind(self, inputs):
            def call():
                clock.calls += 1
                clock.now += 3_000_000 if clock.calls > 600 else 1_000_000

            return call

    fake = type("time", (), {"perf_counter": lambda: clock.now / 1e9, "perf_counter_ns": lambda: clock.now})
    fake.process_time_ns = fake.perf_counter_ns
    monkeypatch.setattr("profiles.sampling.time", fake)
    profile = measure(lambda: Slowing([]), INPUTS, Settings(runs=800))
    assert not profile.stable
    assert any("drifted" in note for note in profile.notes)
    steady = measure(lambda: Slowing([]), INPUTS, Settings(runs=800))
    assert steady.stable
    assert steady.notes == ()


def test_memory_that_the_kernel_does_not_tell_is_unavailable(monkeypatch):
    monkeypatch.setattr(profiler, "resident_bytes", lambda field="VmRSS": None)
    metric = measure(lambda: DiaryRunner([]), INPUTS, QUICK).metrics["peak_memory"]
    assert metric.kind is Kind.UNAVAILABLE
    assert "/proc/self/status" in metric.reason


def test_a_meter_sees_the_inferences_after_the_timing(monkeypatch):
    diary, counts = [], []

    def measure_energy(meter, run_for):
        diary.append("meter")
        counts.append(run_for(0.01))
        diary.append("meter done")
        return {"energy": Metric(0.5, "J", Kind.MEASURED, "meter")}

    monkeypatch.setattr(profiler, "measure_energy", measure_energy)
    profile = measure(lambda: DiaryRunner(diary), INPUTS, QUICK, meter=object())
    assert profile.metrics["energy"].value == 0.5
    between = diary[diary.index("meter") + 1 : diary.index("meter done")]
    assert between == ["call"] * counts[0]
    assert counts[0] > 0
    assert diary.index("meter") >= diary.index("bind") + 1 + profile.settings["timed_runs"]
    assert diary[-2:] == ["counters", "exit"]


def test_disturbances_are_judged_by_the_time_between_the_two_looks(monkeypatch):
    seen = []

    def disturbances(before, after, seconds):
        seen.append(seconds)
        return ["someone hammered"]

    monkeypatch.setattr(profiler, "disturbances", disturbances)
    start = time.perf_counter()
    profile = measure(lambda: DiaryRunner([]), INPUTS, QUICK)
    whole = time.perf_counter() - start
    assert sum(profile.metrics["latency_p50"].samples) <= seen[0] <= whole
    assert profile.machine["disturbances"] == ["someone hammered"]


def test_progress_is_passed_on(monkeypatch):
    told = []
    monkeypatch.setattr("profiles.sampling._PROGRESS_SECONDS", 0.0)
    measure(lambda: DiaryRunner([]), INPUTS, QUICK, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (40, 40)


def test_an_emulator_is_asked_and_not_timed():
    class Emulator(DiaryRunner):
        timed = False

    diary = []
    profile = measure(lambda: Emulator(diary), INPUTS, QUICK)
    assert diary == ["enter", "bind", "call", "counters", "exit"], "one inference, then its own figures"
    assert set(profile.metrics) == {"arena"}, "nothing that this machine's clock or memory says"
    assert profile.stable and [row.name for row in profile.layers] == ["conv1"]
    assert Profile.from_dict(profile.as_dict()) == profile
    assert profile.settings == {"timed_runs": 0}, "how long to measure says nothing of it"


def test_files_of_the_engine_stay_out_of_the_json():
    class Tracer(DiaryRunner):
        timed = False

        def counters(self):
            return dataclasses.replace(super().counters(), files={"timeline.json": "{}"})

    profile = measure(lambda: Tracer([]), INPUTS, QUICK)
    assert profile.files == {"timeline.json": "{}"}, "they are handed on"
    assert "files" not in profile.as_dict() and not Profile.from_dict(profile.as_dict()).files
