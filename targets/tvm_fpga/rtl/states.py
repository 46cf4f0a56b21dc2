"""What the error of a program that did not end says: faults by name, and where each queue stands."""

from __future__ import annotations

from collections.abc import Iterator

from profiles.errors import ConfigError
from profiles.runner import Array
from targets.tvm_fpga.geometry import INSTRUCTION_BYTES
from targets.tvm_fpga.isa import Instruction, Op, decode
from targets.tvm_fpga.rtl.abi import QUEUES, CResult

#: Bits of ``faults``, from bit 0 on.
FAULTS = (
    "a wait that can never end",
    "compute: an address or a number that there is none of",
    "store: an address or a number that there is none of",
    "load: an address or a number that there is none of",
    "fetch: an unknown opcode, or outside of memory",
    "a queue overflowed",
)
_OPS = (Op.LOAD, Op.STORE, Op.COMPUTE)


def described(found: CResult, dram: Array, program_at: int, idle: int, most: int) -> tuple[str, str]:
    """What went wrong in one sentence, and where every queue stands."""
    stands = "; ".join(_queue(number, found, dram, program_at) for number in range(len(QUEUES)))
    waits = f"{found.open_reads} reads and {found.open_writes} writes on their way"
    return _what(found, idle, most), f"cycle {found.cycles}; {stands}; memory: {waits}"


def _what(found: CResult, idle: int, most: int) -> str:
    if found.fault:
        names = [name for bit, name in enumerate(FAULTS) if found.faults >> bit & 1]
        return f"the accelerator stopped with a fault ({'; '.join(names)})"
    if found.cycles >= most:
        return f"the program did not end within {most} cycles"
    return f"the program hangs: nothing moved for {idle} cycles"


def _queue(number: int, found: CResult, dram: Array, program_at: int) -> str:
    """As "compute: 3 ended, 1 running" or "store: 0 ended, next is number 12, which waits for 4 of compute"."""
    begun = found.retired[number] + found.running[number]
    text = f"{QUEUES[number]}: {found.retired[number]} ended, {found.running[number]} running"
    mine = [(at, each) for at, each in enumerate(_program(dram, program_at)) if each.op is _OPS[number]]
    if begun >= len(mine):
        return text
    at, following = mine[begun]
    waits = [
        f"{following[f'wait_{name}']} of {name}"
        for other, name in enumerate(QUEUES)
        if other != number and following[f"wait_{name}"] > found.retired[other]
    ]
    return f"{text}, next is instruction {at}" + (f", which waits for {' and '.join(waits)}" if waits else "")


def _program(dram: Array, at: int) -> Iterator[Instruction]:
    """Instructions up to FINISH, or to the first that is none."""
    while at + INSTRUCTION_BYTES <= len(dram):
        try:
            instruction = decode(dram[at : at + INSTRUCTION_BYTES].tobytes())
        except ConfigError:
            return
        yield instruction
        if instruction.op is Op.FINISH:
            return
        at += INSTRUCTION_BYTES
