"""Three queues become one stream, in the order in which a clock that runs along says they are wanted.

The accelerator fetches in order and holds a few instructions of each queue: one that comes too early blocks those
behind it, one that comes too late is waited for. So the stream is written while it is timed (:mod:`.clock`): whenever
four instructions are fetched, computations come first as long as few of them wait, then loads. What an instruction
waits for always stands before it.
"""

from __future__ import annotations

from targets.tvm_fpga.compiler.clock import FETCH, Clock
from targets.tvm_fpga.compiler.timeline import QUEUES, Step, Timeline
from targets.tvm_fpga.isa import Instruction, Op

#: Instructions of each queue that may be under way, fetched but not begun; the one that is wanted first comes first.
LIMITS = {Op.STORE: 4, Op.COMPUTE: 3, Op.LOAD: 6}


def merged(timeline: Timeline, eager: int = 0) -> list[Instruction]:
    """All instructions, and FINISH; ``eager`` loads come before computations, if fewer wait."""
    merge = _Merge(timeline, eager)
    Clock(timeline.geometry, merge.four).run()
    return [*merge.rest(), Instruction(Op.FINISH, {})]


class _Merge:
    def __init__(self, timeline: Timeline, eager: int) -> None:
        self.queues, self.eager = timeline.queues, eager
        self.done = dict.fromkeys(QUEUES, 0)
        self.stream: list[Instruction] = []

    def four(self, clock: Clock) -> list[Instruction]:
        """What is fetched next."""
        begun = clock.begun
        while len(self.stream) % FETCH or not self.stream or clock.fetched == len(self.stream):
            op = self._wanted({op: self.done[op] - begun[op] for op in QUEUES})
            if op is None:
                break
            self.stream.append(self.queues[op][self.done[op]].instruction)
            self.done[op] += 1
        given = self.stream[clock.fetched : clock.fetched + FETCH]
        return given if len(given) == FETCH else [*given, Instruction(Op.FINISH, {})]

    def rest(self) -> list[Instruction]:
        """Everything; a clock stops where nothing goes on, and then the order is that of the waits."""
        while (op := self._wanted(dict.fromkeys(QUEUES, 0))) is not None:
            self.stream.append(self.queues[op][self.done[op]].instruction)
            self.done[op] += 1
        return self.stream

    def _wanted(self, waiting: dict[Op, int]) -> Op | None:
        """The queue whose next instruction comes next."""
        ready = [op for op in LIMITS if self._ready(op)]
        if not ready:
            return None
        if Op.LOAD in ready and waiting[Op.LOAD] < self.eager:
            return Op.LOAD
        return next((op for op in ready if waiting[op] < LIMITS[op]), ready[0])

    def _ready(self, op: Op) -> bool:
        """Whether everything that the next one waits for is in the stream."""
        if self.done[op] == len(self.queues[op]):
            return False
        step: Step = self.queues[op][self.done[op]]
        return all(count <= self.done[other] for other, count in step.waits.items())
