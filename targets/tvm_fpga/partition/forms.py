"""What an operator must look like: shapes, types, scales, axes. One function per constraint, as ``checks.py`` says."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from profiles.runner import Array
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.partition.composite import Composite, Quant
from targets.tvm_fpga.partition.fixed_point import FACTOR_MOST
from targets.tvm_fpga.partition.window import hwc, window_of

_INT8 = ("int8", "uint8")


def batch_of_one(op: Composite, geometry: Geometry) -> str:
    """Tensors have the form (1, C, H, W) or (1, C)."""
    return first(str(shape) for shape in shapes_of(op) if len(shape) not in (2, 4) or shape[0] != 1)


def eight_bits(op: Composite, geometry: Geometry) -> str:
    """Inputs, weights and results are stored in 8 bits."""
    return first(quant.dtype for quant in _quants(op) if quant.dtype not in _INT8)


def per_tensor(op: Composite, geometry: Geometry) -> str:
    """Inputs and results have one scale and one zero point for the whole tensor."""
    quants = [*(operand.quant for operand in op.operands), op.out]
    return first(f"{max(quant.scale.size, quant.zero.size)} scales" for quant in quants if not quant.per_tensor)


def symmetric_weights(op: Composite, geometry: Geometry) -> str:
    """The weights' zero point is 0, or 128 where they are stored as uint8."""
    if op.weights_quant is None:
        return ""
    return first(f"{zero}" for zero in op.weights_quant.zeros if zero)


def scales_per_output(op: Composite, geometry: Geometry) -> str:
    """Weights have one scale, or one per output."""
    quant = op.weights_quant
    if quant is None or quant.scale.size == 1:
        return ""
    assert op.weights is not None
    output_axis = 0 if op.kind == "conv2d" else 1
    fits = quant.axis % op.weights.ndim == output_axis and quant.scale.size == op.weights.shape[output_axis]
    return "" if fits else f"{quant.scale.size} scales along axis {quant.axis}"


def constant_weights(op: Composite, geometry: Geometry) -> str:
    """Weights are constants of two axes (dense) or four (convolution)."""
    rank = {"conv2d": 4, "dense": 2}.get(op.kind)
    if rank is None:
        return ""
    return "computed weights" if op.weights is None else "" if op.weights.ndim == rank else f"{op.weights.ndim} axes"


def bias_per_output(op: Composite, geometry: Geometry) -> str:
    """A constant that is added or multiplied by is one number, or one per output."""
    given = [op.bias, op.weights if op.kind == "scale" else None]
    return first(seen for each in given if each is not None and (seen := _one_per_output(each, op.out_shape)))


def _one_per_output(values: Array, shape: tuple[int, ...]) -> str:
    try:
        full = np.broadcast_to(values, shape)
    except ValueError:
        return f"shape {values.shape}"
    channels = np.moveaxis(full, 1, 0).reshape(full.shape[1], -1)
    return "" if (channels == channels[:, :1]).all() else f"shape {values.shape}"


def layout(op: Composite, geometry: Geometry) -> str:
    """Convolutions and pools have the channels second."""
    attrs = op.core.attrs
    names = [str(getattr(attrs, name)) for name in ("data_layout", "layout") if hasattr(attrs, name)]
    return first(name for name in names if name != "NCHW")


def whole_windows(op: Composite, geometry: Geometry) -> str:
    """Averages are over windows that lie inside of the input, or count its padding."""
    if op.kind != "average" or op.core.op.name == "relax.mean":
        return ""
    window, (rows, columns, _) = window_of(op), hwc(op.operands[0].shape)
    if any(window.padding) and not op.core.attrs.count_include_pad:
        return "padding that is not counted"
    return _overhang(op, rows, columns)


def _overhang(op: Composite, rows: int, columns: int) -> str:
    window = window_of(op)
    need = window.needs(hwc(op.out_shape)[:2])
    top, left, bottom, right = window.padding
    return "windows over the edge" if need[0] > rows + top + bottom or need[1] > columns + left + right else ""


def spatial_mean(op: Composite, geometry: Geometry) -> str:
    """Means are over rows and columns."""
    if op.core.op.name != "relax.mean":
        return ""
    axes = op.core.attrs.axis
    rank = len(op.operands[0].shape)
    given = sorted(int(axis) % rank for axis in axes) if axes is not None else []
    return "" if rank == 4 and given == [2, 3] else f"axes {given or 'all'} of {rank}"


def same_shapes(op: Composite, geometry: Geometry) -> str:
    """Tensors that are added have the same shape, and both are computed."""
    if op.kind != "add":
        return ""
    shapes = [operand.shape for operand in op.operands]
    return "" if len(shapes) == 2 and shapes[0] == shapes[1] else " + ".join(map(str, shapes))


def joined_channels(op: Composite, geometry: Geometry) -> str:
    """Tensors are joined along their channels, and all are computed."""
    if op.kind != "concat":
        return ""
    rank = len(op.out_shape)
    axis = int(op.core.attrs.axis) % rank
    total = sum(operand.shape[1] for operand in op.operands)
    return "" if axis == 1 and total == op.out_shape[1] else f"axis {axis}"


def flattened(op: Composite, geometry: Geometry) -> str:
    """The input of a dense layer is a whole tensor, flattened."""
    if op.kind != "dense" or op.weights is None:
        return ""
    size = int(np.prod(op.operands[0].shape))
    rows = op.weights.shape[0]
    return "" if size == rows and len(op.out_shape) == 2 else f"{size} values for {rows} rows of weights"


def factors(op: Composite, geometry: Geometry) -> str:
    """Scales are positive, and the result's is not less than 2^-15 of the sum's."""
    given = [quant.scale for quant in _quants(op)]
    if not all((scale > 0).all() for scale in given):
        return f"a scale of {min(float(scale.min()) for scale in given):g}"
    real = np.abs(op.weights) if op.kind == "scale" and op.weights is not None else np.ones(1)
    weights = op.weights_quant.scale if op.weights_quant else real
    most = max(operand.quant.step for operand in op.operands) * float(weights.max()) / op.out.step
    return f"a factor of {most:g}" if not 0 < most < FACTOR_MOST / 2 else ""


def _quants(op: Composite) -> list[Quant]:
    return [*(operand.quant for operand in op.operands), op.out, *([op.weights_quant] if op.weights_quant else [])]


def shapes_of(op: Composite) -> list[tuple[int, ...]]:
    """Of all inputs, then of the result."""
    return [*(operand.shape for operand in op.operands), op.out_shape]


def first(found: Iterable[str]) -> str:
    """The first of some texts, or an empty one."""
    return next(iter(found), "")
