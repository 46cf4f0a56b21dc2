"""Read NVIDIA cards: through NVML, or where that is not there, what the kernel module tells of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles import machine_files as files
from profiles.gpu import IDLE, GpuClock, GpuState
from profiles.gpu_choice import candidates, is_sliced
from profiles.nvml import Nvml

#: Bits of NVML's clocks event reasons (nvml.h, ``nvmlClocksEventReason...``; the last two carry the older name
#: ``nvmlClocksThrottleReason...``).
REASONS: Mapping[int, str] = {
    0x001: IDLE,
    0x002: "application clocks setting",
    0x004: "power limit",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "temperature (software)",
    0x040: "temperature (hardware)",
    0x080: "external power brake",
    0x100: "display clock setting",
    0x200: "board limit",
    0x400: "reliability",
}
#: NVML's policies that lower clocks (nvml.h, ``nvmlPerfPolicyType_t``).
POLICIES: Mapping[str, str] = {
    "NVML_PERF_POLICY_POWER": "power limit",
    "NVML_PERF_POLICY_THERMAL": "temperature",
    "NVML_PERF_POLICY_BOARD_LIMIT": "board limit",
    "NVML_PERF_POLICY_RELIABILITY": "reliability",
}
CLOCKS: Mapping[str, str] = {
    "NVML_CLOCK_GRAPHICS": "graphics",
    "NVML_CLOCK_SM": "sm",
    "NVML_CLOCK_MEM": "memory",
}
#: Any of these files says that there is a driver; without one, NVML is not asked and its package not imported.
SIGNS = ("proc/driver/nvidia/version", "dev/nvidiactl", "dev/dxg")


def has_driver(root: Path) -> bool:
    """Whether the machine shows a sign of NVIDIA's driver."""
    return any((root / sign).exists() for sign in SIGNS)


def read_cards(library: Any = None, environment: Mapping[str, str] = os.environ) -> tuple[GpuState, ...]:
    """The card that CUDA's first device is, or all that it can be.

    Raises:
        EdgewrightError: NVML cannot be opened, or no card is visible.
    """
    with Nvml(library) as nvml:
        return tuple(read_card(nvml, number) for number in candidates(nvml, environment))


def read_card(nvml: Nvml, number: int) -> GpuState:
    """One card; what it does not tell is None.

    Raises:
        EdgewrightError: no card of that number.
    """
    card = nvml.ask("nvmlDeviceGetHandleByIndex", number)
    memory = nvml.ask_or_none("nvmlDeviceGetMemoryInfo", card)
    state = nvml.ask_or_none("nvmlDeviceGetPerformanceState", card)
    listed = nvml.ask_or_none("nvmlDeviceGetComputeRunningProcesses", card)
    pids = [process.pid for process in listed or ()]
    temperature = nvml.ask_or_none("nvmlDeviceGetTemperature", card, nvml.constant("NVML_TEMPERATURE_GPU"))
    return GpuState(
        name=str(nvml.ask("nvmlDeviceGetName", card)),
        compute_capability=_dotted(nvml.ask_or_none("nvmlDeviceGetCudaComputeCapability", card)),
        driver=nvml.ask_or_none("nvmlSystemGetDriverVersion"),
        cuda=cuda_version(nvml.ask_or_none("nvmlSystemGetCudaDriverVersion_v2")),
        memory=None if memory is None else float(memory.total),
        memory_used=None if memory is None else float(memory.used),
        clocks=_clocks(nvml, card),
        throttle_reasons=reasons(_reason_bits(nvml, card)),
        throttled_seconds=_throttled(nvml, card),
        temperature=None if temperature is None else float(temperature),
        power_limit=_scaled(nvml.ask_or_none("nvmlDeviceGetEnforcedPowerLimit", card), 1e-3),
        performance_state=f"P{state}" if state is not None and state < 16 else None,
        ecc=_switch(nvml.ask_or_none("nvmlDeviceGetEccMode", card)),
        mig=is_sliced(nvml, card),
        persistence=_switch(nvml.ask_or_none("nvmlDeviceGetPersistenceMode", card)),
        processes=None if listed is None else len([pid for pid in pids if pid != os.getpid()]),
        own=os.getpid() in pids,
    )


def reasons(bits: int) -> tuple[str, ...]:
    """A bit mask in words; bits that this version does not know keep their number."""
    known = [text for bit, text in REASONS.items() if bits & bit]
    rest = bits & ~sum(REASONS)
    return (*known, f"unknown ({rest:#x})") if rest else tuple(known)


def cuda_version(number: int | None) -> str | None:
    """NVML counts 1000 * major + 10 * minor: 12060 is 12.6."""
    return None if number is None else f"{number // 1000}.{number % 1000 // 10}"


def named_by_kernel(root: Path) -> tuple[GpuState, ...]:
    """Names of the cards, and the driver's version, from the kernel module's own files."""
    version = files.first(r"(?:Kernel Module\D*?|Module for \S+\s+)(\d+\.[\d.]+)", files.content(root / SIGNS[0]))
    folders = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    names = [files.first(r"^Model:\s*(.+)$", files.content(path)) for path in folders]
    return tuple(GpuState(name, driver=version) for name in names if name)


def _clocks(nvml: Nvml, card: object) -> tuple[GpuClock, ...]:
    found = []
    for name, domain in CLOCKS.items():
        now = nvml.ask_or_none("nvmlDeviceGetClockInfo", card, nvml.constant(name))
        most = nvml.ask_or_none("nvmlDeviceGetMaxClockInfo", card, nvml.constant(name))
        if now is not None or most is not None:
            found.append(GpuClock(domain, _scaled(now, 1e6), None, _scaled(most, 1e6)))
    return tuple(found)


def _reason_bits(nvml: Nvml, card: object) -> int:
    """Drivers before 535 know the function by its older name."""
    bits = nvml.ask_or_none("nvmlDeviceGetCurrentClocksEventReasons", card)
    bits = nvml.ask_or_none("nvmlDeviceGetCurrentClocksThrottleReasons", card) if bits is None else bits
    return int(bits or 0)


def _throttled(nvml: Nvml, card: object) -> dict[str, float]:
    """Seconds since the driver was loaded, by policy; ``violationTime`` is in nanoseconds."""
    found = {}
    for name, cause in POLICIES.items():
        status = nvml.ask_or_none("nvmlDeviceGetViolationStatus", card, nvml.constant(name))
        if status is not None:
            found[cause] = status.violationTime * 1e-9
    return found


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _dotted(pair: tuple[int, int] | None) -> str | None:
    return None if pair is None else f"{pair[0]}.{pair[1]}"


def _switch(value: Any) -> bool | None:
    """A mode: a number, or a pair of what is and what will be after a restart."""
    if value is None:
        return None
    return bool(value[0] if isinstance(value, list | tuple) else value)
