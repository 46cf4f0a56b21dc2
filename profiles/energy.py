"""Energy per inference above idle, with its uncertainty.

    E = (E_run - P_idle * T_run) / n

The standard uncertainty is propagated by the law of GUM (JCGM 100:2008, 5.1.2) from the meter's
resolution, the scatter of sampled power and of the idle windows, and the moments at which the meter
was read. The meter's own gain error is not in it: no meter here tells it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from profiles.errors import EdgewrightError
from profiles.measurement import Kind, Metric, unavailable
from profiles.meters.base import EnergyReading, Meter, Resolution, reason
from profiles.units import format_quantity

#: The idle time is cut into this many windows, half of them before the run and half after it, so that a slow
#: drift cancels to first order and shows in their scatter.
IDLE_WINDOWS = 6
#: What a second attempt is longer than the first one says that it has to be.
ROOM = 1.1

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class IdlePower:
    """Mean power without inferences.

    Attributes:
        watts: of all idle windows together.
        uncertainty: standard, in watts, from everything.
        from_resolution: the part of it that the meter's resolution causes.
    """

    watts: float
    uncertainty: float
    from_resolution: float


class _MeterFailedError(Exception):
    """The meter failed, not the work; the text is the reason."""


def measure_energy(
    meter: Meter,
    run_for: Callable[[float], int],
    *,
    idle_seconds: float = 10.0,
    run_seconds: float = 10.0,
    longest: float = 40.0,
    max_relative: float = 0.05,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Metric]:
    """Measure ``energy`` (J per inference, above idle) and ``power`` (W, mean above idle).

    Args:
        meter: of the machine that runs.
        run_for: runs inferences for about so many seconds, returns how many.
        idle_seconds, run_seconds: how long to measure without and with inferences.
        longest: where that proves too short for the meter's resolution, both are measured once more, as long as
            :func:`seconds_needed` says, but not for more seconds than these.
        max_relative: relative standard uncertainty that the meter's resolution alone may cause;
            windows too short for it make both figures unavailable.
        sleep: passes the idle time.

    Returns:
        Both metrics, measured or unavailable with the reason. What ``run_for`` raises is passed on.
    """
    why = meter.available()
    if why:
        return unavailable_energy(why)
    try:
        seen = _windows(meter, run_for, idle_seconds, run_seconds, sleep)
        seconds = ROOM * _seconds_for(seen, max_relative)
        if max(idle_seconds, run_seconds) < seconds <= longest:
            seen = _windows(meter, run_for, seconds, seconds, sleep)
    except _MeterFailedError as error:
        return unavailable_energy(str(error))
    return net_energy(seen.idle, seen.run, seen.count, seen.resolution, max_relative=max_relative)


@dataclasses.dataclass(frozen=True)
class _Seen:
    """One attempt: windows without inferences, one with ``count`` of them."""

    idle: list[EnergyReading]
    run: EnergyReading
    count: int
    resolution: Resolution


def _windows(
    meter: Meter,
    run_for: Callable[[float], int],
    idle_seconds: float,
    run_seconds: float,
    sleep: Callable[[float], None],
) -> _Seen:
    half, each = IDLE_WINDOWS // 2, idle_seconds / IDLE_WINDOWS
    idle = [_window(meter, lambda: sleep(each))[0] for _ in range(half)]
    run, count = _window(meter, lambda: run_for(run_seconds))
    idle += [_window(meter, lambda: sleep(each))[0] for _ in range(half)]
    return _Seen(idle, run, count, _ask(lambda: meter.resolution))


def _seconds_for(seen: _Seen, relative: float) -> float:
    """How long the windows have to be, by the powers that were seen; 0 where they were long enough."""
    base = idle_power(seen.idle, seen.resolution)
    net = seen.run.joules - base.watts * seen.run.seconds
    if _from_resolution(base, seen.run, seen.resolution) <= relative * net:
        return 0.0
    return seconds_needed(seen.resolution, seen.run.watts, base.watts, relative)


def unavailable_energy(why: str) -> dict[str, Metric]:
    """Both metrics, unavailable for one reason."""
    return {name: unavailable(name, why) for name in ("energy", "power")}


def net_energy(
    idle: Sequence[EnergyReading],
    run: EnergyReading,
    count: int,
    resolution: Resolution,
    *,
    max_relative: float = 0.05,
) -> dict[str, Metric]:
    """The same from readings taken earlier, such as windows cut out of an external logger's file.

    Args:
        idle: windows without inferences, at least one.
        run: one window of ``count`` inferences.
        resolution: of the meter.
        max_relative: as for :func:`measure_energy`.
    """
    base = idle_power(idle, resolution)
    net = run.joules - base.watts * run.seconds
    problem = _problem(net, base, run, count=count, resolution=resolution, max_relative=max_relative)
    if problem:
        return unavailable_energy(problem)
    from_run = math.hypot(run.uncertainty, base.watts * run.seconds_uncertainty)
    uncertainty = math.hypot(from_run, run.seconds * base.uncertainty)
    timing = run.watts * run.seconds_uncertainty / run.seconds
    power_uncertainty = math.hypot(run.uncertainty / run.seconds, base.uncertainty, timing)
    method = f"{run.method}; {count} inferences in {_text(run.seconds, 's')}, less {_text(base.watts, 'W')} when idle"
    samples = tuple(watts - base.watts for _, watts in run.samples) or None
    return {
        "energy": Metric(net / count, "J", Kind.MEASURED, method, uncertainty=uncertainty / count),
        "power": Metric(net / run.seconds, "W", Kind.MEASURED, method, "", samples, power_uncertainty),
    }


def idle_power(idle: Sequence[EnergyReading], resolution: Resolution) -> IdlePower:
    """Mean power of the idle windows.

    Its uncertainty joins the scatter of the windows, ``s / sqrt(k)`` (GUM, 4.2.3), the resolution and
    the timing in quadrature. A counter's errors are independent from window to window; those of
    sampled power may be the same in all, so that more windows do not lessen them.
    """
    seconds = sum(reading.seconds for reading in idle)
    watts = sum(reading.joules for reading in idle) / seconds
    scatter = statistics.stdev([r.watts for r in idle]) / math.sqrt(len(idle)) if len(idle) > 1 else 0.0
    steps = [resolution.uncertainty(reading.watts, reading.seconds) for reading in idle]
    resolved = (math.hypot(*steps) if resolution.unit == "J" else sum(steps)) / seconds
    timing = watts * math.hypot(*(reading.seconds_uncertainty for reading in idle)) / seconds
    return IdlePower(watts, math.hypot(scatter, resolved, timing), resolved)


def seconds_needed(resolution: Resolution, run_watts: float, idle_watts: float, relative: float) -> float:
    """How long the run, and all idle windows together, have to be for the resolution to allow a figure.

    Args:
        resolution: of the meter.
        run_watts, idle_watts: mean power with and without inferences.
        relative: the wanted relative standard uncertainty of the energy above idle.

    Returns:
        Seconds for each of the two; infinite when no length is enough.
    """
    net = run_watts - idle_watts
    if net <= 0:
        return math.inf
    if resolution.unit == "J":
        idle = math.sqrt(IDLE_WINDOWS) * resolution.uncertainty(idle_watts, 0.0)
        return math.hypot(resolution.uncertainty(run_watts, 0.0), idle) / (relative * net)
    constant = math.sqrt(2) * resolution.uncertainty(0.0, 1.0) / net
    return resolution.interval if constant <= relative else math.inf


def _problem(
    net: float, base: IdlePower, run: EnergyReading, *, count: int, resolution: Resolution, max_relative: float
) -> str:
    """Why there is no figure, or nothing."""
    powers = f"{_text(run.watts, 'W')} with inferences, {_text(base.watts, 'W')} without"
    if count <= 0:
        return f"no inference was finished in {_text(run.seconds, 's')}"
    if net <= 0:
        return (
            f"the machine drew no more power than idle: {powers} (standard uncertainty {_text(base.uncertainty, 'W')})"
        )
    from_resolution = _from_resolution(base, run, resolution)
    if from_resolution <= max_relative * net:
        return ""
    seconds = seconds_needed(resolution, run.watts, base.watts, max_relative)
    if math.isinf(seconds):
        return f"the meter's steps of {_text(resolution.value, 'W')} are too coarse: {powers}"
    return (
        f"the windows are too short for the meter: {_text(run.seconds, 's')} gave "
        f"{from_resolution / net:.0%} uncertainty ({powers}), "
        f"{max_relative:.0%} needs {_text(seconds, 's')} of running and as much of idling"
    )


def _from_resolution(base: IdlePower, run: EnergyReading, resolution: Resolution) -> float:
    """Standard uncertainty in joules of the energy above idle that the meter's resolution alone causes."""
    return math.hypot(resolution.uncertainty(run.watts, run.seconds), run.seconds * base.from_resolution)


def _window(meter: Meter, work: Callable[[], T]) -> tuple[EnergyReading, T]:
    _ask(meter.start)
    try:
        result = work()
    except BaseException:
        with contextlib.suppress(EdgewrightError):
            meter.stop()
        raise
    return _ask(meter.stop), result


def _ask(question: Callable[[], T]) -> T:
    try:
        return question()
    except EdgewrightError as error:
        raise _MeterFailedError(reason(error)) from error


def _text(value: float, unit: str) -> str:
    return format_quantity(value, unit)
