"""Quantities with units: ``"5 ms"`` and ``"256 KiB"`` in, SI base values inside, pretty text out.

Code and JSON hold SI base units only (``s``, ``B``, ``J``, ``W``, ``Hz``, ``1``; ``dB`` for SQNR).
Prefixes follow the SI brochure (9th ed., table 7) and IEC 80000-13 for the binary ones.
"""

from __future__ import annotations

import math
import re

from profiles.errors import ConfigError

_DECIMAL = {
    "p": 1e-12,
    "n": 1e-9,
    "u": 1e-6,
    "µ": 1e-6,
    "μ": 1e-6,
    "m": 1e-3,
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
}
_BINARY = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
_DIMENSIONLESS = {"": 1.0, "1": 1.0, "%": 0.01, "points": 0.01, "point": 0.01}
_QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S*)\s*")

UNITS: dict[str, dict[str, float]] = {
    "s": {f"{p}s": f for p, f in _DECIMAL.items()} | {"min": 60.0, "h": 3600.0},
    "J": {f"{p}J": f for p, f in _DECIMAL.items()} | {"Wh": 3600.0, "mWh": 3.6},
    "W": {f"{p}W": f for p, f in _DECIMAL.items()},
    "Hz": {f"{p}Hz": f for p, f in _DECIMAL.items()},
    "B": {f"{p}B": f for p, f in _BINARY.items()},
    "1": _DIMENSIONLESS,
}


def parse_quantity(text: str | int | float, unit: str, *, where: str = "value") -> float:
    """Read a quantity and return it in the SI base ``unit``.

    Args:
        text: such as ``"5 ms"`` or ``"256 KiB"``. A bare number is accepted for dimensionless
            quantities only, because ``latency = 5`` says neither seconds nor milliseconds.
        unit: a key of :data:`UNITS`.
        where: the name of the setting, for the error.

    Raises:
        ConfigError: not a number, a negative or non-finite one, or a unit of another dimension.
    """
    table = UNITS[unit]
    match = _QUANTITY.fullmatch(str(text))
    factor = table.get(match.group(2)) if match else None
    if match is None or factor is None or (not match.group(2) and unit != "1"):
        raise ConfigError(
            f"{where} needs a number and a unit",
            seen=repr(text),
            allowed=", ".join(name for name in table if name) or "a plain number",
            next_step=f"write for example {_example(unit)}",
        )
    value = float(match.group(1)) * factor
    if not math.isfinite(value) or value < 0:
        raise ConfigError(f"{where} needs a finite quantity of at least 0", seen=repr(text))
    return value


def _example(unit: str) -> str:
    return {"s": '"5 ms"', "J": '"2 mJ"', "W": '"500 mW"', "Hz": '"480 MHz"', "B": '"256 KiB"', "1": '"1 %"'}[unit]


def format_quantity(value: float, unit: str, digits: int = 3) -> str:
    """Pretty text with a prefix: ``format_quantity(0.0051, "s") == "5.1 ms"``.

    Bytes use binary prefixes, dimensionless values none, dB one decimal; other units stand behind the number.
    Rounding is to ``digits`` significant digits, and never turns a value that is not 0 into 0.
    """
    if unit == "B":
        return _prefixed(value, unit, [("", 1.0), ("Ki", 2.0**10), ("Mi", 2.0**20), ("Gi", 2.0**30)], digits)
    if unit in ("s", "J", "W", "Hz"):
        steps = [("p", 1e-12), ("n", 1e-9), ("µ", 1e-6), ("m", 1e-3), ("", 1.0)]
        steps += [("k", 1e3), ("M", 1e6), ("G", 1e9)] if unit == "Hz" else []
        return _prefixed(value, unit, steps, digits)
    if unit == "dB":
        return f"{value:.1f} dB"
    number = f"{int(value):,}" if float(value).is_integer() and abs(value) >= 1 else f"{value:.{digits + 1}g}"
    return number if unit == "1" else f"{number} {unit}"


def _prefixed(value: float, unit: str, steps: list[tuple[str, float]], digits: int) -> str:
    """The number in front of the largest prefix that leaves at least 1 after rounding, so never "1000 ms"."""
    if not value:
        return f"0 {unit}"
    fitting = [step for step in steps if abs(_rounded(value / step[1], digits)) >= 1] or steps[:1]
    prefix, factor = fitting[-1]
    return f"{_significant(value / factor, digits)} {prefix}{unit}"


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits - 1}e}")


def _significant(value: float, digits: int) -> str:
    """At most ``digits`` significant digits, but all of those in front of the decimal point."""
    number = _rounded(value, digits)
    return f"{value:.0f}" if abs(number) >= 10.0**digits else f"{number:.{digits}g}"
