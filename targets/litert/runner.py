"""Runs a TFLite bundle with LiteRT's interpreter and its XNNPACK delegate. Travels to the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from profiles.runner import Array, Arrays, Counters
from targets.base import Compiled
from targets.litert.layers import executed_precisions, load_model, time_layers


class LiteRtRunner:
    """One interpreter with its tensors allocated."""

    timed = True

    def __init__(self, folder: Path, compiled: Compiled) -> None:
        self._model = folder / compiled.files[0]
        self._compiled = compiled
        self._threads = int(compiled.options.get("threads", 1))
        self._interpreter: Any = None
        self._bound = False

    def __enter__(self) -> LiteRtRunner:
        self._interpreter = Interpreter(str(self._model), num_threads=self._threads)
        self._interpreter.allocate_tensors()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._interpreter = None

    def _place(self, inputs: Arrays) -> None:
        for spec in self._compiled.inputs:
            self._interpreter.set_tensor(_index(spec.name), inputs[spec.name])

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """One inference; variables of streaming models start from zero."""
        self._interpreter.reset_all_variables()
        self._place(inputs)
        self._interpreter.invoke()
        return {spec.name: np.array(self._interpreter.get_tensor(_index(spec.name))) for spec in self._compiled.outputs}

    def bind(self, inputs: Arrays) -> Callable[[], object]:
        """One inference on tensors already in the interpreter's arena."""
        self._place(inputs)
        self._bound = True
        invoke: Callable[[], object] = self._interpreter.invoke
        return invoke

    def counters(self) -> Counters:
        """Every operator timed alone, the precisions of the graph, and how much of it XNNPACK took."""
        facts = {"engine": f"ai-edge-litert {version('ai-edge-litert')}", "threads": str(self._threads)}
        delegated = _delegated(self._interpreter)
        if delegated:
            facts["XNNPACK"] = delegated
        self._interpreter = None  # one model in memory at a time
        model = load_model(self._model)
        layers = time_layers(model, self._threads) if self._bound else ()
        return Counters(layers=layers, executed=executed_precisions(model), facts=facts)


def _index(name: str) -> int:
    return int(name.partition(":")[0])


def _delegated(interpreter: Any) -> str:
    """How many operators the delegate took over; empty where this release does not tell."""
    details = getattr(interpreter, "_get_ops_details", None)
    if details is None:
        return ""
    names = [row["op_name"] for row in details()]
    plain = [name for name in names if name != "DELEGATE"]
    return f"{names.count('DELEGATE')} delegated partitions beside {len(plain)} listed operators"


def open_runner(folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> LiteRtRunner:
    """The runner for one bundle."""
    return LiteRtRunner(folder, compiled)
