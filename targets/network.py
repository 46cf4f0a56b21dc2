"""A network as a few kinds of steps, whatever file it is in: enough to see what compression left behind.

Only what ``targets/sparsity.py`` asks for is told apart: layers with constant weights, sums, products and selections,
comparisons, means and maxima, branches, and steps that only move numbers or scale channels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from profiles.runner import Array
from targets.base import ExportedModel
from targets.onnx_layers import node_name, weighted_layers
from targets.onnx_tools import all_graphs, load_onnx, weights
from targets.tflite_tools import TfliteFile, parse_tflite, read_bytes, tensor_values

#: Kinds of steps, with the operators of ONNX, TFLite and ``torch.ops.aten`` (lower case, without underscores).
KINDS: Mapping[str, frozenset[str]] = {
    "add": frozenset({"add"}),
    "choose": frozenset({"mul", "where", "select", "selectv2"}),
    "compare": frozenset(
        {"greater", "greaterorequal", "greaterequal", "less", "lessorequal", "lessequal", "equal", "topk", "topkv2"}
        | {"argmax", "gt", "ge", "lt", "le", "eq"}
    ),
    "reduce": frozenset(
        {"globalaveragepool", "globalmaxpool", "reducemean", "reducemax", "reducesum", "reducel1", "reducel2", "mean"}
        | {"sum", "amax", "adaptiveavgpool2d", "adaptivemaxpool2d", "averagepool2d"}
    ),
    "move": frozenset(
        {
            "identity",
            "reshape",
            "transpose",
            "unsqueeze",
            "squeeze",
            "flatten",
            "expand",
            "expanddims",
            "cast",
            "to",
            "tocopy",
        }
        | {"batchnormalization", "batchnorm", "view", "permute", "quantizelinear", "dequantizelinear", "broadcastto"}
    ),
    "branch": frozenset({"if", "loop", "scan", "while", "cond", "whileloop"}),
}
_KIND = {op: kind for kind, ops in KINDS.items() for op in ops}
#: TFLite's layers whose second input is their weights: axis of the input channels; None where groups have one each.
_TFLITE_LAYERS: Mapping[str, int | None] = {"CONV_2D": 3, "FULLY_CONNECTED": 1, "DEPTHWISE_CONV_2D": None}


@dataclasses.dataclass(frozen=True)
class Step:
    """One operator.

    Attributes:
        kind: ``layer``, one of :data:`KINDS`, or empty for all else.
        name: for people.
        inputs: tensors that are computed; constants are left out.
        outputs: tensors.
        weights: of a layer, as stored; None where they are computed, or stored in a sparse format.
        axis: of the weights: their input channels; None where there is one per group.
        bent: an activation function is part of it.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: Array | None = None
    axis: int | None = None
    bent: bool = False


def kind_of(op: str) -> str:
    """The kind of an operator that is no layer; empty for those that nobody asks about."""
    return _KIND.get(op.lower().replace("_", ""), "")


def network(model: ExportedModel) -> list[Step]:
    """The steps of the model's ONNX or TFLite file; none where it has neither.

    Raises:
        ModelError: the file cannot be read.
    """
    if model.onnx is not None:
        return onnx_network(load_onnx(model.onnx))
    if model.tflite is not None:
        data = read_bytes(model.tflite)
        return tflite_network(parse_tflite(data, model.tflite), data)
    return []


def onnx_network(model: Any) -> list[Step]:
    """The steps of an ``onnx.ModelProto``, bodies of branches included."""
    layers = {layer.name: layer for layer in weighted_layers(model)}
    constants = {name for name, _ in weights(model)}
    steps = []
    for graph in all_graphs(model.graph):
        for node in graph.node:
            inputs = _computed(node.input, constants)
            layer = layers.get(node_name(node)) if graph is model.graph else None
            if layer is None:
                steps.append(Step(kind_of(node.op_type), node_name(node), inputs, tuple(node.output)))
            else:
                grouped = layer.op == "Conv" and layer.inputs == 1
                axis = None if grouped else layer.input_axis
                steps.append(Step("layer", layer.name, inputs[:1], tuple(node.output), layer.weights, axis))
    return steps


def _computed(names: Iterable[str], constants: set[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name and name not in constants)


def tflite_network(file: TfliteFile, data: bytes) -> list[Step]:
    """The steps of a TFLite file; ``data`` is its bytes. Weights in a sparse format are not looked into."""
    tensors = {(tensor.subgraph, tensor.index): tensor for tensor in file.tensors}
    steps = []
    for operator in file.operators:
        found = [tensors[operator.subgraph, index] for index in operator.inputs if index >= 0]
        inputs = tuple(f"{t.subgraph}/{t.index}" for t in found if not t.constant)
        outputs = tuple(f"{operator.subgraph}/{index}" for index in operator.outputs)
        name = tensors[operator.subgraph, operator.outputs[0]].name if operator.outputs else operator.op
        values = None
        if operator.op in _TFLITE_LAYERS and len(found) > 1 and not found[1].sparse:
            values = tensor_values(found[1], data)
        kind = "layer" if values is not None else kind_of(operator.op)
        steps.append(Step(kind, name, inputs, outputs, values, _TFLITE_LAYERS.get(operator.op), operator.fused))
    return steps
