"""For tests of the graph passes: graphs back to files, and what LiteRT says of shapes and values."""

from __future__ import annotations

import dataclasses
import re

import harness
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from harness import reference, tensor, tiny

from targets.tflite_micro.graph.ir import Graph, Op
from targets.tflite_micro.graph.read import parse_graph

for _kind in (
    "SHAPE",
    "SPACE_TO_DEPTH",
    "DEPTH_TO_SPACE",
    "BATCH_TO_SPACE_ND",
    "SPACE_TO_BATCH_ND",
    "TILE",
    "REVERSE_V2",
):
    harness._VERSIONS.setdefault(_kind, 1)
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
RELU, RELU6 = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.RELU6
SLIDE = {"strideH": 1, "strideW": 1, "padding": VALID}
_ENUMS = {
    "padding": schema.Padding,
    "fused_activation_function": schema.ActivationFunctionType,
    "weights_format": schema.FullyConnectedOptionsWeightsFormat,
    "mode": schema.MirrorPadMode,
    "quantized_bias_type": schema.TensorType,
    "in_data_type": schema.TensorType,
    "out_data_type": schema.TensorType,
    "out_type": schema.TensorType,
}


def q8(shape, scale=0.5, zero_point=3, **rest):
    """An int8 tensor."""
    return tensor(shape, "int8", scale, zero_point, **rest)


def f32(shape, **rest):
    """A float32 tensor."""
    return tensor(shape, "float32", **rest)


def weights(*shape, seed=0):
    """Random int8 weights."""
    return tensor(shape, "int8", 0.02, 0, data=np.random.default_rng(seed).integers(-127, 128, shape))


def kinds(graph: Graph) -> list[str]:
    """The kinds of the operators, in order."""
    return [op.kind for op in graph.ops]


def ints(*values, shape=None):
    """A constant of int32."""
    return tensor((len(values),) if shape is None else shape, "int32", data=list(values))


def file(ops, tensors, inputs, outputs) -> bytes:
    """As :func:`harness.tiny`, with biases of 1, 2, 3, ... for convolutions that have none, which LiteRT wants."""
    tensors, made = list(tensors), []
    for kind, ins, outs, options in ops:
        if kind in ("CONV_2D", "DEPTHWISE_CONV_2D") and len(ins) == 2:
            count = tensors[outs[0]]["shape"][3]
            tensors.append(tensor((count,), "int32", 0.01, data=np.arange(1, count + 1)))
            ins = [*ins, len(tensors) - 1]  # noqa: PLW2901
        made.append((kind, ins, outs, options))
    return tiny(made, tensors, inputs, outputs)


def litert_shapes(model: bytes) -> list[tuple[int, ...]] | None:
    """The shapes that LiteRT derives for the outputs; None where it refuses the file."""
    try:
        interpreter = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError):
        return None
    return [tuple(int(size) for size in detail["shape"]) for detail in interpreter.get_output_details()]


def main_graph(model: bytes) -> Graph:
    """The graph of a file, checked and not simplified."""
    return parse_graph(model, "test").main


def to_file(graph: Graph) -> bytes:
    """A graph as a TFLite file; an explicit padding becomes a PAD operator again."""
    graph = _without_explicit_padding(graph)
    places = {key: place for place, key in enumerate(sorted(graph.tensors))}
    tensors = []
    for key in sorted(graph.tensors):
        one = graph.tensors[key]
        scale, zero, axis = None, 0, 0
        if one.quantization is not None:
            scale, zero, axis = list(one.quantization.scale), list(one.quantization.zero_point), one.quantization.axis
        data = None if one.variable else one.data
        tensors.append(
            tensor(one.shape, one.dtype, scale, zero, data=data, axis=axis, variable=one.variable, name=one.name)
        )
    ops = [
        (op.kind, [places.get(key, -1) for key in op.inputs], [places[key] for key in op.outputs], _options(op, graph))
        for op in graph.ops
    ]
    return tiny(ops, tensors, [places[key] for key in graph.inputs], [places[key] for key in graph.outputs])


def _options(op: Op, graph: Graph):
    places = {key: place for place, key in enumerate(sorted(graph.tensors))}
    made = {"newShape": graph.outs(op)[0].shape} if op.kind == "RESHAPE" else {}
    for name, value in op.options.items():
        if value is None:
            continue
        number = (
            vars(_ENUMS[name])[next(k for k in vars(_ENUMS[name]) if k.lower() == value)] if name in _ENUMS else value
        )
        if name == "intermediates":
            made[name] = [places[key] for key in value]
        else:
            made[re.sub("_([a-z])", lambda found: found[1].upper(), name)] = (
                list(number) if isinstance(number, tuple) else number
            )
    return made


def _without_explicit_padding(graph: Graph) -> Graph:
    tensors, ops = dict(graph.tensors), []
    for one in graph.ops:
        op = one
        if op.options.get("padding") == "explicit":
            top, bottom, left, right = op.options["pad"]
            source, free = tensors[op.inputs[0]], max(tensors) + 1
            amounts = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
            batch, height, width, channels = source.shape
            shape = (batch, height + top + bottom, width + left + right, channels)
            tensors[free] = dataclasses.replace(source, index=free, shape=shape, name=f"padded {free}")
            tensors[free + 1] = dataclasses.replace(
                source,
                index=free + 1,
                shape=(4, 2),
                dtype="int32",
                quantization=None,
                data=amounts,
                name=f"amounts {free}",
            )
            ops.append(Op(0, "PAD", (op.inputs[0], free + 1), (free,), {}))
            rest = {name: value for name, value in op.options.items() if name != "pad"}
            op = dataclasses.replace(op, inputs=(free, *op.inputs[1:]), options={**rest, "padding": "valid"})
        ops.append(op)
    return dataclasses.replace(graph, tensors=tensors, ops=tuple(ops))


def random_inputs(graph: Graph, count=16, seed=0):
    """Inferences of all values of int8, of one value each in the first ones."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        row = []
        for key in graph.inputs:
            one = graph.tensor(key)
            if one.dtype == "float32":
                row.append(random.normal(0, 3, one.shape).astype(np.float32))
            else:
                info = np.iinfo(one.dtype)
                low, high = ((info.min, info.min), (info.max, info.max))[number] if number < 2 else (info.min, info.max)
                row.append(random.integers(low, high, one.shape, one.dtype, endpoint=True))
        rows.append(row)
    return rows


def same_outputs(model: bytes, graph: Graph, inputs=None) -> str:
    """Where LiteRT's outputs of the simplified graph differ from those of the file; "" when they do not."""
    inputs = inputs or random_inputs(graph)
    wanted, got = reference(model, inputs), reference(to_file(graph), inputs)
    for number, (one, other) in enumerate(zip(wanted, got, strict=True)):
        for place, (a, b) in enumerate(zip(one, other, strict=True)):
            if a.shape != b.shape or a.dtype != b.dtype or not np.array_equal(a, b):
                differ = np.sum(a != b) if a.shape == b.shape else "all"
                return f"inference {number}, output {place}: {differ} of {a.size} values differ"
    return ""
