"""Instructions in the order in which they would run one by one, and the waits that let them run side by side.

Every instruction is added with the places that it reads and writes. It waits for those of *other* queues before it that
write what it reads, or touch what it writes; those of its own queue run in order anyway. Only the array needs more: it
takes the next COMPUTE while results of the one before are still on their way (see :mod:`.pipeline`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from profiles.errors import UnsupportedError
from profiles.runner import Array
from targets.tvm_fpga.compiler.pipeline import needs_fence
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.isa import Instruction, Op

QUEUES = (Op.LOAD, Op.STORE, Op.COMPUTE)
#: Counters of retired instructions have 16 bits.
MOST = 65535
WAITS = {Op.LOAD: "wait_load", Op.STORE: "wait_store", Op.COMPUTE: "wait_compute"}


@dataclasses.dataclass(frozen=True)
class Span:
    """Places ``low`` to ``high - 1`` of a memory: "act", "wgt", "par", or rows of a tensor in memory by its name."""

    memory: str
    low: int
    high: int


@dataclasses.dataclass(frozen=True)
class Step:
    """An instruction with its waits, and what it waits for by queue: so many must have retired."""

    instruction: Instruction
    waits: dict[Op, int]


class _Touched:
    """Of every place of a memory: how many instructions of each queue there were when it was last read and written."""

    def __init__(self, depth: int) -> None:
        self.read = {op: np.zeros(depth, np.int64) for op in QUEUES}
        self.written = {op: np.zeros(depth, np.int64) for op in QUEUES}


class Timeline:
    """Collects instructions, queue by queue."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        self.queues: dict[Op, list[Step]] = {op: [] for op in QUEUES}
        self.order: list[Op] = []
        depths = {"act": geometry.activations, "wgt": geometry.weights, "par": geometry.parameters}
        self._touched = {name: _Touched(depth) for name, depth in depths.items()}

    def rows(self, tensor: str, count: int) -> None:
        """Make a tensor in memory known, with so many rows."""
        self._touched.setdefault(tensor, _Touched(count))

    def add(self, op: Op, values: dict[str, int], note: str, reads: Sequence[Span], writes: Sequence[Span]) -> None:
        """One more instruction.

        Raises:
            UnsupportedError: a queue has more than its counter can count.
        """
        steps = self.queues[op]
        if len(steps) == MOST:
            raise UnsupportedError(f"the program's {op.name} instructions", seen=f"more than {MOST}", allowed=f"{MOST}")
        waits = {other: self._after(other, reads, writes) for other in QUEUES if other is not op}
        values = {**values, **{WAITS[other]: count for other, count in waits.items()}}
        if op is Op.COMPUTE and self._reads_fresh(reads) and needs_fence(steps[-1].instruction, values, self.geometry):
            values["fence"] = 1
        steps.append(Step(Instruction(op, values, note), waits))
        self.order.append(op)
        self._mark(op, len(steps), reads, writes)

    def _after(self, other: Op, reads: Sequence[Span], writes: Sequence[Span]) -> int:
        found = [self._last(self._touched[span.memory].written[other], span) for span in (*reads, *writes)]
        return max([0, *found, *(self._last(self._touched[span.memory].read[other], span) for span in writes)])

    def _reads_fresh(self, reads: Sequence[Span]) -> bool:
        """Whether something was written by the COMPUTE before: those before it have retired when the next one
        begins.
        """
        count = len(self.queues[Op.COMPUTE])
        return count > 0 and any(
            self._last(self._touched[span.memory].written[Op.COMPUTE], span) == count for span in reads
        )

    def _mark(self, op: Op, count: int, reads: Sequence[Span], writes: Sequence[Span]) -> None:
        for span in reads:
            self._touched[span.memory].read[op][span.low : span.high] = count
        for span in writes:
            self._touched[span.memory].written[op][span.low : span.high] = count

    @staticmethod
    def _last(counts: Array, span: Span) -> int:
        return int(counts[span.low : span.high].max(initial=0))
