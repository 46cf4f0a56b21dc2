"""What a device profile says of its accelerator: the array, the memory behind its port, the clock."""

from __future__ import annotations

import dataclasses

from profiles.device import Device
from profiles.errors import ConfigError
from profiles.units import parse_quantity
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.rtl.simulate import Memory

#: Keys of ``[parameters]`` that are fields of :class:`Geometry`.
KEYS = tuple(field.name for field in dataclasses.fields(Geometry))
_LATENCY, _GOAL = "memory_latency", "clock_goal"
#: Architectures as Linux calls them, and as ``targets/tvm_fpga/host/target.py`` does.
_HOSTS = {"armv7l": "armv7", "arm64": "aarch64"}


def geometry_of(device: Device) -> Geometry:
    """The array of a device; what its profile does not name is as in :class:`Geometry`.

    Raises:
        ConfigError: the device has no array, or one that cannot be built.
    """
    if "tvm_fpga" not in device.targets:
        raise ConfigError(
            f"wanted the accelerator of {device.name}",
            seen="a device without one",
            next_step="choose an fpga device; see: edgewright devices",
        )
    return Geometry(**{key: _whole(device, key) for key in KEYS if key in device.parameters})


def memory_of(device: Device) -> Memory:
    """The model of the memory behind the port."""
    return Memory(latency=_whole(device, _LATENCY)) if _LATENCY in device.parameters else Memory()


def clock_of(device: Device) -> float | None:
    """The fabric's nominal clock in Hz; None where the profile names none (the CPU's is another one).

    What place and route reached comes before it, see ``targets/tvm_fpga/resources.py``.
    """
    return device.cpu.clock if device.cpu.arch == "fpga" else None


def goal_of(device: Device) -> float | None:
    """The fabric's clock in Hz that the profile aims at; None where it names none."""
    goal = device.parameters.get(_GOAL)
    return None if goal is None else parse_quantity(goal, "Hz", where=f"{device.name}: [parameters] {_GOAL}")


def host_of(device: Device) -> str:
    """The processor beside the fabric, such as ``armv7``; empty where there is only fabric."""
    return "" if device.cpu.arch == "fpga" else _HOSTS.get(device.cpu.arch, device.cpu.arch)


def _whole(device: Device, key: str) -> int:
    value = device.parameters[key]
    if type(value) is not int:
        raise ConfigError(f"{device.name}: [parameters] {key}", seen=repr(value), allowed="a whole number")
    return value
