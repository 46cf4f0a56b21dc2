"""Which columns of a logger's CSV hold time, power, current and voltage, and in which units.

Columns are recognised by their headers, or named. Units come from the header, in brackets or as a
suffix: ``Timestamp(ms),Current(uA)`` (Nordic PPK2), ``Main current (A)`` (Otii), ``power_mw``. A header
without a unit is in the SI base unit, as Joulescope's ``#time,current,voltage,power,charge,energy`` is.
"""

from __future__ import annotations

import csv
import dataclasses
import re
from pathlib import Path

from profiles.errors import ConfigError, DataError
from profiles.suggest import did_you_mean

#: Lines at the top of the file among which the header is looked for.
PREAMBLE = 50

_PREFIXES = {"k": 1e3, "": 1.0, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "n": 1e-9}
_SYMBOLS = {"time": "s", "power": "W", "current": "A", "voltage": "V"}
_SCALES = {kind: {prefix + symbol: f for prefix, f in _PREFIXES.items()} for kind, symbol in _SYMBOLS.items()}
_WORDS = {
    "time": ("time", "timestamp", "t"),
    "power": ("power", "p"),
    "current": ("current", "amps", "i"),
    "voltage": ("voltage", "volts", "v"),
}
_UNIT_IN_BRACKETS = re.compile(r"#?\s*(.*?)\s*[(\[]\s*([^)\]]*?)\s*[)\]]")
_UNIT_AS_SUFFIX = re.compile(r"#?\s*(.+)_([a-zA-Zµμ]{1,2})")


@dataclasses.dataclass(frozen=True)
class Columns:
    """Header texts of the columns, as written in the file; empty ones are recognised."""

    time: str = ""
    power: str = ""
    current: str = ""
    voltage: str = ""


RECOGNISED = Columns()


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the values are.

    Attributes:
        header_row: line of the header, counted from 1.
        delimiter: between fields.
        kinds: ``time`` and what power comes from: ``power``, ``current`` and ``voltage``, or ``current``.
        places: index of each kind's column.
        scales: factor of each kind's column to the SI base unit.
    """

    header_row: int
    delimiter: str
    kinds: tuple[str, ...]
    places: tuple[int, ...]
    scales: tuple[float, ...]


def find_layout(path: Path, columns: Columns, *, supply_voltage: bool) -> Layout:
    """Find header, columns and units.

    Args:
        path: the file.
        columns: those that are named.
        supply_voltage: whether the voltage is known, so that current alone will do.

    Raises:
        ConfigError: a column is missing or its unit unknown; names those seen.
        DataError: no such file, or no header in it.
    """
    row, header, delimiter = _find_header(path, columns)
    places = {kind: _place(header, kind, getattr(columns, kind)) for kind in _WORDS}
    kinds = ("time", *_power_from(path, header, columns, places, supply_voltage=supply_voltage))
    found = tuple(place for kind in kinds if (place := places[kind]) is not None)
    scales = tuple(_scale(header[place], kind) for place, kind in zip(found, kinds, strict=True))
    return Layout(row, delimiter, kinds, found, scales)


def _power_from(
    path: Path, header: list[str], columns: Columns, places: dict[str, int | None], *, supply_voltage: bool
) -> tuple[str, ...]:
    for kind, place in places.items():
        name = getattr(columns, kind)
        if name and place is None:
            step = did_you_mean(name, header)
            raise ConfigError(f"wanted the column '{name}' in {path.name}", seen=", ".join(header), next_step=step)
    if supply_voltage and places["current"] is not None:
        return ("current",)
    if places["power"] is not None and not (columns.current or supply_voltage):
        return ("power",)
    if places["current"] is not None and places["voltage"] is not None:
        return ("current", "voltage")
    raise ConfigError(
        f"wanted power, or current and voltage, in {path.name}",
        seen=", ".join(header),
        next_step="name the columns, or give supply_voltage for a log of current alone",
    )


def _find_header(path: Path, columns: Columns) -> tuple[int, list[str], str]:
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            top = [line for _, line in zip(range(PREAMBLE), file, strict=False)]
    except OSError as error:
        raise DataError(f"wanted a logger's CSV at {path}", seen=error.strerror or str(error)) from error
    for row, line in enumerate(top, start=1):
        delimiter = max(",;\t", key=line.count)
        fields = [field.strip() for field in next(csv.reader([line], delimiter=delimiter), [])]
        if len(fields) > 1 and _place(fields, "time", columns.time) is not None:
            return row, fields, delimiter
    raise DataError(
        f"wanted a header with a time column in {path.name}",
        seen=repr(top[0].strip()[:80]) if top else "an empty file",
        allowed=columns.time or ", ".join(_WORDS["time"]),
        next_step="name the columns as they are written in the file",
    )


def _place(header: list[str], kind: str, named: str) -> int | None:
    """Index of a column: the one named, else the first whose title is, or contains, a known word."""
    if named:
        return header.index(named) if named in header else None
    titles = [_split(field)[0].lower() for field in header]
    for word in _WORDS[kind]:
        if word in titles:
            return titles.index(word)
    words = {word for word in _WORDS[kind] if len(word) > 1}
    return next((i for i, title in enumerate(titles) if words & set(re.split(r"[^a-z]+", title))), None)


def _split(field: str) -> tuple[str, str]:
    """Title and unit: ``Current (uA)`` gives ``Current`` and ``uA``, ``power_mw`` ``power`` and ``mW``."""
    if match := _UNIT_IN_BRACKETS.fullmatch(field):
        return match.group(1), match.group(2)
    if match := _UNIT_AS_SUFFIX.fullmatch(field):
        known = {unit.lower(): unit for table in _SCALES.values() for unit in table}
        if unit := known.get(match.group(2).lower()):
            return match.group(1), unit
    return field.lstrip("# "), ""


def _scale(field: str, kind: str) -> float:
    unit = _split(field)[1] or _SYMBOLS[kind]
    if unit not in _SCALES[kind]:
        raise ConfigError(
            f"wanted a unit of {kind} in the header '{field}'", seen=repr(unit), allowed=", ".join(_SCALES[kind])
        )
    return _SCALES[kind][unit]
