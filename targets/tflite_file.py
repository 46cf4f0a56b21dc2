"""The contents of a TFLite file as plain data, and the parser that fills it.

Layout of the file: the TFLite schema (``schema.fbs``, FlatBuffers file identifier ``TFL3``), read with
the classes that ``ai_edge_litert`` generates from it. Nothing here runs a model.
"""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError, MissingToolError, ModelError


@dataclasses.dataclass(frozen=True)
class TfliteTensor:
    """One tensor.

    Attributes:
        index: within its subgraph, as the interpreter numbers it.
        name: as written in the file.
        shape: as stored; what an interpreter runs with unless it is told otherwise.
        signature: the shape with -1 for the axes that the author left open.
        dtype: lower-case schema name, which is numpy's where numpy has the type.
        scale, zero_point: real = scale * (q - zero_point), one entry, or one per slice of ``axis``;
            empty when not quantized.
        axis: the quantized dimension.
        size: bytes of constant data in the file; 0 for activations.
        data: where these bytes lie in the file.
        sparse: whether they are stored in a sparse format, so that ``size`` does not follow from the shape.
        subgraph: the graph it belongs to; 0 is the main one.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    dtype: str
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    axis: int = 0
    size: int = 0
    data: int = 0
    sparse: bool = False
    subgraph: int = 0

    @property
    def constant(self) -> bool:
        """Whether the file holds its values."""
        return self.size > 0

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class TfliteOperator:
    """One operator.

    ``op`` is the builtin name (``CONV_2D``) or the custom code; -1 marks an absent input; ``fused`` says that an
    activation function is part of it.
    """

    index: int
    op: str
    custom: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    version: int = 1
    subgraph: int = 0
    fused: bool = False


@dataclasses.dataclass(frozen=True)
class TfliteIo:
    """One input or output of the main graph: the name to use for it, and its tensor."""

    name: str
    tensor: TfliteTensor


@dataclasses.dataclass(frozen=True)
class TfliteFile:
    """What a TFLite file holds.

    ``inputs`` and ``outputs`` are in the order of the main graph. Their names are those of the one
    signature that covers them, and the tensors' own names in a file without such a signature.
    """

    path: Path
    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[TfliteIo, ...]
    outputs: tuple[TfliteIo, ...]
    signature: str = ""
    subgraphs: int = 1
    version: int = 3
    description: str = ""

    def tensor(self, index: int, subgraph: int = 0) -> TfliteTensor:
        """The tensor of one number in one subgraph."""
        return next(t for t in self.tensors if (t.subgraph, t.index) == (subgraph, index))


def read_tflite(path: Path) -> TfliteFile:
    """Parse a file.

    Raises:
        ConfigError: no such file.
        ModelError: not a TFLite file, or one whose structure cannot be followed.
        MissingToolError: ``ai_edge_litert`` is not installed.
    """
    return parse_tflite(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """The file's bytes, or a ConfigError that says why not."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"wanted to read the model {path}", seen=error.strerror or str(error), next_step="check the path"
        ) from error


def parse_tflite(data: bytes, path: Path) -> TfliteFile:
    """Parse the bytes of a file; ``path`` is for messages only. Errors as :func:`read_tflite`."""
    schema = tflite_schema()
    try:
        if data[4:8] != b"TFL3":
            raise ValueError(f"the file identifier is {data[4:8]!r}, not b'TFL3'")
        return _parse(schema.Model.GetRootAs(data), path, schema)
    except (ValueError, TypeError, struct.error, IndexError, KeyError, OverflowError) as error:
        raise ModelError(
            f"wanted a TFLite model in {path.name}",
            seen=f"a file that cannot be parsed: {error}",
            next_step="export or download the model again",
        ) from error


def tflite_schema() -> Any:
    """The generated schema module.

    Raises:
        MissingToolError: ``ai_edge_litert`` is not installed.
    """
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as error:
        raise MissingToolError(
            "reading a TFLite file needs the package ai-edge-litert",
            seen=str(error),
            next_step="run: pip install 'edgewright[litert]'",
        ) from error
    return schema_py_generated


def _parse(model: Any, path: Path, schema: Any) -> TfliteFile:
    graphs = [model.Subgraphs(i) for i in range(model.SubgraphsLength())]
    if not graphs:
        raise ValueError("the file has no graph")
    types = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    codes = _operator_names(model, schema)
    tensors = tuple(t for number, graph in enumerate(graphs) for t in _tensors(model, graph, number, types))
    operators = tuple(o for number, graph in enumerate(graphs) for o in _operators(graph, number, codes, schema))
    main = [t for t in tensors if t.subgraph == 0]
    inputs, outputs = _chosen(main, graphs[0], "Inputs"), _chosen(main, graphs[0], "Outputs")
    signature, names_in, names_out = _signature(model, inputs, outputs)
    return TfliteFile(
        path,
        tensors,
        operators,
        tuple(TfliteIo(name, t) for name, t in zip(names_in, inputs, strict=True)),
        tuple(TfliteIo(name, t) for name, t in zip(names_out, outputs, strict=True)),
        signature,
        len(graphs),
        model.Version(),
        _text(model.Description()),
    )


def _chosen(tensors: list[TfliteTensor], graph: Any, field: str) -> list[TfliteTensor]:
    numbers = _vector(graph, field)
    if any(not 0 <= number < len(tensors) for number in numbers):
        raise ValueError(f"the graph's {field.lower()} are tensors {numbers}, and there are {len(tensors)}")
    return [tensors[number] for number in numbers]


def _operator_names(model: Any, schema: Any) -> list[tuple[str, bool, int]]:
    """Per operator code: name, whether custom, version (schema.fbs, table OperatorCode)."""
    builtin = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    names = []
    for i in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(i)
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        custom = number == schema.BuiltinOperator.CUSTOM
        name = _text(code.CustomCode()) if custom else builtin.get(number, f"BUILTIN_{number}")
        names.append((name, custom, code.Version()))
    return names


def _tensors(model: Any, graph: Any, subgraph: int, types: Mapping[int, str]) -> Iterator[TfliteTensor]:
    for index in range(graph.TensorsLength()):
        tensor = graph.Tensors(index)
        shape = _vector(tensor, "Shape")
        scale, zero_point, axis = _quantization(tensor.Quantization())
        position, size = _constant(model, tensor.Buffer())
        yield TfliteTensor(
            index=index,
            name=_text(tensor.Name()),
            shape=shape,
            signature=_vector(tensor, "ShapeSignature") or shape,
            dtype=types.get(tensor.Type()) or f"type_{tensor.Type()}",
            scale=scale,
            zero_point=zero_point,
            axis=axis,
            size=size,
            data=position,
            sparse=tensor.Sparsity() is not None,
            subgraph=subgraph,
        )


def _quantization(table: Any) -> tuple[tuple[float, ...], tuple[int, ...], int]:
    if table is None or table.ScaleLength() == 0:
        return (), (), 0
    scale = tuple(float(value) for value in table.ScaleAsNumpy())
    zero = tuple(int(value) for value in table.ZeroPointAsNumpy()) if table.ZeroPointLength() else (0,) * len(scale)
    return scale, zero, table.QuantizedDimension()


def _constant(model: Any, number: int) -> tuple[int, int]:
    """Position and length of a buffer's bytes; data behind the flatbuffer has an offset above 1."""
    if number >= model.BuffersLength():
        raise ValueError(f"a tensor names buffer {number}, and there are {model.BuffersLength()}")
    buffer = model.Buffers(number)
    if buffer.Offset() > 1:
        return buffer.Offset(), buffer.Size()
    if buffer.DataLength() == 0:
        return 0, 0
    table = buffer._tab
    return table.Vector(table.Offset(4)), buffer.DataLength()


def _operators(graph: Any, subgraph: int, codes: list[tuple[str, bool, int]], schema: Any) -> Iterator[TfliteOperator]:
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        if operator.OpcodeIndex() >= len(codes):
            raise ValueError(f"operator {index} names code {operator.OpcodeIndex()}, and there are {len(codes)}")
        name, custom, version = codes[operator.OpcodeIndex()]
        inputs, outputs = _vector(operator, "Inputs"), _vector(operator, "Outputs")
        fused = not custom and _is_fused(operator, schema)
        yield TfliteOperator(index, name, custom, inputs, outputs, version, subgraph, fused)


#: Tables of options with a fused activation function (schema.fbs).
_FUSING = ("Conv2DOptions", "DepthwiseConv2DOptions", "FullyConnectedOptions", "AddOptions", "MulOptions")


def _is_fused(operator: Any, schema: Any) -> bool:
    kind, table = operator.BuiltinOptionsType(), operator.BuiltinOptions()
    name = next((name for name in _FUSING if getattr(schema.BuiltinOptions, name) == kind), "")
    if not name or table is None:
        return False
    options = getattr(schema, name)()
    options.Init(table.Bytes, table.Pos)
    return bool(options.FusedActivationFunction() != schema.ActivationFunctionType.NONE)


def _signature(model: Any, inputs: list[TfliteTensor], outputs: list[TfliteTensor]) -> tuple[str, list[str], list[str]]:
    """Key and names of the first signature of the main graph that names every input and output."""
    for i in range(model.SignatureDefsLength()):
        definition = model.SignatureDefs(i)
        names = [_names_by_signature(definition, "Inputs", inputs), _names_by_signature(definition, "Outputs", outputs)]
        if definition.SubgraphIndex() == 0 and names[0] is not None and names[1] is not None:
            return _text(definition.SignatureKey()), names[0], names[1]
    return "", [t.name for t in inputs], [t.name for t in outputs]


def _names_by_signature(definition: Any, field: str, tensors: list[TfliteTensor]) -> list[str] | None:
    """Names in the order of the tensors; a tensor that is listed twice has two names."""
    free: dict[int, list[str]] = {}
    for i in range(getattr(definition, f"{field}Length")()):
        entry = getattr(definition, field)(i)
        free.setdefault(entry.TensorIndex(), []).append(_text(entry.Name()))
    names = [free[t.index].pop(0) if free.get(t.index) else "" for t in tensors]
    return names if all(names) else None


def _vector(table: Any, field: str) -> tuple[int, ...]:
    if not getattr(table, f"{field}Length")():
        return ()
    return tuple(int(value) for value in getattr(table, f"{field}AsNumpy")())


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", errors="replace")
