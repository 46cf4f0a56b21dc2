"""Which part of a model an Orin's deep learning accelerator (DLA) could take, by its documented limits.

Nobody is asked: the compiler for it is on the device alone. What it does there is in the engine's layer information.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

from targets.tensorrt.advice.dla_limits import Graph, beyond

SOURCE = 'NVIDIA TensorRT documentation, "DLA Supported Layers and Restrictions"'
#: As many parts of a network can be loaded at once (same source, general restrictions).
MOST_LOADABLES = 16
#: Numbers that are known before anything runs, and what only converts them.
_NO_LAYERS = ("Constant", "QuantizeLinear", "DequantizeLinear", "Shape", "ConstantOfShape")
_MOST_NAMES = 10


@dataclasses.dataclass(frozen=True)
class DlaReport:
    """What the limits say of a graph.

    Attributes:
        layers: number of nodes that were looked at.
        on_gpu: nodes that the accelerator cannot take: name to operator and sentence.
        parts: how many pieces of the graph it could take, in graph order.
    """

    layers: int
    on_gpu: Mapping[str, tuple[str, str]]
    parts: int

    def notes(self, precision: str) -> tuple[str, ...]:
        """Sentences for a report."""
        taken = self.layers - len(self.on_gpu)
        said = [f"DLA: {taken} of {self.layers} layers are within its limits in {precision} ({SOURCE})"]
        if self.parts > MOST_LOADABLES:
            said.append(f"DLA: it would run {self.parts} separate parts, and can hold {MOST_LOADABLES} at once")
        reasons: dict[str, list[str]] = {}
        for name, (op, why) in self.on_gpu.items():
            reasons.setdefault(why, []).append(f"'{name}' ({op})")
        for why, names in reasons.items():
            more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
            said.append(f"DLA: on the GPU instead: {', '.join(names[:_MOST_NAMES])}{more}. {why}")
        return (*said, *_versions(precision))


def _versions(precision: str) -> list[str]:
    """Which versions of TensorRT use it, and how (NVIDIA TensorRT documentation, "Working with DLA", 11.4.1)."""
    said = [
        "DLA: TensorRT 10 of JetPack 6 has it, and TensorRT 11.4.1 and later on an AGX Orin with JetPack 7.2.2;"
        " TensorRT 11.0 to 11.4.0 do not"
    ]
    if precision == "int8":
        said.append(
            "DLA: TensorRT 10 takes no Q/DQ pairs there (NVIDIA/Model-Optimizer#1661): int8 networks stay on the GPU,"
            " fp16 networks can use it"
        )
    return said


def dla_report(model: Any, precision: str) -> DlaReport:
    """Hold every node of an ``onnx.ModelProto`` with known shapes against the limits.

    Args:
        model: float, or with Q/DQ pairs, which are passed over.
        precision: of the network that is to be built.
    """
    graph = Graph(model)
    layers = [
        node for node in graph.nodes if node.op not in _NO_LAYERS and not _before_anything_runs(graph, node.inputs)
    ]
    found = {node.name: (node.op, beyond(graph, node, precision)) for node in layers}
    runs = itertools.groupby(why == "" for _, why in found.values())
    return DlaReport(
        len(layers),
        {name: (op, why) for name, (op, why) in found.items() if why},
        sum(taken for taken, _ in runs),
    )


def _before_anything_runs(graph: Graph, inputs: tuple[str, ...]) -> bool:
    """Whether a node computes with constants alone."""
    return all(graph.fixed(tensor) for tensor in inputs if tensor)
