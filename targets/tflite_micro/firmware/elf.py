"""Reads sections and symbols of 32-bit little-endian ELF files (System V ABI, chapters 4 and 5)."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path

from profiles.errors import ModelError

_NOBITS, _SYMTAB, _ALLOC, _WRITE = 8, 2, 2, 1
_FUNCTION, _OBJECT = 2, 1


@dataclasses.dataclass(frozen=True)
class Section:
    """``loaded`` is whether it takes memory on the device, ``stored`` whether the file has its bytes."""

    name: str
    address: int
    size: int
    align: int
    loaded: bool
    stored: bool
    writable: bool


@dataclasses.dataclass(frozen=True)
class Symbol:
    """A function or an object; Thumb's lowest bit is taken off the address. ``section`` is "" for absolute ones."""

    name: str
    address: int
    size: int
    section: str


@dataclasses.dataclass(frozen=True)
class Elf:
    """What is in a file, in its order."""

    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]

    def size(self, name: str) -> int:
        """Bytes of a section, 0 where there is none."""
        return sum(section.size for section in self.sections if section.name == name)

    def address(self, symbol: str) -> int:
        """Where a symbol is.

        Raises:
            KeyError: there is none of that name.
        """
        for known in self.symbols:
            if known.name == symbol:
                return known.address
        raise KeyError(symbol)


def read_elf(path: Path) -> Elf:
    """Read a file.

    Raises:
        ModelError: it is not such a file, or it is cut off.
    """
    data = path.read_bytes()
    try:
        return _read(data)
    except (struct.error, IndexError, ValueError, UnicodeDecodeError) as error:
        raise ModelError(f"{path.name} is no 32-bit ELF file, or not all of one", seen=str(error)) from error


def _read(data: bytes) -> Elf:
    if data[:6] != b"\x7fELF\x01\x01":
        raise ValueError(f"begins with {data[:6]!r}")
    (table,) = struct.unpack_from("<I", data, 32)
    size, count, names = struct.unpack_from("<HHH", data, 46)
    headers = [struct.unpack_from("<10I", data, table + i * size) for i in range(count)]
    texts = headers[names]
    sections = tuple(_section(data, header, texts[4]) for header in headers)
    symbols = [
        symbol for header in headers if header[1] == _SYMTAB for symbol in _symbols(data, header, headers, sections)
    ]
    return Elf(sections, tuple(symbols))


def _section(data: bytes, header: tuple[int, ...], texts: int) -> Section:
    name, kind, flags, address, _, size, _, _, align, _ = header
    return Section(
        _text(data, texts + name), address, size, align, bool(flags & _ALLOC), kind != _NOBITS, bool(flags & _WRITE)
    )


def _symbols(
    data: bytes, table: tuple[int, ...], headers: list[tuple[int, ...]], sections: tuple[Section, ...]
) -> list[Symbol]:
    texts = headers[table[6]][4]
    found = []
    for offset in range(table[4], table[4] + table[5], 16):
        name, value, size, info, _, index = struct.unpack_from("<IIIBBH", data, offset)
        kind = info & 0xF
        if kind in (_FUNCTION, _OBJECT, 0) and name:
            section = sections[index].name if 0 < index < len(sections) else ""
            found.append(Symbol(_text(data, texts + name), value & ~1 if kind == _FUNCTION else value, size, section))
    return found


def _text(data: bytes, offset: int) -> str:
    return data[offset : data.index(b"\0", offset)].decode()
