"""NVML's power sensor, through a stand-in for the library."""

from __future__ import annotations

import pynvml
import pytest

from profiles.errors import DataError, UnreachableError
from profiles.meters.nvml_power import AVERAGE_LAG, INSTANT_LAG, NvmlPowerMeter

NEVER = 1e6


def make(nvml, **environment: str) -> tuple[NvmlPowerMeter, list[float]]:
    now = [0.0]
    return NvmlPowerMeter(nvml, environment, interval=NEVER, clock=lambda: now[0]), now


def test_power_of_the_moment_is_integrated(nvml) -> None:
    meter, now = make(nvml)
    assert meter.available() == ""
    assert nvml.users == 0, "looking leaves nothing open"
    meter.start()
    now[0], nvml.card.instant = 10.0, 90_000
    reading = meter.stop()
    assert reading.joules == pytest.approx((70 + 90) / 2 * 10.0), "trapezoid from 70 W to 90 W"
    assert "power of the moment" in reading.method
    assert meter.lag == INSTANT_LAG
    assert nvml.users == 0


@pytest.mark.parametrize("how", ["field not supported", "function not there", "older package"])
def test_the_average_where_there_is_no_other(nvml, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    nvml.card.instant = None if how == "field not supported" else 70_000
    if how == "function not there":
        nvml.fails = {"nvmlDeviceGetFieldValues": pynvml.NVML_ERROR_FUNCTION_NOT_FOUND}
    if how == "older package":
        monkeypatch.delattr(pynvml, "NVML_FI_DEV_POWER_INSTANT")
    meter, now = make(nvml)
    meter.start()
    now[0] = 2.0
    reading = meter.stop()
    assert reading.joules == pytest.approx(68 * 2.0)
    assert "averaged" in reading.method
    assert meter.lag == AVERAGE_LAG


def test_the_figures_are_never_mixed(nvml) -> None:
    meter, now = make(nvml)
    meter.start()
    now[0], nvml.card.instant = 1.0, None
    with pytest.raises(UnreachableError, match="stopped to show"):
        meter.stop()
    assert nvml.users == 0


def test_a_card_that_is_lost_in_between(nvml) -> None:
    meter, now = make(nvml)
    meter.start()
    now[0] = 1.0
    nvml.fails = dict.fromkeys(("nvmlDeviceGetFieldValues", "nvmlDeviceGetPowerUsage"), pynvml.NVML_ERROR_GPU_IS_LOST)
    with pytest.raises(UnreachableError, match="fell off the bus"):
        meter.stop()
    assert nvml.users == 0


def test_no_sensor_and_no_permission(nvml) -> None:
    nvml.card.instant = None
    nvml.fails = {"nvmlDeviceGetPowerUsage": pynvml.NVML_ERROR_NOT_SUPPORTED}
    assert "does not tell" in make(nvml)[0].available(), "a Jetson's driver answers like this"
    nvml.fails = {"nvmlInit": pynvml.NVML_ERROR_NO_PERMISSION}
    assert "/dev/nvidiactl" in make(nvml)[0].available()
    assert nvml.users == 0


def test_a_mig_slice_is_refused(nvml) -> None:
    assert "MIG slice" in make(nvml, CUDA_VISIBLE_DEVICES="MIG-1234")[0].available()
    assert nvml.users == 0


def test_a_window_without_length_leaves_nothing_open(nvml) -> None:
    meter, _ = make(nvml)
    meter.start()
    with pytest.raises(DataError, match="needs some time"):
        meter.stop()
    assert nvml.users == 0
