"""ONNX files from elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from profiles.errors import UnsupportedError
from targets.base import ExportedModel, TensorSpec
from targets.onnx_shapes import declared_shape, dynamic_inputs, fix_shapes
from targets.onnx_tools import (
    PROTOBUF_LIMIT,
    all_graphs,
    constant_values,
    dtype_name,
    is_quantized,
    load_onnx,
    not_onnx,
    onnx_package,
    real_inputs,
    save_onnx,
    tensor_specs,
    too_large,
    weights,
)
from toolchain.export.foreign_checks import check_file, check_finite, guess_layout, refuse_dynamic

_IO_TYPES = ("float32", "float16", "float64", "int8", "uint8", "int16", "uint16", "int32", "int64", "bool")
_STANDARD = ("", "ai.onnx", "ai.onnx.ml")


def open_onnx(path: Path, fixed: Mapping[str, tuple[int, ...]] | None = None, out: Path | None = None) -> ExportedModel:
    """Check an ONNX file and describe it; nothing runs it.

    Args:
        path: the file; weights may lie in files beside it.
        fixed: input name to full shape, for dynamic axes. A size that the file fixes already must be kept.
        out: folder for a rewritten file; needed when the shapes of the file have to be changed.
            One file with all weights inside is written there; without it the given file is used.

    Raises:
        ConfigError: no such file; dynamic axes that ``fixed`` does not settle (lists them and the
            options to give); a shape that contradicts the file.
        ModelError: empty, truncated or damaged; external data missing; weights that are not finite.
        UnsupportedError: inputs or outputs of a type that no target takes.
        OutputError: the rewritten file cannot be written.
        MissingToolError: ``onnx`` is not installed.
    """
    check_file(path, "ONNX")
    model = load_onnx(path)
    check_sound(model, path)
    check_weights(model, path)
    was_open = bool(dynamic_inputs(model))
    if fixed:
        model = fix_shapes(model, fixed)
    still_open = dynamic_inputs(model)
    if still_open:
        raise refuse_dynamic(path.name, still_open)
    outputs = _output_shapes(model, path)
    return ExportedModel(
        name=path.stem,
        inputs=tuple(_described(spec, path) for spec in tensor_specs(real_inputs(model.graph))),
        outputs=tuple(_described(spec, path) for spec in outputs),
        onnx=_rewritten(model, path, out) if was_open else path,
        precision=_precision(model),
        notes={"source": f"{path.name}{' with fixed shapes' if was_open else ' as given'}"},
    )


def check_sound(model: Any, path: Path) -> None:
    """Check a model by ONNX's own rules; shapes and types too, where every operator is a standard one.

    Raises:
        ModelError: with the first rule that is broken.
        UnsupportedError: more than 2 GiB, or inputs and outputs that are no tensors.
    """
    onnx = onnx_package()
    if model.ByteSize() > PROTOBUF_LIMIT:
        raise too_large(model.ByteSize())
    standard = not model.functions and all(n.domain in _STANDARD for g in all_graphs(model.graph) for n in g.node)
    try:
        onnx.checker.check_model(_with_ranks(model))
        if standard:
            onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except Exception as error:  # the checker's kinds of exception are many
        raise not_onnx(path, f"{type(error).__name__}: {first_line(error)}") from error
    if not model.graph.output or not real_inputs(model.graph):
        raise not_onnx(path, "a graph without an input or without an output")
    for value in (*real_inputs(model.graph), *model.graph.output):
        kind = value.type.WhichOneof("value")
        if kind != "tensor_type":
            raise UnsupportedError(
                f"wanted tensors as inputs and outputs of {path.name}", seen=f"'{value.name}' is a {kind or 'nothing'}"
            )


def _with_ranks(model: Any) -> Any:
    """A model whose inputs and outputs all have some rank, which the checker asks for though engines do not."""
    graph = model.graph
    if all(value.type.tensor_type.HasField("shape") for value in (*graph.input, *graph.output)):
        return model
    ranked = type(model)()
    ranked.CopyFrom(model)
    for value in (*ranked.graph.input, *ranked.graph.output):
        if value.type.WhichOneof("value") in ("tensor_type", None):
            value.type.tensor_type.shape.SetInParent()
    return ranked


def first_line(error: Exception) -> str:
    """The first line of a message that is not empty."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")


def check_weights(model: Any, path: Path) -> None:
    """Check that every floating-point constant can be read and is finite.

    Raises:
        ModelError: naming the tensor.
    """
    for name, tensor in weights(model):
        dtype = dtype_name(tensor.data_type)
        if "float" not in dtype:
            continue
        try:
            values = constant_values(tensor)
        except (ValueError, TypeError, KeyError) as error:
            raise not_onnx(path, f"the values of '{name}' cannot be read: {first_line(error)}") from error
        narrow = values if np.issubdtype(values.dtype, np.floating) else values.astype(np.float32)
        check_finite(name, narrow, path.name)


def _output_shapes(model: Any, path: Path) -> tuple[TensorSpec, ...]:
    """Specs of the outputs, with shapes inferred where the file leaves them open."""
    if not all(_is_fixed(value) for value in model.graph.output):
        onnx = onnx_package()
        try:
            model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        except onnx.shape_inference.InferenceError as error:
            raise not_onnx(path, f"shapes that contradict each other: {first_line(error)}") from error
    for value in model.graph.output:
        if not _is_fixed(value):
            raise UnsupportedError(
                f"wanted a fixed shape for the output '{value.name}' of {path.name}",
                seen="a shape that depends on the data, or on an operator without shape inference",
                next_step="cut the model before the operator that makes it (such as NonMaxSuppression)",
            )
    return tensor_specs(model.graph.output)


def _is_fixed(value: Any) -> bool:
    shape = declared_shape(value)
    return shape is not None and all(isinstance(size, int) for size in shape)


def _rewritten(model: Any, path: Path, out: Path | None) -> Path:
    if out is None:
        raise ValueError("a model with fixed shapes is written to a folder: give 'out'")
    target = out / f"{path.stem}.onnx"
    if target.resolve() == path.resolve():
        raise ValueError(f"the folder for the rewritten model is the model's own: {out}")
    save_onnx(model, target)
    return target


def _described(spec: TensorSpec, path: Path) -> TensorSpec:
    if spec.dtype not in _IO_TYPES:
        raise UnsupportedError(
            f"wanted numbers as '{spec.name}' of {path.name}", seen=f"{spec.dtype} values", allowed=", ".join(_IO_TYPES)
        )
    return dataclasses.replace(spec, layout=guess_layout(spec.shape, _image_layout(spec.shape)))


def _image_layout(shape: tuple[int, ...]) -> str:
    """NCHW, ONNX's own, unless only the last axis can be the channels of an image (converters from TensorFlow)."""
    few = [size in (1, 3, 4) for size in shape]
    return "NHWC" if len(shape) == 4 and few[3] and not few[1] else "NCHW"


def _precision(model: Any) -> str:
    if is_quantized(model):
        return "int8"
    kinds = {dtype_name(tensor.data_type) for _, tensor in weights(model)}
    floats = {kind for kind in kinds if "float" in kind}
    return {"float16": "fp16", "bfloat16": "bf16"}.get(next(iter(floats)), "fp32") if len(floats) == 1 else "fp32"
