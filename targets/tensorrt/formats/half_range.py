"""Whether what a network computes between its inputs and outputs fits fp16, seen on samples.

ONNX Runtime on a processor does not show it: it computes the fp16 operators of a graph in fp32, without rounding in
between (1.31, also with all optimizations off).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from profiles.runner import Array, Arrays
from targets.base import ExportedModel
from targets.onnx_tools import constant_values, load_onnx, real_inputs, tensor_specs, weights
from targets.onnx_watch import float_tensors, watch
from targets.tensorrt.formats.number_formats import FP16_MAX, FP16_TINY, require_fp16_range
from targets.tensorrt.placement.decided import MOVING

#: Operators that use a huge constant as a bound or a mask: at the end of fp16's range it does the same.
BOUNDING = frozenset({"Clip", "Min", "Max", "Where", "Add", "Sub", "Pad"})
#: Golden samples that are looked at where there is no calibration.
_MOST = 8


def check_activations(prepared: Path, model: ExportedModel) -> None:
    """Look for overflows on the model's golden samples.

    Raises:
        UnsupportedError: an activation beyond fp16's range.
    """
    graph = load_onnx(prepared)
    samples = golden_samples(model, graph, _MOST)
    names = computed(graph) if samples else []
    largest: dict[str, float] = {}
    for _ in noting(watch(prepared, names, samples), names, largest):
        pass
    for name, value in largest.items():
        require_fp16_range(value, f"the activation '{name}'")


def golden_samples(model: ExportedModel, graph: Any, most: int) -> list[dict[str, Array]]:
    """Golden inputs, if the graph takes numbers of their types."""
    dtypes = {spec.name: spec.dtype for spec in tensor_specs(real_inputs(graph.graph))}
    if {name: str(stack.dtype) for name, stack in model.golden_inputs.items()} != dtypes:
        return []
    count = min((len(stack) for stack in model.golden_inputs.values()), default=0)
    return [model.golden_sample(index) for index in range(min(count, most))]


def computed(graph: Any) -> list[str]:
    """The float32 tensors that nodes compute, without those that only carry a mask's huge constants."""
    huge = {name for name, tensor in weights(graph) if _beyond(tensor)}
    for node in graph.graph.node:
        if node.op_type in (BOUNDING | MOVING) and huge & set(node.input):
            huge.update(node.output)
    return [name for name in float_tensors(graph) if name not in huge]


def noting(stream: Iterable[Arrays], names: Iterable[str], largest: dict[str, float]) -> Iterator[Arrays]:
    """Pass samples on, and keep the largest finite magnitude of each named tensor in ``largest``."""
    watched = list(names)
    for sample in stream:
        for name in watched:
            sizes = np.abs(sample[name][np.isfinite(sample[name])])
            largest[name] = max(largest.get(name, 0.0), float(sizes.max(initial=0.0)))
        yield sample


def misfit(what: str, largest: float, levels: int) -> str:
    """Why fp16 can hold neither the values nor the scale of a tensor in so many levels; empty when it can."""
    if largest > FP16_MAX:
        return f"{largest:.3g} in {what}"
    if 0 < largest < levels * FP16_TINY:
        return f"nothing above {largest:.3g} in {what}"
    return ""


def _beyond(tensor: Any) -> bool:
    if tensor.data_type != tensor.FLOAT:
        return False
    sizes = np.abs(constant_values(tensor))
    return bool((sizes > FP16_MAX).any())
