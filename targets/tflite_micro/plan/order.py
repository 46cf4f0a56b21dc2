"""The order of steps that keeps the fewest bytes alive.

A state is the set of steps that have run; what is live between two steps follows from it alone, so the smallest
possible peak over all orders is a minimax path (Ahn et al. 2020, "Ordering Chaos", does the same by dynamic
programming). A ready step that frees at least what it adds is taken at once: no order can do better by waiting.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Sequence

from targets.tflite_micro.plan.bound import saving, unit
from targets.tflite_micro.plan.problem import Problem, padded

#: States that the exact search may look at; states that the beam keeps per step.
STATES, BEAM = 6_000, 12


@dataclasses.dataclass(frozen=True)
class Ordered:
    """An order, the bytes that are live at its worst step, and whether no order keeps fewer alive."""

    order: tuple[int, ...]
    peak: int
    exact: bool


def best_order(problem: Problem, states: int = STATES) -> Ordered:
    """The order with the lowest peak; exact when ``states`` suffice."""
    graph = _Graph(problem)
    return _exact(graph, states) or _beam(graph)


@dataclasses.dataclass(frozen=True)
class _State:
    """Steps that ran as bits and in order, bytes that are live now, and the highest number of bytes so far."""

    done: int
    live: int
    peak: int
    order: tuple[int, ...]


class _Graph:
    """Bit sets of the problem, and what one step costs."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        step = unit(problem)
        self.size = {buffer.key: padded(buffer.size, step) for buffer in problem.buffers}
        self.needs = [sum(1 << i for i in before) for before in problem.before]
        self.users = dict.fromkeys(self.size, 0)
        self.after: list[list[int]] = [[] for _ in problem.steps]
        for index, one in enumerate(problem.steps):
            for key in one.touches:
                self.users[key] |= 1 << index
            for i in problem.before[index]:
                self.after[i].append(index)
        self.kept = {b.key for b in problem.buffers if b.pinned_last or b.persistent}
        self.early = {b.key for b in problem.buffers if b.pinned_first or b.persistent}

    def start(self) -> _State:
        """Before the first step."""
        filled = sum(self.size[key] for key in self.early)
        used = sum(self.size[key] for key in self.early if self.users[key] or key in self.kept)
        return _State(0, used, filled, ())

    def ready(self, state: _State) -> list[int]:
        """Steps that can run, in the order of the file."""
        return [i for i, need in enumerate(self.needs) if not state.done >> i & 1 and need & ~state.done == 0]

    def run(self, state: _State, index: int) -> _State:
        """The state after one more step."""
        step, done = self.problem.steps[index], state.done | 1 << index
        born = [key for key in step.writes if not self.users[key] & state.done and key not in self.early]
        dying = [key for key in step.touches if not self.users[key] & ~done and key not in self.kept]
        added = sum(self.size[key] for key in dict.fromkeys(born))
        peak = state.live + added + padded(step.scratch, unit(self.problem)) - self._saved(index, born, dying)
        live = state.live + added - sum(self.size[key] for key in dying)
        return _State(done, live, max(state.peak, peak), (*state.order, index))

    def _saved(self, index: int, born: Sequence[int], dying: Sequence[int]) -> int:
        step = self.problem.steps[index]
        if not step.overlap or not step.writes or step.writes[0] not in born:
            return 0
        inputs = [
            (self.problem.by_key[key].size, gap)
            for key, gap in step.overlap.items()
            if key in dying and key in step.reads and key not in step.writes
        ]
        return saving(self.problem, inputs, self.problem.by_key[step.writes[0]].size)


def _choices(graph: _Graph, state: _State) -> list[_State]:
    """States after one step; one alone where a step costs nothing."""
    found = []
    for index in graph.ready(state):
        after = graph.run(state, index)
        if after.peak <= state.peak and after.live <= state.live:
            return [after]
        found.append(after)
    return found


def _exact(graph: _Graph, limit: int) -> Ordered | None:
    """Best first; None when ``limit`` states do not suffice."""
    count = len(graph.needs)
    state = graph.start()
    queue = [(state.peak, 0, 0, state)]
    seen: set[int] = set()
    ticket = 0
    while queue:
        _, _, _, state = heapq.heappop(queue)
        if len(state.order) == count:
            return Ordered(state.order, state.peak, True)
        if state.done in seen:
            continue
        seen.add(state.done)
        if len(seen) > limit:
            return None
        for after in _choices(graph, state):
            if after.done not in seen:
                ticket += 1
                heapq.heappush(queue, (after.peak, -len(after.order), ticket, after))
    return Ordered((), 0, True)


def _beam(graph: _Graph) -> Ordered:
    """Level by level, the states with the lowest peak and the fewest live bytes."""
    level = [graph.start()]
    for _ in graph.needs:
        after: dict[int, _State] = {}
        for state in level:
            for found in _choices(graph, state):
                other = after.get(found.done)
                if other is None or (found.peak, found.live) < (other.peak, other.live):
                    after[found.done] = found
        level = sorted(after.values(), key=lambda state: (state.peak, state.live, state.order))[:BEAM]
    return Ordered(level[0].order, level[0].peak, False)
