"""Layer by layer: what the library's own profiler tells, beside what its inspector knows. Travels to the device."""

from __future__ import annotations

import collections
from typing import Any

from profiles.measurement import Kind, Metric, percentile, unavailable
from profiles.runner import LayerCounters
from targets.tensorrt.gpu.inspector import Layer
from targets.tensorrt.gpu.session import Session

PROFILED_RUNS = 30
_WARM_RUNS = 5
_NO_TIMES = "the library's profiler reported no layer"


class Times:
    """What a profiler was told: milliseconds by name, and by how often the name came before in the same run."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], list[float]] = {}
        self._seen: collections.Counter[str] = collections.Counter()

    def start(self) -> None:
        """Before each run."""
        self._seen.clear()

    def add(self, name: str, milliseconds: float) -> None:
        """One report."""
        key = (name, self._seen[name])
        self._seen[name] += 1
        self.rows.setdefault(key, []).append(milliseconds * 1e-3)


def profiled(session: Session, runs: int = PROFILED_RUNS) -> Times:
    """Run the engine with the library's profiler on. The execution context is a new one, and of no use for timing."""
    session.reopen()
    warm, times = Times(), Times()
    profiler = _profiler(session.library, warm)
    session.context.profiler = profiler
    for _ in range(_WARM_RUNS):
        session.infer()
    profiler.times = times
    for _ in range(runs):
        times.start()
        session.infer()
    session.context = None  # it holds the profiler, which must not go first
    return times


def _profiler(module: Any, times: Times) -> Any:
    class Profiler(module.IProfiler):  # type: ignore[misc]
        """Hands over whatever is reported."""

        def __init__(self) -> None:
            module.IProfiler.__init__(self)
            self.times = times

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            """Called by the library, once per layer and run."""
            self.times.add(layer_name, float(ms))

    return Profiler()


def merged(layers: list[Layer], times: Times) -> tuple[LayerCounters, ...]:
    """Rows with times, in the order in which they ran; layers that the profiler does not know have the reason."""
    known: dict[tuple[str, int], Layer] = {}
    count: collections.Counter[str] = collections.Counter()
    for layer in layers:
        known[layer.name, count[layer.name]] = layer
        count[layer.name] += 1
    rows = [_row(known.get(key, Layer(key[0])), _metric(taken)) for key, taken in times.rows.items()]
    rest = [layer for key, layer in known.items() if key not in times.rows]
    reason = _NO_TIMES if not times.rows else "the library's profiler did not report this layer"
    return (*rows, *(_row(layer, unavailable("latency_p50", reason)) for layer in rest))


def _metric(taken: list[float]) -> Metric:
    how = f"the library's profiler (CUDA events around each layer, which slow the whole), median of {len(taken)} runs"
    return Metric(percentile(sorted(taken), 50), "s", Kind.MEASURED, how)


def _row(layer: Layer, metric: Metric) -> LayerCounters:
    return LayerCounters(layer.title, layer.op, {"latency_p50": metric}, layer.precision)


def executed(layers: list[Layer]) -> dict[str, int]:
    """How many layers compute in which precision; those of unknown precision are not counted."""
    return dict(collections.Counter(layer.precision for layer in layers if layer.computes and layer.precision))
