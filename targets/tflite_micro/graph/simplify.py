"""The passes that make a graph smaller without changing a bit of its outputs, in their order."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable

from profiles.errors import ModelError, UnsupportedError
from targets.tflite_micro.graph import shapes
from targets.tflite_micro.graph.canonical import as_convolutions
from targets.tflite_micro.graph.fold import fold
from targets.tflite_micro.graph.fuse import fuse_activations, fuse_paddings
from targets.tflite_micro.graph.identity import as_reshapes, drop_identities, drop_round_trips
from targets.tflite_micro.graph.ir import ITEM_BYTES, Graph, Tensor
from targets.tflite_micro.graph.islands import bridge_islands
from targets.tflite_micro.graph.rewrite import fixed, live, readers, renamed, writers
from targets.tflite_micro.graph.verify import Malformed

#: A pass may make room for an earlier one; this often is enough for what exporters write.
_ROUNDS = 4


def simplify(graph: Graph) -> Graph:
    """All passes, repeated until nothing changes. Float inputs and outputs that are only converted become int8.

    Raises:
        ModelError: a constant computed from others contradicts the file.
        UnsupportedError: an operator still takes its axes, sizes or paddings from a tensor computed at run time, an
            activation has a scale per channel, or an input or output has a type without a fixed size.
    """
    try:
        for _ in range(_ROUNDS):
            before = graph
            for run in PASSES:
                graph = run(graph)
            if graph == before:
                break
        shapes.check(graph)
    except Malformed as error:
        raise ModelError(
            f"wanted a consistent TFLite model in {graph.name}",
            seen=str(error),
            next_step="export or download it again",
        ) from error
    _check_buildable(graph)
    return graph


def _check_buildable(graph: Graph) -> None:
    for op in graph.ops:
        reason = shapes.unchecked(op, graph)
        if reason:
            raise UnsupportedError(
                f"wanted to know the shape of {op.kind} '{graph.name_of(op)}' before it runs", seen=reason,
                next_step="export the model with fixed shapes",
            )  # fmt: skip
    for key, tensor in graph.tensors.items():
        scales = len(tensor.quantization.scale) if tensor.quantization and not fixed(tensor) else 1
        if scales > 1:
            raise UnsupportedError(f"wanted one scale for the activation '{tensor.name}'", seen=f"{scales} scales")
        if tensor.dtype not in ITEM_BYTES and key in (*graph.inputs, *graph.outputs):
            raise UnsupportedError(
                f"wanted numbers in the input or output '{tensor.name}'",
                seen=tensor.dtype,
                allowed=", ".join(ITEM_BYTES),
            )


def strip_inputs(graph: Graph) -> Graph:
    """Take int8 inputs where float ones are only quantized, all in the same way. The input keeps its name."""
    read = readers(graph)
    names: dict[int, int] = {}
    tensors, inputs = dict(graph.tensors), list(graph.inputs)
    gone: set[int] = set()
    for place, key in enumerate(graph.inputs):
        ops = read[key]
        kinds = {_quantized(graph.outs(op)[0]) for op in ops if op.kind == "QUANTIZE"}
        outs = [out for op in ops for out in op.outputs]
        if (
            tensors[key].dtype != "float32"
            or len(kinds) != 1
            or None in kinds
            or {op.kind for op in ops} != {"QUANTIZE"}
        ):
            continue
        if key in graph.outputs or not set(outs).isdisjoint(graph.outputs):
            continue
        inputs[place] = outs[0]
        names |= dict.fromkeys(outs[1:], outs[0])
        tensors[outs[0]] = dataclasses.replace(tensors[outs[0]], name=tensors[key].name)
        gone |= {op.index for op in ops}
    kept = [op for op in graph.ops if op.index not in gone]
    return dataclasses.replace(graph, tensors=tensors, ops=renamed(kept, names), inputs=tuple(inputs))


def strip_outputs(graph: Graph) -> Graph:
    """Give int8 outputs where float ones are only dequantized from them. The output keeps its name."""
    read, written = readers(graph), writers(graph)
    tensors, outputs = dict(graph.tensors), list(graph.outputs)
    for place, key in enumerate(graph.outputs):
        op = written.get(key)
        if op is None or op.kind != "DEQUANTIZE" or read[key] or graph.outputs.count(key) > 1:
            continue
        source = tensors[op.inputs[0]]
        if _quantized(source) and source.index in written and source.index not in outputs and not source.variable:
            outputs[place] = source.index
            tensors[source.index] = dataclasses.replace(source, name=tensors[key].name)
    return dataclasses.replace(graph, tensors=tensors, outputs=tuple(outputs))


def share_constants(graph: Graph) -> Graph:
    """One tensor for constants that are equal in type, shape, quantization and values."""
    first: dict[object, int] = {}
    names: dict[int, int] = {}
    for key, tensor in graph.tensors.items():
        if fixed(tensor) and tensor.data is not None and key not in graph.outputs:
            digest = hashlib.blake2b(tensor.data.tobytes()).digest()
            same = first.setdefault((tensor.dtype, tensor.shape, tensor.quantization, digest), key)
            if same != key:
                names[key] = same
    return dataclasses.replace(graph, ops=renamed(graph.ops, names))


def _quantized(tensor: Tensor) -> object:
    """What makes two int8 tensors alike; None for others."""
    return tensor.quantization if tensor.dtype == "int8" and tensor.quantization else None


PASSES: tuple[Callable[[Graph], Graph], ...] = (
    fold, strip_inputs, strip_outputs, drop_round_trips, bridge_islands, as_reshapes, drop_identities, live,
    as_convolutions, fuse_activations, fuse_paddings, share_constants, live,
)  # fmt: skip
