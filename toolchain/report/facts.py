"""Nested data from profiles and manifests as lines of text."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from profiles.units import format_quantity
from toolchain.report.entries import Entry

#: Units of the numbers in ``profiles/machine.py`` and ``profiles/sampling.py``, by the last part of the key.
_UNITS = {"ram": "B", "current": "Hz", "minimum": "Hz", "maximum": "Hz", "steal": "s", "seconds": "s"}
_UNITS |= {"max seconds": "s", "warmup seconds": "s", "max warmup seconds": "s"}
_UNITS |= {"memory": "B", "memory used": "B", "power limit": "W", "temperature": "°C"}
#: Tables whose every number is of one unit, whatever its key.
_TABLES = {"throttled seconds": "s"}
_NOT_TOLD = "not told"


@dataclasses.dataclass(frozen=True)
class Fact:
    """A line of the machine's state before and after the runs."""

    name: str
    before: str
    after: str


def machine_facts(entry: Entry) -> list[Fact]:
    """The machine's state, flattened, without what it does not tell."""
    if entry.profile is None:
        return []
    before, after = flat(entry.profile.machine.before), flat(entry.profile.machine.after)
    names = [n for n in {**before, **after} if {before.get(n, _NOT_TOLD), after.get(n, _NOT_TOLD)} != {_NOT_TOLD}]
    return [Fact(name, before.get(name, _NOT_TOLD), after.get(name, _NOT_TOLD)) for name in names]


def lines(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Settings and facts that are told."""
    return [(name, text) for name, text in flat(data).items() if text != _NOT_TOLD]


def flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Keys in words to values in words; nested keys are joined, lists of tables are merged column by column."""
    found: dict[str, str] = {}
    for key, value in data.items():
        name = f"{prefix}{str(key).replace('_', ' ')}"
        inner = _merged(value)
        if inner is None:
            found[name] = words(value, _unit(name))
        else:
            found |= flat(inner, f"{name} · ")
    return found


def _unit(name: str) -> str:
    *tables, key = name.split(" · ")
    return next((_TABLES[table] for table in tables if table in _TABLES), _UNITS.get(key, ""))


def _merged(value: Any) -> Mapping[str, Any] | None:
    """A table, or a list of tables as one that has every column's different values; None for anything else."""
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, list) or not value or not all(isinstance(row, Mapping) for row in value):
        return None
    columns = dict.fromkeys(key for row in value for key in row)
    return {key: _distinct([row.get(key) for row in value]) for key in columns}


def _distinct(values: list[Any]) -> Any:
    kept: list[Any] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    return kept[0] if len(kept) == 1 else kept


def words(value: Any, unit: str = "") -> str:
    """One value as a person would write it."""
    if value is None or value in ("", [], ()):
        return _NOT_TOLD
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(words(item, unit) for item in value)
    if isinstance(value, int | float):
        return _number(value, unit)
    return str(value)


def _number(value: float, unit: str) -> str:
    if unit:
        return format_quantity(float(value), unit)
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 100_000 else str(value)
    return f"{value:,.4g}" if abs(value) < 1e6 else f"{value:,.0f}"
