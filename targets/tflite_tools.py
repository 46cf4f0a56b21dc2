"""Questions about TFLite files: what is in them, how large the weights are, whether they are quantized.

The parser is in ``targets/tflite_file.py``, the check of a file from elsewhere in
``targets/tflite_verify.py``. Nothing here runs a model.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping

import numpy as np

from profiles.runner import Array
from targets.tflite_file import (
    TfliteFile,
    TfliteIo,
    TfliteOperator,
    TfliteTensor,
    parse_tflite,
    read_bytes,
    read_tflite,
    tflite_schema,
)

__all__ = [
    "TfliteFile",
    "TfliteIo",
    "TfliteOperator",
    "TfliteTensor",
    "computes_weights",
    "constants",
    "dynamic_axes",
    "is_quantized",
    "item_bits",
    "parameter_count",
    "parse_tflite",
    "read_bytes",
    "read_tflite",
    "rename_tensors",
    "tensor_values",
    "weights_bytes",
]

FLOATS = ("float16", "float32", "float64", "bfloat16")
_BITS = {
    "bool": 8, "int2": 2, "int4": 4, "uint4": 4, "int8": 8, "uint8": 8, "int16": 16, "uint16": 16,
    "int32": 32, "uint32": 32, "int64": 64, "uint64": 64, "float16": 16, "bfloat16": 16, "float32": 32,
    "float64": 64, "complex64": 64, "complex128": 128, "float8_e4m3fn": 8, "float8_e5m2": 8,
}  # fmt: skip


def item_bits(dtype: str) -> int | None:
    """Bits of one element, or None for types without a fixed size (strings, resources)."""
    return _BITS.get(dtype)


def constants(model: TfliteFile) -> Iterator[TfliteTensor]:
    """The tensors whose values the file holds, each buffer once."""
    seen: set[int] = set()
    for tensor in model.tensors:
        if tensor.constant and tensor.data not in seen:
            seen.add(tensor.data)
            yield tensor


def weights_bytes(model: TfliteFile) -> int:
    """Bytes of all constants as stored; buffers shared by several tensors count once."""
    return sum(tensor.size for tensor in constants(model))


def parameter_count(model: TfliteFile) -> int:
    """Elements of all constants that carry learned numbers: floating-point or quantized ones.

    Shapes, axes and paddings are integers without a scale, and do not count.
    """
    return sum(t.elements for t in constants(model) if t.dtype in FLOATS or t.scale)


def is_quantized(model: TfliteFile) -> bool:
    """Whether any activation is stored in at most 16 bits with a scale (integer arithmetic).

    Weight-only quantization (integer constants between float activations) does not count: the
    arithmetic stays in floating point.
    """
    return any(t.scale and not t.constant and (_BITS.get(t.dtype) or 64) <= 16 for t in model.tensors)


def computes_weights(model: TfliteFile, operator: TfliteOperator) -> bool:
    """Whether an operator of the main graph is a convolution whose weights are computed, not stored."""
    convolution = operator.op in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV") and operator.subgraph == 0
    return convolution and not model.tensor(operator.inputs[1]).constant  # all three have the weights second


def dynamic_axes(model: TfliteFile) -> dict[str, tuple[int, ...]]:
    """Per input, the axes that the file leaves open (``shape_signature`` -1); inputs without any are absent."""
    open_axes = {io.name: tuple(i for i, size in enumerate(io.tensor.signature) if size < 0) for io in model.inputs}
    return {name: axes for name, axes in open_axes.items() if axes}


def tensor_values(tensor: TfliteTensor, data: bytes) -> Array | None:
    """The values of a constant, as stored and in its shape.

    None for activations, and for types that numpy lacks or packs (strings, int4, bfloat16).
    """
    bits = _BITS.get(tensor.dtype)
    if not tensor.constant or bits is None or not hasattr(np, tensor.dtype) or bits < 8:
        return None
    dtype = np.dtype(tensor.dtype)
    if tensor.size != math.prod(tensor.shape) * dtype.itemsize:
        return None
    return np.frombuffer(data, dtype, math.prod(tensor.shape), tensor.data).reshape(tensor.shape)


def rename_tensors(data: bytes, names: Mapping[str, str]) -> bytes:
    """Give tensors of the main graph other names, in place, without moving anything else.

    A FlatBuffers string is a length, bytes and a zero byte, so that a shorter one fits where a longer
    one was; the rest is filled with zeros. Buffers keep the alignment that the converter gave them,
    which packing the file anew from Python would lose.

    Args:
        data: the file.
        names: old name to new name; names that the file does not have are ignored.

    Raises:
        ValueError: a new name is longer than the old one.
    """
    graph = tflite_schema().Model.GetRootAs(data).Subgraphs(0)
    changed = bytearray(data)
    for index in range(graph.TensorsLength()):
        table = graph.Tensors(index)._tab
        field = table.Offset(10)  # slot of Tensor.name
        if not field:
            continue
        start = table.Indirect(field + table.Pos)
        (length,) = struct.unpack_from("<I", data, start)
        old = data[start + 4 : start + 4 + length]
        new = names.get(old.decode("utf-8", errors="replace"), "").encode()
        if len(new) > length:
            raise ValueError(f"the name {new!r} is longer than {old!r}")
        if new:
            struct.pack_into("<I", changed, start, len(new))
            changed[start + 4 : start + 4 + length] = new.ljust(length, b"\0")
    return bytes(changed)
