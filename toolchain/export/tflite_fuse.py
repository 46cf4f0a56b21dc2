"""What ``litert_torch`` leaves between a network's layers, taken out of the exported file again.

torch pads in operators of its own and reduces over axes by number, so that a converted network holds
PAD and TRANSPOSE operators that its kernels do not need: TFLite's SAME padding is TensorFlow's
(guide on ``tf.nn.convolution``), and a MEAN can take any axes. Every rewrite computes the same numbers;
the parity check of the export sees the rewritten file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from profiles.runner import Array
from toolchain.export.tflite_graph import Graph

_REDUCERS = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD")


def simplify(data: bytes) -> bytes:
    """The same network with fewer operators; the very same bytes where there is nothing to do."""
    graph = Graph(data)
    if not graph.whole:
        return data
    rounds = 0
    while sum(rewrite(graph, operator) for operator in list(graph.main.operators) for rewrite in REWRITES):
        rounds += 1
    return graph.pack() if rounds else data


def swap_pad(graph: Graph, pad: Any) -> bool:
    """Pad before a TRANSPOSE instead of after it, where more TRANSPOSEs follow and may cancel it."""
    before = _transpose_before(graph, pad) if graph.kind(pad) in ("PAD", "PADV2") else None
    padded, rows = pad.outputs[0], graph.integers(pad.inputs[1]) if before else None
    if before is None or rows is None or not _only_transposed(graph, padded):
        return False
    axes = _axes(graph, before)
    moved = np.zeros_like(rows)
    moved[axes] = rows
    source = before.inputs[0]
    shape = np.array(graph.shape(source)) + moved.sum(axis=1)
    inner = graph.add_activation(padded, shape.tolist(), graph.name(padded))
    pad.inputs = [source, graph.add_integers(moved, graph.name(pad.inputs[1])), *pad.inputs[2:]]
    pad.outputs = [inner]
    _insert_transpose(graph, before, inner, padded, after=pad)
    return True


def merge_transposes(graph: Graph, second: Any) -> bool:
    """One TRANSPOSE for two in a row, and none where the second undoes the first."""
    first = _transpose_before(graph, second) if graph.kind(second) == "TRANSPOSE" else None
    if first is None or _axes(graph, second) is None:
        return False
    axes, result = _axes(graph, first)[_axes(graph, second)], second.outputs[0]
    if list(axes) == sorted(axes):
        if not graph.readers(result):
            return False
        graph.bypass(result, first.inputs[0])
        return True
    second.inputs = [first.inputs[0], graph.add_integers(axes, graph.name(second.inputs[1]))]
    return True


def reduce_before_transpose(graph: Graph, reducer: Any) -> bool:
    """Reduce the axes where they are, where a TRANSPOSE only brought them elsewhere."""
    if graph.kind(reducer) not in _REDUCERS or reducer.builtinOptions is None or reducer.builtinOptions.keepDims:
        return False
    before, wanted = _transpose_before(graph, reducer), graph.integers(reducer.inputs[1])
    if before is None or wanted is None:
        return False
    axes = _axes(graph, before)
    reduced = {int(axis) % len(axes) for axis in wanted.reshape(-1)}
    kept = [int(axis) for place, axis in enumerate(axes) if place not in reduced]
    if kept != sorted(kept):
        return False
    moved = np.array(sorted(int(axes[place]) for place in reduced), np.int32)
    reducer.inputs = [before.inputs[0], graph.add_integers(moved, graph.name(reducer.inputs[1]))]
    return True


def pad_in_convolution(graph: Graph, conv: Any) -> bool:
    """Let a convolution pad by itself, where a PAD before it does what SAME means."""
    if graph.kind(conv) not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        return False
    pad = graph.producer(conv.inputs[0], "PAD")
    options, kernel = conv.builtinOptions, graph.shape(conv.inputs[1])[1:3]
    dilations = (options.dilationHFactor, options.dilationWFactor)
    return pad is not None and _take_padding(graph, conv, pad, kernel, dilations)


def pad_in_max_pool(graph: Graph, pool: Any) -> bool:
    """Let a max pool pad by itself, where minus infinity is put around it as SAME does."""
    if graph.kind(pool) != "MAX_POOL_2D":
        return False
    pad = graph.producer(pool.inputs[0], "PADV2")
    value = graph.floats(pad.inputs[2]) if pad is not None else None
    if value is None or not np.isneginf(value).all():
        return False
    kernel = (pool.builtinOptions.filterHeight, pool.builtinOptions.filterWidth)
    return _take_padding(graph, pool, pad, kernel, (1, 1))


#: Each takes one operator and says whether it changed anything.
REWRITES: tuple[Callable[[Graph, Any], bool], ...] = (
    swap_pad,
    merge_transposes,
    reduce_before_transpose,
    pad_in_convolution,
    pad_in_max_pool,
)


def _transpose_before(graph: Graph, operator: Any) -> Any:
    """The TRANSPOSE by constant axes that makes an operator's first input, or None."""
    found = graph.producer(operator.inputs[0], "TRANSPOSE")
    return found if found is not None and _axes(graph, found) is not None else None


def _axes(graph: Graph, transpose: Any) -> Any:
    """Axis i of the result is axis ``axes[i]`` of the input; None when that is computed."""
    return graph.integers(transpose.inputs[1])


def _only_transposed(graph: Graph, tensor: int) -> bool:
    readers = graph.readers(tensor)
    return not graph.leaves(tensor) and bool(readers) and all(graph.kind(op) == "TRANSPOSE" for op in readers)


def _insert_transpose(graph: Graph, model: Any, source: int, result: int, after: Any) -> None:
    """A TRANSPOSE like another one, behind an operator."""
    new = type(model)()
    new.opcodeIndex, new.builtinOptionsType, new.builtinOptions = (
        model.opcodeIndex,
        model.builtinOptionsType,
        model.builtinOptions,
    )
    new.inputs, new.outputs = [source, model.inputs[1]], [result]
    place = next(i for i, operator in enumerate(graph.main.operators) if operator is after)
    graph.main.operators.insert(place + 1, new)


def _take_padding(graph: Graph, window: Any, pad: Any, kernel: Sequence[int], dilations: Sequence[int]) -> bool:
    """Switch a window operator from VALID to SAME and read what is not padded yet, if that is the same."""
    options, rows = window.builtinOptions, graph.integers(pad.inputs[1])
    if options.padding != graph.schema.Padding.VALID or rows is None:
        return False
    sizes = graph.shape(pad.inputs[0])[1:3]
    strides = (options.strideH, options.strideW)
    wanted = [same_padding(*spatial) for spatial in zip(sizes, kernel, strides, dilations, strict=True)]
    if not _is_spatial(rows) or [tuple(map(int, row)) for row in rows[1:3]] != wanted:
        return False
    options.padding = graph.schema.Padding.SAME
    window.inputs = [pad.inputs[0], *window.inputs[1:]]
    return True


def _is_spatial(rows: Array) -> bool:
    return rows.shape == (4, 2) and not rows[0].any() and not rows[3].any()


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Zeros before and after an axis under SAME: the odd one goes behind (TensorFlow, ``tf.nn.convolution``)."""
    reach = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2
