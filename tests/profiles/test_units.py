"""Quantities: closed-form table, errors in words, and parse(format(x)) within rounding."""

import itertools
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.errors import ConfigError
from profiles.units import UNITS, format_quantity, parse_quantity

EXACT = [
    ("5 ms", "s", 0.005),
    ("5ms", "s", 0.005),
    (" 5 ms ", "s", 0.005),
    ("250 us", "s", 250e-6),
    ("250 µs", "s", 250e-6),  # U+00B5, micro sign
    ("250 μs", "s", 250e-6),  # U+03BC, Greek mu
    ("1.5 min", "s", 90.0),
    ("2 h", "s", 7200.0),
    ("256 KiB", "B", 262144.0),
    ("256 kB", "B", 256000.0),
    ("256 KB", "B", 256000.0),
    ("1 MiB", "B", 1048576.0),
    ("0.5 GiB", "B", 536870912.0),
    ("17 B", "B", 17.0),
    ("480 MHz", "Hz", 480e6),
    ("2.4 GHz", "Hz", 2.4e9),
    ("500 mW", "W", 0.5),
    ("2 mJ", "J", 0.002),
    ("1 Wh", "J", 3600.0),
    ("1 mWh", "J", 3.6),
    ("1 %", "1", 0.01),
    ("0.5 points", "1", 0.005),
    ("0.01", "1", 0.01),
    (0.01, "1", 0.01),
    (3, "1", 3.0),
    ("1e3 ms", "s", 1.0),
    ("+.5 s", "s", 0.5),
    ("5. s", "s", 5.0),
    ("0 B", "B", 0.0),
]

REFUSED = [
    ("5", "s"),
    (5, "s"),
    (5.0, "B"),
    ("5 MS", "s"),
    ("5 mb", "B"),
    ("5 Mbit", "B"),
    ("5 MiB", "s"),
    ("5 ms", "B"),
    ("ms", "s"),
    ("", "s"),
    ("five ms", "s"),
    ("5 m s", "s"),
    ("1,5 ms", "s"),
    ("5 ms; 6 ms", "s"),
    ("nan s", "s"),
    ("inf s", "s"),
    ("-1 ms", "s"),
    ("1e400 s", "s"),
    ("1e308 GHz", "Hz"),
    (float("nan"), "1"),
    (float("inf"), "1"),
    (True, "1"),
    ("-0.1 %", "1"),
]

PRETTY = [
    (0.0051, "s", "5.1 ms"),
    (0.005, "s", "5 ms"),
    (1.0, "s", "1 s"),
    (90.0, "s", "90 s"),
    (0.0009996, "s", "1 ms"),
    (0.9999, "s", "1 s"),
    (0.000123456, "s", "123 µs"),
    (3.4e-8, "s", "34 ns"),
    (4e-13, "s", "0.4 ps"),
    (0.0, "s", "0 s"),
    (-0.0021, "s", "-2.1 ms"),
    (1023.0, "B", "1023 B"),
    (1024.0, "B", "1 KiB"),
    (1048575.9, "B", "1 MiB"),
    (262144.0, "B", "256 KiB"),
    (1.5 * 2**30, "B", "1.5 GiB"),
    (0.0, "B", "0 B"),
    (2.4e9, "Hz", "2.4 GHz"),
    (999.9e6, "Hz", "1 GHz"),
    (25e6, "Hz", "25 MHz"),
    (0.0025, "J", "2.5 mJ"),
    (1234.5, "W", "1234 W"),
    (31.87, "dB", "31.9 dB"),
    (1000.0, "1", "1,000"),
    (-5.0, "1", "-5"),
    (0.98765432, "1", "0.9877"),
    (123.456, "1/s", "123.5 1/s"),
]


@pytest.mark.parametrize(("text", "unit", "value"), EXACT)
def test_reads_quantities(text, unit, value):
    assert parse_quantity(text, unit) == pytest.approx(value, rel=1e-15), f"{text!r} should be {value} {unit}"


@pytest.mark.parametrize(("text", "unit"), REFUSED)
def test_refuses_what_is_no_quantity(text, unit):
    with pytest.raises(ConfigError) as caught:
        parse_quantity(text, unit, where="[budget] latency")
    assert caught.value.wanted.startswith("[budget] latency needs"), "the error should name the setting"
    assert caught.value.seen == repr(text), "the error should show what was written"


@pytest.mark.parametrize("unit", UNITS)
def test_the_example_in_the_error_is_accepted(unit):
    with pytest.raises(ConfigError) as caught:
        parse_quantity("nonsense", unit)
    example = re.search(r'"(.+)"', caught.value.next_step)
    assert example, f"no example in {caught.value.next_step!r}"
    assert parse_quantity(example.group(1), unit) > 0, "the error's own advice should work"
    for name in filter(None, caught.value.allowed.split(", ")):
        assert parse_quantity(f"1 {name}", unit) > 0, f"the error lists {name!r}, so it should be accepted"


@pytest.mark.parametrize(("value", "unit", "text"), PRETTY)
def test_pretty_text(value, unit, text):
    assert format_quantity(value, unit) == text


finite = st.floats(min_value=0.0, max_value=1e15, allow_subnormal=False)


@settings(deadline=None)
@given(finite, st.sampled_from([(unit, name) for unit, table in UNITS.items() for name in table if name]))
def test_a_number_times_its_unit(value, unit_and_name):
    unit, name = unit_and_name
    expected = value * UNITS[unit][name]
    assert parse_quantity(f"{value!r} {name}", unit) == pytest.approx(expected, rel=1e-12, abs=0.0)


@settings(deadline=None)
@given(
    st.floats(min_value=1e-12, max_value=1e13),
    st.sampled_from(["s", "J", "W", "Hz", "B"]),
    st.integers(min_value=2, max_value=8),
)
def test_parse_undoes_format_within_rounding(value, unit, digits):
    text = format_quantity(value, unit, digits)
    back = parse_quantity(text, unit)
    half_a_step = 0.5 * 10.0 ** (1 - digits) * (1 + 1e-9)
    assert abs(back - value) <= half_a_step * value, f"{value!r} {unit} became {text!r}, which is {back!r}"


@settings(deadline=None)
@given(st.floats(min_value=0.001, max_value=999.0))
def test_parse_undoes_format_for_plain_numbers(value):
    text = format_quantity(value, "1")
    assert parse_quantity(text, "1") == pytest.approx(value, rel=0.51e-3), f"{value!r} became {text!r}"


@settings(deadline=None)
@given(st.floats(min_value=1e-15, max_value=1e18), st.sampled_from(["s", "J", "W", "Hz", "B"]))
def test_a_value_is_never_shown_as_zero_nor_with_too_small_a_prefix(value, unit):
    number, _, name = format_quantity(value, unit).partition(" ")
    assert float(number) != 0, f"{value!r} {unit} is shown as zero"
    step = 1024 if unit == "B" else 1000
    largest = name in {"s", "J", "W", "GHz", "GiB"}
    assert float(number) < step or largest, f"{value!r} {unit} is shown as {number} {name}"


@settings(deadline=None)
@given(st.floats(min_value=1e-15, max_value=1e18), st.sampled_from(["s", "J", "W", "Hz", "B", "1", "dB", "1/s"]))
def test_a_minus_sign_changes_nothing_else(value, unit):
    assert format_quantity(-value, unit) == f"-{format_quantity(value, unit)}"


def test_no_two_names_of_a_unit_differ_in_case_only_and_mean_the_same_prefix():
    for unit, table in UNITS.items():
        for one, other in itertools.combinations(table, 2):
            same_letters = one.lower() == other.lower()
            if same_letters and not math.isclose(table[one], table[other]):
                pair = {one[:1], other[:1]}
                assert pair == {"m", "M"}, f"{unit}: {one!r} and {other!r} are easily mistaken"
