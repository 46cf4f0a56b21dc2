"""A proof that a program gives the same result whatever its queues' speeds: it is read from the instructions alone.

Instructions of one queue begin in order. What an instruction knows to be over when it begins: what it waits for, what
those knew, and what those before it in its queue knew. Two instructions that touch the same place, one of them
writing, must be ordered so. Within a queue the hardware keeps the order, but for results that are still on their way
through the array: there the distance in positions counts (:mod:`.pipeline`), or `fence`.

Waits that name instructions before them in the stream cannot block: the first instruction that has not ended waits for
nothing that is not over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from profiles.errors import VerificationError
from profiles.runner import Array
from targets.tvm_fpga.compiler.pipeline import needs_fence, results, seen, tiles
from targets.tvm_fpga.compiler.program import Program
from targets.tvm_fpga.compiler.timeline import QUEUES, WAITS
from targets.tvm_fpga.geometry import INSTRUCTION_BYTES, Geometry
from targets.tvm_fpga.isa import Instruction, Memory, Mode, Op

_NAMES = {Memory.ACTIVATIONS: "act", Memory.WEIGHTS: "wgt", Memory.PARAMETERS: "par"}


@dataclasses.dataclass(frozen=True)
class Access:
    """Places of a memory: "act", "wgt", "par", or beats of "dram"."""

    memory: str
    places: Array
    writes: bool


def check_program(program: Program) -> None:
    """All instructions up to FINISH.

    Raises:
        VerificationError: what could run at the same time, wait for what comes later, or reach outside of a memory.
    """
    _Checker(program).run()


class _Checker:
    def __init__(self, program: Program) -> None:
        geometry = program.geometry
        self.program, self.geometry = program, geometry
        self.depths = {
            "act": geometry.activations,
            "wgt": geometry.weights,
            "par": geometry.parameters,
            "dram": len(program.image) // geometry.port,
        }
        self.counts = dict.fromkeys(QUEUES, 0)
        self.known = {op: dict.fromkeys(QUEUES, 0) for op in QUEUES}
        self.at_start: dict[Op, list[dict[Op, int]]] = {op: [] for op in QUEUES}
        self.last = {
            (name, op, writes): np.zeros(depth, np.int64)
            for name, depth in self.depths.items()
            for op in QUEUES
            for writes in (False, True)
        }
        self.before: Instruction | None = None

    def run(self) -> None:
        if self.program.instructions[-1].op is not Op.FINISH:
            raise VerificationError(
                "the program's last instruction", seen=self.program.instructions[-1].text(), allowed="FINISH"
            )
        for number, each in enumerate(self.program.instructions):
            if each.op is Op.FINISH:
                break
            try:
                self._one(each)
            except _Problem as problem:
                raise VerificationError(f"instruction {number} ({each.text()})", seen=str(problem)) from None

    def _one(self, each: Instruction) -> None:
        known = self._begin(each)
        if each.op is Op.COMPUTE:
            self._check_sums(each)
        for access in accesses(each, self.geometry):
            self._check_bounds(access)
            self._check_order(each, access, known)
        self.counts[each.op] += 1
        for access in accesses(each, self.geometry):
            self.last[access.memory, each.op, access.writes][access.places] = self.counts[each.op]
        self.before = each if each.op is Op.COMPUTE else self.before

    def _begin(self, each: Instruction) -> dict[Op, int]:
        """How many of every queue are over when an instruction begins."""
        known = self.known[each.op]
        for op in QUEUES:
            count = each[WAITS[op]] if op is not each.op else 0
            if count > self.counts[op]:
                raise _Problem(f"waits for {op.name} {count}, of which there are {self.counts[op]} before it")
            self._learn(known, op, count)
        if each.op is Op.COMPUTE:
            done = self.counts[Op.COMPUTE] - (0 if each["fence"] else 1)
            self._learn(known, Op.COMPUTE, max(done, 0))
        self.at_start[each.op].append(dict(known))
        return known

    def _learn(self, known: dict[Op, int], op: Op, count: int) -> None:
        """That many instructions of a queue are over, and so is what the last of them knew."""
        known[op] = max(known[op], count)
        if count:
            for other, more in self.at_start[op][count - 1].items():
                known[other] = max(known[other], more)

    def _check_order(self, each: Instruction, access: Access, known: dict[Op, int]) -> None:
        for op in QUEUES:
            for writes in (True, False) if access.writes else (True,):
                last = int(self.last[access.memory, op, writes][access.places].max(initial=0))
                if last > known[op] and not self._kept_apart(each, op, last, access):
                    what = f"{access.memory} {'written' if access.writes else 'read'}"
                    raise _Problem(f"{what} while {op.name} {last - 1} may still {'write' if writes else 'read'} it")

    def _kept_apart(self, each: Instruction, op: Op, last: int, access: Access) -> bool:
        """Whether the hardware keeps the order of two instructions of one queue."""
        if op is not each.op:
            return False
        if op is not Op.COMPUTE or access.writes:
            return True
        assert self.before is not None and last == self.counts[Op.COMPUTE]
        return not needs_fence(self.before, each, self.geometry)

    def _check_bounds(self, access: Access) -> None:
        depth = self.depths[access.memory]
        if len(access.places) and (access.places.min() < 0 or access.places.max() >= depth):
            raise _Problem(f"{access.memory} {access.places.min()} to {access.places.max()} of {depth}")
        first = self.program.program_at // self.geometry.port
        end = first + len(self.program.instructions) * INSTRUCTION_BYTES // self.geometry.port
        stream = (access.places >= first) & (access.places < end)
        if access.memory == "dram" and access.writes and stream.any():
            raise _Problem("a store into the program")

    def _check_sums(self, each: Instruction) -> None:
        kept = self.before is not None and bool(self.before["keep"])
        if bool(each["carry"]) != kept:
            raise _Problem("sums that are kept for it are not carried on" if kept else "no sums are kept for it")
        several = tiles(each, self.geometry) > 1 or each["carry"] or each["keep"]
        if several and each["rows"] * each["ow"] > self.geometry.accumulators:
            raise _Problem(f"sums of {each['rows'] * each['ow']} positions of {self.geometry.accumulators}")
        if each["mode"] == Mode.WINDOW and each["wcols"] > self.geometry.line:
            raise _Problem(f"a row of {each['wcols']} positions of {self.geometry.line}")


class _Problem(Exception):
    """What is wrong with an instruction."""


def accesses(each: Instruction, geometry: Geometry) -> Iterator[Access]:
    """Everything that an instruction touches, exactly."""
    if each.op is Op.COMPUTE:
        yield from _of_compute(each, geometry)
        return
    beats = each["len"] * geometry.port
    rows = np.arange(each["rows"])[:, None]
    dram = (each["dram"] + rows * each["dram_stride"]) // geometry.port + np.arange(each["len"])[None, :]
    memory = _NAMES[Memory(each["memory"])] if each.op is Op.LOAD else "act"
    per = {"par": 8 * geometry.lanes}.get(memory, geometry.lanes)
    count = each["outputs"] * each["run"] if each["expand"] else beats // per
    chip = each["sram"] + rows * each["sram_stride"] + np.arange(count)[None, :]
    yield Access("dram", dram.reshape(-1), each.op is Op.STORE)
    yield Access(memory, chip.reshape(-1), each.op is Op.LOAD)


def _of_compute(each: Instruction, geometry: Geometry) -> Iterator[Access]:
    rows = tiles(each, geometry) * (1 if each["mode"] == Mode.TAPS else geometry.lanes) * each["nt"]
    yield Access("wgt", each["wgt"] + np.arange(rows), writes=False)
    yield Access("act", seen(each, geometry), writes=False)
    if each["keep"]:
        return
    yield Access("par", each["par"] + np.arange(each["nt"]), writes=False)
    if each["residual"]:
        yield Access("act", results(each, geometry, "res")[0], writes=False)
    yield Access("act", results(each, geometry)[0], writes=True)
