"""Tiny TFLite files for tests, packed with the schema's own object API; no converter needed.

The model is one FULLY_CONNECTED: y = x W^T + b, x of shape (1, 4), y of shape (1, 3).
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

WEIGHTS = np.arange(12, dtype=np.float32).reshape(3, 4) / 8 - 0.5
BIAS = np.array([0.5, -1.0, 2.0], np.float32)


def tensor(name, shape, buffer=0, kind=schema.TensorType.FLOAT32, *, scale=None, zero_point=None, signature=None):
    made = schema.TensorT()
    made.name, made.shape, made.buffer, made.type = name, list(shape), buffer, kind
    made.shapeSignature = signature
    if scale is not None:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = scale, zero_point
    return made


def buffer(values=None):
    made = schema.BufferT()
    made.data = None if values is None else np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    return made


def tensor_map(name, index):
    made = schema.TensorMapT()
    made.name, made.tensorIndex = name, index
    return made


def float_model(weights=WEIGHTS, bias=BIAS, signature=None, open_axes=None):
    """``signature`` is (input name, output name); ``open_axes`` the shape signature of the input."""
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0, 1, 2], [3]
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor("first_x", (1, 4), signature=open_axes),
        tensor("weights", weights.shape, 1),
        tensor("bias", bias.shape, 2),
        tensor("last_y", (1, 3)),
    ]
    graph.inputs, graph.outputs, graph.operators = [0], [3], [operator]
    return model(
        [graph], [buffer(), buffer(weights), buffer(bias)], [schema.BuiltinOperator.FULLY_CONNECTED], signature
    )


def quantized_model(scale_in=0.5, zero_in=3, scale_out=0.25, zero_out=-5):
    """QUANTIZE's int8 to int8 form: the real value stays, scale and zero point change."""
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = [0], [1]
    graph = schema.SubGraphT()
    int8 = schema.TensorType.INT8
    graph.tensors = [
        tensor("x", (1, 8), 0, int8, scale=[scale_in], zero_point=[zero_in]),
        tensor("y", (1, 8), 0, int8, scale=[scale_out], zero_point=[zero_out]),
    ]
    graph.inputs, graph.outputs, graph.operators = [0], [1], [operator]
    return model([graph], [buffer()], [schema.BuiltinOperator.QUANTIZE])


def model(graphs, buffers, operators, signature=None):
    made = schema.ModelT()
    made.version, made.description = 3, "a test"
    made.subgraphs, made.buffers, made.operatorCodes = graphs, buffers, []
    for number in operators:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = number
        code.version = 1
        made.operatorCodes.append(code)
    if signature:
        definition = schema.SignatureDefT()
        definition.signatureKey, definition.subgraphIndex = "serving_default", 0
        definition.inputs = [tensor_map(signature[0], graphs[0].inputs[0])]
        definition.outputs = [tensor_map(signature[1], graphs[0].outputs[0])]
        made.signatureDefs = [definition]
    return pack(made)


def pack(made):
    builder = flatbuffers.Builder(1024)
    builder.Finish(made.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def unpack(data):
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))
