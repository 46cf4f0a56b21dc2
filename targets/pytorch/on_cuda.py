"""What only a GPU can tell: times by CUDA events, with copies, as a CUDA graph, and memory. Travels to the device."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from profiles.measurement import Kind, Metric, percentile, unavailable
from profiles.runner import Array
from profiles.sampling import Settings, sample

_SETTINGS = Settings(min_runs=50, seconds=0.5, max_seconds=20.0)
_EVENTS = 100
#: Inferences on a side stream before a capture (PyTorch documentation, CUDA semantics, "CUDA Graphs").
_WARM_UP = 3


def cuda_metrics(
    module: Any, tensors: Sequence[Any], arrays: Sequence[Array], cuda: Any = torch.cuda
) -> dict[str, Metric]:
    """All figures of one program on a GPU.

    Args:
        module: of :func:`targets.pytorch.program.load_program`, on the GPU.
        tensors: the inputs on the GPU.
        arrays: the same inputs on the host.
        cuda: ``torch.cuda``.
    """
    return {
        "latency_events_p50": events_latency(module, tensors, cuda),
        "latency_transfers_p50": transfers_latency(module, arrays, cuda),
        "latency_graph_p50": graph_latency(module, tensors, cuda),
        "gpu_memory": memory(cuda),
    }


def events_latency(module: Any, tensors: Sequence[Any], cuda: Any) -> Metric:
    """Median time between two events around one eager inference; ``elapsed_time`` counts in milliseconds."""
    times = []
    for _ in range(_EVENTS):
        start, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
        start.record()
        module.forward(*tensors)
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) * 1e-3)
    return Metric(statistics.median(times), "s", Kind.MEASURED, f"CUDA events around one inference, {_EVENTS} runs")


def transfers_latency(module: Any, arrays: Sequence[Array], cuda: Any) -> Metric:
    """Median host time of one inference from host memory to host memory; the last copy waits for the GPU."""

    def call() -> object:
        inputs = [torch.from_numpy(values).to("cuda") for values in arrays]
        return [output.cpu() for output in module.forward(*inputs)]

    cuda.synchronize()
    return _host("from host memory to host memory", call)


def graph_latency(module: Any, tensors: Sequence[Any], cuda: Any) -> Metric:
    """Median host time of one replay of a CUDA graph, or why the program cannot be captured."""
    try:
        replay = capture(module, tensors, cuda)
    except RuntimeError as error:  # what cannot be captured is an error of CUDA's
        return unavailable("latency_graph_p50", f"capture failed: {str(error).partition(chr(10))[0]}")

    def call() -> None:
        replay()
        cuda.synchronize()

    return _host("around one replay of a CUDA graph, inputs in place", call)


def capture(module: Any, tensors: Sequence[Any], cuda: Any) -> Callable[[], object]:
    """The program as a CUDA graph, warmed up on a side stream as PyTorch asks for; call the result to replay it."""
    stream = cuda.Stream()
    stream.wait_stream(cuda.current_stream())
    with cuda.stream(stream):
        for _ in range(_WARM_UP):
            module.forward(*tensors)
    cuda.current_stream().wait_stream(stream)
    graph = cuda.CUDAGraph()
    with cuda.graph(graph):
        outputs = module.forward(*tensors)

    def replay(kept: Any = outputs) -> None:  # the outputs' memory belongs to the graph
        graph.replay()

    return replay


def memory(cuda: Any) -> Metric:
    """The most that PyTorch's allocator has had from the GPU."""
    how = "torch.cuda.max_memory_reserved: peak of PyTorch's allocator, without the CUDA context"
    return Metric(float(cuda.max_memory_reserved()), "B", Kind.MEASURED, how)


def _host(what: str, call: Callable[[], object]) -> Metric:
    samples = sample(call, _SETTINGS)
    how = f"wall clock {what}, {len(samples.wall)} runs"
    return Metric(percentile(sorted(samples.wall), 50), "s", Kind.MEASURED, how, samples=samples.wall)


def cuda_facts(cuda: Any = torch.cuda) -> Mapping[str, str]:
    """Which GPU, which CUDA, which cuDNN."""
    major, minor = cuda.get_device_capability()
    return {
        "GPU": f"{cuda.get_device_name()}, compute capability {major}.{minor}",
        "CUDA": f"{torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}",
        "TF32": "off: fp32 means fp32",
    }
