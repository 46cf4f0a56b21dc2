"""TFLite files into graphs, with everything checked before it is used.

The classes that ``ai_edge_litert`` generates from the TFLite schema decode the file, after
:mod:`~targets.tflite_micro.graph.verify` has walked its structure.
"""

from __future__ import annotations

import dataclasses
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from profiles.errors import ModelError
from profiles.runner import Array
from targets.tflite_file import read_bytes, tflite_schema
from targets.tflite_micro.graph import check, shapes
from targets.tflite_micro.graph.ir import ITEM_BYTES, Graph, Op, Quantization, Tensor
from targets.tflite_micro.graph.options import enum_names, read_options
from targets.tflite_micro.graph.verify import Malformed, verify

#: A tensor has less than this, so that C's int32_t counts its bytes.
MAX_BYTES = 1 << 31
_MAX_RANK = 8
#: Bytes of one element of types that no operator here takes.
_OTHER_BYTES = {"float16": 2, "bfloat16": 2, "uint16": 2, "uint32": 4, "float64": 8, "uint64": 8, "complex64": 8}
_LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-(1 << 15), (1 << 15) - 1)}


@dataclasses.dataclass(frozen=True)
class Model:
    """A file: the graph that is run, and those that its operators call (``CALL_ONCE``), by number from 1.

    A constant of a type that :data:`~targets.tflite_micro.graph.ir.ITEM_BYTES` does not list (``int4``,
    ``float16``, ``string``) has its raw bytes as data; one in a sparse format is of type ``sparse int8``.
    """

    main: Graph
    others: tuple[Graph, ...] = ()


def read_graph(path: Path) -> Model:
    """Read a file.

    Raises:
        ConfigError: no such file.
        ModelError: it is not a TFLite model, or contradicts itself.
        MissingToolError: ``ai_edge_litert`` is not installed.
    """
    return parse_graph(read_bytes(path), path.stem)


def parse_graph(data: bytes, name: str) -> Model:
    """Parse the bytes of a file; the graph is called ``name``. Errors as :func:`read_graph`."""
    schema = tflite_schema()
    try:
        verify(data)
        file = _File(data, schema.Model.GetRootAs(data), schema)
        graphs = [file.graph(number, name) for number in range(file.model.SubgraphsLength())]
        if not graphs:
            raise Malformed("the file has no graph")
        for graph in graphs:
            check.check(graph, main=graph is graphs[0])
            shapes.check(graph)
    except (Malformed, struct.error) as error:
        raise ModelError(
            f"wanted a consistent TFLite model in {name}", seen=str(error), next_step="export or download it again"
        ) from error
    return Model(graphs[0], tuple(graphs[1:]))


class _File:
    """The tables of one file, decoded; everything raises :class:`Malformed`."""

    def __init__(self, data: bytes, model: Any, schema: Any) -> None:
        self.data, self.model, self.schema = data, model, schema
        self.types = {value: kind.lower() for value, kind in enum_names(schema, "TensorType").items()}
        self.text = 4 * len(data) + 65536
        self.codes = [self._code(model.OperatorCodes(i)) for i in range(model.OperatorCodesLength())]
        self.buffers = [self._buffer(model.Buffers(i)) for i in range(model.BuffersLength())]

    def graph(self, number: int, name: str) -> Graph:
        table = self.model.Subgraphs(number)
        tensors = {index: self._tensor(table.Tensors(index), index) for index in range(table.TensorsLength())}
        return Graph(
            name if number == 0 else f"{name}, graph {number}",
            tensors,
            tuple(self._op(table.Operators(index), index) for index in range(table.OperatorsLength())),
            _ints(table, "Inputs"),
            _ints(table, "Outputs"),
        )

    def _code(self, code: Any) -> str:
        """What an operator code stands for (schema.fbs, table OperatorCode)."""
        builtin = enum_names(self.schema, "BuiltinOperator")
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if number != self.schema.BuiltinOperator.CUSTOM:
            return builtin.get(number, f"BUILTIN_{number}")
        return f"custom {self._text(code.CustomCode())}"

    def _buffer(self, buffer: Any) -> memoryview:
        """The bytes of a buffer, in the flatbuffer or, with an offset above 1, behind it."""
        if buffer.Offset() > 1:
            first, size = buffer.Offset(), buffer.Size()
            if first + size > len(self.data):
                raise Malformed(f"a buffer has {size} bytes at {first}, and the file has {len(self.data)}")
        else:
            size = buffer.DataLength()
            first = buffer._tab.Vector(buffer._tab.Offset(4)) if size else 0
        return memoryview(self.data)[first : first + size]

    def _text(self, value: bytes | None) -> str:
        """A name, without characters that do not print."""
        self.text -= len(value or b"")
        if self.text < 0:
            raise Malformed("the names are longer than the file")
        text = (value or b"").decode("utf-8", errors="replace")
        return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)

    def _tensor(self, table: Any, index: int) -> Tensor:
        name = self._text(table.Name()) or f"tensor {index}"
        dtype = self.types.get(table.Type(), f"type {table.Type()}")
        shape = _shape(_ints(table, "Shape"), {**ITEM_BYTES, **_OTHER_BYTES}.get(dtype, 1), name)
        quantized = _quantization(table.Quantization(), dtype, shape, name)
        sparse, variable = table.Sparsity() is not None, bool(table.IsVariable())
        if table.Buffer() >= len(self.buffers):
            raise Malformed(f"tensor '{name}' names buffer {table.Buffer()}, and there are {len(self.buffers)}")
        data = self.buffers[table.Buffer()]
        if variable and len(data):
            raise Malformed(f"tensor '{name}' is both a variable and a constant")
        values = None if variable else _values(data, dtype, shape, name, sparse)
        return Tensor(index, name, shape, f"sparse {dtype}" if sparse else dtype, quantized, values, variable)

    def _op(self, table: Any, index: int) -> Op:
        if table.OpcodeIndex() >= len(self.codes):
            raise Malformed(f"operator {index} names code {table.OpcodeIndex()}, and there are {len(self.codes)}")
        kind = self.codes[table.OpcodeIndex()]
        options = read_options(table, kind, self.schema)
        self.text -= sum(len(value) for value in options.values() if isinstance(value, str | tuple))
        if table.IntermediatesLength():
            options["intermediates"] = _ints(table, "Intermediates")
        return Op(index, kind, _ints(table, "Inputs"), _ints(table, "Outputs"), options)


def _shape(shape: tuple[int, ...], item: int, name: str) -> tuple[int, ...]:
    if len(shape) > _MAX_RANK:
        raise Malformed(f"tensor '{name}' has {len(shape)} axes")
    if any(size < 0 for size in shape):
        raise Malformed(f"tensor '{name}' has the dynamic shape {shape}; the exporter must fix every axis")
    if math.prod(shape) * item >= MAX_BYTES:
        raise Malformed(f"tensor '{name}' of shape {shape} has 2 GiB or more")
    return shape


def _values(data: memoryview, dtype: str, shape: tuple[int, ...], name: str, sparse: bool) -> Array | None:
    """The values of a constant, None for an activation. A shape with a 0 in it can only be a constant."""
    if not len(data) and (0 not in shape or dtype not in ITEM_BYTES):
        return None
    raw = np.frombuffer(data, np.uint8)
    item = {**ITEM_BYTES, **_OTHER_BYTES}.get(dtype)
    if item and not sparse and len(data) != math.prod(shape) * item:
        raise Malformed(f"constant '{name}' of shape {shape} and type {dtype} has {len(data)} bytes")
    if sparse or dtype not in ITEM_BYTES:
        return raw
    if dtype == "bool":
        return np.not_equal(raw, 0).reshape(shape)
    values: Array = np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).reshape(shape)
    return values


def _quantization(table: Any, dtype: str, shape: tuple[int, ...], name: str) -> Quantization | None:
    """Scales and zero points; float tensors may carry some too, which mean nothing."""
    if table is None or not table.ScaleLength() or not dtype.startswith(("int", "uint")):
        return None
    scale, zero = _floats(table.ScaleAsNumpy()), _ints(table, "ZeroPoint") or (0,)
    zero = zero * len(scale) if len(zero) == 1 else zero
    axis = table.QuantizedDimension()
    if len(zero) != len(scale):
        raise Malformed(f"tensor '{name}' has {len(scale)} scales and {len(zero)} zero points")
    if len(scale) > 1 and not (0 <= axis < len(shape) and shape[axis] == len(scale)):
        raise Malformed(f"tensor '{name}' of shape {shape} has {len(scale)} scales along axis {axis}")
    if not all(0 < value < math.inf for value in scale):
        raise Malformed(f"tensor '{name}' has a scale of {next(v for v in scale if not 0 < v < math.inf)}")
    low, high = _LIMITS.get(dtype, (-(1 << 31), (1 << 31) - 1))
    if not all(low <= value <= high for value in zero):
        raise Malformed(f"tensor '{name}' of type {dtype} has the zero points {min(zero)} to {max(zero)}")
    return Quantization(scale, zero, axis if len(scale) > 1 else 0)


def _floats(values: Array) -> tuple[float, ...]:
    return tuple(values.tolist())


def _ints(table: Any, field: str) -> tuple[int, ...]:
    """A vector of numbers, empty when it is left out."""
    return tuple(getattr(table, f"{field}AsNumpy")().tolist()) if getattr(table, f"{field}Length")() else ()
