"""How large firmware is, and what in it: sections of the ELF file, and the linker's map by object and symbol."""

from __future__ import annotations

import collections
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from targets.tflite_micro.firmware.elf import Elf, read_elf
from targets.tflite_micro.firmware.memory import ARENA_SECTION, CONSTANT_PREFIX, ROLES

_LARGEST = 20
_UNCLEARED = {ARENA_SECTION: ("arena", ""), ".noinit": ("bss", "")}
#: " .text.name  0x0  0x10 file.o"; a long name has the rest on the next line.
_ENTRY = re.compile(r"^ (\.[\w.$-]+)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S.*)$")


def sizes(elf: Path) -> dict[str, int]:
    """Bytes by use.

    Returns:
        ``code`` (instructions, vectors, and constants that are not the model's), the model's constants ``weights``,
        ``bias``, ``requant`` and ``table``, ``padding`` between them and ``data`` (initial values) make up ``flash``.
        ``data``, ``bss``, ``stack`` and ``arena`` make up ``ram``.

    Raises:
        ModelError: not an ELF file.
    """
    found = read_elf(elf)
    roles = {role: found.size(f".{role}") for role in ROLES}
    code, data = found.size(".text") + found.size(".rodata"), found.size(".data")
    ram = {
        "bss": found.size(".bss") + found.size(".noinit"),
        "stack": found.size(".stack"),
        "arena": found.size(".arena"),
    }
    padding = _padding(found)
    flash = code + sum(roles.values()) + padding + data
    return {
        "code": code,
        **roles,
        "padding": padding,
        "data": data,
        "flash": flash,
        **ram,
        "ram": data + sum(ram.values()),
    }


def _padding(elf: Elf) -> int:
    """Bytes between sections of one memory that only align the next one."""
    placed = sorted(
        (s.address, s.size, s.align) for s in elf.sections if s.loaded and s.stored and not s.writable and s.size
    )
    gaps = [(after[0] - (at + size), after[2]) for (at, size, _), after in itertools.pairwise(placed)]
    return sum(gap for gap, align in gaps if 0 < gap < max(align, 1))


def map_summary(path: Path) -> dict[str, Any]:
    """A linker map in short.

    Returns:
        ``objects``: bytes by object file and use, largest first; ``largest``: the largest functions and arrays.
    """
    objects: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    symbols = []
    for section, size, file in _entries(path.read_text(encoding="utf-8")):
        use, name = _use(section)
        if use and size:
            objects[file][use] += size
            symbols.append({"name": name or section, "use": use, "object": file, "size": size})
    by_size = sorted(objects.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    symbols.sort(key=lambda symbol: (-int(str(symbol["size"])), str(symbol["name"])))
    return {
        "objects": [{"object": file, **{use: uses[use] for use in sorted(uses)}} for file, uses in by_size],
        "largest": symbols[:_LARGEST],
    }


def _entries(text: str) -> Iterator[tuple[str, int, str]]:
    """Input sections that were kept: name, bytes, object file."""
    kept = text.partition("Linker script and memory map")[2]
    for line in re.sub(r"\n( \.[\w.$-]+)\n\s+(?=0x)", r"\n\1 ", kept).splitlines():
        if match := _ENTRY.match(line):
            yield match[1], int(match[3], 16), match[4]


def _use(section: str) -> tuple[str, str]:
    """What an input section is for, and the name of what is in it."""
    if section.startswith(CONSTANT_PREFIX):
        role, _, name = section.removeprefix(CONSTANT_PREFIX).partition(".")
        return role, name
    for start, use in (
        (".vectors", "code"),
        (".text", "code"),
        (".rodata", "code"),
        (".data", "data"),
        (".bss", "bss"),
    ):
        if section == start or section.startswith(start + "."):
            return use, section[len(start) + 1 :]
    return _UNCLEARED.get(section, ("", ""))
