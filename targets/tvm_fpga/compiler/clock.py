"""The accelerator's timing without its data: five machines that wait for each other, run event by event.

Fetch, loads, the memory port, the array and stores each are a generator that says *when* it could go on (a function of
what the others have done so far) and then does so. The one that can go on first goes on. Constants are those of the
Verilog: how long each step takes from one register to the next.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Generator, Iterator

from targets.tvm_fpga.compiler.pipeline import cycles
from targets.tvm_fpga.compiler.timeline import QUEUES, WAITS
from targets.tvm_fpga.geometry import INSTRUCTION_BYTES, Geometry
from targets.tvm_fpga.isa import Instruction, Memory, Mode, Op

NEVER = float("inf")
#: Instructions of a queue, fetched at a time, kept ahead.
QUEUE, FETCH = 8, 4
#: Beats of a request; beats and requests that are open at a time; loads whose requests run ahead.
BURST, OPEN, REQUESTS, LOADS = 32, 224, 16, 4
#: Cycles from a position's read until its result is written.
DEPTH = 16

When = Callable[[], float]
Machine = Generator[When, float, None]


@dataclasses.dataclass
class Timing:
    """When an instruction was in its queue, began, and was over, in cycles; NEVER until then."""

    instruction: Instruction
    pushed: float = NEVER
    began: float = NEVER
    over: float = NEVER
    #: Of a COMPUTE: when its last tile began and when its last position was let go.
    last_tile: float = NEVER
    last_fire: float = NEVER
    #: Of a LOAD: requests that are still to be answered.
    left: int = 0

    def __post_init__(self) -> None:
        waits = {op: self.instruction[name] for op, name in WAITS.items()}
        self.waits = tuple((op, count) for op, count in waits.items() if count)


@dataclasses.dataclass
class _Request:
    """Beats that were asked for; ``row_end`` if they end a row."""

    at: float
    beats: int
    load: Timing | None
    row_end: bool = False


class Clock:
    """Runs instructions that ``supply`` gives, four at a time, when they are fetched."""

    def __init__(self, geometry: Geometry, supply: Callable[[Clock], list[Instruction]], latency: int = 100) -> None:
        self.geometry, self.supply, self.latency = geometry, supply, latency
        self.now = 0.0
        self.fetched = 0
        self.queues: dict[Op, list[Timing]] = {op: [] for op in QUEUES}
        self.order: list[Timing] = []
        self._ahead: deque[tuple[float, Instruction]] = deque()
        self._port: deque[_Request] = deque()
        self._open = 0
        self._asked = self._supplied = self._ended = False
        self._given: list[Instruction] = []
        self._asked_loads = 0
        self._requests = 0
        self.begun = {Op.LOAD: 0, Op.STORE: 0, Op.COMPUTE: 0}
        self.received = 0

    def run(self) -> float:
        """Until nothing goes on: the cycle in which the last instruction was over."""
        machines = [self._fetch(), self._push(), self._ask(), self._answer(), self._compute(), self._store()]
        waiting = [(machine, next(machine)) for machine in machines]
        while waiting:
            times = [when() for _, when in waiting]
            first = min(range(len(times)), key=times.__getitem__)
            if times[first] == NEVER:
                break
            self.now = max(self.now, times[first])
            machine = waiting[first][0]
            try:
                waiting[first] = (machine, machine.send(self.now))
            except StopIteration:
                del waiting[first]
        return max((each.over for each in self.order), default=0.0)

    def over(self, op: Op, count: int) -> float:
        """When so many of a queue, one at least, are over."""
        return self.queues[op][count - 1].over if count <= len(self.queues[op]) else NEVER

    def _waits(self, each: Timing) -> float:
        begins = each.pushed
        for op, count in each.waits:
            begins = max(begins, self.over(op, count))
        return begins + 1

    def _fetch(self) -> Machine:
        while True:
            now = yield self._can_fetch
            self._asked = True
            self._given = [] if self._supplied else self.supply(self)
            self.fetched += len(self._given)
            self._supplied = self._supplied or len(self._given) < FETCH or self._given[-1].op is Op.FINISH
            self._requests += 1
            self._port.append(_Request(now + 1, FETCH * INSTRUCTION_BYTES // self.geometry.port, None))

    def _can_fetch(self) -> float:
        """What stands behind FINISH is fetched too, until FINISH is at the head."""
        return self.now if len(self._ahead) <= FETCH and not self._asked and not self._ended else NEVER

    def _push(self) -> Machine:
        while True:
            at = yield self._can_push
            _, each = self._ahead.popleft()
            if each.op is Op.FINISH:
                self._ended = True
                return
            timing = Timing(each, pushed=at)
            self.queues[each.op].append(timing)
            self.order.append(timing)
            yield lambda: at + 1  # noqa: B023

    def _can_push(self) -> float:
        if not self._ahead:
            return NEVER
        at, each = self._ahead[0]
        if each.op is Op.FINISH:
            return at
        queue = self.queues[each.op]
        room = 0 if len(queue) < QUEUE else queue[len(queue) - QUEUE].began + 1
        return max(at, room)

    def _ask(self) -> Machine:
        """Loads begin in order; their requests go out one per cycle."""
        while True:
            number = self.begun[Op.LOAD]
            at = yield lambda: self._can_load(number)  # noqa: B023
            each = self.queues[Op.LOAD][number]
            each.began = at
            self.begun[Op.LOAD] += 1
            asked = list(_requests(each.instruction))
            each.left = len(asked)
            for beats, row_end in asked:
                at = yield lambda: self._can_ask(at + 1)  # noqa: B023
                self._requests += 1
                self._open += beats
                self._port.append(_Request(at, beats, each, row_end))

    def _can_load(self, number: int) -> float:
        if number >= len(self.queues[Op.LOAD]) or number - self.received > LOADS:
            return NEVER
        return self._waits(self.queues[Op.LOAD][number])

    def _can_ask(self, at: float) -> float:
        return at if self._open <= OPEN and self._requests < REQUESTS else NEVER

    def _answer(self) -> Machine:
        """Answers come in the order of the requests, a beat per cycle, as fast as they are taken."""
        cut = [0.0, 0.0]
        loaded = free = 0.0
        while True:
            yield lambda: self._port[0].at if self._port else NEVER
            request = self._port[0]
            begin = max(free, request.at + self.latency)
            if request.load is None:
                self._arrive((yield lambda: begin))  # noqa: B023
                end = yield lambda: begin + request.beats  # noqa: B023
                self._asked = False
            else:
                given = request.load.instruction
                begin = max(begin, loaded + 1, cut[0] if given["expand"] else 0)
                end = yield lambda: begin + request.beats * self._per_beat(given)  # noqa: B023
                self._open -= request.beats
                if given["expand"] and request.row_end:
                    cut = [cut[1], max(end + 1, cut[1] + 1) + given["outputs"] * given["run"]]
                request.load.left -= 1
                if request.load.left == 0:
                    loaded = request.load.over = max(end, cut[1] + 2 if given["expand"] else 0) + 1
                    self.received += 1
            free = end
            self._requests -= 1
            self._port.popleft()

    def _arrive(self, begin: float) -> None:
        beats = INSTRUCTION_BYTES // self.geometry.port
        for number, each in enumerate(self._given):
            self._ahead.append((begin + (number + 1) * beats + 1, each))

    def _per_beat(self, given: Instruction) -> int:
        spread = self.geometry.port // self.geometry.lanes
        return 1 if given["memory"] == Memory.PARAMETERS else max(1, spread)

    def _compute(self) -> Machine:
        """Weights of the first tile come while the instruction before is at its last."""
        queue, number = self.queues[Op.COMPUTE], 0
        while True:
            at = yield lambda: self._can_compute(number)  # noqa: B023
            each = queue[number]
            each.began = at
            self.begun[Op.COMPUTE] += 1
            take = at + 1
            if number:
                before = queue[number - 1]
                take = max(take, before.last_fire + 1, before.over if each.instruction["fence"] else 0)
            if number > 1:
                take = max(take, queue[number - 2].over)
            rows = 1 if each.instruction["mode"] == Mode.TAPS else self.geometry.lanes
            first = max(take + 2, at + rows)
            last_tile, last_fire = cycles(each.instruction, self.geometry)
            each.last_tile, each.last_fire = first + last_tile, first + last_fire
            each.over = each.last_fire + DEPTH + 1
            number += 1

    def _can_compute(self, number: int) -> float:
        queue = self.queues[Op.COMPUTE]
        if number >= len(queue):
            return NEVER
        return max(self._waits(queue[number]), queue[number - 1].last_tile + 1 if number else 0)

    def _store(self) -> Machine:
        queue, number = self.queues[Op.STORE], 0
        while True:
            at = yield lambda: self._can_store(number)  # noqa: B023
            each = queue[number]
            each.began = at
            self.begun[Op.STORE] += 1
            each.over = at + 4 + each.instruction["rows"] * each.instruction["len"] + self.latency
            number += 1

    def _can_store(self, number: int) -> float:
        queue = self.queues[Op.STORE]
        if number >= len(queue):
            return NEVER
        return max(self._waits(queue[number]), queue[number - 1].over + 1 if number else 0)


def _requests(given: Instruction) -> Iterator[tuple[int, bool]]:
    for _ in range(given["rows"]):
        for at in range(0, given["len"], BURST):
            yield min(BURST, given["len"] - at), at + BURST >= given["len"]
