"""Where code, constants, data and arena go among the memories of a device."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from profiles.device import Device
from profiles.errors import UnsupportedError
from profiles.units import format_quantity
from targets.tflite_micro.calls import Role
from targets.tflite_micro.firmware.elf import Elf, Section

CONSTANT_PREFIX = ".rodata.edgewright."
ARENA_SECTION = ".noinit.arena"
ROLES = tuple(role.value for role in Role)


@dataclasses.dataclass(frozen=True)
class Need:
    """Upper bounds in bytes, before the linker drops what is unused.

    Attributes:
        code: instructions, tables and initial values.
        constants: of the model.
        data: stack, variables.
        arena: the model's memory.
    """

    code: int
    constants: int
    data: int
    arena: int


def need(objects: Iterable[Elf], stack: int) -> Need:
    """Add up the sections of all object files."""
    sections = [section for elf in objects for section in elf.sections if section.loaded]
    constants = [s for s in sections if s.name.startswith(CONSTANT_PREFIX)]
    arena = [s for s in sections if s.name == ARENA_SECTION]
    code = [s for s in sections if s.stored and s not in constants]
    data = [s for s in sections if s.writable and s not in arena]
    return Need(_sum(code), _sum(constants), _sum(data) + stack, _sum(arena))


def _sum(sections: Iterable[Section]) -> int:
    return sum(section.size + max(section.align, 1) - 1 for section in sections)


def place(device: Device, wanted: Need) -> Mapping[str, str]:
    """Memory names by ``code``, ``constants``, ``data`` and ``arena``.

    The first half goes into the first memory of its kind, in the profile's order, that takes it, and the second half
    behind it if there is room, else into the first other one. Code starts where the core looks for vectors: in the
    first flash.

    Raises:
        UnsupportedError: it does not fit.
    """
    code, constants = _pair(device, "flash", wanted.code, wanted.constants, "code", "constants")
    data, arena = _pair(device, "ram", wanted.data, wanted.arena, "stack and data", "the arena")
    return {"code": code, "constants": constants, "data": data, "arena": arena}


def _pair(device: Device, kind: str, first: int, second: int, *what: str) -> tuple[str, str]:
    memories = [m for m in device.memories if m.kind == kind and m.base is not None]
    for home in memories[:1] if kind == "flash" else memories:
        if first + second <= home.size:
            return home.name, home.name
        other = next((m for m in memories if m is not home and second <= m.size), None)
        if first <= home.size and other is not None:
            return home.name, other.name
    raise UnsupportedError(
        f"{what[0]} and {what[1]} do not fit into the {kind} of {device.name}",
        seen=f"{format_quantity(first, 'B')} and {format_quantity(second, 'B')}",
        allowed=", ".join(f"{m.name} {format_quantity(m.size, 'B')}" for m in memories) or f"no {kind}",
        next_step="choose a device with more memory, or a smaller model",
    )
