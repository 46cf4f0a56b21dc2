"""The placement search with simulated clocks: steady, noisy, drifting and failing ones; and what holds for all."""

import itertools
import json
import random
import statistics

import hypothesis
import hypothesis.strategies as st
import pytest

from profiles.errors import ConfigError, ToolCrashError, UnsupportedError
from targets.tensorrt.search.search import not_measured, search

LOSSLESS = {}


class Clock:
    """Times by name with noise, recording every measurement; an error instead of a time is raised."""

    def __init__(self, times, noise=0.0, seed=0, drift=0.0):
        self.times, self.noise, self.drift = times, noise, drift
        self.random = random.Random(seed)
        self.seen = []

    def __call__(self, name):
        true = self.times[name]
        if isinstance(true, Exception):
            raise true
        slow = 1 + self.drift * len(self.seen)
        self.seen.append((name, true * slow * self.random.lognormvariate(0, self.noise)))
        return self.seen[-1][1]


def run(times, losses=LOSSLESS, allowed=0.01, **options):
    clock = times if isinstance(times, Clock) else Clock(times)
    return search(list(clock.times), clock, lambda name: losses.get(name, 0.0), allowed, **options)


def verdicts(result):
    return {row.name: row.verdict for row in result.rows}


def test_the_fastest_wins_and_every_row_is_explained():
    result = run({"default": 1.0, "a": 0.95, "b": 0.99, "c": 0.90, "d": 1.2}, {"c": 0.002})
    assert result.best == "c" and result.gain == pytest.approx(0.1)
    assert verdicts(result) == {
        "default": "default", "a": "overtaken", "b": "not faster", "c": "kept", "d": "not faster",
    }  # fmt: skip
    rows = {row.name: row for row in result.rows}
    assert rows["b"].against == "a" and rows["b"].ratio == pytest.approx(0.99 / 0.95)
    assert "5.3% faster than 'a', and loses 0.002 of accuracy" in rows["c"].why
    assert "10.0% faster than the default when timed once more" in rows["c"].why
    assert rows["a"].why == "overtaken by 'c'"
    assert "4.2% slower than 'a'; a gain of 2.0% is asked for" in rows["b"].why
    assert all(row.why for row in result.rows)


@pytest.mark.parametrize(("time", "kept"), [(0.981, False), (0.98, True), (0.979, True), (1.0, False)])
def test_two_percent_are_asked_for(time, kept):
    assert (run({"default": 1.0, "a": time}).best == "a") is kept


def test_a_tie_stays_with_the_default_even_when_no_gain_is_asked_for():
    assert run({"default": 1.0, "a": 1.0}, least_gain=0.0).best == "default"


def test_faster_but_less_accurate_is_not_kept():
    result = run({"default": 1.0, "a": 0.5, "b": 0.9}, {"a": 0.02, "b": 0.01}, allowed=0.01)
    assert result.best == "b" and verdicts(result)["a"] == "less accurate"
    assert result.rows[1].why == "50.0% faster than 'default', but loses 0.02 of accuracy; 0.01 is allowed"


def test_accuracy_that_is_no_number_is_not_kept():
    assert run({"default": 1.0, "a": 0.5}, {"a": float("nan")}).best == "default"


def test_accuracy_is_not_asked_of_slow_candidates():
    asked = []
    search(["default", "a", "b"], Clock({"default": 1.0, "a": 1.1, "b": 0.9}), lambda n: asked.append(n) or 0.0, 0.0)
    assert asked == ["b"]


def test_a_candidate_that_fails_is_a_row():
    failure = UnsupportedError("wanted to compile it", seen="no kernel")
    result = run({"default": 1.0, "a": failure, "b": 0.9})
    assert result.best == "b"
    assert (
        verdicts(result)["a"] == "failed"
        and "could not be timed: wanted to compile it: no kernel" in result.rows[1].why
    )


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_that_is_none_is_a_failure(seconds):
    result = run({"default": 1.0, "a": seconds})
    assert result.best == "default" and verdicts(result)["a"] == "failed"


def test_accuracy_that_fails_is_a_row():
    def broken(name):
        raise ToolCrashError("wanted its accuracy", seen="no data")

    result = search(["default", "a"], Clock({"default": 1.0, "a": 0.5}), broken, 0.0)
    assert result.best == "default" and result.rows[1].why == "its accuracy is unknown: wanted its accuracy: no data"


def test_a_default_that_fails_leaves_nothing_to_compare_with():
    result = run({"default": ToolCrashError("wanted a run", seen="lost"), "a": 0.5})
    assert result.best == "default" and result.gain is None
    assert verdicts(result) == {"default": "default", "a": "not measured"}
    assert "wanted a run: lost" in result.rows[0].why and "nothing to compare with" in result.rows[1].why


def test_a_best_that_fails_later_gives_way_to_the_default():
    """It won once, and then its device was lost: others are told whose fault it was, and the default stays."""
    counter = itertools.count()

    def time(name):
        if name == "a" and next(counter) >= 5:
            raise ToolCrashError("wanted a run", seen="crashed")
        return {"default": 1.0, "a": 0.5, "b": 0.2}[name]

    result = search(["default", "a", "b"], time, lambda name: 0.0, 0.0)
    assert result.best == "default" and result.gain == 0.0
    assert verdicts(result) == {"default": "default", "a": "not confirmed", "b": "failed"}
    assert "'a', which it was to beat, could not be timed" in result.rows[2].why


def test_rounds_take_turns_and_change_who_is_first():
    clock = Clock({"default": 1.0, "a": 2.0})
    run(clock, repeats=4)
    assert [name for name, _ in clock.seen[1:]] == ["default", "a", "a", "default", "default", "a", "a", "default"]


@pytest.mark.parametrize("hit", range(5))
@pytest.mark.parametrize("side", ["default", "a"])
def test_one_slow_round_does_not_decide(side, hit):
    """The median of ratios: a hiccup in one round of five, on either side, changes nothing."""
    rounds = itertools.count(-1 if side == "default" else 0)  # the default is timed once before the first round
    times = {"default": 1.0, "a": 0.9 if side == "a" else 1.0}

    def time(name):
        slow = 10.0 if name == side and next(rounds) == hit else 1.0
        return slow * times[name]

    result = search(["default", "a"], time, lambda name: 0.0, 0.0)
    assert result.rows[1].ratio == pytest.approx(times["a"])
    assert result.best == ("a" if side == "a" else "default")


def test_a_slowing_machine_hits_both_alike():
    """Each measurement is 1 % slower than the one before: timed one after the other, an equal candidate would lose."""
    result = run(Clock({"default": 1.0, "a": 1.0, "b": 0.9}, drift=0.01))
    assert result.best == "b" and result.rows[1].ratio == pytest.approx(1.0, abs=0.011)


def test_luck_is_confirmed_against_the_default():
    """Twenty candidates as fast as the default, with 3 % noise: without a second look most searches would keep one."""
    names = ["default", *(f"c{i}" for i in range(20))]
    kept = [run(Clock(dict.fromkeys(names, 1.0), noise=0.03, seed=seed)) for seed in range(60)]
    unconfirmed = sum("not confirmed" in verdicts(result).values() for result in kept)
    fooled = sum(result.best != "default" for result in kept)
    assert unconfirmed >= 20, "the noise of this test must matter"
    assert fooled < unconfirmed


def test_a_real_gain_is_found_in_noise():
    times = {"default": 1.0, "a": 0.99, "b": 0.8, "c": 1.1}
    assert all(run(Clock(times, noise=0.03, seed=seed)).best == "b" for seed in range(40))


CANDIDATES = st.lists(
    st.tuples(st.one_of(st.floats(0.2, 5), st.just(None)), st.floats(0, 0.05)), min_size=1, max_size=6
)


@hypothesis.given(CANDIDATES, st.floats(0, 0.2), st.integers(0, 10**6), st.floats(0, 0.05), st.integers(1, 6))
def test_what_holds_for_any_times_losses_and_noise(candidates, noise, seed, allowed, repeats):
    broken = ToolCrashError("wanted a time", seen="none")
    times = {f"c{i}": time if time is not None else broken for i, (time, _) in enumerate(candidates)}
    losses = {f"c{i}": loss for i, (_, loss) in enumerate(candidates)}
    clock = Clock(times, noise=noise, seed=seed)
    result = search(list(times), clock, losses.get, allowed, repeats=repeats)
    rows = {row.name: row for row in result.rows}
    assert list(rows) == list(times) and all(row.why for row in result.rows)
    assert rows["c0"].verdict == "default"
    for row in result.rows:
        if row.verdict in ("kept", "overtaken", "not confirmed"):
            assert row.ratio <= 0.98, "kept without a gain of 2 %"
            assert row.loss <= allowed, "kept although it loses more than allowed"
            assert row.spread[0] <= row.ratio <= row.spread[1]
        assert (row.ratio is None) == (row.verdict in ("default", "failed", "not measured") and row.loss is None)
    if result.best != "c0":
        assert rows[result.best].verdict == "kept" and result.gain >= 0.02
        last = [entry for entry in clock.seen if entry[0] in (result.best, "c0")][-2 * repeats :]
        pairs = [dict(last[i : i + 2]) for i in range(0, 2 * repeats, 2)]
        confirmed = statistics.median(pair[result.best] / pair["c0"] for pair in pairs)
        assert confirmed <= 0.98 and result.gain == pytest.approx(1 - confirmed), "slower than the default when told"
    assert sum(row.verdict == "kept" for row in result.rows) == (result.best != "c0")


def test_the_result_is_plain_data():
    data = run({"default": 1.0, "a": 0.9}).as_dict()
    again = json.loads(json.dumps(data))
    assert again["best"] == "a" and again["measured"] and again["least_gain"] == 0.02 and again["repeats"] == 5
    assert again["rows"][1]["ratio"] == pytest.approx(0.9) and again["rows"][1]["spread"] == [0.9, 0.9]


def test_without_a_device_the_default_stays():
    result = not_measured(["default", "a"], "no NVIDIA GPU here")
    assert result.best == "default" and result.gain is None and not result.as_dict()["measured"]
    assert [row.why for row in result.rows] == [
        "the default placement; not measured: no NVIDIA GPU here", "not measured: no NVIDIA GPU here",
    ]  # fmt: skip


def test_candidates_need_no_names_of_their_own():
    result = search([(1, "x"), (2, "y")], lambda c: 1.0 / c[0], lambda c: 0.0, 0.0, name=lambda c: c[1])
    assert result.best == (2, "y") and result.name == "y"


@pytest.mark.parametrize(
    ("names", "options"),
    [([], {}), (["a"], {"repeats": 0}), (["a"], {"least_gain": 1.0}), (["a"], {"least_gain": -0.1})],
)
def test_a_search_that_cannot_be_is_refused(names, options):
    with pytest.raises(ConfigError):
        search(names, lambda name: 1.0, lambda name: 0.0, 0.0, **options)
