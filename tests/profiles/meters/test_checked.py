"""The counter with the sampler beside it, on one clock."""

from __future__ import annotations

import pytest

from profiles.energy import measure_energy
from profiles.errors import EdgewrightError, UnreachableError
from profiles.meters.checked import CheckedMeter
from profiles.meters.nvml import NvmlMeter
from profiles.meters.nvml_power import NvmlPowerMeter

NEVER = 1e6


class Machine:
    """A card that draws what the test says; time passes when the test says so, and both instruments are asked then."""

    def __init__(self, nvml) -> None:
        self.nvml, self.now, self.gain = nvml, 0.0, 1.0
        clock = lambda: self.now  # noqa: E731
        self.sampler = NvmlPowerMeter(nvml, {}, interval=NEVER, clock=clock)
        self.meter = CheckedMeter(NvmlMeter(nvml, {}, clock=clock), self.sampler, clock=clock)

    def draw(self, watts: float, seconds: float) -> None:
        self.nvml.card.instant = round(watts * self.gain * 1000)
        for _ in range(round(seconds * 20)):
            self.now += 0.05
            self.nvml.card.millijoules += round(watts * 50)
            if self.sampler._thread is not None:
                self.sampler.sample()


@pytest.fixture
def machine(nvml) -> Machine:
    return Machine(nvml)


def test_the_counters_figure_with_the_samplers_word(machine: Machine, nvml) -> None:
    machine.draw(200.0, 0.5)
    machine.meter.start()
    machine.draw(200.0, 10.0)
    reading = machine.meter.stop()
    assert reading.joules == pytest.approx(2000.0)
    assert reading.method.startswith("NVML total energy counter")
    assert "agrees: +0.0% (200 W counted, 200 W integrated)" in reading.method
    assert machine.meter.name == "nvml"
    assert machine.meter.resolution.unit == "J", "how long windows have to be follows from the counter"
    assert nvml.users == 0


def test_instruments_that_disagree_are_told(machine: Machine) -> None:
    machine.gain = 0.8
    machine.draw(200.0, 0.5)
    machine.meter.start()
    machine.draw(200.0, 10.0)
    reading = machine.meter.stop()
    assert reading.joules == pytest.approx(2000.0), "the figure stays the counter's"
    assert "DISAGREES (allowed 5%): -20.0%" in reading.method


def test_a_card_without_a_sensor_keeps_its_counter(machine: Machine, nvml) -> None:
    nvml.card.instant = None
    nvml.fails = {"nvmlDeviceGetPowerUsage": 3}
    assert machine.meter.available() == ""
    machine.meter.start()
    machine.now += 10.0
    nvml.card.millijoules += 700_000
    reading = machine.meter.stop()
    assert reading.joules == pytest.approx(700.0)
    assert "not checked: wanted to ask the driver" in reading.method
    assert nvml.users == 0


def test_a_sensor_that_fails_in_between(machine: Machine, nvml) -> None:
    machine.meter.start()
    machine.draw(100.0, 5.0)
    nvml.card.instant = None
    reading = machine.meter.stop()
    assert reading.joules == pytest.approx(500.0)
    assert "not checked" in reading.method
    assert nvml.users == 0


@pytest.mark.parametrize("when", ["start", "stop"])
def test_a_counter_that_fails_ends_both(machine: Machine, nvml, when: str) -> None:
    if when == "stop":
        machine.meter.start()
        machine.draw(100.0, 5.0)
    nvml.fails = {"nvmlDeviceGetTotalEnergyConsumption": 15}
    with pytest.raises(UnreachableError, match="fell off the bus"):
        machine.meter.start() if when == "start" else machine.meter.stop()
    assert nvml.users == 0
    assert machine.sampler._thread is None, "the sampler goes on"


def test_no_counter_is_a_reason(machine: Machine, nvml) -> None:
    nvml.fails = {"nvmlDeviceGetTotalEnergyConsumption": 3}
    assert "no energy counter" in machine.meter.available()
    with pytest.raises(EdgewrightError):
        machine.meter.start()
    assert nvml.users == 0


def test_energy_of_one_inference_as_the_profiler_measures_it(machine: Machine) -> None:
    """75 W idle, 250 W busy, 500 inferences in 10 s."""

    def run_for(seconds: float) -> int:
        machine.draw(250.0, seconds)
        return round(seconds * 50)

    machine.draw(75.0, 0.5)
    metrics = measure_energy(machine.meter, run_for, sleep=lambda seconds: machine.draw(75.0, seconds))
    assert metrics["energy"].value == pytest.approx(175.0 / 50, rel=5e-3)
    assert "sampled power over the same window agrees" in metrics["energy"].method
    assert "500 inferences in 10 s, less 75 W when idle" in metrics["energy"].method


def test_a_small_model_on_a_large_card_is_measured_for_longer(machine: Machine) -> None:
    """5 W above 70 W: the counter's 100 ms are too coarse for 10 s, and enough for the 33 s that they need."""
    asked = []

    def run_for(seconds: float) -> int:
        asked.append(seconds)
        machine.draw(75.0, seconds)
        return round(seconds * 1000)

    machine.draw(70.0, 0.5)
    metrics = measure_energy(machine.meter, run_for, sleep=lambda seconds: machine.draw(70.0, seconds))
    assert asked[0] == 10.0
    assert asked[1] == pytest.approx(1.1 * ((75**2 + 6 * 70**2) ** 0.5 * 0.1 / 6**0.5) / (0.05 * 5), rel=0.02)
    assert metrics["energy"].value == pytest.approx(5e-3, rel=0.03)


def test_samples_are_cut_to_the_counters_window(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counter starts a second after the sampler and ends five before it; 20 W around its window, 200 W within."""
    counter = machine.meter._counter
    start, stop = counter.start, counter.stop

    def late() -> None:
        machine.draw(20.0, 1.0)
        machine.nvml.card.instant = 200_000
        start()

    def early() -> object:
        reading = stop()
        machine.draw(20.0, 5.0)
        return reading

    monkeypatch.setattr(counter, "start", late)
    monkeypatch.setattr(counter, "stop", early)
    machine.draw(20.0, 5.0)
    machine.meter.start()
    machine.draw(200.0, 20.0)
    method = machine.meter.stop().method
    assert "agrees: " in method, method
    deviation = float(method.split("agrees: ")[1].split("%")[0])
    assert abs(deviation) < 0.5, "misaligned by 50 ms at most"
