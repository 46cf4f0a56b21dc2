"""TABLE, which :mod:`~targets.tflite_micro.graph.islands` puts where a quantizer left functions in float."""

from __future__ import annotations

import numpy as np

from targets.tflite_micro.calls import Call, Rule, Variant, one_int8
from targets.tflite_micro.graph.ir import Graph, Op
from targets.tflite_micro.ops.lut import byte_call


def of_bytes(op: Op, graph: Graph) -> str:
    """Input and output are int8 tensors of one shape."""
    source, target = graph.tensor(op.inputs[0]), graph.outs(op)[0]
    same = one_int8(source) and one_int8(target) and source.shape == target.shape
    return "" if same else f"{source.dtype} {source.shape} to {target.dtype} {target.shape}"


def lower(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call with the fewest bytes of flash."""
    values = np.array(op.options["values"], np.int64)  # -128 first; the kernels count bytes from 0
    return byte_call(graph.tensor(op.inputs[0]), graph.outs(op)[0], np.roll(values, 128))


RULES = (Rule("TABLE", (of_bytes,), lower),)
