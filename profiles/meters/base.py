"""What the profiler knows of an energy meter, and what every meter shares.

Two families implement :class:`Meter`: cumulative counters (``counter.py``) and sampled power
(``sampled.py``). All figures are in joules, watts and seconds; uncertainties are standard
uncertainties (GUM, JCGM 100:2008, 2.3.1).
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from profiles.errors import EdgewrightError, MissingToolError, UnreachableError


@dataclasses.dataclass(frozen=True)
class Resolution:
    """The smallest step that a meter can show.

    Attributes:
        value: in ``unit``.
        unit: ``J`` for a cumulative counter, ``W`` for sampled power.
        interval: seconds between two updates of the counter, or between two samples.
    """

    value: float
    unit: str
    interval: float

    def uncertainty(self, watts: float, seconds: float) -> float:
        """Standard uncertainty in joules that the resolution alone gives a window at mean power ``watts``.

        A counter is read at both ends; each reading is low by up to one step, and by what was used
        since the last update. Each is rectangular, and the difference of two such errors of width ``a``
        triangular with the variance ``a² / 6`` (GUM, 4.3.9). Sampled power is off by up to half a step
        all the time: rectangular, ``value² / 12`` (GUM, F.2.2.1); no averaging is assumed.
        """
        if self.unit == "J":
            return math.hypot(self.value, watts * self.interval) / math.sqrt(6)
        return self.value / math.sqrt(12) * seconds


@dataclasses.dataclass(frozen=True)
class EnergyReading:
    """The energy used between ``start`` and ``stop``.

    Attributes:
        joules, seconds: of the window.
        uncertainty: standard uncertainty of ``joules``.
        method: the instrument and what it covers, in words.
        seconds_uncertainty: standard uncertainty of ``seconds``: when exactly the meter was read.
        rails: joules by rail or package.
        samples: (seconds since the start, watts) of sampled power; empty for a counter, and for a
            log, which is a file of its own.
    """

    joules: float
    seconds: float
    uncertainty: float
    method: str
    seconds_uncertainty: float = 0.0
    rails: Mapping[str, float] = dataclasses.field(default_factory=dict)
    samples: tuple[tuple[float, float], ...] = ()

    @property
    def watts(self) -> float:
        """Mean power of the window."""
        return self.joules / self.seconds


class Meter(Protocol):
    """An energy meter. ``start`` and ``stop`` raise an ``EdgewrightError`` when the meter cannot be read."""

    @property
    def name(self) -> str:
        """As device profiles write it: ``rapl``, ``nvml``, ``ina3221``, ``pmic``, ``csv:PATH``."""
        ...

    @property
    def resolution(self) -> Resolution:
        """The smallest step, for deciding how long a window has to be."""
        ...

    def available(self) -> str:
        """Empty when the meter can be used here, else why not and the exact next step."""
        ...

    def start(self) -> None:
        """Begin a window."""
        ...

    def stop(self) -> EnergyReading:
        """End the window that ``start`` began."""
        ...


def reason(error: EdgewrightError) -> str:
    """An error as one sentence, for the reason of an unavailable metric."""
    parts = [error.wanted, error.seen and f"seen: {error.seen}", error.allowed and f"allowed: {error.allowed}"]
    parts.append(error.next_step)
    return "; ".join(part for part in parts if part)


def read_text(path: Path) -> str:
    """A small file of the kernel, stripped.

    Raises:
        MissingToolError: no such file, or no permission (with the command that grants it).
        UnreachableError: the file is there, but the driver does not answer.
    """
    wanted = f"wanted to read {path}"
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise MissingToolError(wanted, seen="no such file") from error
    except PermissionError as error:
        raise MissingToolError(
            wanted, seen="permission denied: readable by root only", next_step=f"run: sudo chmod a+r '{path}'"
        ) from error
    except OSError as error:
        raise UnreachableError(wanted, seen=error.strerror or str(error)) from error


def read_number(path: Path) -> int:
    """A whole number from a small file of the kernel; raises like :func:`read_text`, or on anything else."""
    text = read_text(path)
    if not re.fullmatch(r"-?\d+", text):
        raise UnreachableError(f"wanted a whole number in {path}", seen=repr(text[:40]))
    return int(text)
