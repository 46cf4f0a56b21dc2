"""When each queue of the accelerator did what, as a Chrome trace: opens in Perfetto and in chrome://tracing.

Format: "Trace Event Format" (Google, 2016): complete events (``ph`` "X") in microseconds, metadata ("M") and counters
("C"). One track for layers, one for each queue. Instructions of a queue may overlap: requests of a load run ahead of
the load before it, a COMPUTE begins while the last results of the one before are on their way. In a track they stand
one after the other: a load from the end of the one before, a COMPUTE to the beginning of the next; when it really began
or was over is in the arguments.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

from targets.tvm_fpga.account import fed, owners, waited_for
from targets.tvm_fpga.compiler.program import Program
from targets.tvm_fpga.isa import Instruction, Op
from targets.tvm_fpga.resources import Clock
from targets.tvm_fpga.rtl.simulate import Run, Span

Event = dict[str, Any]
#: Tracks from top to bottom, each with its number.
TRACKS = {"layers": 1, "load": 2, "compute": 3, "store": 4}
WAIT = "wait"
_PROCESS = 1
#: Without a clock a cycle is shown as so many microseconds.
_UNCLOCKED = 1.0


def timeline(programs: Mapping[str, Program], runs: Mapping[str, Run], clock: Clock | None) -> str:
    """The trace of one inference as JSON; regions follow each other, what the host does between them is left out.

    Args:
        programs, runs: by the region's symbol, in order.
        clock: of the accelerator; without, a microsecond is a cycle.
    """
    cycle = 1e6 / clock.hertz if clock else _UNCLOCKED
    events, start = list(_names(next(iter(programs.values())).geometry.lanes)), 0
    for symbol, run in runs.items():
        region = _Region(programs[symbol], run, start, cycle)
        events += region.events()
        start += run.cycles
    other = {
        "clock": clock.words if clock else "none: a cycle is shown as 1 µs",
        "cycles": start,
        "kind": "simulated",
        "left out": "what the host does before, between and after the regions",
    }
    data = {"traceEvents": events, "displayTimeUnit": "ns", "otherData": other}
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False) + "\n"


def _names(lanes: int) -> Iterator[Event]:
    yield _meta("process_name", 0, name=f"accelerator, {lanes} x {lanes}")
    for name, track in TRACKS.items():
        yield _meta("thread_name", track, name=name)
        yield _meta("thread_sort_index", track, sort_index=track)


def _meta(kind: str, track: int, **args: Any) -> Event:
    return {"ph": "M", "name": kind, "pid": _PROCESS, "tid": track, "ts": 0, "args": args}


@dataclasses.dataclass(frozen=True)
class _Region:
    """One run, from ``start`` on; ``cycle`` in microseconds."""

    program: Program
    run: Run
    start: int
    cycle: float

    def events(self) -> Iterator[Event]:
        """Everything but metadata."""
        yield from self._layers()
        yield from self._loads()
        yield from self._computes()
        yield from self._stores()
        yield from self._counters()

    def _at(self, cycles: int) -> float:
        return round((self.start + cycles) * self.cycle, 6)

    def _slice(self, track: str, name: str, span: Span, kind: str, **args: Any) -> Event:
        begin, end = self._at(span.start), self._at(span.end)
        shown = {"cycle": self.start + span.start, "cycles": span.end - span.start, **args}
        place = {"pid": _PROCESS, "tid": TRACKS[track]}
        return {"ph": "X", "name": name, "cat": kind, **place, "ts": begin, "dur": round(end - begin, 6), "args": shown}

    def _wait(self, track: str, since: int, until: int, other: str) -> Iterator[Event]:
        if since < until:
            yield self._slice(track, f"waits for {other}", Span(since, until), WAIT)

    def _layers(self) -> Iterator[Event]:
        """From the end of what ran before to the end of the layer; the last one until everything is written."""
        ends = [*self.run.ends["compute"][:-1], self.run.cycles]
        before = 0
        for name, group in itertools.groupby(zip(self.program.layers, ends, strict=True), key=lambda each: each[0]):
            end = [each[1] for each in group][-1]
            yield self._slice("layers", name, Span(before, end), "layer")
            before = end

    def _loads(self) -> Iterator[Event]:
        names, before = owners(self.program)[Op.LOAD], 0
        for name, load, span in zip(names, self.program.of(Op.LOAD), self.run.spans["load"], strict=True):
            since = max(span.start, before)
            for other in ("compute", "store"):
                if count := load[f"wait_{other}"]:
                    until = min(self.run.spans[other][count - 1].end, since)
                    yield from self._wait("load", before, until, other)
                    before = max(before, until)
            yield self._transfer("load", name, load, Span(since, span.end), span)
            before = span.end

    def _stores(self) -> Iterator[Event]:
        names = owners(self.program)[Op.STORE]
        for name, store, span in zip(names, self.program.of(Op.STORE), self.run.spans["store"], strict=True):
            yield self._transfer("store", name, store, span, span)

    def _transfer(self, track: str, layer: str, given: Instruction, shown: Span, real: Span) -> Event:
        moved = given["rows"] * given["len"] * self.program.geometry.port
        begun = self.start + real.start
        return self._slice(track, given.note or layer, shown, track, layer=layer, bytes=moved, begun=begun)

    def _computes(self) -> Iterator[Event]:
        spans, before = self.run.spans["compute"], 0
        nexts = [*(span.start for span in spans[1:]), self.run.cycles]
        computes = self.program.of(Op.COMPUTE)
        for name, compute, span, following in zip(self.program.layers, computes, spans, nexts, strict=True):
            until, op = waited_for(compute, self.run)
            yield from self._wait("compute", before, min(until, span.start), op.name.lower())
            before = min(span.end, following)
            vectors = fed(compute, self.program.geometry)
            over = self.start + span.end
            yield self._slice("compute", name, Span(span.start, before), "compute", vectors=vectors, over=over)

    def _counters(self) -> Iterator[Event]:
        """In percent of the cycles of a window; where nothing changes there is no event."""
        last: dict[str, dict[str, float]] = {}
        for each in self.run.windows:
            percent = 100 / each.cycles
            found = {
                "port": {"read %": each.read_beats * percent, "written %": each.written_beats * percent},
                "array": {"busy %": 100 - (each.stalled + each.idle) * percent, "stalled %": each.stalled * percent},
            }
            for name, values in found.items():
                rounded = {series: round(value, 1) for series, value in values.items()}
                if last.get(name) != rounded:
                    yield self._counter(name, each.start, rounded)
                last[name] = rounded
        for name, values in last.items():
            yield self._counter(name, self.run.cycles, dict.fromkeys(values, 0.0))

    def _counter(self, name: str, cycle: int, values: dict[str, float]) -> Event:
        return {"ph": "C", "name": name, "pid": _PROCESS, "tid": 0, "ts": self._at(cycle), "args": values}
