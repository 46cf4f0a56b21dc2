"""The timing loop under a clock that only moves when the measured call says so."""

import gc
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles import sampling
from profiles.errors import ConfigError
from profiles.sampling import Samples, Settings, instability, sample

DEFAULTS = Settings()


class Clock:
    """Stands in for the module ``time``. A call takes what ``costs`` says; CPU time is twice that (two threads)."""

    def __init__(self, costs):
        self.wall_ns = 10**12
        self.cpu_ns = 5 * 10**11
        self.costs = iter(costs)
        self.taken = []

    def perf_counter(self):
        return self.wall_ns / 1e9

    def perf_counter_ns(self):
        return self.wall_ns

    def process_time_ns(self):
        return self.cpu_ns

    def call(self):
        cost = next(self.costs)
        self.taken.append(cost)
        self.wall_ns += round(cost * 1e9)
        self.cpu_ns += round(2 * cost * 1e9)


@pytest.fixture
def run(monkeypatch):
    """``run(costs, settings, progress)`` measures on a new clock and returns the samples and the clock."""

    def measured(costs, settings=DEFAULTS, progress=lambda done, total: None):
        clock = Clock(costs)
        monkeypatch.setattr(sampling, "time", clock)
        return sample(clock.call, settings, progress), clock

    return measured


def forever(cost):
    while True:
        yield cost


def cold_then(cold, warm):
    yield cold
    yield from forever(warm)


def test_exact_values_and_counts(run):
    found, clock = run(forever(0.001), Settings(runs=130))
    assert found.wall == pytest.approx([0.001] * 130)
    assert found.cpu == pytest.approx([0.002] * len(found.cpu)), "CPU time is that of all threads, per inference"
    assert found.settled
    assert found.complete
    assert len(clock.taken) == found.warmup_runs + 130, "every call is either warm-up or a sample"


@pytest.mark.parametrize("runs", [1, 7, 50, 51])
def test_the_number_of_runs_is_exact(run, runs):
    found, _ = run(forever(0.0001), Settings(runs=runs))
    assert len(found.wall) == runs
    assert len(found.cpu) == math.ceil(runs / 50)


def test_by_time_both_the_least_time_and_the_least_number_hold(run):
    fast, _ = run(forever(0.0001), Settings(min_runs=100, seconds=1.0))
    assert len(fast.wall) == pytest.approx(10_000, abs=100), "one second of a tenth of a millisecond"
    slow, _ = run(forever(0.05), Settings(min_runs=100, seconds=1.0))
    assert len(slow.wall) == 100, "five seconds, because a hundred runs are the least"
    assert fast.complete
    assert slow.complete


def test_the_hard_end(run):
    found, _ = run(forever(1.0), Settings(min_runs=100, max_seconds=10.0))
    assert 10 <= len(found.wall) <= 12
    assert not found.complete
    assert any("time limit" in note for note in instability(found))


def test_warm_up_lasts_at_least_its_time(run):
    found, clock = run(forever(0.001), Settings(runs=1, warmup_seconds=0.2))
    assert sum(clock.taken[: found.warmup_runs]) >= 0.2 - 1e-9
    assert found.settled


def test_warm_up_ends_when_latency_does_not_change_any_more(run):
    """An engine that gets faster by one percent per call until the 300th."""
    costs = [0.002 * 0.99 ** min(index, 300) for index in range(5000)]
    found, _ = run(costs, Settings(runs=200))
    assert found.settled
    assert max(found.wall) <= min(found.wall) * 1.035, "samples were taken before the engine was warm"


def test_a_run_that_never_settles_says_so(run):
    costs = (0.001 * (1 + (index // 40) % 2) for index in range(10**6))
    found, clock = run(costs, Settings(runs=100, max_warmup_seconds=3.0))
    assert not found.settled
    assert 3.0 <= sum(clock.taken[: found.warmup_runs]) <= 3.5
    assert any("warm-up did not settle" in note for note in instability(found))


def test_a_cold_first_call_neither_counts_nor_sizes_the_blocks(run):
    """A first call of a second (a compiler at work) must not make blocks of one call, with a clock read after each."""
    found, _ = run(cold_then(1.0, 0.0001), Settings(runs=500))
    assert found.settled
    assert max(found.wall) == pytest.approx(0.0001)
    assert len(found.cpu) == 10, "blocks of fifty"


def test_a_slow_model_can_settle_too(run):
    found, clock = run(cold_then(1.4, 0.9), Settings(runs=2))
    assert found.settled
    assert len(clock.taken) - 2 == found.warmup_runs == 3


def test_no_warm_up_at_all(run):
    found, clock = run(forever(5.0), Settings(runs=1, warmup_seconds=0, max_warmup_seconds=0))
    assert len(clock.taken) == 2
    assert not found.settled, "one call cannot show that it is stable"


def test_calls_faster_than_the_clock(run):
    found, _ = run(forever(0.0), Settings(runs=60, warmup_seconds=0, max_warmup_seconds=0))
    assert found.wall == (0.0,) * 60


def test_progress_is_rare_and_rises(run):
    told = []
    run(forever(0.001), Settings(runs=1000), lambda done, total: told.append((done, total)))
    assert {total for _, total in told} == {1000}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert 5 <= len(told) <= 10, "a second of work is told at most ten times"


def test_progress_by_time_ends_at_the_whole(run):
    told = []
    run(forever(0.01), Settings(min_runs=10, seconds=1.0), lambda done, total: told.append(done / total))
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_the_garbage_collector_is_off_while_timing_and_on_again_after(run):
    seen = []

    def costs():
        while True:
            seen.append(gc.isenabled())
            yield 0.001

    assert gc.isenabled()
    run(costs(), Settings(runs=10))
    assert set(seen) == {False}
    assert gc.isenabled()
    with pytest.raises(RuntimeError, match="engine"):
        sample(fail, Settings(runs=1))
    assert gc.isenabled(), "an engine that fails must not leave the collector off"


def fail():
    raise RuntimeError("engine")


def test_the_real_clock_agrees_with_itself():
    """No figure is asserted, only what must hold on any machine."""
    found = sample(lambda: sum(range(2000)), Settings(runs=20, warmup_seconds=0.01, max_warmup_seconds=0.2))
    assert len(found.wall) == 20
    assert all(value > 0 for value in found.wall)
    assert all(value >= 0 for value in found.cpu)


def samples(wall, settled=True, complete=True):
    return Samples(tuple(wall), (0.001,), 10, settled, complete)


def test_a_stable_run_has_nothing_against_it():
    assert instability(samples([0.001] * 100)) == []
    alternating = [0.001, 0.0014] * 100
    assert instability(samples(alternating)) == [], "scatter within blocks is not drift"


@pytest.mark.parametrize(("factor", "flagged"), [(1.05, False), (1.2, True), (0.8, True)])
def test_drift_is_flagged_beyond_its_limit(factor, flagged):
    wall = [0.001 * (1 + (factor - 1) * index / 999) for index in range(1000)]
    notes = instability(samples(wall))
    assert bool(notes) is flagged
    if flagged:
        assert "drifted" in notes[0]
        assert "limit 10%" in notes[0]


def test_too_few_samples_to_speak_of_drift():
    assert instability(samples([0.001] * 15 + [0.002] * 14)) == []


@given(st.lists(st.floats(1e-6, 1.0), min_size=30, max_size=200))
def test_drift_is_the_spread_of_block_medians(wall):
    """By definition, straight from the raw values."""
    size = len(wall) // 10
    medians = [sorted(wall[i * size : (i + 1) * size]) for i in range(10)]
    medians = [(block[(size - 1) // 2] + block[size // 2]) / 2 for block in medians]
    ordered = sorted(wall)
    middle = (ordered[(len(wall) - 1) // 2] + ordered[len(wall) // 2]) / 2
    spread = (max(medians) - min(medians)) / middle
    if abs(spread - 0.10) > 1e-9:
        assert bool(instability(samples(wall))) == (spread > 0.10)


@pytest.mark.parametrize(
    ("name", "value"),
    [("runs", 0), ("runs", -3), ("min_runs", 0), ("seconds", -1.0), ("seconds", math.nan), ("max_seconds", math.inf),
     ("tolerance", -0.1), ("warmup_seconds", -1), ("max_warmup_seconds", math.nan)],
)  # fmt: skip
def test_settings_that_make_no_sense(name, value):
    with pytest.raises(ConfigError, match=f"wanted '{name}' of a measurement"):
        Settings(**{name: value})


def test_settings_survive_json():
    settings = Settings(runs=5, tolerance=0.01)
    assert Settings(**settings.as_dict()) == settings
