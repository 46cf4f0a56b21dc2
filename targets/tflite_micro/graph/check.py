"""What must hold between the operators and the tensors of a graph, whatever the operators compute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.graph.parameters import UNARY
from targets.tflite_micro.graph.verify import Malformed

#: Numbers of inputs and outputs: least and most of each, and the inputs that may be left out with -1.
_MANY = 1 << 16
_MOST_ENDS = 1024
_ONE_TO_ONE = (
    *UNARY, "SHAPE", "AVERAGE_POOL_2D", "MAX_POOL_2D", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "READ_VARIABLE", "COPY",
)  # fmt: skip
_TWO_TO_ONE = (
    "ADD", "SUB", "MUL", "DIV", "MINIMUM", "MAXIMUM", "SQUARED_DIFFERENCE", "PRELU", "PAD", "MIRROR_PAD", "MEAN", "SUM",
    "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "TRANSPOSE", "EXPAND_DIMS", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR",
    "TILE", "BROADCAST_TO", "GATHER", "REVERSE_V2",
)  # fmt: skip
_ARITY: dict[str, tuple[int, int, int, int, frozenset[int]]] = {
    **dict.fromkeys(_ONE_TO_ONE, (1, 1, 1, 1, frozenset())),
    **dict.fromkeys(_TWO_TO_ONE, (2, 2, 1, 1, frozenset())),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"), (2, 3, 1, 1, frozenset({2}))),
    "TRANSPOSE_CONV": (3, 4, 1, 1, frozenset({3})),
    "RESHAPE": (1, 2, 1, 1, frozenset()),
    "SQUEEZE": (1, 1, 1, 1, frozenset()),
    "CONCATENATION": (1, _MANY, 1, 1, frozenset()),
    "PACK": (1, _MANY, 1, 1, frozenset()),
    "UNPACK": (1, 1, 1, _MANY, frozenset()),
    "SPLIT": (2, 2, 1, _MANY, frozenset()),
    "SPLIT_V": (3, 3, 1, _MANY, frozenset()),
    "SPACE_TO_BATCH_ND": (3, 3, 1, 1, frozenset()),
    "BATCH_TO_SPACE_ND": (3, 3, 1, 1, frozenset()),
    "PADV2": (3, 3, 1, 1, frozenset()),
    "SLICE": (3, 3, 1, 1, frozenset()),
    "STRIDED_SLICE": (4, 4, 1, 1, frozenset()),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (20, 24, 1, 1, frozenset({1, 5, 9, 10, 11, 12, 16, 17, 20, 21, 22, 23})),
    "SVDF": (5, 5, 1, 1, frozenset({3})),
    "VAR_HANDLE": (0, 0, 1, 1, frozenset()),
    "ASSIGN_VARIABLE": (2, 2, 0, 0, frozenset()),
    "CALL_ONCE": (0, 0, 0, 0, frozenset()),
}
_FIRST = (
    "CONV_2D", "DEPTHWISE_CONV_2D", "RESHAPE", "SQUEEZE", "UNPACK", "SPLIT_V", "SLICE", "STRIDED_SLICE",
    "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND",
)  # fmt: skip
#: Operators whose output has the type of these inputs (indices); "*" is all of them.
_SAME_TYPE: dict[str, tuple[int, ...] | str] = {
    **dict.fromkeys(set(_ONE_TO_ONE) - {"QUANTIZE", "DEQUANTIZE", "CAST", "SHAPE", "READ_VARIABLE"}, (0,)),
    **dict.fromkeys(_TWO_TO_ONE, (0,)),
    **dict.fromkeys(["ADD", "SUB", "MUL", "DIV", "MINIMUM", "MAXIMUM", "SQUARED_DIFFERENCE", "PRELU"], (0, 1)),
    **dict.fromkeys(_FIRST, (0,)),
    **dict.fromkeys(("FULLY_CONNECTED", "UNIDIRECTIONAL_SEQUENCE_LSTM", "SVDF"), (0,)),
    **dict.fromkeys(("CONCATENATION", "PACK"), "*"),
    "PADV2": (0, 2),
    "SPLIT": (1,),
    "TRANSPOSE_CONV": (2,),
}
#: Where the weights and the bias are.
_WEIGHTS = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1, "TRANSPOSE_CONV": 1}
_BIAS = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
_WEIGHT_TYPES = ("int8", "int4", "int2", "sparse int8")


def check(graph: Graph, main: bool = True) -> None:
    """Check tensor numbers, the order of execution, numbers of operands and types.

    ``main`` asks further that every output is computed by an operator.

    Raises:
        Malformed: what is wrong, in one sentence.
    """
    _check_io(graph)
    known = {key for key, tensor in graph.tensors.items() if tensor.constant or tensor.variable} | set(graph.inputs)
    for op in graph.ops:
        _check_operands(op, graph)
        for key in op.inputs:
            if key >= 0 and key not in known:
                raise Malformed(f"{op.kind} {op.index} reads '{graph.tensor(key).name}' before anything writes it")
        for key in op.outputs:
            if key in known or 0 in graph.tensor(key).shape:
                raise Malformed(
                    f"{op.kind} {op.index} writes '{graph.tensor(key).name}', which is an input, a constant, "
                    "a variable, empty, or the output of another operator"
                )
            known.add(key)
        _check_types(op, graph)
    computed = {key for op in graph.ops for key in op.outputs}
    for key in graph.outputs:
        if key not in (computed if main else known):
            raise Malformed(f"no operator computes the output '{graph.tensor(key).name}'")


def _check_io(graph: Graph) -> None:
    for what, keys in (("input", graph.inputs), ("output", graph.outputs)):
        if len(keys) > _MOST_ENDS:
            raise Malformed(f"the graph has {len(keys)} {what}s")
        for key in keys:
            if key not in graph.tensors:
                raise Malformed(f"an {what} of the graph is tensor {key}, and there are {len(graph.tensors)}")
    for key, times in Counter(graph.inputs).items():
        tensor = graph.tensor(key)
        if times > 1 or tensor.constant or tensor.variable:
            raise Malformed(f"the graph's input '{tensor.name}' is listed twice, a constant or a variable")


def _check_operands(op: Op, graph: Graph) -> None:
    least, most, least_out, most_out, optional = _ARITY.get(op.kind, (0, _MANY, 0, _MANY, None))
    if not least <= len(op.inputs) <= most or not least_out <= len(op.outputs) <= most_out:
        raise Malformed(f"{op.kind} {op.index} has {len(op.inputs)} inputs and {len(op.outputs)} outputs")
    for place, key in enumerate(op.inputs):
        if key not in graph.tensors and (key != -1 or (optional is not None and place not in optional)):
            raise Malformed(f"input {place} of {op.kind} {op.index} is tensor {key}, of {len(graph.tensors)}")
    for key in (*op.outputs, *op.options.get("intermediates", ())):
        if key not in graph.tensors:
            raise Malformed(f"{op.kind} {op.index} names tensor {key}, and there are {len(graph.tensors)}")


def _check_types(op: Op, graph: Graph) -> None:
    ins, outs = graph.ins(op), graph.outs(op)
    same = _SAME_TYPE.get(op.kind, ())
    chosen = ins if same == "*" else [ins[place] for place in same if isinstance(place, int)]
    types = {tensor.dtype for tensor in [*chosen, *(outs if same else ())] if tensor is not None}
    if len(types) > 1:
        raise Malformed(f"{op.kind} '{graph.name_of(op)}' mixes the types {', '.join(sorted(types))}")
    handles: dict[str, Sequence[Tensor | None]] = {"VAR_HANDLE": outs, "READ_VARIABLE": ins, "ASSIGN_VARIABLE": ins}
    handle = handles.get(op.kind)
    if handle and handle[0] is not None and handle[0].dtype != "resource":
        raise Malformed(f"{op.kind} {op.index} has a handle of type {handle[0].dtype}")
    if op.kind in _WEIGHTS and outs[0].dtype == "int8":
        _check_weights(op, ins[_WEIGHTS[op.kind]], ins[_BIAS[op.kind]] if len(ins) > _BIAS[op.kind] else None)


def _check_weights(op: Op, weights: Tensor | None, bias: Tensor | None) -> None:
    """An int8 convolution or dense layer has int8 weights (or packed ones, for others to name) and an int32 bias."""
    assert weights is not None
    if weights.dtype not in _WEIGHT_TYPES or (bias is not None and bias.dtype != "int32"):
        kinds = f"{weights.dtype} weights and {bias.dtype if bias else 'no'} bias"
        raise Malformed(f"{op.kind} {op.index} is int8 with {kinds}")
    axis = 3 if op.kind == "DEPTHWISE_CONV_2D" else 0
    scales = weights.quantization
    if scales and not scales.per_tensor and scales.axis != axis:
        raise Malformed(f"{op.kind} {op.index} has weights with scales along axis {scales.axis}, not {axis}")
