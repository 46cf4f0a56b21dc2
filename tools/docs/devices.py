"""What the device profiles say, and where each number comes from."""

from __future__ import annotations

from typing import Any

from profiles.device import Device, device_names, load_device
from profiles.units import format_quantity
from targets.registry import TARGETS
from tools.docs.markdown import code, table

#: The profile whose numbers are read from the machine that it is loaded on; they are not documentation.
DETECTED = "local-cpu"
_UNITS = {"cpu.clock": "Hz", "power.tdp": "W"}


def overview() -> str:
    """One row per profile."""
    columns = [
        "profile",
        "device",
        "targets of this release, best first",
        "not yet",
        "computes in",
        "RAM",
        "reached by",
    ]
    return table(columns, [_row(load_device(name)) for name in device_names()])


def _row(device: Device) -> list[str]:
    here = [name for name in device.targets if name in TARGETS]
    later = [name for name in device.targets if name not in TARGETS]
    ram = device.memory("ram")
    found = device.name == DETECTED
    return [
        f"`{device.name}`",
        device.title,
        code(here) or "none",
        code(later) or "–",
        "read from the machine" if found else ", ".join(device.formats),
        "read from the machine" if found else format_quantity(ram, "B") if ram else "–",
        device.reach,
    ]


def sources() -> str:
    """A heading and a table for every profile with fixed numbers."""
    listed = [load_device(name) for name in device_names() if name != DETECTED]
    return "\n\n".join(f"### `{device.name}`\n\n{_sources(device)}" for device in listed)


def _sources(device: Device) -> str:
    rows = [[f"`{path}`", _value(device, path), source] for path, source in device.sources.items()]
    return table(["number", "value", "source"], rows)


def _value(device: Device, path: str) -> str:
    part, _, rest = path.partition(".")
    if part == "memory":
        name, _, key = rest.rpartition(".")
        return _memory(next(memory for memory in device.memories if memory.name == name), key)
    if part == "parameters":
        found = _deep(device.parameters, rest)
        return f"0x{found:08X}" if rest.endswith(("_base", "_alias")) else _plain(found)
    if not rest:
        return _plain(getattr(device, part))
    value = getattr(getattr(device, part), rest)
    return format_quantity(value, _UNITS[path]) if path in _UNITS else _plain(value)


def _deep(table: Any, path: str) -> Any:
    """A value in nested tables: ``port.uart_base``."""
    for key in path.split("."):
        table = table[key]
    return table


def _memory(memory: Any, key: str) -> str:
    return format_quantity(memory.size, "B") if key == "size" else f"0x{memory.base:08X}"


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
