"""Runs the schedule of a group on paper: which rows are read and written, in which order."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from profiles.runner import Array
from targets.tflite_micro.plan.strips import IN_PLACE, Group


@dataclasses.dataclass(frozen=True)
class Place:
    """Bytes ``start`` to ``start + size`` of a tensor in memory, or of the group's scratch (``tensor`` -1)."""

    tensor: int
    start: int
    size: int


@dataclasses.dataclass(frozen=True)
class Event:
    """One C call: a row that is loaded into a ring (``to`` is None), or a row that is computed.

    ``row`` is that of the input for a load, that of the output else. ``takes`` are the rows that it reads, by
    tensor; for a ring that computes there are none.
    """

    stage: int
    row: int
    takes: Mapping[int, Place]
    to: Place | None


def events(group: Group) -> Iterator[Event]:
    """All C calls of one inference, in order."""
    root = group.stages[-1]
    walker = _Walker(group)
    for row in range(root.rows):
        yield from walker.pull(len(group.stages) - 1, row, Place(group.output, row * root.row_bytes, root.row_bytes))


class _Walker:
    """The counters of all stages."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.taken = [0] * len(group.stages)  # rows loaded, or pulled

    def pull(self, index: int, row: int, to: Place) -> Iterator[Event]:
        stage = self.group.stages[index]
        if stage.mode == "ring":
            yield from self._fill(index, min(stage.in_rows, row * stage.stride + stage.reach))
            yield Event(index, row, {}, to)
            return
        takes = {s.tensor: Place(s.tensor, row * stage.stride * s.row_bytes, s.row_bytes) for s in stage.sources}
        for source in stage.pulls:
            takes[source.tensor] = to if source.at == IN_PLACE else Place(-1, source.at, source.row_bytes)
            wanted = row * stage.stride + 1
            for y in range(self.taken[index] if stage.mode == "direct" else row, wanted):
                yield from self.pull(source.stage, y, takes[source.tensor])
            self.taken[index] = wanted
        yield Event(index, row, takes, to)

    def _fill(self, index: int, wanted: int) -> Iterator[Event]:
        (source,) = self.group.stages[index].sources
        while self.taken[index] < wanted:
            y = self.taken[index]
            place = Place(source.tensor, y * source.row_bytes, source.row_bytes)
            if source.stage >= 0:
                place = Place(-1, source.at, source.row_bytes)
                yield from self.pull(source.stage, y, place)
            yield Event(index, y, {source.tensor: place}, None)
            self.taken[index] += 1


def faults(
    group: Group, offsets: Mapping[int, int], scratch: int, overlaps: Mapping[int, Mapping[int, int]]
) -> list[str]:
    """Run the schedule in a memory with tensors at ``offsets`` and the group's scratch at ``scratch``.

    Returns what goes wrong, in sentences. Every byte of every tensor has a label of its own; every call changes
    its own scratch and expects it back. ``overlaps`` are those of the calls, by index: a stage that reads from
    memory where it writes does so as late as they allow.
    """
    memory = _Memory(group, offsets, scratch)
    done = [0] * len(group.stages)
    for event in events(group):
        memory.run(event, overlaps[group.stages[event.stage].call])
        if event.to is not None:
            if event.row != done[event.stage]:
                memory.faults.append(f"stage {event.stage}: row {event.row} comes after {done[event.stage]} rows")
            done[event.stage] += 1
    return [*memory.faults, *memory.unfinished()]


class _Memory:
    """Bytes as labels: a number for the tensor, and one for the byte in it."""

    def __init__(self, group: Group, offsets: Mapping[int, int], scratch: int) -> None:
        self.group, self.offsets, self.scratch = group, offsets, scratch
        self.faults: list[str] = []
        root = group.stages[-1]
        sizes = {s.tensor: s.row_bytes * st.in_rows for st in group.stages for s in st.sources if s.stage < 0}
        sizes[group.output] = root.rows * root.row_bytes
        self.sizes, self.time = sizes, 0
        end = max(scratch + group.scratch, *(offsets[key] + size for key, size in sizes.items()))
        self.bytes = np.full(end, -1, np.int64)
        for key in group.reads:
            self.bytes[self._at(Place(key, 0, sizes[key]))] = _label(key, 0, sizes[key])
        self.own = [self._spoil(index) for index in range(len(group.stages))]

    def _at(self, place: Place) -> slice:
        start = (self.scratch if place.tensor < 0 else self.offsets[place.tensor]) + place.start
        return slice(start, start + place.size)

    def _spoil(self, index: int) -> Array:
        """Change a stage's own scratch."""
        stage = self.group.stages[index]
        self.time += 1
        values = _label(-self.time, 0, stage.scratch_bytes)
        self.bytes[self._at(Place(-1, stage.scratch, stage.scratch_bytes))] = values
        return values

    def run(self, event: Event, overlap: Mapping[int, int]) -> None:
        """Read what the event reads, and write what it writes."""
        stage = self.group.stages[event.stage]
        if (self.bytes[self._at(Place(-1, stage.scratch, stage.scratch_bytes))] != self.own[event.stage]).any():
            self.faults.append(f"stage {event.stage}, row {event.row}: its scratch was overwritten")
        before = {tensor: self.bytes[self._at(place)].copy() for tensor, place in event.takes.items()}
        if event.to is not None:
            tensor = self._output(event.stage)
            self.bytes[self._at(event.to)] = _label(tensor, event.row * event.to.size, event.to.size)
        for tensor, place in event.takes.items():
            row = event.row * (1 if event.to is None else stage.stride)
            seen = self._seen(before[tensor], event, place, overlap.get(tensor))
            wrong = int((seen != _label(tensor, row * place.size, place.size)).sum())
            if wrong:
                self.faults.append(f"stage {event.stage}, row {event.row}: {wrong} bytes of tensor {tensor} are gone")
        self.own[event.stage] = self._spoil(event.stage)

    def _seen(self, before: Array, event: Event, place: Place, distance: int | None) -> Array:
        """What is read where a row is written at the same time."""
        if event.to is None:
            return before
        where = np.arange(self._at(place).start, self._at(place).stop)
        written = where - self._at(event.to).start
        read = np.arange(place.size) + (event.to.size if distance is None else distance)
        late = (written >= 0) & (written < event.to.size) & (written < read)
        return np.where(late, self.bytes[where], before)

    def _output(self, index: int) -> int:
        inner = [s.tensor for stage in self.group.stages for s in stage.sources if s.stage == index]
        return inner[0] if inner else self.group.output

    def unfinished(self) -> list[str]:
        """Whether the output is whole in the end."""
        place = Place(self.group.output, 0, self.sizes[self.group.output])
        wrong = int((self.bytes[self._at(place)] != _label(self.group.output, 0, place.size)).sum())
        return [f"{wrong} bytes of the output are not there at the end"] if wrong else []


def _label(key: int, start: int, size: int) -> Array:
    """What some bytes of a tensor hold."""
    return (np.int64(key) << 32) + np.arange(start, start + size)
