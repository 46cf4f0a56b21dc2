from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import DataError
from profiles.meters.csv_log import CsvLog, read_log

EPOCH = 1_795_000_000.0


def log_of(power: Callable[[np.ndarray], np.ndarray], times: np.ndarray, offset: float = 0.0) -> CsvLog:
    return CsvLog(Path("log.csv"), times, power(times), offset, 1)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "log.csv"
    path.write_text(text, encoding="utf-8")
    return path


uneven = st.lists(st.floats(0.5, 1.5), min_size=2, max_size=60).map(lambda steps: np.cumsum([0.0, *steps]))
part = st.tuples(st.floats(0.0, 0.45), st.floats(0.55, 1.0))


@given(uneven, part, st.floats(0.0, 50.0))
def test_constant_power_between_any_two_moments(times: np.ndarray, window: tuple[float, float], watts: float) -> None:
    start, end = (fraction * times[-1] for fraction in window)
    reading = log_of(lambda t: np.full_like(t, watts), times).integrate(start, end)
    assert reading.joules == pytest.approx(watts * (end - start), abs=1e-9)
    assert reading.seconds == pytest.approx(end - start)


@given(uneven, part, st.floats(0.0, 10.0), st.floats(-0.05, 5.0))
def test_linear_ramp_is_exact_with_interpolated_edges(
    times: np.ndarray, window: tuple[float, float], first: float, slope: float
) -> None:
    start, end = (fraction * times[-1] for fraction in window)
    reading = log_of(lambda t: first + slope * t, times).integrate(start, end)
    exact = first * (end - start) + slope * (end**2 - start**2) / 2
    assert reading.joules == pytest.approx(exact, rel=1e-9, abs=1e-7)


@given(part, st.integers(200, 2000))
def test_sine_is_within_the_bound_of_the_trapezoid_rule(window: tuple[float, float], count: int) -> None:
    """P = 5 + 2 sin(3 t) over 4 s; error at most T h² max|P''| / 12, edges included."""
    times = np.linspace(0.0, 4.0, count)
    start, end = (fraction * 4.0 for fraction in window)
    reading = log_of(lambda t: 5 + 2 * np.sin(3 * t), times).integrate(start, end)
    exact = 5 * (end - start) + 2 / 3 * (math.cos(3 * start) - math.cos(3 * end))
    step = times[1] - times[0]
    bound = 18 * step**2 / 8 * (end - start)  # the edges' interpolation errs by up to h² max|P''| / 8
    assert abs(reading.joules - exact) <= bound + 1e-9


@given(uneven, part)
def test_two_windows_add_up_to_one(times: np.ndarray, window: tuple[float, float]) -> None:
    log = log_of(lambda t: 3 + np.sin(t) ** 2, times)
    first, last = (fraction * times[-1] for fraction in window)
    middle = 0.5 * times[-1]
    parts = log.integrate(first, middle).joules + log.integrate(middle, last).joules
    assert parts == pytest.approx(log.integrate(first, last).joules, abs=1e-9)


def test_epoch_seconds_and_offset_mean_the_same() -> None:
    times = np.arange(0.0, 10.0, 0.1)
    relative = log_of(lambda t: 2 + t, times, offset=EPOCH).integrate(EPOCH + 1.23, EPOCH + 7.89)
    absolute = log_of(lambda t: 2 + (t - EPOCH), times + EPOCH).integrate(EPOCH + 1.23, EPOCH + 7.89)
    assert relative.joules == pytest.approx(absolute.joules, rel=1e-6)


@pytest.mark.parametrize(("start", "end"), [(-5.0, 2.0), (8.0, 12.0), (20.0, 30.0), (5.0, 5.0), (6.0, 5.0)])
def test_a_window_outside_of_the_log_is_refused(start: float, end: float) -> None:
    log = log_of(lambda t: t * 0 + 1, np.arange(0.0, 10.0, 0.1), offset=EPOCH)
    with pytest.raises(DataError, match="wanted the energy from") as caught:
        log.integrate(EPOCH + start, EPOCH + end)
    assert "the log covers 1795000000.0" in caught.value.seen
    assert "offset" in caught.value.next_step


def test_a_whole_log_is_inside_of_itself() -> None:
    times = np.arange(0.0, 10.5, 0.5)
    assert log_of(lambda t: t * 0 + 2, times).integrate(0.0, 10.0).joules == pytest.approx(20.0)


def test_ppk2_file(tmp_path: Path) -> None:
    rows = "".join(f"{n / 10:.1f},{50000 + n},00000000\n" for n in range(1001))
    log = read_log(write(tmp_path, "Timestamp(ms),Current(uA),D0-D7\n" + rows), offset=EPOCH, supply_voltage=3.3)
    reading = log.integrate(EPOCH, EPOCH + 0.1)
    assert reading.joules == pytest.approx(3.3 * 0.0505 * 0.1, rel=1e-6), "50 to 51 mA at 3.3 V for 100 ms"


def test_joulescope_file(tmp_path: Path) -> None:
    rows = "0.0,0.4,4.75,1.9,0,0\n0.5,0.4,4.75,2.1,0.2,0.95\n1.0,0.4,4.75,1.9,0.4,1.9\n"
    assert read_log(write(tmp_path, "#time,current,voltage,power,charge,energy\n" + rows)).integrate(
        0.0, 1.0
    ).joules == pytest.approx(2.0)


def test_current_times_voltage(tmp_path: Path) -> None:
    text = "Timestamp (s);Main current (mA);Main voltage (V)\n0;100;5.0\n1;100;5.0\n"
    assert read_log(write(tmp_path, text)).integrate(0.0, 1.0).joules == pytest.approx(0.5)


def test_quoted_fields_and_crlf(tmp_path: Path) -> None:
    log = read_log(write(tmp_path, '"time (s)","power (W)"\r\n"0","2"\r\n"1","2"\r\n'))
    assert log.integrate(0.0, 1.0).joules == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("rows", "message", "seen"),
    [
        ("0,1\n1,1\n2,one\n3,1\n", "wanted numbers in row 4", "2,one"),
        ("0,1\n1\n2,1\n", "wanted numbers in row 3", "1"),
        ("0,1\n1,nan\n2,1\n", "row 3 of log.csv is not finite", "nan"),
        ("0,1\n\n1,1\n2,inf\n", "row 5 of log.csv is not finite", "inf"),
        ("0,1\n1,1\n0.5,1\n", "time does not rise in row 4", "0.5 s after 1 s"),
        ("0,1\n1,1\n1,1\n", "time does not rise in row 4", "1 s after 1 s"),
        ("0,1\n", "at least two samples", "1"),
        ("", "at least two samples", "0"),
        ("2026-11-20T10:00:00,1\n2026-11-20T10:00:01,1\n", "wanted numbers in row 2", "2026"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, rows: str, message: str, seen: str) -> None:
    path = write(tmp_path, "time (s),power (W)\n" + rows)
    with pytest.raises(DataError, match=message) as caught:
        read_log(path)
    assert seen in caught.value.seen


def test_a_decimal_comma_is_not_read_as_a_number(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="wanted numbers in row 2") as caught:
        read_log(write(tmp_path, "time (s);power (W)\n0;1,5\n1;1,5\n"))
    assert "0;1,5" in caught.value.seen


def test_a_gap_inside_of_the_window_is_refused_with_its_row(tmp_path: Path) -> None:
    times = [n * 0.1 for n in range(20)] + [5.0 + n * 0.1 for n in range(20)]
    log = read_log(write(tmp_path, "time,power\n" + "".join(f"{t:.1f},1\n" for t in times)))
    with pytest.raises(DataError, match="gap before row 22") as caught:
        log.integrate(1.0, 6.0)
    assert "3.1 s" in caught.value.seen
    assert log.integrate(0.0, 1.9).joules == pytest.approx(1.9), "a gap elsewhere does not matter"
    assert log.integrate(5.0, 6.9).joules == pytest.approx(1.9)
    assert log.integrate(1.0, 6.0, max_gap=4.0).joules == pytest.approx(5.0), "unless it is allowed"


def test_an_edge_in_a_gap_is_refused() -> None:
    times = np.concatenate((np.arange(0.0, 2.0, 0.1), np.arange(5.0, 7.0, 0.1)))
    log = CsvLog(Path(__file__), times, np.ones_like(times), 0.0, 1)
    with pytest.raises(DataError, match="gap"):
        log.integrate(3.0, 6.0)


def test_a_growing_file_ends_with_its_last_whole_line(tmp_path: Path) -> None:
    path = write(tmp_path, "time,power\n0,1\n1,1\n2,1.")
    assert len(read_log(path, growing=True).times) == 2
    assert len(read_log(path).times) == 3


def test_resolution_is_the_smallest_step() -> None:
    log = CsvLog(Path("x"), np.arange(5.0), np.array([1.0, 1.25, 1.0, 2.0, 1.5]), 0.0, 1)
    assert log.resolution.value == 0.25
    assert log.resolution.unit == "W"
    assert log.resolution.interval == 1.0
