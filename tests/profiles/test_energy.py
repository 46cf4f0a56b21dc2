from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.energy import IDLE_WINDOWS, idle_power, measure_energy, net_energy, seconds_needed, unavailable_energy
from profiles.errors import UnreachableError
from profiles.measurement import Kind
from profiles.meters.base import EnergyReading, Resolution
from profiles.meters.rapl import RaplMeter

FINE = Resolution(1e-9, "J", 0.0)


class FakeMeter:
    """A machine with a clock of its own that draws what the test says, and a meter on it."""

    name = "fake"

    def __init__(self, resolution: Resolution = FINE) -> None:
        self.resolution = resolution
        self.now = 0.0
        self.joules = 0.0
        self.idle_watts = 3.0
        self.run_watts = 8.0
        self.inference_seconds = 0.01
        self.reason = ""
        self.open = False
        self.log: list[str] = []
        self.fails_on_stop = 0

    def available(self) -> str:
        return self.reason

    def start(self) -> None:
        assert not self.open
        self.open = True
        self.began = (self.now, self.joules)

    def stop(self) -> EnergyReading:
        assert self.open
        self.open = False
        self.log.append("stop")
        if len(self.log) == self.fails_on_stop:
            raise UnreachableError("the sensor is gone", seen="silence")
        seconds, joules = self.now - self.began[0], self.joules - self.began[1]
        return EnergyReading(joules, seconds, self.resolution.uncertainty(joules / seconds, seconds), "fake meter")

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.joules += self.idle_watts * seconds

    def run_for(self, seconds: float) -> int:
        count = math.ceil(seconds / self.inference_seconds)
        self.now += count * self.inference_seconds
        self.joules += self.run_watts * count * self.inference_seconds
        return count


@given(st.floats(0.5, 20.0), st.floats(0.5, 50.0), st.floats(1e-4, 0.5))
def test_formula_gives_back_what_one_inference_uses(idle: float, net: float, each: float) -> None:
    meter = FakeMeter()
    meter.idle_watts, meter.run_watts, meter.inference_seconds = idle, idle + net, each
    metrics = measure_energy(meter, meter.run_for, sleep=meter.sleep)
    assert metrics["energy"].value == pytest.approx(net * each, rel=1e-6)
    assert metrics["power"].value == pytest.approx(net, rel=1e-6)


def test_metrics_say_kind_unit_method_and_uncertainty() -> None:
    meter = FakeMeter()
    metrics = measure_energy(meter, meter.run_for, sleep=meter.sleep)
    assert metrics["energy"].unit == "J"
    assert metrics["power"].unit == "W"
    for metric in metrics.values():
        assert metric.kind is Kind.MEASURED
        assert "fake meter; 1000 inferences in 10 s, less 3 W when idle" in metric.method
        assert metric.uncertainty is not None
        assert metric.uncertainty > 0


def test_idle_is_measured_half_before_and_half_after_so_that_drift_cancels() -> None:
    meter = FakeMeter()
    seen = []

    def sleep(seconds: float) -> None:
        seen.append(meter.now)
        meter.idle_watts = 3.0 + 0.02 * (meter.now + seconds / 2)  # a linear drift
        meter.sleep(seconds)

    def run_for(seconds: float) -> int:
        meter.run_watts = 3.0 + 0.02 * (meter.now + seconds / 2) + 5.0
        return meter.run_for(seconds)

    metrics = measure_energy(meter, run_for, sleep=sleep)
    assert len(seen) == IDLE_WINDOWS
    assert sum(moment < 5.0 for moment in seen) == IDLE_WINDOWS // 2
    assert metrics["power"].value == pytest.approx(5.0, rel=1e-6)
    assert metrics["power"].uncertainty is not None
    assert metrics["power"].uncertainty > 0.02, "the drift has to show in the uncertainty"


def draw(rng: np.random.Generator, seconds: float, watts: float, resolution: Resolution) -> EnergyReading:
    """One reading of a real instrument: steps, late updates and noise, all at random."""
    if resolution.unit == "J":
        edges = rng.uniform(0, resolution.value, 2) + rng.uniform(0, resolution.interval, 2) * watts
        joules = watts * seconds + edges[0] - edges[1]
        return EnergyReading(joules, seconds, resolution.uncertainty(watts, seconds), "simulated")
    offset = rng.uniform(-0.5, 0.5) * resolution.value
    return EnergyReading((watts + offset) * seconds, seconds, resolution.uncertainty(watts, seconds), "simulated")


@pytest.mark.parametrize(
    ("resolution", "idle_noise"),
    [
        (Resolution(61e-6, "J", 1e-3), 0.05),  # RAPL, idle power that wanders
        (Resolution(1e-3, "J", 0.1), 0.0),  # NVML, late updates
        (Resolution(0.5, "J", 0.0), 0.0),  # a coarse counter
        (Resolution(0.2, "W", 0.02), 0.0),  # a coarse power sensor
        (Resolution(0.02, "W", 0.02), 0.05),
    ],
)
def test_uncertainty_is_the_spread_of_many_measurements(resolution: Resolution, idle_noise: float) -> None:
    """Monte Carlo (JCGM 101): 3000 measurements of 5 W above 3 W, 10 s each, 1000 inferences."""
    rng = np.random.default_rng(7)
    errors, stated = [], []
    for _ in range(3000):
        levels = 3.0 + rng.normal(0, idle_noise, IDLE_WINDOWS) if idle_noise else [3.0] * IDLE_WINDOWS
        idle = [draw(rng, 10 / IDLE_WINDOWS, level, resolution) for level in levels]
        metric = net_energy(idle, draw(rng, 10.0, 8.0, resolution), 1000, resolution, max_relative=1.0)["energy"]
        assert metric.value is not None
        assert metric.uncertainty is not None
        errors.append(metric.value - 0.05)
        stated.append(metric.uncertainty)
    actual = math.sqrt(np.mean(np.square(errors)))
    typical = math.sqrt(np.mean(np.square(stated)))
    assert typical > 0.95 * actual, f"stated {typical:.2e} J, but results scatter by {actual:.2e} J"
    assert typical < 1.6 * actual, f"stated {typical:.2e} J is far above the scatter of {actual:.2e} J"


def test_scatter_of_the_run_and_timing_are_propagated() -> None:
    """By hand: u² = u_run² + (P_idle u_T)² + (T u_idle)²."""
    idle = [EnergyReading(watts * 2.0, 2.0, 0.0, "m") for watts in (2.9, 3.0, 3.1)]
    run = EnergyReading(80.0, 10.0, 0.4, "m", seconds_uncertainty=0.05)
    nothing = Resolution(0.0, "J", 0.0)
    metrics = net_energy(idle, run, 100, nothing)
    from_idle = 0.1 / math.sqrt(3)
    assert metrics["energy"].value == pytest.approx(0.5)
    assert metrics["energy"].uncertainty == pytest.approx(
        math.sqrt(0.4**2 + (3.0 * 0.05) ** 2 + (10 * from_idle) ** 2) / 100
    )
    assert metrics["power"].uncertainty == pytest.approx(math.sqrt(0.04**2 + from_idle**2 + (8.0 * 0.05 / 10) ** 2))


def test_idle_windows_of_a_power_sensor_share_their_error() -> None:
    resolution = Resolution(0.4, "W", 0.02)
    many = idle_power([EnergyReading(3.0, 1.0, 0.1, "m")] * 6, resolution)
    one = idle_power([EnergyReading(18.0, 6.0, 0.1, "m")], resolution)
    assert many.from_resolution == pytest.approx(one.from_resolution)
    assert one.from_resolution == pytest.approx(0.4 / math.sqrt(12))


def test_samples_of_power_are_kept_above_idle() -> None:
    idle = [EnergyReading(3.0, 1.0, 0.0, "m")]
    run = EnergyReading(16.0, 2.0, 0.0, "m", samples=((0.0, 7.5), (1.0, 8.0), (2.0, 8.5)))
    assert net_energy(idle, run, 4, FINE)["power"].samples == (4.5, 5.0, 5.5)


@given(
    st.sampled_from([Resolution(61e-6, "J", 1e-3), Resolution(1e-3, "J", 0.1), Resolution(2.0, "J", 0.0)]),
    st.floats(0.5, 20.0),
    st.floats(0.5, 50.0),
    st.floats(0.005, 0.2),
)
def test_seconds_needed_are_just_enough(resolution: Resolution, idle: float, net: float, relative: float) -> None:
    seconds = seconds_needed(resolution, idle + net, idle, relative)

    def measured(length: float) -> bool:
        windows = [EnergyReading(idle * length / IDLE_WINDOWS, length / IDLE_WINDOWS, 0.0, "m")] * IDLE_WINDOWS
        run = EnergyReading((idle + net) * length, length, 0.0, "m")
        return net_energy(windows, run, 10, resolution, max_relative=relative)["energy"].available

    assert measured(seconds * 1.001), f"{seconds} s should be enough"
    assert not measured(seconds * 0.999), f"less than {seconds} s should not be enough"


def test_too_short_a_window_says_how_long_it_has_to_be() -> None:
    meter = FakeMeter(Resolution(1e-3, "J", 0.1))
    metrics = measure_energy(meter, meter.run_for, idle_seconds=1.0, run_seconds=1.0, longest=1.5, sleep=meter.sleep)
    for metric in metrics.values():
        assert metric.kind is Kind.UNAVAILABLE
        assert "too short for the meter" in metric.reason
        assert "5% needs" in metric.reason
    needed = seconds_needed(meter.resolution, 8.0, 3.0, 0.05)
    enough = measure_energy(
        meter, meter.run_for, idle_seconds=needed * 1.01, run_seconds=needed * 1.01, sleep=meter.sleep
    )
    assert enough["energy"].available, enough["energy"].reason


def test_too_short_a_window_is_lengthened_once() -> None:
    meter = FakeMeter(Resolution(1e-3, "J", 0.1))
    needed = seconds_needed(meter.resolution, 8.0, 3.0, 0.05)
    lengths = []

    def run_for(seconds: float) -> int:
        lengths.append(seconds)
        return meter.run_for(seconds)

    metrics = measure_energy(meter, run_for, idle_seconds=1.0, run_seconds=1.0, sleep=meter.sleep)
    assert lengths == [1.0, pytest.approx(needed * 1.1, rel=1e-6)]
    assert metrics["energy"].value == pytest.approx(5.0 * meter.inference_seconds, rel=1e-6)
    lengths.clear()
    measure_energy(meter, run_for, sleep=meter.sleep)
    assert lengths == [10.0], "windows that are long enough are measured once"
    meter.run_watts = meter.idle_watts + 0.01
    lengths.clear()
    reason = measure_energy(meter, run_for, sleep=meter.sleep)["energy"].reason
    assert lengths == [10.0], "what no patience is enough for is not tried"
    assert "too short for the meter" in reason


def test_too_coarse_a_sensor_is_never_enough() -> None:
    coarse = Resolution(2.0, "W", 0.1)
    assert seconds_needed(coarse, 8.0, 3.0, 0.05) == math.inf
    assert seconds_needed(Resolution(0.1, "W", 0.1), 8.0, 3.0, 0.05) == 0.1
    meter = FakeMeter(coarse)
    metric = measure_energy(meter, meter.run_for, sleep=meter.sleep)["energy"]
    assert metric.kind is Kind.UNAVAILABLE
    assert "steps of 2 W are too coarse" in metric.reason


def test_less_power_than_idle_is_no_figure() -> None:
    meter = FakeMeter()
    meter.run_watts = 2.5
    metrics = measure_energy(meter, meter.run_for, sleep=meter.sleep)
    assert metrics["energy"].kind is Kind.UNAVAILABLE
    assert "no more power than idle: 2.5 W with inferences, 3 W without" in metrics["energy"].reason
    assert metrics["power"].kind is Kind.UNAVAILABLE
    assert seconds_needed(FINE, 2.5, 3.0, 0.05) == math.inf


def test_no_inference_is_no_figure() -> None:
    meter = FakeMeter()

    def nothing(seconds: float) -> int:
        meter.run_for(seconds)
        return 0

    assert "no inference was finished" in measure_energy(meter, nothing, sleep=meter.sleep)["energy"].reason


def test_a_meter_that_is_not_there_costs_no_time() -> None:
    meter = FakeMeter()
    meter.reason = "permission denied; run: sudo chmod a+r x"
    metrics = measure_energy(meter, meter.run_for, sleep=meter.sleep)
    assert metrics == unavailable_energy(meter.reason)
    assert meter.now == 0.0
    assert set(metrics) == {"energy", "power"}


@pytest.mark.parametrize("window", [1, 4, 7])
def test_a_meter_that_fails_in_between_is_a_reason(window: int) -> None:
    meter = FakeMeter()
    meter.fails_on_stop = window
    metric = measure_energy(meter, meter.run_for, sleep=meter.sleep)["energy"]
    assert metric.kind is Kind.UNAVAILABLE
    assert metric.reason == "the sensor is gone; seen: silence"


def test_work_that_fails_is_not_hidden_and_the_meter_is_stopped() -> None:
    meter = FakeMeter()

    def broken(seconds: float) -> int:
        meter.run_for(seconds / 2)
        raise UnreachableError("the board is gone")

    with pytest.raises(UnreachableError, match="the board is gone"):
        measure_energy(meter, broken, sleep=meter.sleep)
    assert not meter.open


class IntelMachine:
    """A machine with RAPL files that its work moves on, close before a wrap."""

    def __init__(self, root: Path) -> None:
        self.zone = root / "sys/class/powercap/intel-rapl:0"
        self.zone.mkdir(parents=True)
        (self.zone / "name").write_text("package-0\n")
        (self.zone / "max_energy_range_uj").write_text("262143328850\n")
        self.raw = 2**32 - 1_000_000  # 61 J before the wrap
        self.now = 0.0
        self.use(0.0, 0.0)

    def use(self, seconds: float, watts: float) -> None:
        self.now += seconds
        self.raw = (self.raw + round(watts * seconds / 61.035e-6)) % 2**32
        (self.zone / "energy_uj").write_text(f"{self.raw * 61035 // 1000}\n")


def test_from_the_kernels_files_to_the_figure_across_a_wrap(tmp_path: Path) -> None:
    machine = IntelMachine(tmp_path)

    def run_for(seconds: float) -> int:
        machine.use(seconds, 12.0)
        return 500

    sleep: Callable[[float], None] = lambda seconds: machine.use(seconds, 4.0)  # noqa: E731
    meter = RaplMeter(tmp_path, clock=lambda: machine.now)
    metrics = measure_energy(meter, run_for, sleep=sleep)
    assert machine.raw < 2**31, "the counter has wrapped in the middle"
    assert metrics["energy"].value == pytest.approx(8.0 * 10 / 500, rel=1e-4)
    assert metrics["power"].value == pytest.approx(8.0, rel=1e-4)
    assert "RAPL" in metrics["energy"].method
