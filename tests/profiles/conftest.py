"""A stand-in for NVML: the real package's names, signatures, constants and errors over cards that a test moves."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pynvml
import pytest


@dataclasses.dataclass
class FakeCard:
    """One card; a clock's numbers are MHz now and at most."""

    name: str = "NVIDIA GeForce RTX 4070"
    uuid: str = "GPU-11111111-2222-3333-4444-555555555555"
    capability: tuple[int, int] = (8, 9)
    millijoules: int = 5_000_000
    instant: int | None = 70_000
    average: int = 68_000
    clocks: Mapping[int, tuple[int, int]] = dataclasses.field(
        default_factory=lambda: {0: (2475, 3105), 1: (2475, 3105), 2: (10501, 10501)}
    )
    bits: int = 0
    violations: dict[int, int] = dataclasses.field(default_factory=dict)
    mig: int | None = None
    pids: list[int] = dataclasses.field(default_factory=list)


class Record:
    """What the library returns as a C structure."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class FakeNvml:
    """The library; ``fails`` gives functions the return code that they end with."""

    NVMLError = pynvml.NVMLError

    def __init__(self) -> None:
        self.cards = [FakeCard()]
        self.users = 0
        self.fails: dict[str, int] = {}
        self.asked: list[str] = []

    @property
    def card(self) -> FakeCard:
        return self.cards[0]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("NVML_"):
            return getattr(pynvml, name)
        raise AttributeError(name)

    def _enter(self, function: str, *, opened: bool = True) -> None:
        self.asked.append(function)
        assert self.users > 0 or not opened, f"{function} is asked before the library is opened"
        if function in self.fails:
            raise pynvml.NVMLError(self.fails[function])

    def _unless_none(self, value: Any) -> Any:
        if value is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return value

    def nvmlInit(self):
        self._enter("nvmlInit", opened=False)
        self.users += 1

    def nvmlShutdown(self):
        self._enter("nvmlShutdown")
        self.users -= 1

    def nvmlDeviceGetCount(self):
        self._enter("nvmlDeviceGetCount")
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index):
        self._enter("nvmlDeviceGetHandleByIndex")
        if index >= len(self.cards):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_INVALID_ARGUMENT)
        return self.cards[index]

    def nvmlDeviceGetUUID(self, handle):
        self._enter("nvmlDeviceGetUUID")
        return handle.uuid

    def nvmlDeviceGetName(self, handle):
        self._enter("nvmlDeviceGetName")
        return handle.name

    def nvmlDeviceGetMigMode(self, device):
        self._enter("nvmlDeviceGetMigMode")
        return [self._unless_none(device.mig), device.mig]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        self._enter("nvmlDeviceGetTotalEnergyConsumption")
        return handle.millijoules

    def nvmlDeviceGetPowerUsage(self, handle):
        self._enter("nvmlDeviceGetPowerUsage")
        return handle.average

    def nvmlDeviceGetFieldValues(self, handle, fieldIds):
        self._enter("nvmlDeviceGetFieldValues")
        assert fieldIds == [pynvml.NVML_FI_DEV_POWER_INSTANT]
        missing = handle.instant is None
        value = Record(uiVal=0 if missing else handle.instant)
        return [Record(nvmlReturn=pynvml.NVML_ERROR_NOT_SUPPORTED if missing else 0, value=value)]

    def nvmlDeviceGetCudaComputeCapability(self, handle):
        self._enter("nvmlDeviceGetCudaComputeCapability")
        return handle.capability

    def nvmlSystemGetDriverVersion(self):
        self._enter("nvmlSystemGetDriverVersion")
        return "580.95.05"

    def nvmlSystemGetCudaDriverVersion_v2(self):
        self._enter("nvmlSystemGetCudaDriverVersion_v2")
        return 13000

    def nvmlDeviceGetMemoryInfo(self, handle, version=None):
        self._enter("nvmlDeviceGetMemoryInfo")
        return Record(total=12 * 2**30, used=2**29, free=12 * 2**30 - 2**29)

    def nvmlDeviceGetClockInfo(self, handle, type):
        self._enter("nvmlDeviceGetClockInfo")
        return handle.clocks[type][0]

    def nvmlDeviceGetMaxClockInfo(self, handle, type):
        self._enter("nvmlDeviceGetMaxClockInfo")
        return handle.clocks[type][1]

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle):
        self._enter("nvmlDeviceGetCurrentClocksEventReasons")
        return handle.bits

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):
        self._enter("nvmlDeviceGetCurrentClocksThrottleReasons")
        return handle.bits

    def nvmlDeviceGetViolationStatus(self, device, perfPolicyType):
        self._enter("nvmlDeviceGetViolationStatus")
        return Record(referenceTime=0, violationTime=self._unless_none(device.violations.get(perfPolicyType)))

    def nvmlDeviceGetTemperature(self, handle, sensor):
        self._enter("nvmlDeviceGetTemperature")
        assert sensor == pynvml.NVML_TEMPERATURE_GPU
        return 61

    def nvmlDeviceGetEnforcedPowerLimit(self, handle):
        self._enter("nvmlDeviceGetEnforcedPowerLimit")
        return 200_000

    def nvmlDeviceGetPerformanceState(self, handle):
        self._enter("nvmlDeviceGetPerformanceState")
        return 2

    def nvmlDeviceGetEccMode(self, handle):
        self._enter("nvmlDeviceGetEccMode")
        return [0, 1]

    def nvmlDeviceGetPersistenceMode(self, handle):
        self._enter("nvmlDeviceGetPersistenceMode")
        return 1

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        self._enter("nvmlDeviceGetComputeRunningProcesses")
        return [Record(pid=pid) for pid in handle.pids]


@pytest.fixture
def nvml() -> FakeNvml:
    """A library with one card."""
    return FakeNvml()


@pytest.fixture
def new_card() -> type[FakeCard]:
    """To put further cards into the machine."""
    return FakeCard
