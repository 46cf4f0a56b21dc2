"""Builds the group of some calls, if they form one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from targets.tflite_micro.calls import Call, In, Out
from targets.tflite_micro.plan.distance import distances
from targets.tflite_micro.plan.items import rivals_of
from targets.tflite_micro.plan.problem import Buffer, Span, padded
from targets.tflite_micro.plan.strips import IN_PLACE, Group, Mode, Source, Stage, brief

_ALIGN = 16


class Flow:
    """Calls, the buffers they touch, and who reads and writes what."""

    def __init__(self, calls: Sequence[Call], buffers: Sequence[Buffer]) -> None:
        self.calls = calls
        self.buffers = {buffer.key: buffer for buffer in buffers}
        self.reads = [self._keys(call, In) for call in calls]
        self.writes = [self._keys(call, Out) for call in calls]
        self.readers: dict[int, list[int]] = {key: [] for key in self.buffers}
        self.writers: dict[int, list[int]] = {key: [] for key in self.buffers}
        for index in range(len(calls)):
            for key in self.reads[index]:
                self.readers[key].append(index)
            for key in self.writes[index]:
                self.writers[key].append(index)

    def _keys(self, call: Call, kind: type[In] | type[Out]) -> tuple[int, ...]:
        keys = [arg.tensor for arg in call.args if isinstance(arg, kind)]
        return tuple(dict.fromkeys(key for key in keys if key in self.buffers))

    def by_rows(self, index: int) -> bool:
        """Whether a call can be a stage: one image, or elements, in; one tensor out that nothing else writes."""
        call, reads, writes = self.calls[index], self.reads[index], self.writes[index]
        if len(writes) != 1 or not reads or self.writers[writes[0]] != [index] or writes[0] in reads:
            return False
        sizes = [self.buffers[key].size for key in (*reads, *writes)]
        if call.rows is not None:
            rows = call.rows
            return sizes == [rows.in_rows * rows.in_bytes, rows.out_rows * rows.out_bytes]
        return call.elementwise and self.count(index) > 0 and all(size % self.count(index) == 0 for size in sizes)

    def count(self, index: int) -> int:
        """Elements of an elementwise call; 0 where it does not say."""
        count = self.calls[index].params.get("count")
        return count if isinstance(count, int) else 0

    def inside(self, key: int, members: frozenset[int]) -> int:
        """The call among ``members`` that computes a tensor for ``members`` alone, or -1."""
        buffer = self.buffers[key]
        alone = not (buffer.pinned_first or buffer.pinned_last or buffer.persistent)
        if alone and len(self.readers[key]) == len(self.writers[key]) == 1 and self.writers[key][0] in members:
            return self.writers[key][0]
        return -1


@dataclasses.dataclass
class _Edge:
    """A row buffer: bytes, and its time within one walk through the tree."""

    size: int
    first: int = 0
    last: int = 0
    at: int = 0


class _Builder:
    """One attempt to build a group; ``in_place`` chooses among the root's sources."""

    def __init__(self, flow: Flow, members: frozenset[int], in_place: int) -> None:
        self.flow, self.members, self.in_place = flow, members, in_place
        self.stages: list[Stage] = []
        self.edges: list[_Edge] = []
        self.bytes = 0
        self.time = 0

    def stage(self, index: int, rows: int, root: bool = False) -> tuple[int, int] | None:
        """Append the stage of a call with ``rows`` output rows, its sources before it.

        Returns its place and the time at which its row is first written to; None where the rows do not fit.
        """
        flow, form = self.flow, self.flow.calls[index].rows
        if (form.out_rows != rows) if form else flow.count(index) % rows:
            return None
        in_rows = form.in_rows if form else rows
        inner = [key for key in flow.reads[index] if flow.inside(key, self.members) >= 0]
        placed = self._in_place(index, inner, root)
        sources: dict[int, Source] = {}
        edges: list[_Edge] = []
        written = None
        for key in sorted(inner, key=lambda key: key == placed):
            child = self.stage(flow.inside(key, self.members), in_rows)
            if child is None:
                return None
            row_bytes = flow.buffers[key].size // in_rows
            if key == placed:
                written = child[1]
            else:
                edges.append(_Edge(row_bytes, child[1]))
            self.edges += edges[-1:] if key != placed else []
            sources[key] = Source(key, child[0], IN_PLACE if key == placed else len(self.edges) - 1, row_bytes)
            self.time += 1
        for edge in edges:
            edge.last = self.time
        self.time += form is not None and bool(form.load)  # a ring has taken its row before the next one is written
        for key in flow.reads[index]:
            sources.setdefault(key, Source(key, -1, IN_PLACE, flow.buffers[key].size // in_rows))
        self._append(index, rows, tuple(sources[key] for key in flow.reads[index]))
        return len(self.stages) - 1, self.time if written is None else written

    def _in_place(self, index: int, inner: Sequence[int], root: bool) -> int | None:
        """The source that is computed where its consumer writes."""
        call = self.flow.calls[index]
        fits = [key for key in inner if call.rows is None and call.overlap.get(key, 1) <= 0]
        if not root:
            return fits[-1] if fits else None
        return self.in_place if self.in_place in fits else None

    def _append(self, index: int, rows: int, sources: tuple[Source, ...]) -> None:
        call, form, flow = self.flow.calls[index], self.flow.calls[index].rows, self.flow
        mode: Mode = "elementwise" if form is None else "ring" if form.load else "direct"
        shape = (form.stride, form.reach, form.in_rows) if form else (1, 1, rows)
        scratch = row_scratch(call)
        row_bytes = flow.buffers[flow.writes[index][0]].size // rows
        at = self.bytes if scratch else -1
        self.stages.append(Stage(index, mode, sources, rows, row_bytes, *shape, at, scratch))
        self.bytes += padded(scratch, _ALIGN)

    def finish(self) -> tuple[Stage, ...]:
        """Stages with row buffers placed behind the other scratch."""
        spans: list[Span] = [(edge.first, edge.last) for edge in self.edges]
        rivals = rivals_of([edge.size for edge in self.edges], spans, {})
        start = self.bytes
        for i, edge in enumerate(self.edges):
            taken = sorted((self.edges[j].at, self.edges[j].size) for j, _, _ in rivals[i] if j < i)
            edge.at = start
            for at, size in taken:
                if edge.at + edge.size > at and at + size > edge.at:
                    edge.at = padded(at + size, _ALIGN)
            self.bytes = max(self.bytes, edge.at + edge.size)
        return tuple(self._placed(stage) for stage in self.stages)

    def _placed(self, stage: Stage) -> Stage:
        sources = [
            dataclasses.replace(s, at=self.edges[s.at].at) if s.stage >= 0 and s.at != IN_PLACE else s
            for s in stage.sources
        ]
        return dataclasses.replace(stage, sources=tuple(sources))


def row_scratch(call: Call) -> int:
    """Bytes of scratch that a call needs when it runs row by row."""
    own = call.rows.scratch if call.rows else None
    return call.scratch if own is None else own


def is_tree(flow: Flow, members: Sequence[int]) -> bool:
    """Whether calls could form a group whose root is the last one; says nothing of rows."""
    inside = frozenset(members)
    return all(
        len(flow.writes[i]) == 1
        and flow.inside(flow.writes[i][0], inside) == i
        and flow.readers[flow.writes[i][0]][0] in inside
        for i in members[:-1]
    )


def groups_of(flow: Flow, members: Sequence[int]) -> list[Group]:
    """The group of calls whose root is the last one, in all its variants; empty when they form none.

    Variants differ in which source of an addition at the root is computed right into the output row: this saves a
    row buffer, but then nothing that is still to be read may lie there.
    """
    if not is_tree(flow, members) or not all(flow.by_rows(index) for index in members):
        return []
    inside, root = frozenset(members), members[-1]
    rows = _rows(flow, inside, root)
    if not rows:
        return []
    found: list[Group] = []
    for choice in (-1, *(flow.reads[root] if flow.calls[root].rows is None else ())):
        builder = _Builder(flow, inside, choice)
        if (choice == -1 or flow.inside(choice, inside) >= 0) and builder.stage(root, rows, root=True) is not None:
            found.append(_group(flow, builder.finish(), builder.bytes))
    return [group for i, group in enumerate(found) if group not in found[:i]]


def _rows(flow: Flow, members: frozenset[int], index: int) -> int:
    """Output rows of a call: its own, or those of what an elementwise call reads; 0 where nothing says."""
    form = flow.calls[index].rows
    if form is not None:
        return form.out_rows
    inner = [flow.inside(key, members) for key in flow.reads[index]]
    return next((rows for child in inner if child >= 0 and (rows := _rows(flow, members, child))), 0)


def _group(flow: Flow, stages: tuple[Stage, ...], scratch: int) -> Group:
    reads = tuple(dict.fromkeys(s.tensor for stage in stages for s in stage.sources if s.stage < 0))
    first, last = (brief(flow.calls[stages[i].call].name) for i in (0, -1))
    inner = {stage.call: flow.calls[stage.call].overlap for stage in stages}
    sizes = {key: flow.buffers[key].size for key in reads}
    return Group(
        stages, reads, flow.writes[stages[-1].call][0], scratch, distances(stages, sizes, inner), f"{first} to {last}"
    )
