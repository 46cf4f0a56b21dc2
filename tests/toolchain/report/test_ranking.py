"""Who is ranked against whom, and what the page says of budgets and pairs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.measurement import Kind, Metric, unavailable
from toolchain.report.charts.fronts import beaten_by_kind, groups
from toolchain.report.entries import Entry
from toolchain.report.gains import gains
from toolchain.report.headline import tiles
from toolchain.report.ranking import (
    Judgement,
    best,
    budget_sentence,
    by_kind,
    fastest_sentences,
    pairs,
    shortfalls,
)
from toolchain.report.shapes import BudgetLine, Profile

KINDS = [kind for kind in Kind if kind is not Kind.UNAVAILABLE]


def entry(number: int = 1, value: float | None = 0.001, kind: Kind = Kind.MEASURED, **more) -> Entry:
    spread = tuple(value * (1 + i / 1000) for i in range(-10, 11)) if value else None
    latency = unavailable("s", "no clock") if value is None else Metric(value, "s", kind, "test", samples=spread)
    settings = {"device": "d", "target": "t", "precision": "fp32", "bundle": f"b{number}"} | more
    metrics = {"latency_p50": latency} | settings.pop("metrics", {})
    return Entry(number, metrics=metrics, **settings)


def line(met: bool | None) -> BudgetLine:
    return BudgetLine(metric="latency_p50", limit=0.005, value=None if met is None else 0.001, met=met)


@given(st.lists(st.tuples(st.floats(1e-6, 1.0), st.sampled_from(KINDS)), min_size=1, max_size=10))
def test_the_fastest_is_named_once_per_kind_and_beats_only_its_own_kind(cases):
    entries = [entry(i, v, k, device=f"d{i}") for i, (v, k) in enumerate(cases)]
    grouped = by_kind(entries)
    assert sum(map(len, grouped.values())) == len(entries), "an entry got lost between the kinds"
    for kind, group in grouped.items():
        first = best(group, "latency_p50")
        assert first.kind is kind
        assert first.value("latency_p50") == min(v for v, k in cases if k is kind), "not the fastest of its kind"
    assert len(fastest_sentences(entries)) == len({k for _, k in cases}), "a kind has no sentence of its own"


def test_ranking_across_kinds_is_refused():
    with pytest.raises(ValueError, match="one kind"):
        best([entry(1), entry(2, kind=Kind.STAND_IN)], "latency_p50")


def test_a_stand_in_that_is_faster_is_not_called_the_fastest_measured_one():
    said = fastest_sentences([entry(1, 0.004, device="board"), entry(2, 0.001, Kind.STAND_IN, device="phone")])
    assert said == [
        "The only measured latency: t fp32 on board, 4 ms.",
        "The only stand-in latency: t fp32 on phone, 1 ms.",
    ]


def test_a_lead_within_the_noise_is_called_that():
    said = fastest_sentences([entry(1, 0.001, device="a"), entry(2, 0.0010001, device="b")])
    assert said == ["Fastest measured: t fp32 on a, 1 ms, not measurably ahead of t fp32 on b."]


@pytest.mark.parametrize(
    ("budgets", "devices", "sentence"),
    [
        ([[True], [True]], "ab", "All 2 devices meet their budget."),
        ([[True, True], [True, False]], "ab", "1 of 2 devices meets its budget."),
        ([[False], [False]], "ab", "None of 2 devices meet their budget."),
        ([[None], [True, None]], "ab", "None of 2 devices can be held to its budget."),
        ([[None], [False]], "ab", "None of 2 devices meet their budget."),
        ([[True], [True], [None]], "aab", "2 of 3 bundles meet their budget."),
        ([[True]], "a", "The device meets its budget."),
        ([[], []], "ab", "2 devices built; no budget was set."),
        ([], "", "Nothing was built: the summary lists no bundle."),
    ],
)
def test_the_budget_in_words(budgets, devices, sentence):
    entries = [entry(i, device=devices[i], budget=tuple(map(line, met))) for i, met in enumerate(budgets)]
    assert budget_sentence(entries) == sentence


def test_what_cannot_be_judged_is_neither_met_nor_missed():
    unclear, missed = entry(1, budget=(line(None), line(True))), entry(2, budget=(line(None), line(False)))
    assert unclear.met is None, "an unavailable figure was taken for a kept promise"
    assert missed.met is False, "a missed line counts whatever else is unknown"
    said = shortfalls([unclear, missed])
    assert "Missed by" in said[0] and "latency p50 1 ms, allowed 5 ms" in said[0]
    both = " and ".join(["t fp32 on d (latency p50 is unavailable)"] * 2)
    assert said[1] == f"Not to be judged: {both}.", "a missed limit must not hide one that nobody can judge"


def test_a_long_list_of_misses_stays_short():
    said = shortfalls([entry(i, budget=(line(False),)) for i in range(9)])
    assert said[0].endswith("and 6 more."), "nine misses must not fill the top of the page"


@pytest.mark.parametrize(
    ("after", "judgement"),
    [
        (0.0005, Judgement.HELPED),
        (0.001, Judgement.NOT_MEASURABLY),
        (0.002, Judgement.HARMED),
        (None, Judgement.UNKNOWN),
    ],
)
def test_pairs_are_judged_by_their_interval(after, judgement):
    found = pairs([entry(1), entry(2, after, precision="int8"), entry(3, 1e-9, precision="int8", device="other")])
    assert [p.judgement for p in found] == [judgement], "the pair is judged wrongly, or another device was paired"


def test_pairs_of_different_kinds_are_not_compared():
    (pair,) = pairs([entry(1), entry(2, 0.0001, Kind.STAND_IN, precision="int8")])
    assert pair.ratio is None and pair.judgement is Judgement.UNKNOWN
    assert "fp32 is measured, int8 is stand-in" in pair.note


def test_a_step_that_did_not_help_is_flagged_with_its_likely_cause():
    profile = Profile(stable=False, executed={"fp32": 9, "int8": 1})
    found = gains([entry(1), entry(2, 0.001, precision="int8", profile=profile)])
    (row,) = found.rows
    assert (row.key, row.verdict) == ("missed", "did not help")
    assert "unstable" in row.pair.note and "Only 1 of 10 compute layers ran in int8." in row.pair.note
    assert tiles([], found)[-1].figure == "0 of 1", "the head of the page must say that nothing was gained"


def test_the_front_is_drawn_among_one_kind_only():
    def figures(accuracy: float, size: float) -> dict[str, Metric]:
        made = {
            "accuracy": Metric(accuracy, "1", Kind.MEASURED, "m"),
            "model_size": Metric(size, "B", Kind.MEASURED, "m"),
        }
        return {"metrics": made}

    worse = entry(1, 0.004, **figures(0.8, 9e5))
    better = entry(2, 0.001, Kind.STAND_IN, **figures(0.9, 1e5))
    same_kind = entry(3, 0.002, **figures(0.9, 1e5))
    assert beaten_by_kind([worse, better], "accuracy") == set(), "a stand-in has beaten a measured bundle"
    assert beaten_by_kind([worse, better, same_kind], "accuracy") == {1}
    assert len(groups([worse, better, same_kind], ("latency_p50", "accuracy"))) == 2
