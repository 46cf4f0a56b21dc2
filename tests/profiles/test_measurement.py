"""Metrics: what they refuse, how they travel, when they may be ranked; percentiles against numpy."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.measurement import METRIC_UNITS, Kind, Metric, as_stand_in, comparable, percentile, unavailable

AVAILABLE = [kind for kind in Kind if kind is not Kind.UNAVAILABLE]
ARCHITECTURE_NAMES = """accuracy accuracy_drop latency_p50 latency_p90 latency_p99 cpu_time_p50 throughput peak_memory
    model_size flash code_size weights_size arena ram stack instructions instructions_mve cycles utilization dram_bytes
    energy power init_instructions parity_max_error sqnr params macs stored_size
    latency_events_p50 latency_transfers_p50 latency_graph_p50 latency_compiled_p50
    gpu_memory engine_memory context_memory kernels
    luts flip_flops multipliers block_rams device_share fmax
    cycles_compute cycles_load cycles_store cycles_stall bytes_loaded bytes_stored bytes_program peak_macs peak_bytes"""

numbers = st.floats(min_value=-1e9, max_value=1e9)
metrics = st.builds(
    Metric,
    value=numbers,
    unit=st.sampled_from(["s", "B", "J", "W", "Hz", "1", "1/s", "dB"]),
    kind=st.sampled_from(AVAILABLE),
    method=st.text(min_size=1),
    samples=st.none() | st.lists(numbers).map(tuple),
    uncertainty=st.none() | st.floats(min_value=0, max_value=1e9),
)
absent = st.builds(unavailable, st.sampled_from(sorted(METRIC_UNITS)), st.text(min_size=1))


def measured(value=1.0, unit="s", kind=Kind.MEASURED):
    return Metric(value, unit, kind, "stopwatch")


def test_the_metric_names_are_those_of_the_architecture():
    assert set(METRIC_UNITS) == set(ARCHITECTURE_NAMES.split())
    assert set(METRIC_UNITS.values()) <= {"s", "B", "J", "W", "Hz", "1", "1/s", "dB"}, "units are SI base units"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((None, "s", Kind.MEASURED, "stopwatch"), "no value, yet measured"),
        ((0.0, "s", Kind.UNAVAILABLE, "", "no meter"), "a missing figure is never 0"),
        ((None, "s", Kind.UNAVAILABLE), "unavailable without a reason"),
        ((1.0, "s", Kind.MEASURED), "no method"),
        ((float("nan"), "s", Kind.MEASURED, "stopwatch"), "not a number"),
        ((float("inf"), "s", Kind.ESTIMATED, "formula"), "infinite"),
        ((1.0, "s", Kind.MEASURED, "stopwatch", "", None, -0.1), "negative uncertainty"),
        ((1.0, "s", Kind.MEASURED, "stopwatch", "", None, float("nan")), "uncertainty that is not a number"),
    ],
)
def test_refuses_dishonest_figures(arguments, why):
    with pytest.raises(ValueError, match=r"metric|uncertainty"):
        Metric(*arguments)
        pytest.fail(f"accepted although: {why}")


def test_a_metric_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        measured().value = 2.0


@settings(deadline=None)
@given(metrics | absent)
def test_a_dict_through_json_loses_nothing(metric):
    data = json.loads(json.dumps(metric.as_dict()))
    assert Metric.from_dict(data) == metric
    assert Metric.from_dict(data).as_dict() == data


@settings(deadline=None)
@given(metrics | absent)
def test_the_dict_has_the_shape_of_summary_json(metric):
    keys = {"value", "unit", "kind", "method", "reason"}
    keys |= {"samples"} if metric.samples is not None else set()
    keys |= {"uncertainty"} if metric.uncertainty is not None else set()
    assert set(metric.as_dict()) == keys
    assert metric.available == (metric.as_dict()["value"] is not None) == (metric.kind is not Kind.UNAVAILABLE)


def test_a_dict_with_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="guessed"):
        Metric.from_dict({**measured().as_dict(), "kind": "guessed"})


@pytest.mark.parametrize("name", METRIC_UNITS)
def test_unavailable_knows_the_unit_of_every_metric(name):
    metric = unavailable(name, "no meter")
    assert (metric.value, metric.unit, metric.reason) == (None, METRIC_UNITS[name], "no meter")


def test_unavailable_also_takes_a_unit():
    assert unavailable("J", "no meter").unit == "J"


def test_a_stand_in_names_the_machine_and_keeps_the_figure():
    metric = Metric(0.005, "s", Kind.MEASURED, "perf_counter", samples=(0.005,), uncertainty=1e-6)
    stand_in = as_stand_in(metric, "AMD EPYC")
    assert stand_in.kind is Kind.STAND_IN
    assert stand_in.method == "perf_counter; on AMD EPYC, not on the device"
    assert dataclasses.replace(stand_in, kind=metric.kind, method=metric.method) == metric


@settings(deadline=None)
@given((metrics | absent).filter(lambda metric: metric.kind is not Kind.MEASURED))
def test_only_what_was_measured_becomes_a_stand_in(metric):
    assert as_stand_in(metric, "elsewhere") is metric


@pytest.mark.parametrize("one", Kind)
@pytest.mark.parametrize("other", Kind)
def test_only_available_figures_of_one_kind_may_be_ranked(one, other):
    pair = [unavailable("s", "no") if kind is Kind.UNAVAILABLE else measured(kind=kind) for kind in (one, other)]
    assert comparable(pair) == (one is other and one is not Kind.UNAVAILABLE), f"{one} against {other}"


def test_different_units_may_not_be_ranked():
    assert not comparable([measured(unit="s"), measured(unit="B")])
    assert comparable(iter([measured(1.0), measured(2.0), measured(3.0)]))
    assert comparable([])


def test_kinds_print_as_in_json():
    assert [str(kind) for kind in Kind] == ["measured", "stand_in", "simulated", "estimated", "unavailable"]


@settings(deadline=None)
@given(st.lists(numbers, min_size=1, max_size=50).map(sorted), st.floats(min_value=0, max_value=100))
def test_percentile_is_numpys_linear_method(values, percent):
    expected = float(np.percentile(values, percent, method="linear"))
    tolerance = 1e-12 * max(map(abs, values)) + 1e-300
    assert math.isclose(percentile(values, percent), expected, rel_tol=1e-12, abs_tol=tolerance)


@settings(deadline=None)
@given(st.lists(numbers, min_size=1).map(sorted))
def test_the_outer_percentiles_are_the_smallest_and_the_greatest_value(values):
    assert percentile(values, 0) == values[0]
    assert percentile(values, 100) == values[-1]


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([7.0], 99, 7.0), ([1.0, 2.0], 50, 1.5), ([1.0, 2.0, 3.0, 4.0], 90, 3.7), ([1.0, 2.0, 3.0, 4.0, 5.0], 25, 2.0)],
)
def test_percentiles_by_hand(values, percent, expected):
    assert percentile(values, percent) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], -1), ([1.0], 100.1), ([1.0], float("nan"))])
def test_percentile_refuses_what_has_no_answer(values, percent):
    with pytest.raises(ValueError, match="percent"):
        percentile(values, percent)
