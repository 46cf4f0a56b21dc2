"""NVML's energy counter, through a stand-in for the library."""

from __future__ import annotations

import sys

import pynvml
import pytest

from profiles.errors import DataError, MissingToolError, UnreachableError, UnsupportedError
from profiles.meters.nvml import NvmlMeter
from profiles.nvml import MEANINGS

COUNTER = "nvmlDeviceGetTotalEnergyConsumption"


def make(nvml, **environment: str) -> tuple[NvmlMeter, list[float]]:
    now = [50.0]
    return NvmlMeter(nvml, environment, clock=lambda: now[0]), now


def test_joules_between_two_looks(nvml) -> None:
    meter, now = make(nvml)
    assert meter.available() == ""
    meter.start()
    now[0] += 20.0
    nvml.card.millijoules += 1_400_000
    reading = meter.stop()
    assert reading.joules == pytest.approx(1400.0)
    assert reading.watts == pytest.approx(70.0)
    assert reading.rails == {"gpu 0": pytest.approx(1400.0)}
    assert nvml.users == 0, "every nvmlInit needs its nvmlShutdown"


def test_late_updates_are_in_the_uncertainty(nvml) -> None:
    """100 ms at 70 W are 7 J at each end, thousands of times the counter's step of 1 mJ."""
    meter, now = make(nvml)
    meter.start()
    now[0] += 20.0
    nvml.card.millijoules += 1_400_000
    assert meter.stop().uncertainty == pytest.approx(7.0 / 6**0.5, rel=1e-3)


def test_the_card_that_cuda_uses_is_read(nvml, new_card) -> None:
    nvml.cards.append(new_card("NVIDIA RTX A2000", "GPU-22", millijoules=1000))
    assert "2 of them" in make(nvml)[0].available(), "a wrong card's energy would be no error that anyone sees"
    meter, now = make(nvml, CUDA_VISIBLE_DEVICES="GPU-22")
    meter.start()
    now[0] += 10.0
    nvml.cards[0].millijoules += 9_000_000
    nvml.cards[1].millijoules += 300_000
    assert meter.stop().rails == {"gpu 1": pytest.approx(300.0)}


def test_a_mig_slice_is_refused(nvml) -> None:
    assert "MIG slice" in make(nvml, CUDA_VISIBLE_DEVICES="MIG-1234")[0].available()
    nvml.card.mig = 1
    assert "MIG mode" in make(nvml)[0].available()
    assert nvml.users == 0


def test_a_reloaded_driver_is_noticed(nvml) -> None:
    meter, now = make(nvml)
    meter.start()
    now[0] += 5.0
    nvml.card.millijoules = 12
    with pytest.raises(DataError, match="was reset"):
        meter.stop()
    assert nvml.users == 0


def test_a_counter_that_stands_still_is_no_saving(nvml) -> None:
    meter, now = make(nvml)
    meter.start()
    now[0] += 2.0
    with pytest.raises(DataError, match=r"no change within 2\.00 s") as caught:
        meter.stop()
    assert "nvml-power" in caught.value.next_step
    assert nvml.users == 0
    meter.start()
    now[0] += 0.05
    assert meter.stop().joules == 0.0, "between two updates it may stand still"


@pytest.mark.parametrize(
    ("code", "kind"), [(15, UnreachableError), (1, UnreachableError), (9, MissingToolError), (999, UnreachableError)]
)
def test_a_driver_that_goes_away_in_between(nvml, code: int, kind: type[Exception]) -> None:
    meter, now = make(nvml)
    meter.start()
    now[0] += 5.0
    nvml.fails = {COUNTER: code, "nvmlShutdown": pynvml.NVML_ERROR_UNINITIALIZED}
    with pytest.raises(kind, match=COUNTER):
        meter.stop()
    nvml.fails = {}
    meter.start()  # and the meter can be used again
    now[0] += 1.0
    nvml.card.millijoules += 70_000
    assert meter.stop().joules == pytest.approx(70.0)


@pytest.mark.parametrize("function", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex", COUNTER])
@pytest.mark.parametrize("code", [*MEANINGS, pynvml.NVML_ERROR_TIMEOUT])
def test_every_failure_has_a_reason_and_a_next_step(nvml, function: str, code: int) -> None:
    nvml.fails = {function: code}
    why = make(nvml)[0].available()
    _, says, step = MEANINGS.get(code, (None, "Timeout", "nvidia-smi"))
    assert function in why
    assert says in why
    assert step in why
    assert nvml.users == 0, f"{function} failed, and the library stayed open"


def test_not_supported_is_told_apart_from_not_installed(nvml) -> None:
    nvml.fails = {COUNTER: pynvml.NVML_ERROR_NOT_SUPPORTED}
    with pytest.raises(UnsupportedError):
        make(nvml)[0].start()
    nvml.fails = {"nvmlInit": pynvml.NVML_ERROR_DRIVER_NOT_LOADED}
    with pytest.raises(MissingToolError):
        make(nvml)[0].start()


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "pip install nvidia-ml-py" in NvmlMeter().available()


def test_the_real_library_answers_one_way_or_the_other() -> None:
    """On a machine without a card the reason names the driver; on one with a card the counter is read."""
    why = NvmlMeter(environment={}).available()
    assert why == "" or "nvidia-smi" in why or "energy counter" in why or "of them" in why, why
