"""CONV_2D: constraints, and the calls of ``ew_conv`` and ``ew_pointwise``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from targets.tflite_micro.calls import Call, Const, In, Out, Role, Rule, Scratch, Variant
from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.ops import pack, pack_mve
from targets.tflite_micro.ops.common import int8_activations, known_activation
from targets.tflite_micro.ops.geometry import (
    Geometry,
    four_axes,
    geometry_of,
    head_start,
    image_members,
    matching_sizes,
    rows_of,
    small_windows,
)  # fmt: skip
from targets.tflite_micro.ops.requant import fold_bias, real_multipliers, rounded_twice
from targets.tflite_micro.ops.weights import bias_of, int8_weights, int32_bias, symmetric_weights, values_of, weights_of


def whole_groups(op: Op, graph: Graph) -> str:
    """The channels of the image and of the output are multiples of the number of groups."""
    image, weights = graph.ins(op)[0], weights_of(op, graph)
    assert image is not None
    in_c, out_c, cell = image.shape[3], weights.shape[0], weights.shape[3]
    return "" if in_c % cell == 0 and out_c % (in_c // cell) == 0 else f"{in_c} by {cell} channels, and {out_c}"


def pixel_head_start(image: Tensor, output: Tensor, stride: tuple[int, int]) -> int:
    """Where an output pixel is written once the input pixels up to its own are read: :func:`head_start` for that."""
    _, in_h, in_w, in_c = image.shape
    n, y, x = (np.arange(count) for count in output.shape[:3])
    start = (((n[:, None, None] * in_h + y[:, None] * stride[0]) * in_w + x * stride[1]) * in_c).reshape(-1)
    behind = np.arange(1, start.size) * output.shape[3] - start[1:]
    return int(behind.max(initial=-image.bytes))


def lower(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_conv``, or of ``ew_pointwise`` or ``ew_conv_line`` where the windows lie in the input itself."""
    image, output, weights = graph.ins(op)[0], graph.outs(op)[0], weights_of(op, graph)
    assert image is not None and weights.data is not None and weights.quantization is not None
    geometry, groups = geometry_of(op, graph), image.shape[3] // weights.shape[3]
    rows = pack.window_rows(weights.data)
    bias = fold_bias(rows, values_of(bias_of(op, graph)), image.zero_point)
    reals = real_multipliers(image.scale, weights.quantization.scale, output.scale)
    members = image_members(op, graph, groups=groups, wide=pack.is_wide(weights.data, groups, variant))
    function, members, overlap, scratch = _kernel(image, output, geometry, members, variant)
    single = function == "ew_pointwise"
    packed = pack.pointwise(rows, variant) if single else pack.conv(weights.data, groups, variant)
    params = {
        "weights": Const(packed, Role.WEIGHTS),
        **pack.constants(rows, bias, *rounded_twice(reals, output.shape[3]), variant),
        **members,
    }
    by_rows = None if function == "ew_conv_line" else rows_of(function, image, output, geometry, ring=not single)
    return Call(
        function, params, (In(image.index), Out(output.index), Scratch()), scratch=scratch,
        overlap={image.index: overlap}, rows=by_rows, sources=pack.SOURCES[variant][function],
        macs=output.elements * rows.shape[1],
    )  # fmt: skip


def _kernel(
    image: Tensor, output: Tensor, geometry: Geometry, members: dict[str, Any], variant: Variant
) -> tuple[str, dict[str, Any], int, int]:
    """Name of the kernel, members of its struct, how far the output must stay behind the input, bytes of scratch."""
    plain = members["groups"] == 1 and geometry.pad == (0, 0) and _inside(image, output, geometry)
    if geometry.kernel == (1, 1) and plain:
        mve = variant == "mve"
        start = pack_mve.pointwise_head_start(members) if mve else pixel_head_start(image, output, geometry.stride)
        return "ew_pointwise", members, start, pack.pointwise_scratch(members, variant)
    if variant != "mve" and members["groups"] == 1:
        for axis, lying in enumerate((members, _turned(members))):
            if _is_line(image, output, geometry, axis):
                return "ew_conv_line", lying, line_head_start(lying), pack.line_scratch(lying, variant)
    return "ew_conv", members, head_start(image, output, geometry), pack.conv_scratch(members, variant)


def _is_line(image: Tensor, output: Tensor, geometry: Geometry, axis: int) -> bool:
    """Whether image and kernel are one pixel along an axis, and the kernel is not dilated along the other."""
    thin = image.shape[1 + axis] == output.shape[1 + axis] == geometry.kernel[axis] == 1 and geometry.pad[axis] == 0
    return thin and geometry.dilation[1 - axis] == 1


def _turned(members: dict[str, Any]) -> dict[str, Any]:
    """An image one pixel wide as one that is one pixel high: the same bytes."""
    names = ("in", "out", "kernel", "stride", "dilation")
    other = {f"{name}_{a}": f"{name}_{b}" for name in names for a, b in ("hw", "wh")}
    other |= {"pad_top": "pad_left", "pad_left": "pad_top"}
    return {name: members[other.get(name, name)] for name in members}


def line_head_start(p: Mapping[str, int]) -> int:
    """:func:`head_start` of ``ew_conv_line``: a window is read before its outputs are written.

    Args:
        p: members of its struct.
    """
    x, n = np.arange(p["out_w"]), np.arange(p["batch"])[:, None]
    first = (n * p["in_w"] + np.clip(x * p["stride_w"] - p["pad_left"], 0, p["in_w"])) * p["in_c"]
    behind = np.arange(1, first.size) * p["out_c"] - first.reshape(-1)[1:]
    return int(behind.max(initial=-p["batch"] * p["in_w"] * p["in_c"]))


def _inside(image: Tensor, output: Tensor, geometry: Geometry) -> bool:
    """Whether no pixel of the output reads padding behind the image."""
    return all((output.shape[1 + i] - 1) * geometry.stride[i] < image.shape[1 + i] for i in (0, 1))


RULES = (
    Rule(
        "CONV_2D",
        (
            int8_activations, known_activation, four_axes, int8_weights, symmetric_weights, int32_bias,
            whole_groups, small_windows, matching_sizes,
        ),
        lower,
    ),
)  # fmt: skip
