"""Numbers of a device profile replaced by the project: ``"cpu.clock" = "1.2 GHz"``, ``memory.ram.size``."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from profiles.device import FEATURES, PRECISIONS, Cpu, Device, Identity, Memory, Power
from profiles.errors import ConfigError
from profiles.suggest import did_you_mean
from profiles.units import parse_quantity
from toolchain.project.common import Frozen, problem
from toolchain.project.problems import describe

_PARTS: Mapping[str, type[Any]] = {"cpu": Cpu, "power": Power, "identity": Identity}
_UNITS = {(Cpu, "clock"): "Hz", (Power, "tdp"): "W", (Memory, "size"): "B"}
#: Narrower types than the dataclasses annotate; keys are the last part of a dotted key.
_NARROW: Mapping[str, Any] = {
    "formats": tuple[Literal[PRECISIONS], ...],  # type: ignore[valid-type]
    "features": tuple[Literal[FEATURES], ...],  # type: ignore[valid-type]
    "cores": Annotated[int, Field(ge=1)],
    "base": Annotated[int, Field(ge=0)],
}


def flattened(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as dotted keys, because TOML reads ``cpu.clock = 1`` as a table within a table.

    Raises:
        PydanticCustomError: one key is there in both spellings.
    """
    flat: dict[str, Any] = {}
    for key, value in table.items():
        inner = flattened(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
        for twice in flat.keys() & inner.keys():
            raise problem("is set twice", seen=f"as a quoted key and as a dotted one: {twice}", at=(twice,))
        flat |= inner
    return flat


def apply_overrides(device: Device, overrides: Mapping[str, Any], origin: str) -> Device:
    """The device with some of its numbers replaced, each with ``origin`` as its source.

    Args:
        overrides: dotted keys as :func:`override_keys` lists them; quantities are strings with
            units, as in a profile.
        origin: what to name as the source of the new numbers.

    Raises:
        ConfigError: no such key in this profile, or a value of the wrong type or unit.
    """
    for key, value in overrides.items():
        device = _apply(device, key, value)
    return dataclasses.replace(device, sources={**device.sources, **dict.fromkeys(overrides, origin)})


def override_keys(device: Device) -> list[str]:
    """The dotted keys that a project may override on this device."""
    keys = [f"{part}.{field.name}" for part, kind in _PARTS.items() for field in dataclasses.fields(kind)]
    keys += [f"memory.{memory.name}.{key}" for memory in device.memories for key in ("size", "base")]
    return [*keys, "formats", *(f"parameters.{name}" for name in device.parameters)]


def _apply(device: Device, key: str, value: Any) -> Device:
    part, _, rest = key.partition(".")
    if key not in (known := override_keys(device)):
        raise ConfigError(
            f"{key} is not a key of the profile '{device.name}' that can be overridden",
            allowed=", ".join(["threads", *known]),
            next_step=did_you_mean(key, ["threads", *known]),
        )
    if key == "formats":
        return dataclasses.replace(device, formats=_typed(key, _NARROW["formats"], value))
    if part == "parameters":
        typed = _typed(key, type(device.parameters[rest]), value)
        return dataclasses.replace(device, parameters={**device.parameters, rest: typed})
    if part == "memory":
        name = rest.rpartition(".")[0]
        memories = tuple(_replaced(key, m, value) if m.name == name else m for m in device.memories)
        return dataclasses.replace(device, memories=memories)
    return dataclasses.replace(device, **{part: _replaced(key, getattr(device, part), value)})


def _replaced(key: str, part: Any, value: Any) -> Any:
    kind, attribute = type(part), key.rpartition(".")[2]
    if unit := _UNITS.get((kind, attribute)):
        return dataclasses.replace(part, **{attribute: parse_quantity(value, unit, where=key)})
    hint = _NARROW.get(attribute, typing.get_type_hints(kind)[attribute])
    return dataclasses.replace(part, **{attribute: _typed(key, hint, value)})


def _typed(key: str, hint: Any, value: Any) -> Any:
    """The value as ``hint`` wants it; JSON's rules, because there a list may become a tuple but "4" not 4."""
    try:
        return TypeAdapter(hint).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        found = describe(error.errors()[0], Frozen)
        raise ConfigError(
            f"{key} {found.sentence}", seen=found.seen, allowed=found.allowed, next_step=found.next_step
        ) from error
