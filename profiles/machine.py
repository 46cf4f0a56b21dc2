"""The state of this machine around a measurement: what it is, how busy, how fast, how hot.

Everything is read from the kernel's files below a root that tests replace; what is not there is None
or empty, never 0. No name or address of the machine is kept.
"""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles import machine_files as files
from profiles.device import Identity
from profiles.errors import EdgewrightError
from profiles.gpu import GpuState, gpu_trouble
from profiles.gpu_jetson import merged, read_jetson
from profiles.gpu_nvml import has_driver, named_by_kernel, read_cards
from profiles.machine_files import CpuClock, normal_arch
from profiles.meters.base import reason
from profiles.meters.pmic import Vcgencmd, vcgencmd

#: Bits of the Raspberry Pi's ``get_throttled``: now; the same 16 bits higher: since the last start
#: (Raspberry Pi documentation, "vcgencmd: get_throttled").
_PI_BITS = {0: "under-voltage", 1: "clock capped", 2: "throttled", 3: "soft temperature limit"}
#: Below these, differences are everyday noise.
_STEAL_LIMIT = 0.01
_FREQUENCY_LIMIT = 0.05


@dataclasses.dataclass(frozen=True)
class MachineState:
    """What could be read of a machine at one moment; None where it does not say.

    Attributes:
        arch: ``x86_64``, ``aarch64`` and so on.
        cpu_model: as the processor names itself.
        device_model: as the board's device tree names it.
        cores: processors that are switched on.
        ram: bytes.
        system, kernel, python: names and versions.
        virtual: whether a hypervisor is underneath.
        load: averages over 1, 5 and 15 minutes.
        steal: seconds of all processors that a hypervisor gave to others, since the start.
        clocks: per processor.
        temperatures: degrees Celsius by thermal zone.
        throttle_count: thermal throttling events of all cores since the start (x86).
        throttled_bits: the Raspberry Pi's ``get_throttled``.
        power_mode: the Jetson's ``nvpmodel`` mode.
        gpus: the NVIDIA GPU that CUDA would use, or all that it could be.
        gpus_unread: why no more could be read of a GPU whose driver is there.
        uses_cuda: whether this process has loaded CUDA's driver library.
    """

    arch: str
    cpu_model: str | None = None
    device_model: str | None = None
    cores: int | None = None
    ram: float | None = None
    system: str | None = None
    kernel: str | None = None
    python: str = ""
    virtual: bool | None = None
    load: tuple[float, float, float] | None = None
    steal: float | None = None
    clocks: tuple[CpuClock, ...] = ()
    temperatures: Mapping[str, float] = dataclasses.field(default_factory=dict)
    throttle_count: int | None = None
    throttled_bits: int | None = None
    power_mode: str | None = None
    gpus: tuple[GpuState, ...] = ()
    gpus_unread: str = ""
    uses_cuda: bool | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for ``profile.json``."""
        lists = {name: [dataclasses.asdict(each) for each in getattr(self, name)] for name in ("clocks", "gpus")}
        return dataclasses.asdict(self) | lists

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MachineState:
        """The inverse of :meth:`as_dict`, also after a trip through JSON."""
        load = data.get("load")
        clocks = tuple(CpuClock(**clock) for clock in data.get("clocks", ()))
        gpus = tuple(GpuState.from_dict(gpu) for gpu in data.get("gpus", ()))
        return cls(**{**data, "load": None if load is None else tuple(load), "clocks": clocks, "gpus": gpus})


def snapshot(
    root: Path = Path("/"),
    *,
    run: Vcgencmd = vcgencmd,
    nvml: Any = None,
    environment: Mapping[str, str] = os.environ,
) -> MachineState:
    """Read the state of the machine now.

    Args:
        root: of the file system.
        run: asks a Raspberry Pi's firmware; not called on other machines.
        nvml: the module ``pynvml``, or one with the same functions; not imported where there is no driver.
        environment: variables; CUDA's say which GPU is visible.
    """
    gpus, unread = _gpus(root, nvml, environment)
    return MachineState(
        arch=files.arch(root),
        cpu_model=files.cpu_model(root),
        device_model=files.device_model(root),
        cores=files.cores(root),
        ram=files.ram(root),
        system=files.first(r'^PRETTY_NAME="?([^"\n]*)"?', files.content(root / "etc/os-release")),
        kernel=files.content(root / "proc/sys/kernel/osrelease"),
        python=platform.python_version(),
        virtual=files.virtual(root),
        load=files.load(root),
        steal=files.steal(root),
        clocks=files.clocks(root),
        temperatures=files.temperatures(root),
        throttle_count=files.throttle_count(root),
        throttled_bits=files.throttled_bits(root, run),
        power_mode=files.power_mode(root),
        gpus=gpus,
        gpus_unread=unread,
        uses_cuda=files.has_loaded(root, "libcuda.so"),
    )


def _gpus(root: Path, nvml: Any, environment: Mapping[str, str]) -> tuple[tuple[GpuState, ...], str]:
    """The GPUs, and why the driver told no more of them; of a Jetson's the kernel tells what there is to know."""
    jetson = read_jetson(root)
    own = () if jetson is None else (jetson,)
    if not has_driver(root):
        return own, ""
    try:
        told = read_cards(nvml, environment)
    except EdgewrightError as error:
        return (own, "") if own else (named_by_kernel(root), reason(error))
    return ((merged(jetson, told[0]),) if jetson and told else told), ""


def describe(state: MachineState) -> str:
    """A short name for people, such as ``"AMD EPYC, 2 cores, x86_64, virtual"``."""
    parts = [state.device_model or state.cpu_model or "unknown processor"]
    if state.cores:
        parts.append(f"{state.cores} core{'s' if state.cores > 1 else ''}")
    cards = dict.fromkeys(gpu.name for gpu in state.gpus if not gpu.integrated)
    return ", ".join([*parts, state.arch, *(["virtual"] if state.virtual else []), *cards])


def matches(identity: Identity, state: MachineState) -> bool:
    """Whether the machine is the device: same architecture, and every word in a model name.

    Words may also be the end of the GPU's name: ``RTX 4070`` is no ``RTX 4070 Ti``. Where CUDA could use one of several
    GPUs, all of them must fit. An identity that says nothing matches no machine.
    """
    names = f"{state.cpu_model or ''}\n{state.device_model or ''}".lower()
    if identity.arch and normal_arch(identity.arch) != normal_arch(state.arch):
        return False
    words = [word.lower() for word in identity.model_contains]
    return bool(identity.arch or words) and all(word in names or _is_gpu(word, state) for word in words)


def _is_gpu(word: str, state: MachineState) -> bool:
    ends = [f" {gpu.name}".lower().endswith(f" {word}") for gpu in state.gpus if not gpu.integrated]
    return bool(ends) and all(ends)


def disturbances(before: MachineState, after: MachineState, wall_seconds: float) -> list[str]:
    """Sentences on what could have disturbed a measurement of ``wall_seconds`` between the two states."""
    return [
        *_load_trouble(before, after),
        *_steal_trouble(before, after, wall_seconds),
        *_clock_trouble(before, after),
        *_throttle_trouble(before, after),
        *(gpu_trouble(before.gpus, after.gpus, wall_seconds) if after.uses_cuda else []),
        *([f"the state of the GPU is not known: {after.gpus_unread}"] if after.uses_cuda and after.gpus_unread else []),
    ]


def _load_trouble(before: MachineState, after: MachineState) -> list[str]:
    loads = [state.load[0] for state in (before, after) if state.load]
    cores = before.cores
    if not loads or cores is None or max(loads) <= cores:
        return []
    return [f"the load was {max(loads):.1f} on {cores} cores: other work was waiting for them"]


def _steal_trouble(before: MachineState, after: MachineState, wall_seconds: float) -> list[str]:
    if before.steal is None or after.steal is None:
        return []
    stolen = after.steal - before.steal
    if stolen <= _STEAL_LIMIT * wall_seconds:
        return []
    return [f"the hypervisor gave {stolen:.2f} s of processor time to others within {wall_seconds:.2f} s"]


def _clock_trouble(before: MachineState, after: MachineState) -> list[str]:
    found = []
    governors = sorted({c.governor for c in before.clocks + after.clocks if c.governor} - {"performance"})
    if governors:
        found.append(f"the clock governor was {', '.join(governors)}, not performance")
    now = {clock.cpu: clock.current for clock in after.clocks}
    pairs = [(clock.cpu, clock.current, now.get(clock.cpu)) for clock in before.clocks]
    changed = [(cpu, a, b) for cpu, a, b in pairs if a and b and abs(b - a) > _FREQUENCY_LIMIT * a]
    if changed:
        cpu, a, b = max(changed, key=lambda row: abs(row[2] - row[1]))
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        found.append(f"the clock of processor {cpu}{more} changed from {a / 1e6:.0f} to {b / 1e6:.0f} MHz")
    if before.power_mode != after.power_mode:
        found.append(f"the power mode changed from {before.power_mode} to {after.power_mode}")
    return found


def _throttle_trouble(before: MachineState, after: MachineState) -> list[str]:
    found = []
    if before.throttle_count is not None and (after.throttle_count or 0) > before.throttle_count:
        times = (after.throttle_count or 0) - before.throttle_count
        found.append(f"the processor was throttled by its temperature ({times} events)")
    if after.throttled_bits is not None:
        new = after.throttled_bits & ~(before.throttled_bits or 0)
        hit = [text for bit, text in _PI_BITS.items() if after.throttled_bits >> bit & 1 or new >> (bit + 16) & 1]
        found += [f"the firmware reports: {', '.join(hit)}"] if hit else []
    return found
