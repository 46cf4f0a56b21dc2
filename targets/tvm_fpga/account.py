"""Where cycles and bytes went: every cycle of a run belongs to one COMPUTE and has one cause, every byte to one layer.

The time of a COMPUTE goes from the end of the one before to its own end, so that all of them, and what is written after
the last one, are the whole run. In so many of these cycles as it has positions a vector goes in. The others begin where
the last vector of the one before went in: until the last instruction that it waits for was over, it waited for that;
the rest is the pipeline itself (weights on their way into the array, its first and last positions, two reads of one
bank).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from targets.tvm_fpga.compiler.clock import DEPTH
from targets.tvm_fpga.compiler.pipeline import positions, tiles
from targets.tvm_fpga.compiler.program import Program
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.isa import Instruction, Op
from targets.tvm_fpga.rtl.simulate import Run

#: Cycles from the last vector of a COMPUTE to its end.
TAIL = DEPTH + 1


@dataclasses.dataclass(frozen=True)
class Spent:
    """Of a layer, or of a whole run.

    Attributes:
        compute: cycles in which a vector went into the array.
        load, store: in which none did, because a load, or a store, was not over.
        stall: in which none did for another reason.
        loaded, stored: bytes over the port, without the program.
    """

    compute: int = 0
    load: int = 0
    store: int = 0
    stall: int = 0
    loaded: int = 0
    stored: int = 0

    @property
    def cycles(self) -> int:
        """All."""
        return self.compute + self.load + self.store + self.stall

    def __add__(self, other: Spent) -> Spent:
        mine, others = dataclasses.astuple(self), dataclasses.astuple(other)
        return Spent(*(one + another for one, another in zip(mine, others, strict=True)))


def account(program: Program, run: Run) -> dict[str, Spent]:
    """By layer, in the order in which they begin."""
    found = dict.fromkeys(program.layers, Spent())
    for name, spent in (*_cycles(program, run), *_bytes(program)):
        found[name] += spent
    return found


def program_bytes(program: Program, run: Run) -> int:
    """Bytes of instructions over the port; they are fetched four at a time."""
    loaded = sum(_moved(each, program.geometry) for each in program.of(Op.LOAD))
    return run.read_beats * program.geometry.port - loaded


def owners(program: Program) -> dict[Op, list[str]]:
    """The layer of every instruction of a queue: of a load, the one that waits for it first; of a store, the one that
    it waits for.
    """
    waits = [each["wait_load"] for each in program.of(Op.COMPUTE)]
    loads, user = [], 0
    for number in range(len(program.of(Op.LOAD))):
        while user < len(waits) - 1 and waits[user] <= number:
            user += 1
        loads.append(program.layers[user])
    stores = [program.layers[max(each["wait_compute"], 1) - 1] for each in program.of(Op.STORE)]
    return {Op.LOAD: loads, Op.STORE: stores, Op.COMPUTE: list(program.layers)}


def fed(compute: Instruction, geometry: Geometry) -> int:
    """Cycles in which a COMPUTE lets a vector go in: its positions, for all tiles."""
    return compute["nt"] * tiles(compute, geometry) * positions(compute)


def waited_for(compute: Instruction, run: Run) -> tuple[int, Op]:
    """When the last instruction of the other queues that a COMPUTE waits for was over, in cycles, and its queue."""
    found = [
        (run.spans[name][count - 1].end, op)
        for name, op in (("store", Op.STORE), ("load", Op.LOAD))
        if (count := compute[f"wait_{name}"])
    ]
    return max(found, key=lambda each: each[0], default=(0, Op.LOAD))


def _cycles(program: Program, run: Run) -> Iterator[tuple[str, Spent]]:
    before = 0
    for name, compute, span in zip(program.layers, program.of(Op.COMPUTE), run.spans["compute"], strict=True):
        busy = fed(compute, program.geometry)
        idle = span.end - before - busy
        until, op = waited_for(compute, run)
        waited = min(max(until - max(before - TAIL, 0), 0), idle)
        load, store = (waited, 0) if op is Op.LOAD else (0, waited)
        yield name, Spent(busy, load, store, idle - waited)
        before = span.end
    yield program.layers[-1], Spent(store=run.cycles - before)


def _bytes(program: Program) -> Iterator[tuple[str, Spent]]:
    names = owners(program)
    for name, load in zip(names[Op.LOAD], program.of(Op.LOAD), strict=True):
        yield name, Spent(loaded=_moved(load, program.geometry))
    for name, store in zip(names[Op.STORE], program.of(Op.STORE), strict=True):
        yield name, Spent(stored=_moved(store, program.geometry))


def _moved(transfer: Instruction, geometry: Geometry) -> int:
    return transfer["rows"] * transfer["len"] * geometry.port
