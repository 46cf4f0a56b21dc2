"""Computes what an engine should compute, on a machine without the GPU: ONNX Runtime on the bundle's own ONNX file.

Every operator runs as it is written, without fusion. A product of two int8 values is accumulated in fp32, which is
exact up to 2^24. Constants are those of the strongly typed graph; what ONNX Runtime has no fp16 kernel for on a
processor, which is nearly everything, it computes in fp32 without rounding in between. So roundings to fp16 and
overflows of fp16 are not emulated; overflows are looked for when a graph is made
(``targets/tensorrt/formats/half_range.py``). Latency is no business of an emulator: it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from profiles.runner import Array, Arrays, Counters
from targets.base import Compiled
from targets.reference import OnnxReference
from targets.tensorrt.plan import ONNX


class Emulator:
    """The bundle's graph in the project's float reference: an ONNX Runtime session with all optimizations off."""

    timed = False

    def __init__(self, folder: Path, compiled: Compiled) -> None:
        self._graph = folder / _graph(compiled)
        self._reference: OnnxReference | None = None

    def __enter__(self) -> Emulator:
        self._reference = OnnxReference(self._graph)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reference = None

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """One inference."""
        assert self._reference is not None
        return self._reference.run(inputs)

    def bind(self, inputs: Arrays) -> Callable[[], object]:
        """One inference; its time means nothing."""
        return lambda: self.run(inputs)

    def counters(self) -> Counters:
        """Who computed."""
        assert self._reference is not None
        return Counters(facts={"engine": f"{self._reference.description}, in place of TensorRT"})


def _graph(compiled: Compiled) -> str:
    """The graph of the model's own batch size, which comes first."""
    return next((name for name in compiled.files if name.endswith(".onnx")), ONNX)


def open_runner(folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> Emulator:
    """The emulator of one bundle."""
    return Emulator(folder, compiled)
