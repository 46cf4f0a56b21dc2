"""CONV_2D: constraints, and the calls of ``ew_conv`` and ``ew_pointwise``."""

from __future__ import annotations

from collections.abc import Mapping

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
    """The call of ``ew_pointwise`` where the kernel is a single pixel, else of ``ew_conv``."""
    image, output, weights = graph.ins(op)[0], graph.outs(op)[0], weights_of(op, graph)
    assert image is not None and weights.data is not None and weights.quantization is not None
    geometry, groups = geometry_of(op, graph), image.shape[3] // weights.shape[3]
    single = geometry.kernel == (1, 1) and geometry.pad == (0, 0) and groups == 1 and _inside(image, output, geometry)
    rows = pack.window_rows(weights.data)
    bias = fold_bias(rows, values_of(bias_of(op, graph)), image.zero_point)
    reals = real_multipliers(image.scale, weights.quantization.scale, output.scale)
    members = image_members(op, graph, groups=groups, wide=pack.is_wide(weights.data, groups, variant))
    packed = pack.pointwise(rows, variant) if single else pack.conv(weights.data, groups, variant)
    function = "ew_pointwise" if single else "ew_conv"
    params = {
        "weights": Const(packed, Role.WEIGHTS),
        **pack.constants(rows, bias, *rounded_twice(reals, output.shape[3]), variant),
        **members,
    }
    return Call(
        function, params, (In(image.index), Out(output.index), Scratch()),
        scratch=pack.pointwise_scratch(members, variant) if single else pack.conv_scratch(members, variant),
        overlap={image.index: _overlap(image, output, geometry, members if single else None, variant)},
        rows=rows_of(function, image, output, geometry, ring=not single), sources=pack.SOURCES[variant][function],
        macs=output.elements * rows.shape[1],
    )  # fmt: skip


def _overlap(
    image: Tensor, output: Tensor, geometry: Geometry, pointwise: Mapping[str, int] | None, variant: Variant
) -> int:
    """How far the output must stay behind the input; ``pointwise``: the parameters of a kernel without a ring."""
    if pointwise is None:
        return head_start(image, output, geometry)
    if variant == "mve":
        return pack_mve.pointwise_head_start(pointwise)
    return pixel_head_start(image, output, geometry.stride)


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
