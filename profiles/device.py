"""What a device is: frozen data, read from ``profiles/devices/NAME.toml``.

Hardware numbers are data with a source, never code. ``local-cpu`` is the one profile whose numbers
are read from the machine that it is loaded on (``detect = true``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError
from profiles.suggest import did_you_mean
from profiles.units import parse_quantity

DEVICES_DIR = Path(__file__).parent / "devices"
#: Number formats, widest first. ``fp8`` is E4M3 (Micikevicius et al. 2022); ``int4`` is for weights alone.
PRECISIONS = ("fp32", "bf16", "fp16", "fp8", "int8", "int4")
REACHES = ("local", "ssh", "qemu", "rtl", "serial")
MEMORY_KINDS = ("ram", "flash")
#: The names of instruction set extensions: x86 as Linux spells them, Arm A-profile, Arm M-profile.
FEATURES = (
    *("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_int8", "amx_bf16"),
    *("neon", "fp16", "dotprod", "i8mm", "bf16", "sve"),
    *("dsp", "fpv4-sp", "fpv5", "mve"),
)


@dataclasses.dataclass(frozen=True)
class Cpu:
    """The processor that runs or hosts the model, or ``arch = "fpga"`` where there is only fabric.

    ``features`` are names of :data:`FEATURES`, ``clock`` is the highest one in Hz, ``cores`` counts physical cores.
    """

    arch: str
    isa: str = ""
    features: tuple[str, ...] = ()
    cores: int | None = None
    clock: float | None = None


@dataclasses.dataclass(frozen=True)
class Memory:
    """One memory. ``size`` is in bytes, ``base`` is its address where that matters.

    ``kind`` is ``ram`` for data, and ``flash`` for what holds code and constants while the model runs
    (a prototyping board may use SRAM for that).
    """

    name: str
    kind: str
    size: float
    base: int | None = None


@dataclasses.dataclass(frozen=True)
class Identity:
    """How a machine shows that it is this device: its architecture, and words that its model name all contains."""

    arch: str = ""
    model_contains: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Power:
    """``meter`` names the meter that reads it; ``rails`` are the rail labels that count; ``tdp`` is in watts."""

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
            machine name); quantities are strings with their unit.
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

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Device:
        """The inverse of :meth:`as_dict`, also after a journey through JSON."""
        identity, power = dict(data["identity"]), dict(data["power"])
        return cls(
            **{
                **data,
                "targets": tuple(data["targets"]),
                "formats": tuple(data["formats"]),
                "cpu": Cpu(**{**data["cpu"], "features": tuple(data["cpu"]["features"])}),
                "memories": tuple(Memory(**memory) for memory in data["memories"]),
                "identity": Identity(**{**identity, "model_contains": tuple(identity["model_contains"])}),
                "power": Power(**{**power, "rails": tuple(power["rails"])}),
            }
        )


def device_names(folder: Path = DEVICES_DIR) -> list[str]:
    """Names of all device profiles, sorted."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def load_device(name: str, folder: Path = DEVICES_DIR) -> Device:
    """Load one profile.

    Raises:
        ConfigError: no such profile, not TOML, unknown key, or a value that is not allowed.
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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} is not valid TOML", seen=str(error)) from error
    device = device_from_dict(data, where=path.name)
    if device.name != name:
        raise ConfigError(f"{path.name} must name the device like the file", seen=repr(device.name), allowed=repr(name))
    return device


def device_from_dict(data: Mapping[str, Any], *, where: str) -> Device:
    """Build a :class:`Device` from parsed TOML; quantities are strings with units.

    Raises:
        ConfigError: a key is unknown or missing, or a value has the wrong type, unit or spelling.
    """
    data = _with_detected(data, where)
    _check_keys(data, _field_names(Device) - {"memories"} | {"memory"}, where)
    _check_complete(data, Device, where)
    parts = {key: _table(data.get(key, {}), f"{where} [{key}]") for key in ("cpu", "identity", "power", "parameters")}
    cpu: Cpu = _part(Cpu, parts["cpu"], f"{where} [cpu]", {"clock": "Hz"})
    formats = _typed(data.get("formats", ("fp32",)), "tuple[str, ...]", f"{where} formats")
    return Device(
        name=_typed(data["name"], "str", f"{where} name"),
        title=_typed(data["title"], "str", f"{where} title"),
        targets=_typed(data["targets"], "tuple[str, ...]", f"{where} targets"),
        cpu=dataclasses.replace(cpu, features=_each(cpu.features, FEATURES, f"{where} [cpu] features")),
        memories=_memories(data.get("memory", ()), where),
        formats=_each(formats, PRECISIONS, f"{where} formats"),
        reach=_one_of(data.get("reach", "local"), REACHES, f"{where} reach"),
        identity=_part(Identity, parts["identity"], f"{where} [identity]", {}),
        power=_part(Power, parts["power"], f"{where} [power]", {"tdp": "W"}),
        sources=_flat(_table(data.get("sources", {}), f"{where} [sources]"), f"{where} [sources]"),
        parameters=dict(parts["parameters"]),
    )


def _with_detected(data: Mapping[str, Any], where: str) -> dict[str, Any]:
    """What was read from this machine, where the profile asks for it; the profile's own words win."""
    own = dict(data)
    if not _typed(own.pop("detect", False), "bool", f"{where} detect"):
        return own
    from profiles.detect import detect_hardware

    merged = {**detect_hardware()}
    for key, value in own.items():
        both_tables = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = {**merged[key], **value} if both_tables else value
    return merged


def _memories(entries: Any, where: str) -> tuple[Memory, ...]:
    if not isinstance(entries, (list, tuple)):
        raise ConfigError(f"{where} memory has the wrong type", seen=repr(entries), allowed="[[memory]] tables")
    tables = [_table(entry, f"{where} [[memory]]") for entry in entries]
    memories = tuple(_part(Memory, entry, f"{where} [[memory]]", {"size": "B"}) for entry in tables)
    for memory in memories:
        _one_of(memory.kind, MEMORY_KINDS, f"{where} [[memory]] kind")
    return memories


def _part(cls: Any, entry: Mapping[str, Any], where: str, units: Mapping[str, str]) -> Any:
    """Build one of the small dataclasses: keys and types checked, quantities parsed, lists frozen."""
    _check_keys(entry, _field_names(cls), where)
    _check_complete(entry, cls, where)
    kinds = {field.name: str(field.type) for field in dataclasses.fields(cls)}
    values = {}
    for key, value in entry.items():
        if key in units:
            values[key] = parse_quantity(value, units[key], where=f"{where} {key}")
        else:
            values[key] = _typed(value, kinds[key], f"{where} {key}")
    return cls(**values)


_TYPES: dict[str, tuple[type, str]] = {"str": (str, "a string"), "bool": (bool, "true or false")}


def _typed(value: Any, kind: str, where: str) -> Any:
    """The value, if it has the type that the dataclass annotates; lists of strings become tuples."""
    if kind == "tuple[str, ...]":
        if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
            return tuple(value)
        allowed = "a list of strings"
    elif kind == "int | None":
        if type(value) is int and value >= 0:
            return value
        allowed = "a whole number of at least 0"
    else:
        python_type, allowed = _TYPES[kind]
        if isinstance(value, python_type):
            return value
    raise ConfigError(f"{where} has the wrong type", seen=repr(value), allowed=allowed)


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where} has the wrong type", seen=repr(value), allowed="a table")
    return value


def _flat(table: Mapping[str, Any], where: str, prefix: str = "") -> dict[str, str]:
    """``{"cpu": {"clock": "..."}}`` as ``{"cpu.clock": "..."}``; TOML nests what is written as a dotted key."""
    flat: dict[str, str] = {}
    for key, value in table.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(_flat(value, where, f"{path}."))
        else:
            flat[path] = _typed(value, "str", f"{where} {path}")
    return flat


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


def _check_complete(entry: Mapping[str, Any], cls: Any, where: str) -> None:
    for field in dataclasses.fields(cls):
        optional = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if not optional and field.name not in entry:
            raise ConfigError(f"{where} needs the key '{field.name}'", seen=", ".join(entry) or "no keys")


def _each(values: Iterable[str], allowed: tuple[str, ...], where: str) -> tuple[str, ...]:
    return tuple(_one_of(value, allowed, where) for value in values)


def _one_of(value: Any, allowed: tuple[str, ...], where: str) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise ConfigError(
            f"{where} has an unknown value",
            seen=repr(value),
            allowed=", ".join(allowed),
            next_step=did_you_mean(value, allowed) if isinstance(value, str) else "",
        )
    return value
