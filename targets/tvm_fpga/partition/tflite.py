"""An int8 TFLite file as an ONNX model with QuantizeLinear and DequantizeLinear around every operator.

TVM's own TFLite importer refuses quantized convolutions. Images become NCHW inside; the graph's inputs and outputs keep
the shapes, the order of axes and the types of the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from profiles.errors import UnsupportedError
from profiles.runner import Array
from targets.tflite_file import TfliteFile, TfliteTensor, parse_tflite, read_bytes, tflite_schema
from targets.tflite_tools import tensor_values

TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)
OPSET, IR_VERSION = 19, 9


def onnx_from_tflite(path: Path) -> Any:
    """The model, in memory.

    Raises:
        ConfigError, ModelError, MissingToolError: as :func:`targets.tflite_file.read_tflite`.
        UnsupportedError: an operator or a form that has no counterpart here.
    """
    from targets.tvm_fpga.partition.tflite_ops import WRITERS

    data = read_bytes(path)
    graph = OnnxGraph(parse_tflite(data, path), data)
    for io in graph.file.inputs:
        graph.begin(io.tensor)
    for operator in graph.operators:
        writer = WRITERS.get(operator.kind)
        if writer is None:
            raise UnsupportedError(
                f"{path.name} has the operator {operator.kind}",
                allowed=", ".join(sorted(WRITERS)),
                next_step="convert the model to ONNX, or choose another target",
            )
        writer(graph, operator)
    return graph.model([io.tensor for io in graph.file.outputs])


class TfliteCall:
    """One operator with its options.

    Attributes:
        kind: the schema's name, ``CONV_2D``.
        inputs, outputs: tensors; an absent input is None.
        options: the schema's own object, or None.
    """

    def __init__(self, graph: OnnxGraph, number: int, options: Any) -> None:
        given = graph.file.operators[number]
        self.kind, self.options = given.op, options
        self.inputs = [graph.file.tensor(index) if index >= 0 else None for index in given.inputs]
        self.outputs = [graph.file.tensor(index) for index in given.outputs]

    def input(self, number: int) -> TfliteTensor:
        """An input that must be there."""
        found = self.inputs[number] if number < len(self.inputs) else None
        if found is None:
            raise UnsupportedError(f"{self.kind} without its input {number}")
        return found

    @property
    def out(self) -> TfliteTensor:
        """The one output."""
        return self.outputs[0]


class OnnxGraph:
    """The ONNX graph while it grows.

    Attributes:
        file, data: the TFLite file.
        operators: of its main graph.
        pads: rows and columns by which a tensor must be padded still (top, left, bottom, right), by name.
        before_flattening: shapes, as in the file, of images that were flattened with the channels first, by name.
    """

    def __init__(self, file: TfliteFile, data: bytes) -> None:
        from onnx import helper

        self.file, self.data, self.helper = file, data, helper
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.values: dict[int, str] = {}
        self.pads: dict[str, tuple[int, int, int, int]] = {}
        self.before_flattening: dict[str, tuple[int, ...]] = {}
        schema = tflite_schema()
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
        options = [each.builtinOptions for each in model.subgraphs[0].operators or ()]
        self.operators = [TfliteCall(self, number, each) for number, each in enumerate(options)]

    def node(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """A node; returns its result's name."""
        out = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(
            self.helper.make_node(kind, list(inputs), [out], name=name.partition(";")[0] or out, **attributes)
        )
        return out

    def constant(self, values: Array | np.generic) -> str:
        """An initializer."""
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, order="C"), name))
        return name

    def numbers(self, tensor: TfliteTensor) -> Array:
        """The values of a constant."""
        found = tensor_values(tensor, self.data)
        if found is None:
            raise UnsupportedError(f"the tensor '{tensor.name}' is computed", allowed="a constant")
        return found

    def begin(self, tensor: TfliteTensor) -> None:
        """An input of the graph."""
        name = f"input_{len(self.inputs)}"
        self.inputs.append(self._info(name, tensor))
        value = self.node("Transpose", name, perm=TO_NCHW) if len(tensor.shape) == 4 else name
        self.values[tensor.index] = self._real(value, tensor) if tensor.scale else value

    def _info(self, name: str, tensor: TfliteTensor) -> Any:
        kind = self.helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
        return self.helper.make_tensor_value_info(name, kind, tensor.shape)

    def value(self, tensor: TfliteTensor) -> str:
        """A tensor's real value, images as NCHW; a constant's too."""
        if tensor.index not in self.values:
            values = self.numbers(tensor)
            moved = values.transpose(TO_NCHW) if values.ndim == 4 else values
            name = self.constant(moved)
            axis = TO_NCHW.index(tensor.axis) if values.ndim == 4 else tensor.axis
            self.values[tensor.index] = self._real(name, tensor, axis) if tensor.scale else name
        return self.values[tensor.index]

    def real(self, values: Array, tensor: TfliteTensor, axis: int = 0) -> str:
        """Integers of a constant, in another order perhaps, as real values."""
        return self._real(self.constant(values), tensor, axis)

    def _real(self, value: str, tensor: TfliteTensor, axis: int = 0) -> str:
        many: dict[str, Any] = {"axis": axis} if len(tensor.scale) > 1 else {}
        return self.node("DequantizeLinear", value, *self._storage(tensor), **many)

    def _storage(self, tensor: TfliteTensor) -> tuple[str, str]:
        scales = np.array(tensor.scale, np.float32)
        zeros = np.broadcast_to(np.array(tensor.zero_point, tensor.dtype), scales.shape)
        form = () if scales.size == 1 else scales.shape
        return self.constant(scales.reshape(form)), self.constant(zeros.reshape(form))

    def finish(self, tensor: TfliteTensor, value: str) -> None:
        """The real value that an operator computed; stored as the tensor is."""
        if tensor.scale:
            value = self._real(self.node("QuantizeLinear", value, *self._storage(tensor)), tensor)
        self.values[tensor.index] = value

    def model(self, outputs: Sequence[TfliteTensor]) -> Any:
        """All of it, checked."""
        import onnx

        ends = [self._end(tensor, number) for number, tensor in enumerate(outputs)]
        graph = self.helper.make_graph(self.nodes, "tflite", self.inputs, ends, self.constants)
        sets = [self.helper.make_opsetid("", OPSET)]
        made = self.helper.make_model(graph, opset_imports=sets, ir_version=IR_VERSION)
        onnx.checker.check_model(made)
        return made

    def _end(self, tensor: TfliteTensor, number: int) -> Any:
        value = self.values[tensor.index]
        if tensor.scale:
            value = self.node("QuantizeLinear", value, *self._storage(tensor))
        if len(tensor.shape) == 4:
            value = self.node("Transpose", value, perm=TO_NHWC)
        name = f"output_{number}"
        self.nodes.append(self.helper.make_node("Identity", [value], [name], name=name))
        return self._info(name, tensor)
