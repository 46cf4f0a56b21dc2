"""Groups of calls that run row by row, so that tensors between them are never whole in memory.

A group is a tree: every tensor inside has one consumer, which is in the group, too; the root writes the one
tensor that leaves it. Calls at the leaves read tensors that lie whole in memory. A residual block is such a
tree: its first convolution and its addition both read the block's input, which lies in memory. Nothing is
computed twice.

**The schedule**, which the emitted C follows and :mod:`schedule` runs on paper::

    for r in 0 .. rows(root) - 1:  pull(root, r, row r of the output)

    pull(stage, r, to):                     # computes row r of the stage; rows come in order, each once
      ring:         until min(in_rows, r * stride + reach) rows are loaded, with y the number of rows loaded so far:
                      source in memory:     load(p, scratch, y, row y of the source)
                      source is a stage:    pull(source, y, at); load(p, scratch, y, at)
                    row(p, scratch, r, to)
      direct:       source in memory:       at = row r * stride of the source
                      source is a stage:    pull(source, y, at) for every y not yet pulled up to r * stride
                    function(p1, at, to, scratch)   # p1: the call's params with in_h = out_h = 1
      elementwise:  sources that are stages, in order: pull(source, r, at); then the one without a place of its
                      own, if there is one: pull(source, r, to)
                    function(p1, ..., to)           # p1: count of one row; sources in memory are read at row r

``at`` is a row buffer in the group's scratch. Arguments of an elementwise call that are constants advance like
tensors in memory. ``load``, ``row``, ``stride``, ``reach`` are those of :class:`calls.Rows`; a call whose ``load`` is
empty is direct: it needs no ring, its output row r follows from its input row r * stride alone. A stage's
counters (rows loaded, rows pulled) start at 0 with every inference. Every call's own scratch lives as long as
the group runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from targets.tflite_micro.plan.problem import Step

Mode = Literal["ring", "direct", "elementwise"]
#: Place of a row that is not in a row buffer: the row that its consumer writes.
IN_PLACE = -1


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a stage takes rows from.

    Attributes:
        tensor: key.
        stage: index in the group of the stage that computes it, or -1: it lies in memory.
        at: offset of the row buffer in the group's scratch, or :data:`IN_PLACE`; of no meaning in memory.
        row_bytes: of one row.
    """

    tensor: int
    stage: int
    at: int
    row_bytes: int


@dataclasses.dataclass(frozen=True)
class Stage:
    """One call of a group.

    Attributes:
        call: index of the call.
        mode: how it runs (see the module).
        sources: of tensors in the arena, in the order of the call's arguments.
        rows, row_bytes: of the output.
        stride, reach, in_rows: of :class:`calls.Rows`; 1, 1 and ``rows`` for an elementwise call.
        scratch, scratch_bytes: the call's own scratch: offset in the group's, or -1, and size.
    """

    call: int
    mode: Mode
    sources: tuple[Source, ...]
    rows: int
    row_bytes: int
    stride: int
    reach: int
    in_rows: int
    scratch: int
    scratch_bytes: int

    @property
    def pulls(self) -> tuple[Source, ...]:
        """Sources that are stages, in the order in which they are pulled: the one in place last."""
        inside = [source for source in self.sources if source.stage >= 0]
        return tuple(sorted(inside, key=lambda source: source.at == IN_PLACE))


@dataclasses.dataclass(frozen=True)
class Group:
    """Calls that run as one step.

    Attributes:
        stages: sources before their consumers; the last one is the root.
        reads: keys of tensors in memory that are read.
        output: key of the tensor that is written.
        scratch: bytes, aligned to 16: rings, other scratch of calls, row buffers.
        overlap: of :class:`problem.Step`, for all of ``reads`` that may share memory with the output.
        name: for people.
    """

    stages: tuple[Stage, ...]
    reads: tuple[int, ...]
    output: int
    scratch: int
    overlap: Mapping[int, int]
    name: str

    @property
    def calls(self) -> tuple[int, ...]:
        """Indices of the calls, in the order of the stages."""
        return tuple(stage.call for stage in self.stages)

    @property
    def inner(self) -> tuple[int, ...]:
        """Keys of tensors that need no memory any more."""
        return tuple(s.tensor for stage in self.stages for s in stage.sources if s.stage >= 0)

    @property
    def row_calls(self) -> int:
        """Rows that all stages compute together: what fusion costs in calls."""
        return sum(stage.rows for stage in self.stages)

    def step(self) -> Step:
        """The group as the planner sees it."""
        return Step(self.name, self.reads, (self.output,), self.scratch, self.overlap)


def brief(name: str) -> str:
    """The end of a tensor's name, or of both names of a group.

    Converters join the names of all operators that they merged (``a/b/c;a/d/e``).
    """
    return " to ".join("/".join(part.split(";")[-1].split("/")[-2:]) for part in name.split(" to "))
