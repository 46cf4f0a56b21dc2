"""Runs a bundle's library on this machine, or its program under QEMU. Travels to the device."""

from __future__ import annotations

import _ctypes
import ctypes
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any

import numpy as np

from profiles.errors import ToolCrashError
from profiles.measurement import Kind, Metric
from profiles.runner import Array, Arrays, Counters, LayerCounters, Runner
from targets.base import Compiled
from targets.tvm_cpu.library import load
from targets.tvm_cpu.suits import is_native

LIBRARY, PROGRAM = "libmodel.so", "model"
_PROFILED_RUNS = 30


class LibraryRunner:
    """The shared library, loaded into this process. Values stay in its own memory."""

    timed = True

    def __init__(self, folder: Path, compiled: Compiled) -> None:
        self._path, self._compiled = folder / LIBRARY, compiled
        self._library: Any = None

    def __enter__(self) -> LibraryRunner:
        self._library = load(self._path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._library is not None:
            _ctypes.dlclose(self._library._handle)
        self._library = None

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """One inference."""
        self._run_on(inputs)()
        return {spec.name: self._output(place) for place, spec in enumerate(self._compiled.outputs)}

    def bind(self, inputs: Arrays) -> Callable[[], object]:
        """One inference on inputs that lie where the kernels read them."""
        return self._run_on(inputs)

    def _run_on(self, inputs: Arrays) -> Callable[[], None]:
        for place, spec in enumerate(self._compiled.inputs):
            values = np.ascontiguousarray(inputs[spec.name], spec.dtype)
            ctypes.memmove(self._library.ew_tvm_input(place), values.ctypes.data, values.nbytes)
        run, check = self._library.ew_tvm_run, self._check

        def once() -> None:
            if run():
                check()

        return once

    def _check(self) -> None:
        said = self._library.ew_tvm_error().decode(errors="replace")
        raise ToolCrashError("a kernel of TVM failed", seen=said)

    def _output(self, place: int) -> Array:
        spec = self._compiled.outputs[place]
        size = self._library.ew_tvm_output_bytes(place)
        raw = ctypes.string_at(self._library.ew_tvm_output(place), size)
        return np.frombuffer(raw, spec.dtype).reshape(spec.shape).copy()

    def counters(self) -> Counters:
        """Time per kernel on the inputs last bound, by the library's own clock; memory for values."""
        count = self._library.ew_tvm_steps()
        seconds = (ctypes.c_double * count)()
        rows = []
        for _ in range(_PROFILED_RUNS):
            if self._library.ew_tvm_run_timed(seconds):
                self._check()
            rows.append(list(seconds))
        how = f"monotonic clock around one kernel, median of {_PROFILED_RUNS} runs"
        layers = [
            LayerCounters(
                name,
                name.partition("_")[2],
                {"latency_p50": Metric(median(times), "s", Kind.MEASURED, how)},
                "fp32",
            )
            for name, times in zip(self._names(), zip(*rows, strict=True), strict=True)
        ]
        return Counters(memory(self._compiled), tuple(layers), executed(self._compiled), facts(self._compiled))

    def _names(self) -> list[str]:
        return [str(step["name"]) for step in self._compiled.options["steps"]]


def memory(compiled: Compiled) -> dict[str, Metric]:
    """What the plan says of memory; scratch that kernels ask for comes on top."""
    how = "planned offsets of all values; scratch memory of kernels comes on top"
    return {"arena": Metric(float(compiled.options["arena"]), "B", Kind.MEASURED, how)}


def executed(compiled: Compiled) -> dict[str, int]:
    """Kernels that multiply with weights; there is one precision."""
    return {"fp32": sum(bool(step["computes"]) for step in compiled.options["steps"])}


def facts(compiled: Compiled) -> dict[str, str]:
    """Who compiled it."""
    options = compiled.options
    return {"engine": f"TVM {options['tvm']}, ahead of time", "compiler": options["compiler"], "threads": "1"}


def open_runner(folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> Runner:
    """The runner for one bundle: the library where this machine can run it, else the program under QEMU.

    Raises:
        UnsupportedError: the machine is of the device's architecture, and lacks instructions that the code uses.
    """
    if is_native(compiled.options):
        return LibraryRunner(folder, compiled)
    from targets.tvm_cpu.emulated import EmulatedRunner

    return EmulatedRunner(folder / PROGRAM, compiled)
