"""What the memory planner is asked: buffers, and the steps that read and write them.

Time is counted in steps of one order: at -1 the caller fills the inputs, step ``p`` of the order runs at
``p``, and at ``len(steps)`` the caller reads the outputs. A buffer is live at every time from its first to its
last access, both included; scratch is live during its step alone.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence

Span = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Buffer:
    """One tensor in the arena.

    Attributes:
        key: of the tensor.
        size: bytes, at least 1.
        pinned_first: filled by the caller before the first step (an input).
        pinned_last: read by the caller after the last step (an output).
        persistent: keeps its value from one inference to the next, and so never shares its memory.
    """

    key: int
    size: int
    pinned_first: bool = False
    pinned_last: bool = False
    persistent: bool = False


@dataclasses.dataclass(frozen=True)
class Step:
    """One call, or one group of fused calls.

    Attributes:
        name: for people.
        reads: keys of buffers.
        writes: keys of buffers. A buffer may be written by several steps (a fill and then a copy into it).
        scratch: bytes that the step needs for itself.
        overlap: key of a buffer that is read to the smallest ``address(read) - address(writes[0])`` that is safe, for
            buffers that may share memory with ``writes[0]`` when this step is the last to touch them and the first
            to touch ``writes[0]``.
    """

    name: str
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    scratch: int = 0
    overlap: Mapping[int, int] = dataclasses.field(default_factory=dict)

    @property
    def touches(self) -> tuple[int, ...]:
        """Keys of all buffers that are read or written, each once."""
        return tuple(dict.fromkeys((*self.reads, *self.writes)))


@dataclasses.dataclass(frozen=True)
class Problem:
    """Buffers and steps in the order of the file, which runs.

    Attributes:
        buffers: each key once.
        steps: in an order that runs.
        align: of buffers, in bytes. 16 keeps vector loads aligned; overlapping neighbours can be placed closer
        with 4. scratch_align: of scratch.
    """

    buffers: tuple[Buffer, ...]
    steps: tuple[Step, ...]
    align: int = 16
    scratch_align: int = 16

    def __post_init__(self) -> None:
        """Check that the parts fit.

        Raises:
            ValueError: a key that is used twice or not declared, a size below 1, an alignment that is no power of 2.
        """
        if len(self.by_key) != len(self.buffers):
            raise ValueError("wanted each buffer key once")
        small = [buffer for buffer in self.buffers if buffer.size < 1]
        if small:
            raise ValueError(f"wanted at least one byte per buffer, got {small[0]}")
        for step in self.steps:
            unknown = {*step.touches, *step.overlap} - set(self.by_key)
            if unknown or step.scratch < 0:
                raise ValueError(f"wanted declared buffers and scratch of at least 0 bytes, got {step}")
        if any(value < 1 or value & (value - 1) for value in (self.align, self.scratch_align)):
            raise ValueError(f"wanted powers of 2 as alignment, got {self.align} and {self.scratch_align}")

    @functools.cached_property
    def by_key(self) -> dict[int, Buffer]:
        """Buffers by key."""
        return {buffer.key: buffer for buffer in self.buffers}

    @property
    def file_order(self) -> tuple[int, ...]:
        """The order of the steps as they are listed."""
        return tuple(range(len(self.steps)))

    @functools.cached_property
    def before(self) -> tuple[frozenset[int], ...]:
        """For each step the earlier ones that touch what it writes, or write what it reads: they run before it."""
        found: list[frozenset[int]] = []
        touched: dict[int, set[int]] = {}
        written: dict[int, set[int]] = {}
        for index, step in enumerate(self.steps):
            needs = {i for key in step.reads for i in written.get(key, ())}
            needs |= {i for key in step.writes for i in touched.get(key, ())}
            found.append(frozenset(needs))
            for key in step.touches:
                touched.setdefault(key, set()).add(index)
            for key in step.writes:
                written.setdefault(key, set()).add(index)
        return tuple(found)


def padded(size: int, align: int) -> int:
    """``size`` rounded up to a multiple of ``align``."""
    return -(-size // align) * align


def lifetimes(problem: Problem, order: Sequence[int]) -> dict[int, Span]:
    """First and last time at which each buffer is live; buffers that nobody touches are left out."""
    spans: dict[int, Span] = {}
    for buffer in problem.buffers:
        if buffer.persistent:
            spans[buffer.key] = (-1, len(order))
        elif buffer.pinned_first:
            spans[buffer.key] = (-1, -1)
    for time, index in enumerate(order):
        for key in problem.steps[index].touches:
            first, last = spans.get(key, (time, time))
            spans[key] = (first, max(last, time))
    for buffer in problem.buffers:
        if buffer.pinned_last:
            spans[buffer.key] = (spans.get(buffer.key, (-1, -1))[0], len(order))
    return spans


def shares(problem: Problem, order: Sequence[int], spans: Mapping[int, Span]) -> Iterator[tuple[int, int, int, int]]:
    """Pairs that may share memory in this order: (step, key read, key written, smallest safe distance in bytes).

    The distance is at most the size of the buffer that is written: from there on the two are disjoint.
    """
    for time, index in enumerate(order):
        step = problem.steps[index]
        out = step.writes[0] if step.writes else None
        if out is None or spans[out][0] != time:
            continue
        for key, distance in step.overlap.items():
            if key in step.reads and key not in step.writes and spans[key][1] == time:
                yield index, key, out, min(distance, problem.by_key[out].size)
