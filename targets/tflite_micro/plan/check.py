"""An independent check of a plan: its steps, run byte by byte in one memory."""

from __future__ import annotations

import numpy as np

from profiles.runner import Array
from targets.tflite_micro.plan.problem import Problem
from targets.tflite_micro.plan.result import Plan


def check(problem: Problem, plan: Plan) -> list[str]:
    """Run the plan byte by byte, and say in sentences what goes wrong; empty when nothing does.

    Every byte of every version of a buffer has a random label. Steps run first in the order of the file, which
    says which version each step reads; then in the plan's order within one memory, twice. A step reads byte
    ``r`` of an input as late as its ``overlap`` allows, just before byte ``r + distance`` of its output is
    written; it reads inputs without overlap before it writes and again after; its scratch is overwritten before
    it starts and when it ends. Knows nothing of lifetimes.
    """
    return _Simulation(problem, plan).run()


class _Simulation:
    """The memory, and which label each byte should have."""

    def __init__(self, problem: Problem, plan: Plan) -> None:
        self.problem, self.plan = problem, plan
        self.draw = np.random.default_rng(1)
        self.labels: dict[tuple[int, int], Array] = {}
        self.faults: list[str] = []
        self.memory = self.draw.integers(1, 1 << 62, plan.arena)
        self.reads: list[dict[int, int]] = []  # per step: key to version
        self.writes: list[dict[int, int]] = []
        self.final: dict[int, int] = {}
        for step in problem.steps:
            self.reads.append({key: self.final.get(key, 0) for key in step.reads})
            for key in dict.fromkeys(step.writes):
                self.final[key] = self.final.get(key, 0) + 1
            self.writes.append({key: self.final[key] for key in step.writes})

    def run(self) -> list[str]:
        """All faults."""
        if self._misplaced():
            return self.faults
        for buffer in self.problem.buffers:
            if buffer.persistent and buffer.key in self.plan.offsets:
                self._put(buffer.key, 0)
        for _ in range(2):
            for buffer in self.problem.buffers:
                if buffer.pinned_first and buffer.key in self.plan.offsets:
                    self._put(buffer.key, 0)
            for index in self.plan.order:
                self._step(index)
            for buffer in self.problem.buffers:
                if (buffer.pinned_last or buffer.persistent) and buffer.key in self.plan.offsets:
                    self._expect(buffer.key, self.final.get(buffer.key, 0), "the caller, at the end")
                if buffer.persistent and buffer.key in self.plan.offsets:
                    self._put(buffer.key, 0)  # the next inference takes what is there as its first version
        return self.faults

    def _misplaced(self) -> bool:
        plan, problem = self.plan, self.problem
        used = {key for step in problem.steps for key in step.touches}
        used |= {b.key for b in problem.buffers if b.pinned_first or b.pinned_last or b.persistent}
        if sorted(plan.order) != list(range(len(problem.steps))):
            self.faults.append(f"the order {plan.order} does not name every step once")
        if set(plan.offsets) != used:
            self.faults.append(f"offsets for {sorted(plan.offsets)}, wanted {sorted(used)}")
        if set(plan.scratch_offsets) != {i for i, step in enumerate(problem.steps) if step.scratch}:
            self.faults.append(f"scratch for steps {sorted(plan.scratch_offsets)}")
        if self.faults:
            return True
        places = [(f"buffer {k}", at, problem.by_key[k].size, problem.align) for k, at in plan.offsets.items()]
        for i, at in plan.scratch_offsets.items():
            places.append((f"scratch of {problem.steps[i].name}", at, problem.steps[i].scratch, problem.scratch_align))
        for name, offset, size, align in places:
            if offset < 0 or offset % align or offset + size > plan.arena:
                self.faults.append(
                    f"{name} of {size} bytes at {offset} in an arena of {plan.arena}, aligned to {align}"
                )
        return bool(self.faults)

    def _label(self, key: int, version: int) -> Array:
        if (key, version) not in self.labels:
            self.labels[key, version] = self.draw.integers(1, 1 << 62, self.problem.by_key[key].size)
        return self.labels[key, version]

    def _at(self, key: int) -> slice:
        return slice(self.plan.offsets[key], self.plan.offsets[key] + self.problem.by_key[key].size)

    def _put(self, key: int, version: int) -> None:
        self.memory[self._at(key)] = self._label(key, version)

    def _expect(self, key: int, version: int, who: str) -> None:
        wrong = self.memory[self._at(key)] != self._label(key, version)
        if wrong.any():
            self.faults.append(f"{who}: {int(wrong.sum())} bytes of buffer {key} are not what was written there")

    def _step(self, index: int) -> None:
        step = self.problem.steps[index]
        scratch = self._spoil(index)
        for key, version in self.reads[index].items():
            if key not in step.overlap:
                self._expect(key, version, step.name)
        for key, version in self.writes[index].items():
            if version > 1 or self.problem.by_key[key].persistent:
                self._expect(key, version - 1, f"{step.name}, which writes a part,")
        for key in step.writes[1:]:
            self._put(key, self.writes[index][key])
        self._rows(index)
        for key, version in self.reads[index].items():
            if key not in step.overlap and key not in step.writes:
                self._expect(key, version, f"{step.name}, still reading,")
        if scratch is not None and (self.memory[scratch[0]] != scratch[1]).any():
            self.faults.append(f"{step.name}: its scratch was overwritten")
        self._spoil(index)

    def _spoil(self, index: int) -> tuple[slice, Array] | None:
        """Fill the scratch with new values."""
        size = self.problem.steps[index].scratch
        if not size:
            return None
        place = slice(self.plan.scratch_offsets[index], self.plan.scratch_offsets[index] + size)
        values = self.draw.integers(1, 1 << 62, size)
        self.memory[place] = values
        return place, values

    def _rows(self, index: int) -> None:
        """Write the first output; inputs with overlap are read as late as they may be."""
        step = self.problem.steps[index]
        if not step.writes:
            return
        out = step.writes[0]
        before = self.memory.copy()
        self._put(out, self.writes[index][out])
        for key, distance in step.overlap.items():
            if key not in step.reads:
                continue
            place = np.arange(self._at(key).start, self._at(key).stop)
            written_at = place - self.plan.offsets[out]  # of the byte of the output that lands there, if any does
            read_at = np.arange(place.size) + distance
            covered = (written_at >= 0) & (written_at < self.problem.by_key[out].size)
            late = covered & (written_at < read_at)
            seen = np.where(late, self.memory[place], before[place])
            wrong = int((seen != self._label(key, self.reads[index][key])).sum())
            if wrong:
                self.faults.append(f"{step.name}: {wrong} bytes of buffer {key} are overwritten before being read")
