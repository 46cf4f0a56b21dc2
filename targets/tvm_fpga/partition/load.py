"""A quantized model file as a Relax module with one function, ``main``, and every operator's own name."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from profiles.errors import ConfigError, ModelError, UnsupportedError
from targets.onnx_tools import onnx_package
from targets.tvm_fpga.partition.importer import importer_class
from targets.tvm_fpga.partition.relax_tools import bindings, origin
from targets.tvm_fpga.partition.tflite import onnx_from_tflite
from targets.tvm_import import tvm_package


def load_module(path: Path) -> Any:
    """An ONNX file with QuantizeLinear and DequantizeLinear, or an int8 TFLite file, as ``tvm.IRModule``.

    Inputs and outputs keep their order, shapes and types; axes of TFLite images move inside of the module.

    Raises:
        ConfigError: no such file.
        ModelError: it cannot be parsed.
        UnsupportedError: dynamic shapes, or an operator that TVM does not import.
        MissingToolError: a package is not installed.
    """
    model = onnx_from_tflite(path) if path.suffix == ".tflite" else _read_onnx(path)
    return import_onnx(model, path.name)


def _read_onnx(path: Path) -> Any:
    onnx = onnx_package()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"wanted to read the model {path}", seen=error.strerror or str(error), next_step="check the path"
        ) from error
    try:
        model = onnx.load_model_from_string(data)
        onnx.load_external_data_for_model(model, str(path.parent))
        onnx.checker.check_model(model)
    except (ValueError, OSError, onnx.checker.ValidationError, _protobuf_error()) as error:
        raise ModelError(
            f"wanted an ONNX model in {path.name}",
            seen=f"a file that cannot be read: {_first_line(error)}",
            next_step="export or download the model again",
        ) from error
    return model


def import_onnx(model: Any, title: str) -> Any:
    """A model in memory; ``title`` is for messages. Raises as :func:`load_module`."""
    onnx = onnx_package()
    tvm = tvm_package("compiling for the accelerator", "tvm-fpga")
    _check_shapes(model, title)
    named = _named(onnx.shape_inference.infer_shapes(model))
    opset = next((each.version for each in named.opset_import if each.domain in ("", "ai.onnx")), 1)
    importer = importer_class()(None, "float32", keep_params_in_input=False, sanitize=True)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            module = importer.from_onnx(named.graph, opset)
    except (tvm.error.InternalError, ValueError, TypeError, NotImplementedError, AssertionError, KeyError) as error:
        raise UnsupportedError(
            f"TVM cannot import {title}",
            seen=_first_line(error),
            next_step="take the operator out of the model, or choose another target",
        ) from error
    _check_inside(module, title)
    return module


def _check_inside(module: Any, title: str) -> None:
    for _, value in bindings(module["main"]):
        sizes = getattr(getattr(value, "ty", None), "shape", ())  # of a tensor; None where nothing is known
        if sizes is None or not all(hasattr(size, "value") for size in sizes):
            raise UnsupportedError(
                f"the shape of a tensor inside of {title} depends on its values",
                seen=f"{' '.join(origin(value) or ('an operator',))}: ({', '.join(map(str, sizes or '?'))})",
                next_step="simplify the model, or choose another target",
            )


def _check_shapes(model: Any, title: str) -> None:
    constants = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        sizes = value.type.tensor_type.shape.dim
        if value.name not in constants and not all(size.HasField("dim_value") and size.dim_value > 0 for size in sizes):
            shape = ", ".join(str(size.dim_value or size.dim_param or "?") for size in sizes)
            raise UnsupportedError(
                f"the input '{value.name}' of {title} has a dynamic shape",
                seen=f"({shape})",
                allowed="numbers only",
                next_step="export the model with a fixed shape and a batch of 1",
            )


def _named(model: Any) -> Any:
    """With a name of its own for every node."""
    seen: set[str] = set()
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in seen:
            node.name = _free(f"{node.name or node.op_type.lower()}_{number}", seen)
        seen.add(node.name)
    return model


def _free(name: str, seen: Iterable[str]) -> str:
    return _free(f"{name}_", seen) if name in seen else name


def _protobuf_error() -> type[Exception]:
    from google.protobuf.message import DecodeError

    return DecodeError  # type: ignore[no-any-return]


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
