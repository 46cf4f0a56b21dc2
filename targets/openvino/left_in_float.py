"""Operators that OpenVINO 2026.4 computes wrongly in int8, or not in int8; they stay in float, and ``support`` says so.

Each constraint is a function whose docstring is the sentence that users read. The wrong ones were found by
comparing int8 kernels with the same graph run in float (``LP_TRANSFORMS_MODE`` off), which differ where
the input has a zero point: around the pool's edges, and all over such a convolution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def average_counts_padding(node: Any) -> bool:
    """Stays in fp32: in int8, average pools that count their padding are wrong at the edges."""
    if node.get_type_name() != "AvgPool":
        return False
    given = node.get_attributes()
    return not given["exclude-pad"] and any([*given["pads_begin"], *given["pads_end"]])


def several_outputs_of_one_channel(node: Any) -> bool:
    """Stays in fp32: in int8, convolutions with several outputs for each single input channel are wrong."""
    if node.get_type_name() != "GroupConvolution":
        return False
    _, outputs, inputs = list(node.input(1).get_partial_shape().to_shape())[:3]
    return bool(inputs == 1 and outputs > 1)


def computed_weights(node: Any) -> bool:
    """Stays in fp32: there are no int8 kernels for convolutions whose weights are computed."""
    return node.get_type_name() in ("Convolution", "GroupConvolution") and _is_computed(node.input(1))


def _is_computed(given: Any) -> bool:
    """Whether an input depends on those of the network."""
    node = given.get_source_output().get_node()
    return node.get_type_name() == "Parameter" or any(_is_computed(one) for one in node.inputs())


CONSTRAINTS: tuple[Callable[[Any], bool], ...] = (
    average_counts_padding,
    several_outputs_of_one_channel,
    computed_weights,
)


def reason(node: Any) -> str:
    """Why a node stays in float when its network is quantized; empty when it does not."""
    return next((str(constraint.__doc__).rstrip(".") for constraint in CONSTRAINTS if constraint(node)), "")


def left_in_float(model: Any) -> list[str]:
    """Names of all nodes that must not be quantized."""
    return [node.get_friendly_name() for node in model.get_ordered_ops() if reason(node)]
