"""Where each value lies in the arena: values that are never alive at the same time share memory."""

from __future__ import annotations

import dataclasses

from targets.tvm_cpu.program import Program

#: Bytes; wide enough for every vector load, and one line of the caches.
ALIGNMENT = 64


@dataclasses.dataclass(frozen=True)
class Span:
    """From the first step to the last one in which a piece of memory is in use, and its size in bytes."""

    number: int
    first: int
    last: int
    bytes: int

    def meets(self, other: Span) -> bool:
        """Whether both are in use during some step."""
        return self.first <= other.last and other.first <= self.last


def place(program: Program) -> Program:
    """The program with offsets for everything outside of the constants.

    The largest value comes first, each at the lowest offset that is free as long as it lives (Pisarchyk and Lee 2020,
    "Efficient memory management for deep neural net inference", greedy by size). Inputs keep their place for good.
    """
    placed: list[tuple[int, Span]] = []
    for span in sorted(spans(program), key=lambda span: (-span.bytes, span.number)):
        placed.append((_lowest(span, placed), span))
    offsets = {span.number: offset for offset, span in placed}
    values = tuple(
        value if value.constant else dataclasses.replace(value, offset=offsets[program.storage[number]])
        for number, value in enumerate(program.values)
    )
    arena = max((offset + span.bytes for offset, span in placed), default=0)
    return dataclasses.replace(program, values=values, arena=arena)


def spans(program: Program) -> list[Span]:
    """The life of each piece of memory, in steps; inputs live from before the first to the end, outputs to the end."""
    end = len(program.steps)
    first: dict[int, int] = {program.storage[number]: 0 for number in program.inputs}
    last: dict[int, int] = {program.storage[number]: end for number in (*program.inputs, *program.outputs)}
    for time, step in enumerate(program.steps):
        for number in step.arguments:
            root = program.storage[number]
            first.setdefault(root, time)
            last[root] = max(last.get(root, 0), time)
    found = (root for root in sorted(first) if not program.values[root].constant)
    return [Span(root, first[root], last[root], _rounded(program.values[root].bytes)) for root in found]


def _rounded(size: int) -> int:
    return max(-(-size // ALIGNMENT), 1) * ALIGNMENT


def _lowest(span: Span, placed: list[tuple[int, Span]]) -> int:
    offset = 0
    for start, other in sorted((pair for pair in placed if pair[1].meets(span)), key=lambda pair: pair[0]):
        if offset + span.bytes <= start:
            break
        offset = max(offset, start + other.bytes)
    return offset
