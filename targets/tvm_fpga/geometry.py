"""The parameters of one build of the accelerator: lanes, depths of its memories, port width."""

from __future__ import annotations

import dataclasses

from profiles.errors import ConfigError

#: Bytes of one instruction.
INSTRUCTION_BYTES = 64
LANES = (4, 8, 16, 32)
PORT_BYTES = (8, 16)


@dataclasses.dataclass(frozen=True)
class Geometry:
    """What the Verilog is built with.

    Attributes:
        lanes: rows and columns of the array; a *vector* is so many int8 channels of one position.
        port: bytes that the memory port moves per cycle (a *beat*).
        activations: depth of the activation memory, in vectors.
        weights: depth of the weight memory, in vectors (a tile is ``lanes`` of them, one per input channel).
        parameters: depth of the parameter memory, in entries of 8 bytes per lane.
        accumulators: positions that are accumulated over more than one tile.
        line: widest row (padding included) that the depthwise window takes.
        raw: bytes of the longest raw image row that a load expands.
    """

    lanes: int = 16
    port: int = 8
    activations: int = 8192
    weights: int = 4096
    parameters: int = 128
    accumulators: int = 256
    line: int = 128
    raw: int = 1024

    def __post_init__(self) -> None:
        for name, allowed in (("lanes", LANES), ("port", PORT_BYTES)):
            if getattr(self, name) not in allowed:
                choices = ", ".join(map(str, allowed))
                raise ConfigError(f"the accelerator's '{name}'", seen=str(getattr(self, name)), allowed=choices)
        for name, most in _DEPTHS.items():
            depth = getattr(self, name)
            if depth & (depth - 1) or not 16 <= depth <= most:
                raise ConfigError(
                    f"the accelerator's '{name}'", seen=str(depth), allowed=f"a power of two from 16 to {most}"
                )

    @property
    def macs_per_cycle(self) -> int:
        """At most."""
        return self.lanes * self.lanes

    @property
    def passes(self) -> int:
        """Tiles that a 3x3 depthwise window takes: nine taps, ``lanes`` of them at once."""
        return -(-9 // self.lanes)

    def as_dict(self) -> dict[str, int]:
        """Plain data, for the manifest and the Verilog."""
        return dataclasses.asdict(self)


#: Depths are powers of two, at most what the instructions can address.
_DEPTHS = {
    "activations": 1 << 20,
    "weights": 1 << 20,
    "parameters": 1 << 12,
    "accumulators": 1 << 12,
    "line": 1 << 10,
    "raw": 1 << 12,
}
