"""MINIMUM and MAXIMUM of int8 tensors."""

from __future__ import annotations

import dataclasses

import numpy as np

from targets.tflite_micro.calls import Call, Rule, Variant
from targets.tflite_micro.graph.ir import Graph, Op
from targets.tflite_micro.ops.broadcast import (
    binary_call,
    int8_operands,
    one_constant,
    operands,
    ordered,
    shapes_broadcast,
)
from targets.tflite_micro.ops.lut import byte_call, every_value


def one_quantization(op: Op, graph: Graph) -> str:
    """Operands and output have one scale and zero point, as bytes are compared."""
    found = {(tensor.scale, tensor.zero_point) for tensor in operands(op, graph)}
    return "" if len(found) == 1 else ", ".join(f"{scale:g} and {zero}" for scale, zero in sorted(found))


def lower(op: Op, graph: Graph, variant: Variant) -> Call:
    """A limit where one operand is a single constant, else a comparison."""
    a, b, out = operands(op, graph)
    pick = np.minimum if op.kind == "MINIMUM" else np.maximum
    if one_constant(op, graph):
        x, y = (every_value() if t.data is None else t.data.ravel().astype(np.int64) for t in (a, b))
        return byte_call(b if a.constant else a, out, pick(x, y))
    function = f"ew_{op.kind.lower()}"
    call = binary_call(f"{function}_broadcast", ordered(op, graph), out, {}, flat=function)
    return dataclasses.replace(call, sources=("ew_minmax.c", "ew_broadcast.c"))


_CONSTRAINTS = (int8_operands, shapes_broadcast, one_quantization)
RULES = tuple(Rule(kind, _CONSTRAINTS, lower) for kind in ("MINIMUM", "MAXIMUM"))
