"""How long an inference takes, by three clocks and in three ways. Travels to the device.

``latency_p50`` of the profiler is the host's clock around one enqueue and the wait for its end, with inputs and outputs
in place on the GPU: what an application waits for. Beside it stand here:

* ``latency_events_p50``, the GPU's own clock between two events around the same enqueue. It leaves out the way back to
  the host (the wake-up after the wait), and holds the launches of the host as far as the GPU waits for them, so that
  for small networks both clocks show the host's pace.
* ``latency_graph_p50``, the host's clock around one launch of the whole inference as a CUDA graph, which costs one
  call however many kernels there are: the difference to ``latency_p50`` is what launching costs.
* ``latency_transfers_p50``, the host's clock with the copies of inputs and outputs, from pinned memory and back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable

from profiles.errors import EdgewrightError, ToolCrashError, UnsupportedError
from profiles.measurement import Kind, Metric, percentile, unavailable
from profiles.sampling import Settings, sample
from targets.tensorrt.gpu.session import Session
from targets.tensorrt.gpu.streams import Graph, Stopwatch

#: Of every further figure; the profiler's own settings are for the main one.
SETTINGS = Settings(min_runs=50, seconds=0.2, max_seconds=10.0, warmup_seconds=0.05, max_warmup_seconds=0.5)


def median(seconds: tuple[float, ...] | list[float], method: str) -> Metric:
    """The middle of raw samples, which are kept."""
    how = f"{method}, median of {len(seconds)} runs"
    return Metric(percentile(sorted(seconds), 50), "s", Kind.MEASURED, how, samples=tuple(seconds))


def by_events(session: Session, settings: Settings = SETTINGS) -> Metric:
    """The GPU's own clock around one enqueue."""
    with contextlib.closing(Stopwatch(session.driver)) as watch:
        taken = _gather(lambda: watch.seconds(session.enqueue, session.stream), settings)
    return median(
        taken,
        "CUDA events around one enqueue, without the way back to the host; waiting of the GPU for the host's launches"
        " counts",
    )


def with_transfers(session: Session, settings: Settings = SETTINGS) -> Metric:
    """The host's clock with the copies of all inputs and outputs."""
    samples = sample(session.transferred, settings)
    return median(samples.wall, "wall clock around one inference with its copies from and to pinned host memory")


def by_graph(session: Session, settings: Settings = SETTINGS) -> Metric:
    """The host's clock around one replay of the inference as a CUDA graph, or why there is none.

    The library is asked first whether its work can be recorded. Where it cannot, TensorRT-RTX has a strategy of its own
    for the same end, which is used instead; the method says so. The execution context is another one afterwards.
    """
    try:
        if not _capturable(session):
            return _own_strategy(session, settings)
        with Graph(session.driver, session.stream, session.enqueue) as graph:
            samples = sample(lambda: _replay(session, graph), settings)
            session.memory.look()
    except (UnsupportedError, ToolCrashError) as error:
        return unavailable("latency_graph_p50", in_words(error))
    return median(samples.wall, "wall clock around one launch of the inference as a recorded CUDA graph")


def _replay(session: Session, graph: Graph) -> None:
    graph.launch(session.stream)
    session.stream.wait()


def _capturable(session: Session) -> bool:
    asked = getattr(session.context, "is_stream_capturable", None)
    return asked is None or bool(asked(session.stream.handle))


def _own_strategy(session: Session, settings: Settings) -> Metric:
    """``IRuntimeConfig.cuda_graph_strategy`` of TensorRT-RTX."""
    if not hasattr(session.engine, "create_runtime_config"):
        raise UnsupportedError(
            "the engine's work cannot be recorded as a CUDA graph", seen="says its execution context"
        )
    config = session.engine.create_runtime_config()
    config.cuda_graph_strategy = session.library.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
    session.reopen(config)
    samples = sample(session.infer, settings)
    return median(samples.wall, "wall clock around one inference with TensorRT-RTX's own CUDA graph strategy")


def of_batch(size: int, seconds: tuple[float, ...]) -> dict[str, Metric]:
    """The figures of one batch size, from the host's clock around whole batches; the raw samples are not kept."""
    latency = median(seconds, f"wall clock around one batch of {size}, inputs in place")
    how = f"samples per second: {len(seconds)} batches one after the other, {size} / mean latency"
    return {
        "latency_p50": dataclasses.replace(latency, samples=None),
        "throughput": Metric(size * len(seconds) / sum(seconds), "1/s", Kind.MEASURED, how),
    }


def _gather(once: Callable[[], float], settings: Settings) -> list[float]:
    """Values of a clock of its own, after a warm-up by the host's clock."""
    sample(once, dataclasses.replace(settings, runs=1))
    taken: list[float] = []
    start = time.perf_counter()
    while True:
        taken.append(once())
        elapsed = time.perf_counter() - start
        if elapsed > settings.max_seconds or (len(taken) >= settings.min_runs and elapsed >= settings.seconds):
            return taken


def in_words(error: EdgewrightError) -> str:
    """An error as the reason why there is no figure."""
    return f"{error.wanted}: {error.seen}" if error.seen else error.wanted
