"""What the hardware can hold: sizes of kernels, rows, memories. One function per constraint, as ``checks.py`` says."""

from __future__ import annotations

import numpy as np

from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.partition.composite import Composite
from targets.tvm_fpga.partition.forms import first, shapes_of
from targets.tvm_fpga.partition.window import hwc, is_depthwise, window_of

_KERNEL, _STEP, _SIZE, _LEFT = 63, 7, 1023, 64


def kernel_size(op: Composite, geometry: Geometry) -> str:
    """Kernels have at most 63 rows and 63 columns."""
    kernel = window_of(op).kernel
    return f"{kernel[0]} x {kernel[1]}" if max(kernel) > _KERNEL else ""


def steps(op: Composite, geometry: Geometry) -> str:
    """Strides and dilations are at most 7."""
    window = window_of(op)
    most = max(*window.stride, *window.dilation)
    return str(most) if most > _STEP else ""


def image_size(op: Composite, geometry: Geometry) -> str:
    """Tensors have at most 1023 rows and 1023 columns."""
    shapes = map(hwc, shapes_of(op))
    return first(f"{rows} x {columns}" for rows, columns, _ in shapes if max(rows, columns) > _SIZE)


def channels(op: Composite, geometry: Geometry) -> str:
    """Rows and positions are so short that an instruction can hold the steps from one to the next."""
    (_, columns, count), (_, out_columns, out_count) = (hwc(shape) for shape in (op.operands[0].shape, op.out_shape))
    tiles, out_tiles, window = _tiles(count, geometry), _tiles(out_count, geometry), window_of(op)
    down, right = (max(window.stride[at], window.dilation[at]) for at in (0, 1))
    limits = (
        (tiles, 1 << 10),
        (out_tiles, 1 << 10),
        (right * tiles, 1 << 14),
        (down * columns * tiles, 1 << 20),
        (out_columns * out_tiles, 1 << 16),
    )
    return f"{count} channels to {out_count}" if any(value >= limit for value, limit in limits) else ""


def left_padding(op: Composite, geometry: Geometry) -> str:
    """Padding on the left is at most 64."""
    padding = window_of(op).padding[1]
    return str(padding) if padding > _LEFT else ""


def sums(op: Composite, geometry: Geometry) -> str:
    """Sums of products fit into 32 bits."""
    window = window_of(op)
    if op.weights_quant is None:
        most = 256 * 127 * window.kernel[0] * window.kernel[1] + _largest_bias(op)
    else:
        assert op.weights is not None
        moved = np.abs(op.weights.astype(np.int64) - op.weights_quant.zero.astype(np.int64).reshape(-1)[0])
        outputs = moved.reshape(len(moved), -1).sum(1) if op.kind == "conv2d" else moved.sum(0)
        most = 256 * int(outputs.max()) + _largest_bias(op)
    return f"up to {most}" if most >= 1 << 31 else ""


def _largest_bias(op: Composite) -> int:
    if op.bias is None:
        return 0
    quant, factors = op.weights_quant, np.abs(op.weights) if op.weights is not None else np.ones(1)
    smallest = float(quant.scale.min() if quant else factors[factors > 0].min(initial=factors.max()) / 127)
    steps = smallest * op.operands[0].quant.step
    return int(min(np.abs(op.bias).max() / steps, 2.0**62))


def weights_fit(op: Composite, geometry: Geometry) -> str:
    """The weights between as many inputs and outputs as there are lanes fit into the weight memory."""
    taps = window_of(op).kernel[0] * window_of(op).kernel[1]
    dense = op.kind in ("conv2d", "dense") and not is_depthwise(op)
    rows = taps * geometry.lanes if dense else max(taps, geometry.passes * geometry.lanes)
    return f"{rows} of {geometry.weights} rows" if rows > geometry.weights else ""


def activations_fit(op: Composite, geometry: Geometry) -> str:
    """What one row of the result needs, and the row, fit into the activation memory twice; once if there is one row."""
    rows = min(window_of(op).needs((1, 1))[0], hwc(op.operands[0].shape)[0])
    pitches = [columns * _tiles(count, geometry) for _, columns, count in map(hwc, shapes_of(op))]
    turns = min(2, hwc(op.out_shape)[0])
    vectors = turns * (rows * pitches[0] + sum(pitches[1:]))
    if op.kind == "concat":  # several layers write the result: it stays on the chip as a whole
        vectors = hwc(op.out_shape)[0] * pitches[-1] + turns * sum(pitches[:-1])
    if vectors <= geometry.activations:
        return ""
    return f"{vectors * geometry.lanes} of {geometry.activations * geometry.lanes} B"


def _tiles(count: int, geometry: Geometry) -> int:
    return -(-count // geometry.lanes)
