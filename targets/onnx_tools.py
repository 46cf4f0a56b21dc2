"""Questions about ONNX models, and the few rewrites that several backends share.

Models are ``onnx.ModelProto`` (onnx.proto3, IR version 3 and later). Nothing here runs a model.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from profiles.errors import ConfigError, MissingToolError, ModelError, OutputError, UnsupportedError
from profiles.runner import Array
from targets.base import TensorSpec

#: Protocol buffers hold at most 2^31 - 1 bytes in one message.
PROTOBUF_LIMIT = 2**31 - 1
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")


@dataclasses.dataclass(frozen=True)
class OnnxNode:
    """One node: ``input_dtypes`` are numpy names in the order of ``inputs``, empty where unknown or absent."""

    name: str
    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    input_dtypes: tuple[str, ...]


def onnx_package() -> Any:
    """The ``onnx`` package.

    Raises:
        MissingToolError: it is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingToolError(
            "reading an ONNX model needs the package onnx",
            seen=str(error),
            next_step="run: pip install 'edgewright[onnxruntime]'",
        ) from error
    return onnx


def load_onnx(path: Path, *, external: bool = True) -> Any:
    """Read a model.

    Args:
        path: the file.
        external: also read weights from the files that it names.

    Raises:
        ConfigError: no such file.
        ModelError: not an ONNX model, or its external data is missing or too short.
    """
    onnx = onnx_package()
    try:
        model = onnx.load_model_from_string(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"wanted to read the model {path}", seen=error.strerror or str(error), next_step="check the path"
        ) from error
    except Exception as error:  # protobuf raises its own kinds, which differ between its backends
        raise not_onnx(path, f"a file that cannot be decoded: {error}") from error
    if not model.ir_version or not model.HasField("graph"):
        raise not_onnx(path, "an empty file" if not path.stat().st_size else "a file without a graph")
    if external:
        check_external_data(model, path)
        onnx.load_external_data_for_model(model, str(path.parent))
    return model


def not_onnx(path: Path, seen: str) -> ModelError:
    """The error for a file that is no sound ONNX model."""
    return ModelError(
        f"wanted a sound ONNX model in {path.name}", seen=seen, next_step="export or download the model again"
    )


def check_external_data(model: Any, path: Path) -> None:
    """Check that every external file lies beside the model, exists and is long enough.

    Raises:
        ModelError: naming the tensor and the file.
    """
    for name, tensor in weights(model):
        if tensor.data_location != tensor.EXTERNAL:
            continue
        entry = {pair.key: pair.value for pair in tensor.external_data}
        file = entry.get("location", "")
        if not file or Path(file).is_absolute() or ".." in Path(file).parts:
            raise not_onnx(path, f"the values of '{name}' are said to lie in '{file}', which is not beside the model")
        if not (path.parent / file).is_file():
            raise ModelError(
                f"wanted the weights of {path.name}",
                seen=f"the values of '{name}' lie in '{file}', and there is no such file beside the model",
                next_step=f"put {file} into {path.parent}",
            )
        start, length = (_number(entry.get(key, "0")) for key in ("offset", "length"))
        if start is None or length is None or start + length > (path.parent / file).stat().st_size:
            raise not_onnx(path, f"the values of '{name}' reach past the end of '{file}'")


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def save_onnx(model: Any, path: Path) -> None:
    """Write a model as one file: equal models give equal bytes, and a crash leaves no half-written file.

    Raises:
        UnsupportedError: more than 2 GiB, which one protobuf message cannot hold.
        OutputError: the file cannot be written.
    """
    size = model.ByteSize()
    if size > PROTOBUF_LIMIT:
        raise too_large(size)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(model.SerializeToString(deterministic=True))
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"wanted to write {path}", seen=error.strerror or str(error)) from error


def too_large(size: int) -> UnsupportedError:
    """The error for a model beyond the protobuf limit; ``size`` in bytes."""
    return UnsupportedError(
        "wanted the model in one ONNX file",
        seen=f"{size:,} B of weights and graph",
        allowed=f"{PROTOBUF_LIMIT:,} B, the limit of one protobuf message",
        next_step="use a smaller model; edge devices rarely hold one of this size",
    )


def opset(model: Any) -> int:
    """The version of the standard operator set that the model asks for; 0 when it asks for none."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def dtype_name(element_type: int) -> str:
    """numpy's name of an ONNX element type, such as ``float32``; empty for undefined ones."""
    onnx = onnx_package()
    if element_type not in onnx.TensorProto.DataType.values() or element_type == onnx.TensorProto.UNDEFINED:
        return ""
    if element_type == onnx.TensorProto.STRING:
        return "object"
    return str(onnx.helper.tensor_dtype_to_np_dtype(element_type))


def list_nodes(model: Any) -> list[OnnxNode]:
    """The nodes of the main graph, in its order, with the types that shape inference finds."""
    onnx = onnx_package()
    graph = onnx.shape_inference.infer_shapes(model).graph
    known = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.value_info, *graph.output)}
    known |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    return [
        OnnxNode(
            node.name or f"{node.op_type}_{index}",
            node.op_type,
            node.domain,
            tuple(node.input),
            tuple(node.output),
            tuple(dtype_name(known.get(name, 0)) for name in node.input),
        )
        for index, node in enumerate(graph.node)
    ]


def all_graphs(graph: Any) -> Iterator[Any]:
    """A graph and the graphs inside its nodes (branches and loop bodies)."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from all_graphs(inner)


def weights(model: Any) -> Iterator[tuple[str, Any]]:
    """Name and ``TensorProto`` of every constant: initializers, and values of Constant nodes."""
    for graph in all_graphs(model.graph):
        for tensor in graph.initializer:
            yield tensor.name, tensor
        for node in graph.node:
            for attribute in node.attribute:
                if node.op_type == "Constant" and attribute.HasField("t"):
                    yield node.output[0] if node.output else node.name, attribute.t


def tensor_bytes(tensor: Any) -> int:
    """Bytes that a constant takes when stored densely (ONNX packs 4-bit types, two to a byte)."""
    name = dtype_name(tensor.data_type)
    if name in ("", "object"):
        return sum(len(text) for text in tensor.string_data)
    bits = 4 if name.endswith("int4") or "float4" in name else 8 * np.dtype(_storage(tensor)).itemsize
    return -(-int(math.prod(tensor.dims)) * bits // 8)


def _storage(tensor: Any) -> Any:
    return onnx_package().helper.tensor_dtype_to_np_dtype(tensor.data_type)


def weights_bytes(model: Any) -> int:
    """Bytes of all constants."""
    return sum(tensor_bytes(tensor) for _, tensor in weights(model))


def parameter_count(model: Any) -> int:
    """Elements of all learned constants.

    These are floating-point ones, and integer ones that feed a dequantization or a quantized operator.
    Scales, zero points, shapes and indices do not count.
    """
    described, quantized = _quantization_operands(model)
    count = 0
    for name, tensor in weights(model):
        learned = "float" in dtype_name(tensor.data_type) or name in quantized
        count += math.prod(tensor.dims) if learned and name not in described else 0
    return count


def _quantization_operands(model: Any) -> tuple[set[str], set[str]]:
    """Names used as scales or zero points, and names used as quantized values."""
    described: set[str] = set()
    quantized: set[str] = set()
    for graph in all_graphs(model.graph):
        for node in graph.node:
            inputs = list(node.input)
            if node.op_type in _QUANTIZERS:
                quantized.update(inputs[:1])
                described.update(inputs[1:])
            elif node.op_type == "QLinearConv":
                quantized.update((*inputs[3:4], *inputs[8:9]))
                described.update((*inputs[1:3], *inputs[4:8]))
            elif node.op_type == "QLinearMatMul":
                quantized.update(inputs[3:4])
                described.update((*inputs[1:3], *inputs[4:]))
            elif node.op_type in ("ConvInteger", "MatMulInteger"):
                quantized.update(inputs[1:2])
                described.update(inputs[2:])
    return described - {""}, quantized - {""}


def is_quantized(model: Any) -> bool:
    """Whether the model computes in integers: Q/DQ pairs around activations, or QLinear operators."""
    constants = {name for name, _ in weights(model)}
    for graph in all_graphs(model.graph):
        for node in graph.node:
            if node.op_type.startswith("QLinear") or node.op_type.endswith("Integer"):
                return True
            if node.op_type == "QuantizeLinear" and node.input[0] not in constants:
                return True
    return False


def constant_values(tensor: Any) -> Array:
    """The values of a constant as a numpy array; external data must have been loaded."""
    return np.asarray(onnx_package().numpy_helper.to_array(tensor))


def tensor_specs(values: Any) -> tuple[TensorSpec, ...]:
    """Specs of ``graph.input`` or ``graph.output`` entries with fixed shapes."""
    return tuple(
        TensorSpec(
            value.name,
            tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim),
            dtype_name(value.type.tensor_type.elem_type),
        )
        for value in values
    )


def real_inputs(graph: Any) -> list[Any]:
    """The inputs that a caller must give: those without a default value among the initializers."""
    defaults = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in defaults]
