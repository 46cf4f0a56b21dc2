"""Fusing: activations and paddings into the operators beside them, where not a bit of the result changes."""

from __future__ import annotations

import dataclasses

from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.graph.parameters import LARGEST, Unchecked, ints
from targets.tflite_micro.graph.rewrite import fixed, readers, replaced, writers

#: Operators whose last step is to clip to the range of the activation.
_CLIP = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL", "AVERAGE_POOL_2D", "MAX_POOL_2D")
_ACTIVATIONS = {"RELU": "relu", "RELU6": "relu6", "RELU_N1_TO_1": "relu_n1_to_1"}
#: One activation after another, where one does for both.
_BOTH = {frozenset({"relu", "relu6"}): "relu6"}


def fuse_activations(graph: Graph) -> Graph:
    """Put an activation with the quantization of its input into the operator that computes the input.

    With equal scales the activation only clips, as the operator itself does at its end.
    """
    read, place = readers(graph), writers(graph)
    outputs = set(graph.outputs)
    made: dict[int, Op] = {}
    gone = set()
    for op in graph.ops:
        before = place.get(op.inputs[0]) if op.kind in _ACTIVATIONS else None
        if before is None or before.kind not in _CLIP or op.inputs[0] in outputs or len(read[op.inputs[0]]) > 1:
            continue
        name = _together(str(before.options.get("fused_activation_function", "none")), _ACTIVATIONS[op.kind])
        source, out = graph.tensor(op.inputs[0]), graph.outs(op)[0]
        if (
            not name
            or (source.dtype, source.quantization) != ("int8", out.quantization)
            or source.variable
            or out.variable
        ):
            continue
        options = {**before.options, "fused_activation_function": name}
        fused = dataclasses.replace(before, outputs=op.outputs, options=options)
        made[before.index] = place[op.outputs[0]] = fused
        gone.add(op.index)
    graph = replaced(graph, made)
    return dataclasses.replace(graph, ops=tuple(op for op in graph.ops if op.index not in gone))


def _together(one: str, other: str) -> str:
    """One activation for two, "" when there is none."""
    if one in ("none", other):
        return other
    return _BOTH.get(frozenset({one, other}), "")


def fuse_paddings(graph: Graph) -> Graph:
    """Give a padding with the zero point to the convolutions and max pools that read it, as explicit padding.

    A convolution adds nothing for a zero point outside of the image. A max pool ignores what is outside, and
    the lowest int8 value never wins. A padding that someone else needs stays.
    """
    read = readers(graph)
    made: dict[int, Op] = {}
    for op in graph.ops:
        amounts = _zero_padding(op, graph) if op.kind in ("PAD", "PADV2") else None
        if amounts is None or op.outputs[0] in graph.outputs:
            continue
        fused = [_with_padding(made.get(reader.index, reader), op, amounts, graph) for reader in read[op.outputs[0]]]
        if None not in fused:
            made |= {reader.index: reader for reader in fused if reader is not None}
    return replaced(graph, made)


def _zero_padding(op: Op, graph: Graph) -> tuple[int, int, int, int] | None:
    """Top, bottom, left and right of a padding of int8 images with their zero point."""
    source, out = graph.tensor(op.inputs[0]), graph.outs(op)[0]
    same = source.quantization is not None and source.quantization == out.quantization
    if source.dtype != "int8" or not same or len(source.shape) != 4 or source.variable or fixed(source):
        return None
    if op.kind == "PADV2":
        value = graph.tensor(op.inputs[2])
        if not fixed(value) or value.data is None or value.data.reshape(-1).tolist() != [source.zero_point]:
            return None
    try:
        amounts = ints(op, graph, 1)
    except Unchecked:
        return None
    return None if any((*amounts[:2], *amounts[6:])) else (amounts[2], amounts[3], amounts[4], amounts[5])


def _with_padding(op: Op, pad: Op, amounts: tuple[int, int, int, int], graph: Graph) -> Op | None:
    """The operator with the padding as its own."""
    padded, source = graph.outs(pad)[0], pad.inputs[0]
    if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        kernel = graph.tensor(op.inputs[1]).shape[1:3]
    elif op.kind == "MAX_POOL_2D" and padded.zero_point == -128:
        kernel = op.options["filter_height"], op.options["filter_width"]
    else:
        return None
    own = _own_padding(op, padded, (kernel[0], kernel[1]))
    total = tuple(one + other for one, other in zip(amounts, own, strict=True))
    reach = [(size - 1) * _dilation(op, name) + 1 for size, name in zip(kernel, "hw", strict=True)]
    fits = all(amount < min(reach[place // 2], LARGEST) for place, amount in enumerate(total))
    if not fits or op.inputs.count(padded.index) != 1 or op.inputs[0] != padded.index:
        return None
    options = {**op.options, "padding": "explicit", "pad": total}
    return dataclasses.replace(op, inputs=(source, *op.inputs[1:]), options=options)


def _own_padding(op: Op, image: Tensor, kernel: tuple[int, int]) -> tuple[int, ...]:
    """Top, bottom, left and right of what the operator pads already (TFLite kernels/padding.h)."""
    padding = op.options["padding"]
    if padding != "same":
        return tuple(op.options["pad"]) if padding == "explicit" else (0, 0, 0, 0)
    amounts: list[int] = []
    for size, taps, name in zip(image.shape[1:3], kernel, "hw", strict=True):
        stride = op.options[f"stride_{name}"]
        total = max((-(-size // stride) - 1) * stride + (taps - 1) * _dilation(op, name) + 1 - size, 0)
        amounts += [total // 2, total - total // 2]
    return tuple(amounts)


def _dilation(op: Op, name: str) -> int:
    return int(op.options.get(f"dilation_{name}_factor", 1))
