"""Runs a bundle's program under QEMU's user mode: what it computes is right, how long it takes says nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np

from profiles.errors import MissingToolError, ToolCrashError
from profiles.measurement import unavailable
from profiles.runner import Array, Arrays, Counters
from targets.base import Compiled, TensorSpec
from targets.execute import crash, spawn
from targets.processes import Conversation
from targets.tvm_cpu.runner import executed, facts, memory

#: Seconds for one inference; emulation takes about a thousand times as long as the device.
_PATIENCE = 600.0
_GREETING = 100


class EmulatedRunner:
    """One process of QEMU with the program in it (``kernels/tvm_host/src/ew_tvm_main.cpp``), and a conversation."""

    timed = False

    def __init__(self, program: Path, compiled: Compiled) -> None:
        self._program, self._compiled = program, compiled
        self._emulator = str(compiled.options["emulator"])
        self._stack = contextlib.ExitStack()
        self._talk: Conversation | None = None
        self._rest = b""

    def __enter__(self) -> EmulatedRunner:
        program = self._stack.enter_context(executable(self._program))
        self._talk = self._stack.enter_context(spawn([emulator(self._emulator), str(program)]))
        self._rest = b""
        greeting = self._line()
        if greeting != f"EWTVM 1 {_total(self._compiled.inputs)} {_total(self._compiled.outputs)}":
            raise ToolCrashError("wanted the model's program to greet", seen=greeting[:_GREETING])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._talk = None
        self._stack.close()

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """One inference."""
        ordered = (np.ascontiguousarray(inputs[spec.name], spec.dtype) for spec in self._compiled.inputs)
        self._say(b"r" + b"".join(values.tobytes() for values in ordered))
        if self._take(1) != b"0":
            raise ToolCrashError("a kernel of TVM failed", seen=self._line())
        return {spec.name: self._tensor(spec.shape, spec.dtype) for spec in self._compiled.outputs}

    def bind(self, inputs: Arrays) -> Callable[[], object]:
        """One inference; the inputs travel again."""
        return lambda: self.run(inputs)

    def counters(self) -> Counters:
        """What the plan tells; no time."""
        reason = f"run under {self._emulator}, whose speed is not the device's: measure on the device with --via ssh://"
        told = {name: unavailable(name, reason) for name in ("latency_p50", "peak_memory", "energy")}
        said = {**facts(self._compiled), "emulator": self._emulator}
        return Counters({**told, **memory(self._compiled)}, (), executed(self._compiled), said)

    def _tensor(self, shape: tuple[int, ...], dtype: str) -> Array:
        return np.frombuffer(self._take(_bytes(shape, dtype)), dtype).reshape(shape).copy()

    def _say(self, data: bytes) -> None:
        assert self._talk is not None
        with self._crash_told():
            done = self._talk.write(data, _PATIENCE)
        if done != len(data):
            raise ToolCrashError(f"{self._emulator} takes no input any more", seen=f"{done} of {len(data)} bytes")

    def _more(self, end: float) -> None:
        assert self._talk is not None
        with self._crash_told():
            data = self._talk.read(max(end - time.monotonic(), 0.0))
        if not data:
            raise ToolCrashError(f"{self._emulator} gave no answer", allowed=f"{_PATIENCE:g} s")
        self._rest += data

    def _take(self, count: int) -> bytes:
        end = time.monotonic() + _PATIENCE
        while len(self._rest) < count:
            self._more(end)
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    def _line(self) -> str:
        end = time.monotonic() + _PATIENCE
        while b"\n" not in self._rest:
            self._more(end)
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace")

    @contextlib.contextmanager
    def _crash_told(self) -> Iterator[None]:
        try:
            yield
        except EOFError as error:
            assert self._talk is not None
            status, words = self._talk.last_words()
            raise crash(self._emulator, status, words) from error


def _bytes(shape: tuple[int, ...], dtype: str) -> int:
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize


def _total(specs: Iterable[TensorSpec]) -> int:
    return sum(_bytes(spec.shape, spec.dtype) for spec in specs)


@contextlib.contextmanager
def executable(program: Path) -> Iterator[Path]:
    """The program itself, or a copy that may be executed: files of bundles lose that permission on some ways."""
    if os.access(program, os.X_OK):
        yield program
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copyfile(program, Path(folder) / program.name))
        copy.chmod(0o700)
        yield copy


def emulator(name: str) -> str:
    """Where a program of QEMU's user mode is.

    Raises:
        MissingToolError: it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise MissingToolError(
            f"wanted {name} to run a program for another architecture",
            seen="it is not installed",
            next_step="run: sudo apt-get install qemu-user",
        )
    return path
