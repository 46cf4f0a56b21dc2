"""Time and precision of every operator, by PyTorch's own profiler. Travels to the device."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from profiles.measurement import Kind, Metric
from profiles.runner import LayerCounters
from targets.pytorch.place import CPU
from targets.pytorch.program import COMPUTE, layer_names, operator

#: At most so many profiled inferences, and at least two; all of them in about so many seconds.
_RUNS, _SECONDS = 10, 2.0
_PRECISIONS = {
    torch.float32: "fp32",
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
    torch.float64: "fp64",
    torch.int8: "int8",
    torch.uint8: "int8",
}


class _Marked(torch.fx.Interpreter):  # type: ignore[misc]
    """Runs a program node by node, each operator under its own name, and keeps the number format it computed in."""

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self.precisions: dict[str, str] = {}

    def run_node(self, node: Any) -> Any:
        """One node; the precision is that of its first tensor, which is the activation."""
        if not operator(node):
            return super().run_node(node)
        args, _ = self.fetch_args_kwargs_from_env(node)
        self.precisions[node.name] = _precision(args)
        with record_function(node.name):
            return super().run_node(node)


def _precision(args: Sequence[Any]) -> str:
    for value in torch.utils._pytree.tree_leaves(args):
        if isinstance(value, torch.Tensor):
            return _PRECISIONS.get(value.dtype, str(value.dtype).removeprefix("torch."))
    return ""


def profile_layers(module: Any, tensors: Sequence[Any], place: str, latency: float) -> tuple[LayerCounters, ...]:
    """One row per operator in order of execution, with the median of its times.

    Args:
        module: of :func:`targets.pytorch.program.load_program`.
        tensors: the inputs, on ``place``.
        place: on CUDA the time is that of the operator's kernels on the GPU.
        latency: of one inference in seconds, to choose the number of runs by.
    """
    runs = max(2, min(_RUNS, int(_SECONDS / max(latency, 1e-6))))
    marked = _Marked(module)
    marked.run(*tensors)
    activities = [ProfilerActivity.CPU] + ([] if place == CPU else [ProfilerActivity.CUDA])
    with profile(activities=activities, acc_events=True) as profiler:
        for _ in range(runs):
            marked.run(*tensors)
        if place != CPU:
            torch.cuda.synchronize()
    times = _times(profiler.events(), set(marked.precisions), place)
    how = f"torch.profiler, {'operator' if place == CPU else 'kernels on the GPU'}, median of {runs} runs"
    names = layer_names(module)
    return tuple(
        LayerCounters(
            names[node.name],
            operator(node),
            {"latency_p50": Metric(statistics.median(times[node.name]), "s", Kind.MEASURED, how)},
            marked.precisions[node.name],
        )
        for node in module.graph.nodes
        if times.get(node.name)
    )


def _times(events: Sequence[Any], wanted: set[str], place: str) -> dict[str, list[float]]:
    """Seconds of the operators inside each mark: what Python needs around them is not theirs."""
    key = "cpu_time_total" if place == CPU else "device_time_total"
    found: dict[str, list[float]] = {}
    for event in events:
        if event.name in wanted and event.cpu_children:
            seconds = sum(getattr(child, key) for child in event.cpu_children) * 1e-6
            found.setdefault(event.name, []).append(seconds)
    return found


def executed(rows: Sequence[LayerCounters]) -> dict[str, int]:
    """Number of compute layers by the precision that they ran in."""
    counts: dict[str, int] = {}
    for row in rows:
        if row.op in COMPUTE:
            counts[row.precision] = counts.get(row.precision, 0) + 1
    return counts
