"""Numbers that line up, and kinds that can be told apart without colour."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.measurement import METRIC_UNITS, Kind, Metric, unavailable
from toolchain.report.words import KINDS, count, explain, listing, scale_for, show, spread_of


def test_every_kind_has_its_own_letter_and_name():
    assert set(KINDS) == set(Kind), "a kind has no badge"
    assert len({words.letter for words in KINDS.values()}) == len(KINDS), "two kinds share a letter"
    for words in KINDS.values():
        others = [o.title for o in KINDS.values() if o is not words]
        assert words.title.lower().startswith(words.letter.lower()), "a letter that its name does not begin with"
        assert not any(o.startswith(words.letter.lower()) for o in others), f"{words.letter} could be another kind"


@given(st.sampled_from(sorted(METRIC_UNITS)), st.lists(st.floats(1e-9, 1e12), min_size=1, max_size=8))
def test_a_column_has_one_unit_and_keeps_the_smallest_visible(name, values):
    scale = scale_for(name, values)
    for value in values:
        shown = float(scale.number(value).replace(",", "").replace("−", "-"))
        assert shown * scale.factor == pytest.approx(value, rel=1e-12, abs=0.501 * scale.factor * 10**-scale.decimals)


@pytest.mark.parametrize(
    ("name", "values", "texts"),
    [
        ("latency_p50", [0.000117, 0.000077], ["117.0 µs", "77.0 µs"]),
        ("latency_p50", [0.0005, 0.0678, 0.003], ["0.500 ms", "67.800 ms", "3.000 ms"]),
        ("model_size", [98304.0, 315392.0], ["96.0 KiB", "308.0 KiB"]),
        ("accuracy", [0.9722], ["97.22 %"]),
        ("accuracy_drop", [-0.0014], ["−0.14 pp"]),
        ("accuracy_drop", [-0.00001], ["0.00 pp"]),
        ("sqnr", [25.93], ["25.9 dB"]),
    ],
)
def test_scales(name, values, texts):
    assert [scale_for(name, values).text(v) for v in values] == texts


def test_a_column_without_values_has_no_unit():
    assert scale_for("energy", []).unit == "", "nothing was measured, so no prefix was chosen"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("latency_p50", 0.0051, "5.1 ms"),
        ("accuracy_drop", 0.0028, "0.28 points"),
        ("throughput", 1200.0, "1,200 /s"),
        ("macs", 12_500_000.0, "12.5 M"),
        ("peak_memory", 2.0**20, "1 MiB"),
    ],
)
def test_single_figures(name, value, text):
    assert show(name, value) == text


def test_explanations_name_the_method_or_the_reason():
    assert explain(Metric(1.0, "s", Kind.STAND_IN, "on a laptop")) == "Stand-in: on a laptop"
    assert explain(unavailable("energy", "no meter")) == "Unavailable: no meter"


def test_small_words():
    assert spread_of("accuracy", Metric(0.9, "1", Kind.MEASURED, "m", uncertainty=0.01)) == "± 1.00 points"
    assert (count(1, "bundle"), count(2, "bundle")) == ("1 bundle", "2 bundles")
    assert [listing(list(w)) for w in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]
