"""What a device is: frozen data, read from ``profiles/devices/NAME.toml``.

Hardware numbers are data with a source, never code. ``local-cpu`` is the one profile whose numbers
are read from the machine that it is loaded on (``detect = true``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError
from profiles.suggest import did_you_mean
from profiles.units import parse_quantity

DEVICES_DIR = Path(__file__).parent / "devices"
PRECISIONS = ("fp32", "bf16", "fp16", "int8")
REACHES = ("local", "ssh", "qemu", "rtl", "serial")
MEMORY_KINDS = ("ram", "flash")


@dataclasses.dataclass(frozen=True)
class Cpu:
    """The processor that runs or hosts the model. ``clock`` is in Hz."""

    arch: str
    isa: str = ""
    features: tuple[str, ...] = ()
    cores: int = 1
    clock: float | None = None


@dataclasses.dataclass(frozen=True)
class Memory:
    """One memory. ``size`` is in bytes, ``base`` is its address where that matters."""

    name: str
    kind: str
    size: float
    base: int | None = None


@dataclasses.dataclass(frozen=True)
class Identity:
    """How a machine shows that it is this device: its architecture and words in its model name."""

    arch: str = ""
    model_contains: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Power:
    """``meter`` names the meter that reads it; ``rails`` are the rail labels that count; watts and volts."""

    meter: str = ""
    rails: tuple[str, ...] = ()
    tdp: float | None = None
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Device:
    """A device profile.

    Attributes:
        name: unique, the name of its file.
        title: for people.
        targets: backends that serve it, best first.
        cpu, memories, formats, reach, identity, power: see their classes. ``formats`` are the
            number formats that the hardware computes in.
        sources: for every number, the document it came from; keys are dotted paths such as
            ``"cpu.clock"`` and ``"memory.ram.size"``.
        parameters: further numbers that one backend needs (an FPGA's array size, an emulator's
            machine name).
    """

    name: str
    title: str
    targets: tuple[str, ...]
    cpu: Cpu
    memories: tuple[Memory, ...] = ()
    formats: tuple[str, ...] = ("fp32",)
    reach: str = "local"
    identity: Identity = Identity()
    power: Power = Power()
    sources: Mapping[str, str] = dataclasses.field(default_factory=dict)
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def memory(self, kind: str) -> float | None:
        """Bytes of all memories of one kind together, or None where the profile names none."""
        sizes = [m.size for m in self.memories if m.kind == kind]
        return sum(sizes) if sizes else None

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return dataclasses.asdict(self)


def device_names(folder: Path = DEVICES_DIR) -> list[str]:
    """Names of all device profiles, sorted."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def load_device(name: str, folder: Path = DEVICES_DIR) -> Device:
    """Load one profile.

    Raises:
        ConfigError: no such profile, unknown key, or a value that is not allowed.
    """
    import tomllib

    path = folder / f"{name}.toml"
    if name not in device_names(folder):
        raise ConfigError(
            f"wanted the device profile '{name}'",
            seen="no profile of that name",
            allowed=", ".join(device_names(folder)),
            next_step=did_you_mean(name, device_names(folder)) or "run: edgewright devices",
        )
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path.name} is not valid TOML", seen=str(error)) from error
    return device_from_dict(data, where=path.name)


def device_from_dict(data: Mapping[str, Any], *, where: str) -> Device:
    """Build a :class:`Device` from parsed TOML; quantities are strings with units."""
    data = dict(data)
    if data.pop("detect", False):
        from profiles.detect import detect_hardware

        data = {**detect_hardware(), **data}
    _check_keys(data, _field_names(Device) - {"memories"} | {"memory"}, where)
    for key in ("name", "title", "targets", "cpu"):
        if key not in data:
            raise ConfigError(f"{where} needs the key '{key}'")
    memories = tuple(_memory(entry, where) for entry in data.get("memory", ()))
    return Device(
        name=data["name"],
        title=data["title"],
        targets=tuple(data["targets"]),
        cpu=_part(Cpu, data["cpu"], f"{where} [cpu]", {"clock": "Hz"}),
        memories=memories,
        formats=tuple(_one_of(f, PRECISIONS, f"{where} formats") for f in data.get("formats", ("fp32",))),
        reach=_one_of(data.get("reach", "local"), REACHES, f"{where} reach"),
        identity=_part(Identity, data.get("identity", {}), f"{where} [identity]", {}),
        power=_part(Power, data.get("power", {}), f"{where} [power]", {"tdp": "W"}),
        sources=dict(data.get("sources", {})),
        parameters=dict(data.get("parameters", {})),
    )


def _memory(entry: Mapping[str, Any], where: str) -> Memory:
    memory: Memory = _part(Memory, entry, f"{where} [[memory]]", {"size": "B"})
    _one_of(memory.kind, MEMORY_KINDS, f"{where} [[memory]] kind")
    return memory


def _part(cls: Any, entry: Mapping[str, Any], where: str, units: Mapping[str, str]) -> Any:
    """Build one of the small dataclasses: keys checked, quantities parsed, lists frozen."""
    _check_keys(entry, _field_names(cls), where)
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
    for key, unit in units.items():
        if isinstance(values.get(key), str):
            values[key] = parse_quantity(values[key], unit, where=f"{where} {key}")
    try:
        return cls(**values)
    except TypeError as error:
        raise ConfigError(f"{where} is incomplete", seen=str(error)) from error


def _field_names(cls: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(cls)}


def _check_keys(entry: Mapping[str, Any], known: set[str], where: str) -> None:
    for key in entry:
        if key not in known:
            raise ConfigError(
                f"{where} has an unknown key",
                seen=f"'{key}'",
                allowed=", ".join(sorted(known)),
                next_step=did_you_mean(key, known),
            )


def _one_of(value: str, allowed: tuple[str, ...], where: str) -> str:
    if value not in allowed:
        raise ConfigError(f"{where} has an unknown value", seen=repr(value), allowed=", ".join(allowed))
    return value
