"""Weights and scratch of the convolutions for Armv8.1-M's vector extension, as ``kernels/cortex_m`` wants them.

``params`` is always the mapping of the integer members of ``ew_conv_t`` (``ew_dense_t``) to their values.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from profiles.runner import Array

#: EW_MVE_BLOCK of ew_mve.h: pixels that are read before the first of them is overwritten.
BLOCK = 36
#: Bytes of EW_MVE_SUMS int32 values.
_SUMS = 4 * 4 * BLOCK
#: EW_MVE_RING_SPARE of ew_mve_ring.h, and bytes that are read behind a depthwise window.
_SPARE, _BEHIND = 8, 15
#: The C files of each kernel; the first one's header declares it.
SOURCES = {
    "conv": ("ew_conv.c", "ew_conv_mve.c", "ew_mve_ring.c", "ew_mve_product.c"),
    "depthwise": ("ew_depthwise.c", "ew_depthwise_mve.c", "ew_mve_ring.c"),
    "pointwise": ("ew_pointwise.c", "ew_pointwise_mve.c", "ew_mve_product.c"),
    "dense": ("ew_dense.c", "ew_dense_mve.c"),
}


def conv(weights: Array, groups: int) -> Array:
    """OHWI weights in the order of a window: OWHI. ``groups`` changes nothing."""
    return np.ascontiguousarray(weights.transpose(0, 2, 1, 3)).reshape(-1)


def depthwise(weights: Array) -> Array:
    """HWC weights as a run per channel, in the order of a window: CWH."""
    return np.ascontiguousarray(weights.transpose(2, 1, 0)).reshape(-1)


def pointwise(weights: Array) -> Array:
    """OI weights, as they are."""
    return np.ascontiguousarray(weights).reshape(-1)


def dense(weights: Array) -> Array:
    """OI weights, as they are."""
    return np.ascontiguousarray(weights).reshape(-1)


def conv_scratch(params: Mapping[str, int]) -> int:
    """Bytes of scratch of ``ew_conv``."""
    return _SUMS + _ring(params, params["in_c"] // params["groups"], params["groups"])


def depthwise_scratch(params: Mapping[str, int]) -> int:
    """Bytes of scratch of ``ew_depthwise``."""
    return 16 * params["out_w"] + _ring(params, 1, params["in_c"]) + _BEHIND


def pointwise_scratch(params: Mapping[str, int]) -> int:
    """Bytes of scratch of ``ew_pointwise``."""
    return _SUMS


def pointwise_head_start(params: Mapping[str, int]) -> int:
    """The smallest ``address(input) - address(output)`` of ``ew_pointwise``: the pixels of a block are read until its
    last output was written.
    """
    batch, in_c, out_c = params["batch"], params["in_c"], params["out_c"]
    n, y, x = (np.arange(count) for count in (batch, params["out_h"], params["out_w"]))
    rows = n[:, None, None] * params["in_h"] + y[:, None] * params["stride_h"]
    read = ((rows * params["in_w"] + x * params["stride_w"]) * in_c).reshape(-1)
    run = read.size if params["stride_h"] == params["stride_w"] == 1 else params["out_w"]
    pixel = np.arange(read.size)
    first = pixel - pixel % run % BLOCK  # of the block
    return int(((pixel + 1) * out_c - read[first]).max())


def dense_scratch(params: Mapping[str, int]) -> int:
    """Bytes of scratch of ``ew_dense``: none."""
    return 0


def _ring(params: Mapping[str, int], cell: int, groups: int) -> int:
    """Bytes of a ring: a pixel of padding, and the planes."""
    columns = (params["out_w"] - 1) * params["stride_w"] + (params["kernel_w"] - 1) * params["dilation_w"] + 1
    rows = (params["out_h"] - 1) * params["stride_h"] // params["dilation_h"]
    plane = (-(-columns // params["dilation_w"]) * params["kernel_h"] + min(rows, _SPARE - 1)) * cell
    return -(-params["in_c"] // 4) * 4 + params["dilation_h"] * params["dilation_w"] * groups * plane
