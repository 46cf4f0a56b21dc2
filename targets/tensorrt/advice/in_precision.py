"""Which nodes compute in the precision asked for, which stay in a wider one, and where numbers are converted."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from profiles.errors import UnsupportedError
from targets.base import QUANTIZED, ExportedModel, Verdict
from targets.onnx_prepare import prepare
from targets.onnx_tools import OnnxNode, load_onnx, save_onnx

_MOST = 20
_FOLDED = "folded into its neighbours, or computed before anything runs"


@dataclasses.dataclass(frozen=True)
class Verdicts:
    """By name of the node: whether it computes in the precision, and a sentence.

    Attributes:
        known: verdicts by node name; other nodes are native.
        absent: whether nodes that are not known were folded away before anything was decided.
        notes: on the model as a whole.
    """

    known: Mapping[str, tuple[Verdict, str]] = dataclasses.field(default_factory=dict)
    absent: bool = False
    notes: tuple[str, ...] = ()

    def of(self, node: OnnxNode) -> tuple[Verdict, str]:
        """The verdict on a node of the source file."""
        return self.known.get(node.name, (Verdict.NATIVE, _FOLDED if self.absent else ""))


def verdicts(model: ExportedModel, graph: Any, precision: str, library: str = "tensorrt") -> Verdicts:
    """What the rules of the precision say; nothing for float precisions and for models that are quantized already.

    Raises:
        UnsupportedError: the graph cannot be prepared for quantization, or nothing in it can have that precision.
    """
    if precision not in QUANTIZED or model.precision in QUANTIZED or model.onnx is None:
        return Verdicts()
    ready = _prepared(graph, model.onnx)
    return _int8(ready, library) if precision == "int8" else _weighted(ready, precision)


def _prepared(graph: Any, path: Path) -> Any:
    """What the quantizers see, with every node named as in the source file."""
    with tempfile.TemporaryDirectory(prefix="edgewright-") as scratch:
        source, prepared = Path(scratch) / "source.onnx", Path(scratch) / "prepared.onnx"
        if not all(node.name for node in graph.graph.node):
            _save_named(graph, source)
            path = source
        prepare(path, prepared)
        return load_onnx(prepared)


def _save_named(graph: Any, path: Path) -> None:
    named = type(graph)()
    named.CopyFrom(graph)
    for index, node in enumerate(named.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    save_onnx(named, path)


def _int8(graph: Any, library: str) -> Verdicts:
    """From the rules of placement."""
    from targets.tensorrt.placement.candidates import default_choice
    from targets.tensorrt.placement.plan import plan, require_some

    placement = plan(graph, default_choice(library))
    require_some(placement)
    decisions = placement.decisions
    known = {
        decision.node: (Verdict.NATIVE, "") if decision.int8 else (Verdict.FALLBACK, _stays(decision.reason))
        for decision in decisions
    }
    return Verdicts(known, True, tuple(reformats(graph, {d.node for d in decisions if d.int8})))


def _stays(reason: str) -> str:
    return f"stays in float: {reason[:1].lower()}{reason[1:].rstrip('.')}"


def reformats(graph: Any, int8: Iterable[str]) -> list[str]:
    """Sentences on where numbers must be converted between float and int8 by more than the layers themselves.

    Args:
        graph: the prepared float ``ModelProto``.
        int8: names of the nodes that compute in int8, or take int8 as it is.
    """
    from targets.tensorrt.placement.graph import Net

    net, inside = Net(graph), set(int8)
    places = [
        (node, reader)
        for node in net.nodes
        for tensor in node.outputs
        for reader, _ in net.readers(tensor)
        if (node.name in inside) != (reader.name in inside) and not net.constant(tensor)
    ]
    said = [
        f"a reformat appears between '{node.name}' ({_format(node.name in inside)})"
        f" and '{reader.name}' ({_format(reader.name in inside)})"
        for node, reader in places
    ]
    said = list(dict.fromkeys(said))
    return said[:_MOST] + ([f"reformats appear in {len(said) - _MOST} more places"] if len(said) > _MOST else [])


def _format(int8: bool) -> str:
    return "int8" if int8 else "float"


def _weighted(graph: Any, precision: str) -> Verdicts:
    """From the limits of fp8 and int4, which are about layers with weights; everything else computes in fp16."""
    from targets.onnx_layers import choose, reasons
    from targets.tensorrt.formats import fp8, int4

    layers, left = choose(graph, {"fp8": fp8.CONSTRAINTS, "int4": int4.CONSTRAINTS}[precision])
    if not layers:
        raise UnsupportedError(
            f"wanted layers that can be {precision}",
            seen=reasons(left, 3) or "no layer with weights",
            next_step='choose precision = "fp16"',
        )
    known = {name: (Verdict.FALLBACK, f"stays in fp16: {why}") for name, why in left.items()}
    return Verdicts(known, notes=(f"{precision} is for layers with weights; all others compute in fp16",))
