from __future__ import annotations

import inspect
import sys

import pynvml
import pytest

from profiles.errors import DataError, MissingToolError, UnsupportedError
from profiles.meters.nvml import NvmlMeter


class FakeNvml:
    """A card's library: real signatures and errors, a counter that the test moves."""

    NVMLError = pynvml.NVMLError

    def __init__(self) -> None:
        self.millijoules = 5_000_000
        self.users = 0
        self.fails: dict[str, int] = {}

    def _maybe_fail(self, function: str) -> None:
        if function in self.fails:
            raise pynvml.NVMLError(self.fails[function])

    def nvmlInit(self):
        self._maybe_fail("nvmlInit")
        self.users += 1

    def nvmlShutdown(self):
        self.users -= 1

    def nvmlDeviceGetHandleByIndex(self, index):
        self._maybe_fail("nvmlDeviceGetHandleByIndex")
        if index != 0:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_INVALID_ARGUMENT)
        return f"card {index}"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        self._maybe_fail("nvmlDeviceGetTotalEnergyConsumption")
        assert handle == "card 0"
        assert self.users > 0, "the library is asked before it is loaded"
        return self.millijoules


@pytest.mark.parametrize(
    "name", ["nvmlInit", "nvmlShutdown", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetTotalEnergyConsumption"]
)
def test_the_fake_has_the_real_signatures(name: str) -> None:
    real = list(inspect.signature(getattr(pynvml, name)).parameters)
    fake = list(inspect.signature(getattr(FakeNvml(), name)).parameters)
    assert fake == real


def make(library: FakeNvml, index: int = 0) -> tuple[NvmlMeter, list[float]]:
    now = [50.0]
    return NvmlMeter(index, library, clock=lambda: now[0]), now


def test_joules_between_two_looks() -> None:
    library = FakeNvml()
    meter, now = make(library)
    assert meter.available() == ""
    meter.start()
    now[0] += 20.0
    library.millijoules += 1_400_000
    reading = meter.stop()
    assert reading.joules == pytest.approx(1400.0)
    assert reading.watts == pytest.approx(70.0)
    assert reading.rails == {"gpu 0": pytest.approx(1400.0)}
    assert library.users == 0, "every nvmlInit needs its nvmlShutdown"


def test_late_updates_are_in_the_uncertainty() -> None:
    """100 ms at 70 W are 7 J at each end, thousands of times the counter's step of 1 mJ."""
    library = FakeNvml()
    meter, now = make(library)
    meter.start()
    now[0] += 20.0
    library.millijoules += 1_400_000
    assert meter.stop().uncertainty == pytest.approx(7.0 / 6**0.5, rel=1e-3)


def test_a_reloaded_driver_is_noticed() -> None:
    library = FakeNvml()
    meter, now = make(library)
    meter.start()
    now[0] += 5.0
    library.millijoules = 12
    with pytest.raises(DataError, match="was reset"):
        meter.stop()
    assert library.users == 0


@pytest.mark.parametrize(
    ("function", "code", "says", "step"),
    [
        ("nvmlInit", pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "no NVIDIA driver", "nvidia-smi"),
        ("nvmlInit", pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "driver is not loaded", "nvidia-smi"),
        ("nvmlInit", pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "different versions", "restart"),
        ("nvmlInit", pynvml.NVML_ERROR_NO_PERMISSION, "no permission", "/dev/nvidiactl"),
        ("nvmlDeviceGetTotalEnergyConsumption", pynvml.NVML_ERROR_NOT_SUPPORTED, "no energy counter", "Volta"),
        ("nvmlDeviceGetTotalEnergyConsumption", pynvml.NVML_ERROR_GPU_IS_LOST, "fell off the bus", "restart"),
        ("nvmlDeviceGetTotalEnergyConsumption", pynvml.NVML_ERROR_TIMEOUT, "Timeout", "nvidia-smi"),
    ],
)
def test_every_failure_has_a_reason_and_a_next_step(function: str, code: int, says: str, step: str) -> None:
    library = FakeNvml()
    library.fails = {function: code}
    why = make(library)[0].available()
    assert says in why
    assert step in why
    assert library.users == 0


def test_not_supported_is_told_apart_from_not_installed() -> None:
    library = FakeNvml()
    library.fails = {"nvmlDeviceGetTotalEnergyConsumption": pynvml.NVML_ERROR_NOT_SUPPORTED}
    with pytest.raises(UnsupportedError):
        make(library)[0].start()
    library.fails = {"nvmlInit": pynvml.NVML_ERROR_DRIVER_NOT_LOADED}
    with pytest.raises(MissingToolError):
        make(library)[0].start()


def test_a_card_that_is_not_there() -> None:
    library = FakeNvml()
    assert "no card of that number" in make(library, index=3)[0].available()
    assert library.users == 0


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "pip install nvidia-ml-py" in NvmlMeter().available()


def test_the_real_library_answers_one_way_or_the_other() -> None:
    """On a machine without a card the reason names the driver; on one with a card the counter is read."""
    why = NvmlMeter().available()
    assert why == "" or "nvidia-smi" in why or "no energy counter" in why, why
