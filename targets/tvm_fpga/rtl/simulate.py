"""Run a program in RTL simulation: a compiled shared library, called through ctypes."""

from __future__ import annotations

import ctypes
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from profiles.errors import ToolCrashError
from profiles.runner import Array
from targets.tvm_fpga.rtl import abi
from targets.tvm_fpga.rtl.states import FAULTS, described

__all__ = ["FAULTS", "Memory", "Run", "Simulator", "Span", "Window"]

#: Instructions that a program can have at most: what a wait can count, for each of three queues.
_MOST_EVENTS = 2 * 3 * (1 << 16)
#: Windows that a run is cut into: an even number.
_MOST_WINDOWS = 1024


@dataclasses.dataclass(frozen=True)
class Memory:
    """The model of the memory.

    Attributes:
        latency: cycles from a request to its first answer, and from a written beat to its confirmation, at least.
        stalls: in so many of 256 cycles, at random, it takes no request, gives no answer or takes no beat.
        seed: of what is random.
    """

    latency: int = 100
    stalls: int = 0
    seed: int = 1


@dataclasses.dataclass(frozen=True)
class Span:
    """When an instruction ran, in cycles from the start of the program: from ``start`` on, over at ``end``."""

    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class Window:
    """What happened in some cycles.

    Attributes:
        start, cycles: from the start of the program on; the last window may be shorter than the others.
        read_beats, written_beats: of the memory port.
        stalled, idle: cycles in which the array had an instruction and took no vector, or had none.
    """

    start: int
    cycles: int
    read_beats: int
    written_beats: int
    stalled: int
    idle: int


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run counted.

    Attributes:
        cycles: from the start of the program until everything is written.
        load_busy, store_busy, compute_busy: cycles in which a queue had an instruction that had begun.
        stalled: cycles in which an instruction of the array had begun and no vector went in.
        read_beats, written_beats: of the memory port's width.
        spans: of every instruction of a queue ("load", "store", "compute"), in the order of the program. A COMPUTE
            starts when its first vector may go in (its weights are loaded before, while the one before it runs), so
            that they overlap by no more than the pipeline's length.
        windows: the run in pieces of equal length, without gaps.
    """

    cycles: int
    load_busy: int
    store_busy: int
    compute_busy: int
    stalled: int
    read_beats: int
    written_beats: int
    spans: dict[str, list[Span]]
    windows: tuple[Window, ...] = ()

    @property
    def ends(self) -> dict[str, list[int]]:
        """The cycle in which each instruction of a queue was over."""
        return {name: [span.end for span in spans] for name, spans in self.spans.items()}


class Simulator:
    """One accelerator under simulation. A context manager; runs are independent of each other."""

    def __init__(self, library: Path | str, port: int) -> None:
        self._lib = abi.load(Path(library))
        self._port = port
        self._sim: int | None = self._lib.ew_open()
        self._events = (abi.CEvent * _MOST_EVENTS)()
        self._windows = (abi.CWindow * _MOST_WINDOWS)()

    def __enter__(self) -> Simulator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give its memory back."""
        if self._sim:
            self._lib.ew_close(self._sim)
            self._sim = None

    def run(self, dram: Array, program_at: int, memory: Memory, *, most: int = 1 << 32, idle: int = 100_000) -> Run:
        """Run the program at an address of ``dram`` (contiguous bytes, changed in place).

        Args:
            dram: what the memory holds; addresses beyond its end are faults.
            program_at: where the first instruction is, in bytes.
            memory: how the memory behaves.
            most: cycles until it is stopped.
            idle: cycles without an instruction that begins or ends, and without a beat, until it is stopped.

        Raises:
            ToolCrashError: a fault, or it was stopped: the queues' states are in the error.
            ValueError: it is closed, or ``dram`` cannot be used as memory.
        """
        if not self._sim:
            raise ValueError("the simulator is closed")
        if dram.itemsize != 1 or not dram.flags.c_contiguous or not dram.flags.writeable:
            raise ValueError("the memory must be contiguous bytes that can be written")
        found = abi.CResult()
        given = abi.CMemory(dram.ctypes.data, len(dram), memory.latency, memory.stalls, memory.seed, self._port)
        self._lib.ew_run(
            self._sim, ctypes.byref(given), program_at, most, idle, ctypes.byref(found),
            self._events, _MOST_EVENTS, self._windows, _MOST_WINDOWS,
        )  # fmt: skip
        if not found.done:
            what, seen = described(found, dram, program_at, idle, most)
            raise ToolCrashError(what, seen=seen, next_step="check the program against the golden model")
        load, store, compute = found.busy
        return Run(
            cycles=found.cycles,
            load_busy=load,
            store_busy=store,
            compute_busy=compute,
            stalled=found.stalled,
            read_beats=found.read_beats,
            written_beats=found.written_beats,
            spans=self._spans(found.events),
            windows=tuple(self._cut(found)),
        )

    def _cut(self, found: abi.CResult) -> Iterator[Window]:
        for number, each in enumerate(self._windows[: found.windows]):
            start = number * found.window
            if cycles := min(found.window, found.cycles - start):
                yield Window(start, cycles, each.read_beats, each.written_beats, each.stalled, each.idle)

    def _spans(self, count: int) -> dict[str, list[Span]]:
        """Instructions of a queue begin and end in order."""
        cycles: dict[tuple[int, int], list[int]] = {(queue, ends): [] for queue in range(3) for ends in range(2)}
        for event in self._events[:count]:
            cycles[event.queue, event.ends].append(event.cycle)
        return {
            name: [Span(*pair) for pair in zip(cycles[queue, 0], cycles[queue, 1], strict=True)]
            for queue, name in enumerate(abi.QUEUES)
        }
