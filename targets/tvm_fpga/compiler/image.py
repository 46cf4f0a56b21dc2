"""The memory that a program runs in: tensors first, then constants, then the command stream."""

from __future__ import annotations

import dataclasses

import numpy as np

from profiles.errors import UnsupportedError
from profiles.runner import Array
from targets.tvm_fpga.compiler.ir import Tensor
from targets.tvm_fpga.compiler.program import Port
from targets.tvm_fpga.geometry import INSTRUCTION_BYTES

#: Everything begins at a multiple of this many bytes.
ALIGN = 64
#: Instructions that are fetched at a time.
FETCH = 4
#: Addresses have 32 bits.
MOST = 1 << 32


@dataclasses.dataclass
class Image:
    """Hands out addresses; contents are collected until the end."""

    size: int = 0
    parts: list[tuple[int, bytes]] = dataclasses.field(default_factory=list)
    _known: dict[bytes, int] = dataclasses.field(default_factory=dict)

    def room(self, count: int) -> int:
        """The address of so many bytes.

        Raises:
            UnsupportedError: beyond what addresses can say.
        """
        start = self.size
        self.size += -(-count // ALIGN) * ALIGN
        if self.size >= MOST:
            raise UnsupportedError("the program's memory", seen=f"{self.size} B", allowed=f"less than {MOST} B")
        return start

    def put(self, content: bytes) -> int:
        """The address of some constants; the same content has the same address."""
        if content not in self._known:
            start = self._known[content] = self.room(len(content))
            self.parts.append((start, content))
        return self._known[content]

    def port(self, tensor: Tensor, row_bytes: int, pixel_bytes: int, left: int = -1) -> Port:
        """Room for a tensor."""
        return Port(tensor, self.room(tensor.height * row_bytes), row_bytes, pixel_bytes, left)

    def bytes(self) -> Array:
        """All of it, int8."""
        found = np.zeros(self.size, np.int8)
        for start, content in self.parts:
            found[start : start + len(content)] = np.frombuffer(content, np.int8)
        return found


def padded(count: int) -> int:
    """Instructions of a stream of so many: whole fetches, and one more, which is asked for before FINISH is seen."""
    return -(-count // FETCH) * FETCH + FETCH


def stream_bytes(count: int) -> int:
    """Bytes of so many instructions."""
    return count * INSTRUCTION_BYTES
