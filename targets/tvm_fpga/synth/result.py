"""What a synthesis found out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

#: Title, nextpnr's name of the cell, and the field of :class:`Synthesis`.
RESOURCES = (
    ("LUTs", "TRELLIS_COMB", "luts"),
    ("flip-flops", "TRELLIS_FF", "flip_flops"),
    ("multipliers", "MULT18X18D", "multipliers"),
    ("block RAMs", "DP16KD", "block_rams"),
)


@dataclasses.dataclass(frozen=True)
class Usage:
    """One resource: how many the design takes, and how many the device has."""

    name: str
    used: int
    available: int

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.used / self.available

    def text(self) -> str:
        """Such as ``19,235 of 83,640 LUTs (23 %)``."""
        return f"{self.used:,} of {self.available:,} {self.name} ({100 * self.share:.0f} %)"


@dataclasses.dataclass(frozen=True)
class Synthesis:
    """A design that was placed and routed. Kind of all figures: estimated, by the tools' own model of the device.

    Attributes:
        part: of the device.
        clock: Hz that was aimed at.
        fmax: Hz that the slowest path allows.
        luts: 4-input LUTs, those used for carry chains and as memory included.
        flip_flops, multipliers, block_rams: as named by the device's data sheet (18 x 18 bits, 18 Kbit).
        critical_path: the slowest path, in words.
        tools: package to version.
        digest: of sources, parameters and tools.
        seconds: that the tools took.
    """

    part: str
    clock: float
    fmax: float
    luts: Usage
    flip_flops: Usage
    multipliers: Usage
    block_rams: Usage
    critical_path: str
    tools: Mapping[str, str]
    digest: str
    seconds: float

    @property
    def usages(self) -> tuple[Usage, ...]:
        """All resources."""
        return self.luts, self.flip_flops, self.multipliers, self.block_rams

    @property
    def met(self) -> bool:
        """Whether the clock that was aimed at is reached."""
        return self.fmax >= self.clock

    def text(self) -> str:
        """Some lines for people."""
        lines = [f"{self.part}: {self.fmax / 1e6:.1f} MHz ({self.clock / 1e6:g} MHz were aimed at)"]
        lines += [f"  {usage.text()}" for usage in self.usages]
        return "\n".join([*lines, f"  slowest path: {self.critical_path}"])

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {**dataclasses.asdict(self), "tools": dict(self.tools)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Synthesis:
        """The inverse of :meth:`as_dict`."""
        usages = {field: Usage(**data[field]) for _, _, field in RESOURCES}
        return cls(**{**data, **usages, "tools": dict(data["tools"])})
