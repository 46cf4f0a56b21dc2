"""Operators that OpenVINO 2026.4 computes wrongly in int8, or not in int8; they stay in float, and ``support`` says so.

Each constraint is a function whose docstring is the sentence that users read. The wrong ones were found by
comparing int8 kernels with the same graph run in float (``LP_TRANSFORMS_MODE`` off), which differ where
the input has a zero point: around the pool's edges, and all over such a convolution. Products without a bias give
numbers beyond all bounds where their output is quantized too; low-rank pairs of linear layers are such products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


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


def product_without_bias(node: Any) -> bool:
    """Stays in fp32: in int8, matrix products without a bias are wrong if int8 follows them."""
    if node.get_type_name() != "MatMul" or _rank(node.input(0)) != 2 or _is_computed(node.input(1)):
        return False
    return not all(reader.get_type_name() == "Result" or _adds_bias(reader) for reader in _readers(node))


def _rank(given: Any) -> int:
    return int(given.get_partial_shape().rank.get_length())


def _readers(node: Any) -> list[Any]:
    """The nodes behind one; what ONNX's Gemm scales by, and the zeros that it adds for a bias, is passed over."""
    readers = [given.get_node() for given in node.output(0).get_target_inputs()]
    idle = [reader for reader in readers if _is_idle(reader)]
    return [reader for reader in readers if reader not in idle] + [one for reader in idle for one in _readers(reader)]


def _is_idle(node: Any) -> bool:
    kind, known = node.get_type_name(), _constants(node)
    return bool(known) and (kind == "Multiply" or (kind == "Add" and not any(values.any() for values in known)))


def _adds_bias(node: Any) -> bool:
    """Whether it adds constants that are not all equal: a single number is no bias to the kernels."""
    return node.get_type_name() == "Add" and any(np.ptp(values) > 0 for values in _constants(node))


def _constants(node: Any) -> list[Any]:
    """The values among a node's inputs that are known, products of constants included."""
    found = []
    for given in node.inputs():
        source = given.get_source_output().get_node()
        if source.get_type_name() == "Constant":
            found.append(source.get_data())
        elif source.get_type_name() == "Multiply" and len(factors := _constants(source)) == 2:
            found.append(factors[0] * factors[1])
    return found


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
    product_without_bias,
    computed_weights,
)


def reason(node: Any) -> str:
    """Why a node stays in float when its network is quantized; empty when it does not."""
    return next((str(constraint.__doc__).rstrip(".") for constraint in CONSTRAINTS if constraint(node)), "")


def left_in_float(model: Any) -> list[str]:
    """Names of all nodes that must not be quantized."""
    return [node.get_friendly_name() for node in model.get_ordered_ops() if reason(node)]
