"""Runs and measures a TensorRT bundle on the GPU of this machine. Travels to the device."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from profiles.errors import ToolCrashError, UnsupportedError
from profiles.measurement import Metric, unavailable
from profiles.runner import Array, Arrays, BatchPoint, Counters
from profiles.sampling import sample
from targets.base import Compiled
from targets.tensorrt.compiler.library import load_library
from targets.tensorrt.gpu import gpu_figures, inspector, layers, timing
from targets.tensorrt.gpu.cuda import PrimaryContext, load_driver
from targets.tensorrt.gpu.gpu import Gpu, check_driver, find_gpu
from targets.tensorrt.gpu.session import Session
from targets.tensorrt.plan import BuildPlan, load_plan
from targets.tensorrt.store.engine_store import engine_for, installed_tools


class TensorRtRunner:
    """One engine on the GPU.

    What :meth:`bind` returns is one enqueue on inputs that are on the GPU already, and the wait for its end: nothing is
    copied. Figures with copies, by the GPU's clock, of a CUDA graph, of layers and of other batch sizes come from
    :meth:`counters`.
    """

    timed = True

    def __init__(self, folder: Path, compiled: Compiled) -> None:
        self._folder, self._compiled = folder, compiled
        self._plan: BuildPlan
        self._gpu: Gpu
        self._library: Any = None
        self._origin = ""
        self._session: Session | None = None
        self._last: Arrays = {}
        self._context = contextlib.ExitStack()
        self._opened = contextlib.ExitStack()

    def __enter__(self) -> TensorRtRunner:
        self._plan = load_plan(self._folder)
        self._gpu = find_gpu()
        check_driver(self._gpu, self._plan.library)
        with contextlib.ExitStack() as stack:
            stack.enter_context(PrimaryContext(load_driver(), self._gpu.ordinal))
            self._library = load_library(self._plan.library)
            self._session = self._opened.enter_context(self._open(self._plan.batches[0]))
            self._context = stack.pop_all()
        return self

    def _open(self, batch: int) -> Session:
        """A session, not yet entered, of the engine for one batch size; it is compiled now if there is none."""
        built: list[int] = []
        tools = installed_tools()

        def build(*arguments: Any, **options: Any) -> Any:
            built.append(batch)
            return tools.build(*arguments, **options)

        path = engine_for(self._folder, self._plan, batch, self._gpu, tools=dataclasses.replace(tools, build=build))
        self._origin = gpu_figures.origin(shipped=path.parent == self._folder, built=bool(built))
        return Session(load_driver(), self._library, path, self._compiled, dla_core=self._plan.dla_core)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._context:
            self._close()

    def _close(self) -> None:
        self._session = None
        self._opened.close()

    @property
    def session(self) -> Session:
        """The engine that is loaded."""
        if self._session is None:
            raise ToolCrashError("an inference after the engine was released")
        return self._session

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """One inference, with the copies of inputs and outputs."""
        self.session.buffers.write(inputs)
        self.session.transferred()
        return self.session.buffers.read()

    def bind(self, inputs: Arrays) -> Callable[[], object]:
        """One enqueue and the wait for its end, on inputs that are on the GPU already."""
        self._last = inputs
        session = self.session
        session.buffers.write(inputs)
        session.place()
        return session.infer

    def counters(self) -> Counters:
        """Further clocks, memory, layers and batch sizes, on the inputs last bound."""
        facts = gpu_figures.facts(self._plan, self._gpu, self.session, self._origin)
        if not self._last:
            return Counters(facts=facts)
        session = self.session
        metrics = {
            "latency_events_p50": timing.by_events(session),
            "latency_transfers_p50": timing.with_transfers(session),
            "latency_graph_p50": timing.by_graph(session),
        }
        seen = inspector.inspect(session)
        session.memory.look()
        metrics.update(gpu_figures.memory(session, self._gpu))
        rows = layers.merged(seen, layers.profiled(session))
        del session
        self._close()  # one engine in the GPU's memory at a time
        return Counters(metrics, rows, layers.executed(seen), facts, self._batches())

    def _batches(self) -> tuple[BatchPoint, ...]:
        """Figures of every batch size, one engine after the other, where there are several."""
        sizes = self._plan.batches if len(self._plan.batches) > 1 else ()
        return tuple(BatchPoint(size, self._batch(size)) for size in sizes)

    def _batch(self, size: int) -> dict[str, Metric]:
        try:
            with self._open(size) as session:
                session.buffers.write(self._last)
                session.place()
                samples = sample(session.infer, timing.SETTINGS).wall
        except UnsupportedError as error:  # such as memory that is enough for the smaller ones alone
            return {name: unavailable(name, timing.in_words(error)) for name in ("latency_p50", "throughput")}
        return timing.of_batch(size, samples)


def open_runner(folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> TensorRtRunner:
    """The runner for one bundle."""
    return TensorRtRunner(folder, compiled)
