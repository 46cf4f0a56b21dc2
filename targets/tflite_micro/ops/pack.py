"""Weights, constants and scratch of the convolutions, for each variant."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from profiles.runner import Array
from targets.tflite_micro.calls import Const, Role, Value, Variant
from targets.tflite_micro.ops import pack_dsp, pack_mve
from targets.tflite_micro.ops.requant import reach

#: C files per kernel and variant; the header of the first one declares the kernel.
SOURCES: dict[Variant, dict[str, tuple[str, ...]]] = {
    "portable": {
        "ew_conv": ("ew_conv.c", "ew_ring.c", "ew_block.c"), "ew_pointwise": ("ew_pointwise.c", "ew_block.c"),
        "ew_conv_line": ("ew_conv_line.c", "ew_block.c"),
        "ew_depthwise": ("ew_depthwise.c", "ew_ring.c", "ew_lines.c"), "ew_dense": ("ew_dense.c",),
    },
    "dsp": {
        "ew_conv": ("ew_conv.c", "ew_ring.c", "ew_block_dsp.c", "ew_dot_dsp.c", "ew_finish_dsp.c"),
        "ew_pointwise": ("ew_pointwise.c", "ew_block_dsp.c", "ew_dot_dsp.c", "ew_finish_dsp.c"),
        "ew_conv_line": ("ew_conv_line.c", "ew_block_dsp.c", "ew_dot_dsp.c", "ew_finish_dsp.c"),
        "ew_depthwise": ("ew_depthwise.c", "ew_ring.c", "ew_lines_dsp.c", "ew_finish_dsp.c"),
        "ew_dense": ("ew_dense.c", "ew_dense_dsp.c", "ew_dot_dsp.c"),
    },
    "mve": {f"ew_{name}": files for name, files in pack_mve.SOURCES.items()},
}  # fmt: skip
#: EW_RING_SPARE of ew_ring.h, and EW_BLOCK of ew_block.h for DSP.
_SPARE, _BLOCK = 8, 4


def conv(weights: Array, groups: int, variant: Variant) -> Array:
    """OHWI weights of CONV_2D, int8, as the kernel reads them."""
    if variant == "mve":
        return pack_mve.conv(weights, groups)
    rows = window_rows(weights)
    if variant == "portable":
        return rows.reshape(-1)
    wide = is_wide(weights, groups, variant)
    return np.concatenate([pack_dsp.pairs(part, wide) for part in np.split(rows, groups)])


def window_rows(weights: Array) -> Array:
    """OHWI weights as one row per channel, values in the order of a window: (kernel_w, kernel_h, channel)."""
    return np.ascontiguousarray(weights.transpose(0, 2, 1, 3)).reshape(weights.shape[0], -1)


def is_wide(weights: Array, groups: int, variant: Variant) -> bool:
    """The member ``wide`` for OHWI weights."""
    return variant == "dsp" and any(pack_dsp.is_wide(part) for part in np.split(window_rows(weights), groups))


def depthwise(weights: Array, variant: Variant) -> Array:
    """HWC weights of DEPTHWISE_CONV_2D, int8, as the kernel reads them."""
    if variant == "mve":
        return pack_mve.depthwise(weights)
    rows = tap_rows(weights)
    return pack_dsp.taps(rows) if variant == "dsp" else rows.reshape(-1)


def tap_rows(weights: Array) -> Array:
    """HWC weights as one row per channel, taps in the order of a window: (kernel_w, kernel_h)."""
    return np.ascontiguousarray(weights.transpose(2, 1, 0)).reshape(weights.shape[2], -1)


def pointwise(weights: Array, variant: Variant) -> Array:
    """OI weights of CONV_2D with a 1x1 kernel."""
    if variant == "mve":
        return pack_mve.pointwise(weights)
    return _pairs(weights, long=True) if variant == "dsp" else np.ascontiguousarray(weights).reshape(-1)


def _pairs(weights: Array, long: bool) -> Array:
    return pack_dsp.pairs(weights, pack_dsp.is_wide(weights, long))


def dense(weights: Array, variant: Variant) -> Array:
    """OI weights of FULLY_CONNECTED."""
    if variant == "mve":
        return pack_mve.dense(weights)
    return _pairs(weights, long=False) if variant == "dsp" else np.ascontiguousarray(weights).reshape(-1)


def constants(rows: Array, bias: Array, multiplier: Array, shift: Array, variant: Variant) -> dict[str, Value]:
    """The members ``bias``, ``multiplier`` and ``shift`` of ``ew_conv_t``.

    Args:
        rows: int8 weights, one row per output channel.
        bias: folded, int32.
        multiplier, shift: of ``ew_requantize``, one per output channel.
    """
    if variant == "dsp":
        both, steps = pack_dsp.constants(bias, multiplier, shift, reach(rows, bias))
        return {"bias": Const(both, Role.REQUANT), "multiplier": None, "shift": Const(steps, Role.REQUANT, align=2)}
    return {
        "bias": Const(bias, Role.BIAS), "multiplier": Const(multiplier, Role.REQUANT),
        "shift": Const(shift, Role.REQUANT, align=1),
    }  # fmt: skip


def conv_scratch(params: Mapping[str, int], variant: Variant) -> int:
    """Bytes of scratch of ``ew_conv``."""
    if variant == "mve":
        return pack_mve.conv_scratch(params)
    cell = params["in_c"] // params["groups"]
    products = _products(cell * params["kernel_h"] * params["kernel_w"], params["out_w"], variant)
    return _up(_ring(params, params["groups"], cell), 16) + products


def depthwise_scratch(params: Mapping[str, int], variant: Variant) -> int:
    """Bytes of scratch of ``ew_depthwise``."""
    if variant == "mve":
        return pack_mve.depthwise_scratch(params)
    if variant == "portable":
        return _ring(params, params["in_c"], 1)
    taps = params["kernel_h"] * params["kernel_w"]
    return _up(_ring(params, params["in_c"], 2), 16) + taps // 2 * 4


def pointwise_scratch(params: Mapping[str, int], variant: Variant) -> int:
    """Bytes of scratch of ``ew_pointwise``."""
    if variant == "mve":
        return pack_mve.pointwise_scratch(params)
    whole = params["stride_h"] == params["stride_w"] == 1
    count = params["out_w"] * (params["out_h"] if whole else 1)
    return _products(params["in_c"], count, variant)


def line_scratch(params: Mapping[str, int], variant: Variant) -> int:
    """Bytes of scratch of ``ew_conv_line``."""
    depth = params["kernel_w"] * params["in_c"]
    return _up(depth, 16) + _products(depth, params["out_w"], variant)


def dense_scratch(params: Mapping[str, int], variant: Variant) -> int:
    """Bytes of scratch of ``ew_dense``."""
    return pack_mve.dense_scratch(params) if variant == "mve" else 0


def _products(depth: int, count: int, variant: Variant) -> int:
    """Bytes of scratch of ``ew_block`` for up to ``count`` windows."""
    if variant == "portable":
        return 2 * depth
    return 8 * (depth + 1) if count >= _BLOCK else depth


def _ring(params: Mapping[str, int], groups: int, cell: int) -> int:
    """Bytes of the planes of ``ew_ring.h``."""
    columns = (params["out_w"] - 1) * params["stride_w"] + (params["kernel_w"] - 1) * params["dilation_w"] + 1
    spare = min((params["out_h"] - 1) * params["stride_h"] // params["dilation_h"], _SPARE - 1)
    cells = -(-columns // params["dilation_w"]) * params["kernel_h"] + spare
    return params["dilation_h"] * groups * params["dilation_w"] * cells * cell


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
