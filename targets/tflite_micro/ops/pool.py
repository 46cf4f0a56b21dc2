"""AVERAGE_POOL_2D and MAX_POOL_2D."""

from __future__ import annotations

import dataclasses

import numpy as np

from targets.tflite_micro.calls import Call, In, Out, Rows, Rule, Variant, option
from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.ops.common import (
    activation_range,
    int8_activations,
    known_activation,
    out_size,
    same_padding,
)

_KERNELS = {"AVERAGE_POOL_2D": "ew_average_pool", "MAX_POOL_2D": "ew_max_pool"}


@dataclasses.dataclass(frozen=True)
class Axis:
    """One axis of a pool: input and output size, window, stride, and elements of padding in front."""

    size: int
    out: int
    window: int
    stride: int
    pad: int

    @property
    def first(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The first input element of every output element."""
        return np.maximum(np.arange(self.out) * self.stride - self.pad, 0)

    @property
    def whole(self) -> bool:
        """Whether there is one output element, of all input elements."""
        return self.out == 1 and self.window - self.pad >= self.size


def _axes(op: Op, source: Tensor, target: Tensor) -> list[Axis]:
    axes = []
    for place, name, letter in ((1, "height", "h"), (2, "width", "w")):
        size, out = source.shape[place], target.shape[place]
        window, stride = int(option(op, f"filter_{name}")), int(option(op, f"stride_{letter}"))
        pad = (
            same_padding(size, window, stride, 1, out)
            if option(op, "padding") == "same"
            else _pads(op)[2 * (place - 1)]
        )
        axes.append(Axis(size, out, window, stride, pad))
    return axes


def _pads(op: Op) -> tuple[int, int, int, int]:
    """Rows and columns that a PAD before the pool has added: top, bottom, left, right."""
    top, bottom, left, right = option(op, "pad", (0, 0, 0, 0)) if option(op, "padding") == "explicit" else (0, 0, 0, 0)
    return int(top), int(bottom), int(left), int(right)


def images(op: Op, graph: Graph) -> str:
    """Activations are NHWC images with sizes of at most 32767."""
    shapes = [graph.tensor(op.inputs[0]).shape, graph.tensor(op.outputs[0]).shape]
    sane = all(len(shape) == 4 and max(shape) < 1 << 15 for shape in shapes)
    return "" if sane else " and ".join(map(str, shapes))


def sane_window(op: Op, graph: Graph) -> str:
    """Window and stride are 1 to 32767, and give the output its shape."""
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    names = ("filter_height", "filter_width", "stride_h", "stride_w")
    window_h, window_w, stride_h, stride_w = values = [int(option(op, name, 0)) for name in names]
    if min(values) < 1 or max(values) >= 1 << 15:
        return f"a window of {window_h} x {window_w} with strides {stride_h} and {stride_w}"
    top, bottom, left, right = _pads(op)
    padding = "same" if option(op, "padding") == "same" else "valid"
    height = out_size(source.shape[1] + top + bottom, window_h, stride_h, 1, padding)
    width = out_size(source.shape[2] + left + right, window_w, stride_w, 1, padding)
    wanted = (source.shape[0], height, width, source.shape[3])
    return "" if target.shape == wanted else f"an output of {target.shape} instead of {wanted}"


def lower_pool(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_average_pool`` or ``ew_max_pool``, or of ``ew_global_average``."""
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    rows, columns = _axes(op, source, target)
    batch, _, _, channels = source.shape
    low, high = activation_range(op, target)
    args = (In(source.index), Out(target.index))
    if op.kind == "AVERAGE_POOL_2D" and rows.whole and columns.whole:
        params = {"batch": batch, "pixels": rows.size * columns.size, "channels": channels}
        params |= {"act_min": low, "act_max": high}
        return Call("ew_global_average", params, args, overlap={source.index: 0}, sources=("ew_mean.c",))
    params = {
        "in_h": rows.size, "in_w": columns.size, "channels": channels, "out_h": rows.out, "out_w": columns.out,
        "window_h": rows.window, "window_w": columns.window, "stride_h": rows.stride, "stride_w": columns.stride,
        "pad_top": rows.pad, "pad_left": columns.pad, "batch": batch, "act_min": low, "act_max": high,
    }  # fmt: skip
    call = Call(
        _KERNELS[op.kind], params, args, overlap={source.index: _head_start(rows, columns, channels)},
        sources=("ew_pool.c", "ew_copy.c"),
    )  # fmt: skip
    return dataclasses.replace(call, rows=rows_of(call)) if batch == 1 and rows.out > 1 else call


def ring_bytes(call: Call) -> int:
    """Scratch that a pool needs when it runs row by row: min(window_h, in_h) input rows."""
    p = {name: int(value) for name, value in call.params.items()}  # type: ignore[arg-type]
    return min(p["window_h"], p["in_h"]) * p["in_w"] * p["channels"]


def rows_of(call: Call) -> Rows:
    """How a pool runs row by row."""
    p = {name: int(value) for name, value in call.params.items()}  # type: ignore[arg-type]
    return Rows(
        load=f"{call.function}_load", row=f"{call.function}_row", stride=p["stride_h"],
        reach=p["window_h"] - p["pad_top"], in_rows=p["in_h"], out_rows=p["out_h"],
        in_bytes=p["in_w"] * p["channels"], out_bytes=p["out_w"] * p["channels"], scratch=ring_bytes(call),
    )  # fmt: skip


def _head_start(rows: Axis, columns: Axis, channels: int) -> int:
    """How far the input must lie behind the output, so that no pixel overwrites what it or a later one reads.

    A later pixel of the same row reads from its own first column, the pixels of later rows from theirs.
    """
    written = np.arange(rows.out)[:, None] * columns.out + np.arange(columns.out)
    same_row = rows.first[:, None] * columns.size + columns.first
    later_rows = np.append(rows.first[1:], rows.size)[:, None] * columns.size
    return int(np.max(written - np.minimum(same_row, later_rows))) * channels


_CONSTRAINTS = (int8_activations, images, known_activation, sane_window)
RULES = tuple(Rule(kind, _CONSTRAINTS, lower_pool) for kind in _KERNELS)
