"""Figures against limits: met, missed, or not known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.measurement import METRIC_UNITS, Kind, Metric, unavailable
from profiles.units import parse_quantity
from toolchain.budget import ANSWERS, check_budget
from toolchain.project.sections import Budget


def figure(value, unit="s", kind=Kind.MEASURED):
    return Metric(value, unit, kind, "a test")


def test_every_limit_of_the_project_file_has_an_answer():
    assert set(ANSWERS) == set(Budget.model_fields)
    units = {"accuracy_drop": "1", "latency": "s", "ram": "B", "flash": "B", "energy": "J", "size": "B"}
    for key, names in ANSWERS.items():
        assert {METRIC_UNITS[name] for name in names} == {units[key]}, key


@pytest.mark.parametrize(("value", "met"), [(0.004, True), (0.005, True), (0.005001, False)])
def test_a_limit_may_be_reached(value, met):
    (row,) = check_budget(Budget(latency="5 ms"), {"latency_p50": figure(value)})
    assert row == {"metric": "latency_p50", "limit": 0.005, "value": value, "met": met}


@given(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9))
def test_met_means_not_above(limit, value):
    (row,) = check_budget(Budget(energy=f"{limit!r} J"), {"energy": figure(value, "J")})
    assert row["met"] is (value <= parse_quantity(f"{limit!r} J", "J"))


def test_what_is_not_known_is_neither_met_nor_missed():
    for metrics in ({}, {"energy": unavailable("energy", "no meter")}):
        (row,) = check_budget(Budget(energy="1 mJ"), metrics)
        assert row == {"metric": "energy", "limit": 1e-3, "value": None, "met": None}


def test_the_first_figure_that_is_there_answers():
    metrics = {"peak_memory": figure(2e6, "B"), "arena": figure(1e5, "B"), "ram": unavailable("ram", "not told")}
    (row,) = check_budget(Budget(ram="1 MB"), metrics)
    assert (row["metric"], row["value"], row["met"]) == ("arena", 1e5, True)
    del metrics["arena"]
    (row,) = check_budget(Budget(ram="1 MB"), metrics)
    assert (row["metric"], row["met"]) == ("peak_memory", False)


def test_a_gain_in_accuracy_meets_every_limit():
    (row,) = check_budget(Budget(accuracy_drop="0 %"), {"accuracy_drop": figure(-0.01, "1")})
    assert row["met"] is True


def test_no_limits_no_rows():
    assert check_budget(Budget(), {"latency_p50": figure(1.0)}) == []


def test_a_row_for_every_limit_in_the_order_of_the_file():
    rows = check_budget(Budget(accuracy_drop="1 %", latency="5 ms", size="1 MiB"), {})
    assert [row["metric"] for row in rows] == ["accuracy_drop", "latency_p50", "model_size"]
