"""The instruction set: three queues, one table of fields for each opcode.

An instruction has 512 bits, least significant bit first, in 64 bytes of little-endian memory. The first 64 bits are
common to all. Instructions of one queue run in order. ``wait_load``, ``wait_compute`` and ``wait_store`` hold an
instruction back until those queues have retired that many instructions, counted from the start of the program (a
timeline, as in Vulkan's semaphores: a wait can only name instructions that stand before it, so that no program can
block itself).

Addresses: ``dram`` in bytes, multiples of the port; in the memories on the chip, vectors (``lanes`` bytes), rows of
weight tiles, entries of parameters.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from profiles.errors import ConfigError
from targets.tvm_fpga.geometry import INSTRUCTION_BYTES


class Op(enum.IntEnum):
    """Opcodes; the queue that runs each is its name's first word."""

    LOAD = 1
    STORE = 2
    COMPUTE = 3
    FINISH = 4


class Memory(enum.IntEnum):
    """Where a load writes."""

    ACTIVATIONS = 0
    WEIGHTS = 1
    PARAMETERS = 2


class Mode(enum.IntEnum):
    """What the array does with a vector.

    ``CONV``: every lane is one row's input, the same for all columns. ``WINDOW``: a 3x3 window of line buffers, a
    column's own channel on its rows. ``TAPS``: one tap at a time, a column's own channel on row 0.
    """

    CONV = 0
    WINDOW = 1
    TAPS = 2


@dataclasses.dataclass(frozen=True)
class Field:
    """Bits ``low`` to ``low + bits - 1``; ``signed`` in two's complement."""

    name: str
    low: int
    bits: int
    signed: bool = False

    def pack(self, value: int) -> int:
        """The value at its place.

        Raises:
            ConfigError: it does not fit.
        """
        least = -(1 << (self.bits - 1)) if self.signed else 0
        most = least + (1 << self.bits) - 1
        if not least <= value <= most:
            raise ConfigError(f"the instruction's field '{self.name}'", seen=str(value), allowed=f"{least} to {most}")
        return (value & ((1 << self.bits) - 1)) << self.low

    def unpack(self, word: int) -> int:
        """The value in an instruction."""
        value = (word >> self.low) & ((1 << self.bits) - 1)
        return value - (1 << self.bits) if self.signed and value >> (self.bits - 1) else value


# COMPUTE: `in_base` is the vector of row iy0, column ix0 (which may lie outside of the tensor: addresses wrap at 2^20,
# and what lies outside of in_h x in_w is `fill`); one output row further is `step_y`, one column `step_x`, one tap down
# `step_ky`, one to the right `step_kx` vectors on. `carry`: the sums go on from those that were kept; `keep`: they are
# kept and no result is written (both for CONV with `nt` = 1: more weights than the memory holds at once).
_COMMON = "op:4 flags:12 wait_load:16 wait_compute:16 wait_store:16"
_BODIES = {
    # rows of `len` beats; expand: every row is cut into `outputs` runs that start `step` bytes apart, `run`
    # vectors each
    Op.LOAD: ("dram:32 dram_stride:32 sram:20 sram_stride:20 rows:16 len:16 memory:2 expand:1 outputs:10 step:8 run:4"),
    Op.STORE: "dram:32 dram_stride:32 sram:20 sram_stride:20 rows:16 len:16",
    Op.COMPUTE: (
        "mode:2 max:1 residual:1 fence:1 in_base:20 step_y:20 step_x:14 step_ky:20 step_kx:14 "
        "in_h:10 in_w:10 iy0:12s ix0:7s sy:3 sx:3 dy:3 dx:3 kh:6 kw:6 ct:10 nt:10 "
        "rows:10 ow:10 out_base:20 out_row:16 out_px:10 wgt:20 par:12 fill:8s zero:8s lo:8s hi:8s "
        "res_base:20 res_row:16 res_px:10 res_zero:8s mul_a:16 mul_b:16 res_shift:6 sum_zero:8s sum_lo:8s sum_hi:8s "
        "wrows:10 wcols:10 carry:1 keep:1"
    ),
    Op.FINISH: "",
}


def _table(text: str) -> tuple[Field, ...]:
    fields, low = [], 0
    for word in text.split():
        name, _, bits = word.partition(":")
        fields.append(Field(name, low, int(bits.rstrip("s")), bits.endswith("s")))
        low += fields[-1].bits
    if low > 8 * INSTRUCTION_BYTES:
        raise ValueError(f"{low} bits do not fit into an instruction")
    return tuple(fields)


#: Opcode to its fields, the common ones first.
FIELDS: Mapping[Op, tuple[Field, ...]] = MappingProxyType(
    {op: _table(f"{_COMMON} {body}") for op, body in _BODIES.items()}
)


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One instruction: fields that are not given are 0.

    Raises:
        ConfigError: an unknown field, or a value that does not fit.
    """

    op: Op
    values: Mapping[str, int]
    note: str = ""

    def __post_init__(self) -> None:
        known = {field.name for field in FIELDS[self.op]}
        if unknown := set(self.values) - known:
            raise ConfigError(f"{self.op.name} has no field", seen=", ".join(sorted(unknown)), allowed=", ".join(known))
        object.__setattr__(self, "values", MappingProxyType({"op": int(self.op), **self.values}))
        self.encode()

    def __getitem__(self, name: str) -> int:
        return self.values.get(name, 0)

    def encode(self) -> bytes:
        """64 bytes."""
        word = sum(field.pack(self.values.get(field.name, 0)) for field in FIELDS[self.op])
        return word.to_bytes(INSTRUCTION_BYTES, "little")

    def text(self) -> str:
        """One line of a listing."""
        shown = " ".join(f"{name}={value}" for name, value in self.values.items() if name != "op" and value)
        return f"{self.op.name:8}{shown}" + (f"  ; {self.note}" if self.note else "")


def decode(data: bytes) -> Instruction:
    """The inverse of :meth:`Instruction.encode`.

    Raises:
        ConfigError: an unknown opcode, a wrong length, or bits set that mean nothing.
    """
    if len(data) != INSTRUCTION_BYTES:
        raise ConfigError("an instruction's length", seen=f"{len(data)} B", allowed=f"{INSTRUCTION_BYTES} B")
    word = int.from_bytes(data, "little")
    code = word & 0xF
    if code not in FIELDS:
        raise ConfigError("an instruction's opcode", seen=str(code), allowed=", ".join(f"{op}" for op in Op))
    op = Op(code)
    used = sum(((1 << field.bits) - 1) << field.low for field in FIELDS[op])
    if word & ~used:
        raise ConfigError(f"{op.name} has bits set that mean nothing", seen=hex(word & ~used), allowed="0")
    return Instruction(op, {field.name: field.unpack(word) for field in FIELDS[op]})


def encode_all(program: Iterable[Instruction]) -> bytes:
    """Instructions one after the other."""
    return b"".join(each.encode() for each in program)
