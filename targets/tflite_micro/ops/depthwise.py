"""DEPTHWISE_CONV_2D: constraints, and the call of ``ew_depthwise``."""

from __future__ import annotations

from targets.tflite_micro.calls import Call, Const, In, Out, Role, Rule, Scratch, Variant
from targets.tflite_micro.graph.ir import Graph, Op
from targets.tflite_micro.ops import pack
from targets.tflite_micro.ops.common import int8_activations, known_activation
from targets.tflite_micro.ops.geometry import (
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


def whole_multiplier(op: Op, graph: Graph) -> str:
    """Every channel of the image has the same number of output channels."""
    image, weights = graph.ins(op)[0], weights_of(op, graph)
    assert image is not None
    fits = weights.shape[0] == 1 and weights.shape[3] % image.shape[3] == 0
    return "" if fits else f"weights {weights.shape} for {image.shape[3]} channels"


def lower(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_depthwise``."""
    image, output, weights = graph.ins(op)[0], graph.outs(op)[0], weights_of(op, graph)
    assert image is not None and weights.data is not None and weights.quantization is not None
    geometry = geometry_of(op, graph)
    rows = pack.tap_rows(weights.data[0])
    bias = fold_bias(rows, values_of(bias_of(op, graph)), image.zero_point)
    reals = real_multipliers(image.scale, weights.quantization.scale, output.scale)
    members = image_members(op, graph, groups=1, wide=False)
    params = {
        "weights": Const(pack.depthwise(weights.data[0], variant), Role.WEIGHTS),
        **pack.constants(rows, bias, *rounded_twice(reals, output.shape[3]), variant),
        **members,
    }
    return Call(
        "ew_depthwise", params, (In(image.index), Out(output.index), Scratch()),
        scratch=pack.depthwise_scratch(members, variant), overlap={image.index: head_start(image, output, geometry)},
        rows=rows_of("ew_depthwise", image, output, geometry), sources=pack.SOURCES[variant]["ew_depthwise"],
        macs=output.elements * rows.shape[1],
    )  # fmt: skip


RULES = (
    Rule(
        "DEPTHWISE_CONV_2D",
        (
            int8_activations, known_activation, four_axes, int8_weights, symmetric_weights, int32_bias,
            whole_multiplier, small_windows, matching_sizes,
        ),
        lower,
    ),
)  # fmt: skip
