"""Dynamic axes of ONNX models: find them, and fix them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from profiles.errors import ConfigError
from profiles.suggest import did_you_mean
from targets.onnx_tools import onnx_package, real_inputs

#: What a dynamic axis is called when the file gives it no name.
UNNAMED = "?"


def declared_shape(value: Any) -> tuple[int | str, ...] | None:
    """The shape as declared: sizes, and names for dynamic axes. None when even the rank is unknown."""
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else dim.dim_param or UNNAMED
        for dim in kind.shape.dim
    )


def dynamic_inputs(model: Any) -> dict[str, tuple[int | str, ...] | None]:
    """The inputs that have dynamic axes or no declared rank, with their declared shapes."""
    shapes = {value.name: declared_shape(value) for value in real_inputs(model.graph)}
    return {name: shape for name, shape in shapes.items() if shape is None or any(isinstance(a, str) for a in shape)}


def fix_shapes(model: Any, shapes: Mapping[str, tuple[int, ...]]) -> Any:
    """A copy of the model whose inputs have these shapes, with all other shapes inferred anew.

    Axes that share a name share their size, also in inputs that ``shapes`` does not list.

    Args:
        model: an ``onnx.ModelProto``; stays as it is.
        shapes: input name to full shape.

    Raises:
        ConfigError: an unknown input, a wrong rank, a size that contradicts a fixed axis or
            another axis of the same name, or shapes that the graph's operators cannot take.
    """
    onnx = onnx_package()
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    inputs = {value.name: value for value in real_inputs(fixed.graph)}
    sizes: dict[str, int] = {}
    for name, shape in shapes.items():
        if name not in inputs:
            raise ConfigError(
                f"wanted to fix the shape of the input '{name}'",
                seen="the model has no input of that name",
                allowed=", ".join(inputs),
                next_step=did_you_mean(name, inputs) or "give one of the model's inputs",
            )
        _set_shape(inputs[name], shape, sizes)
    for value in inputs.values():
        _replace_names(value, sizes)
    for value in fixed.graph.output:
        _replace_names(value, sizes)
    del fixed.graph.value_info[:]
    try:
        inferred = onnx.shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        raise ConfigError(
            "wanted the model with the input shapes " + ", ".join(f"{k}={_text(v)}" for k, v in shapes.items()),
            seen=f"shapes that its operators cannot take: {_first_line(error)}",
            next_step="give the shapes that the model was trained with",
        ) from error
    return inferred


_AGAIN = "give the shape that the model declares; only its dynamic axes can be chosen"


def _set_shape(value: Any, shape: tuple[int, ...], sizes: dict[str, int]) -> None:
    declared = declared_shape(value)
    text = _text(shape)
    if any(size < 1 for size in shape):
        raise ConfigError(f"wanted a shape for the input '{value.name}'", seen=text, allowed="sizes of at least 1")
    if declared is not None:
        allowed = _text(declared) or "a single number"
        if len(declared) != len(shape):
            raise ConfigError(
                f"wanted a shape with {len(declared)} axes for the input '{value.name}'",
                seen=text,
                allowed=allowed,
                next_step=_AGAIN,
            )
        for axis, (old, new) in enumerate(zip(declared, shape, strict=True)):
            size = sizes.setdefault(old, new) if isinstance(old, str) and old != UNNAMED else old
            if isinstance(size, int) and size != new:
                raise ConfigError(
                    f"wanted axis {axis} of the input '{value.name}' as the model has it",
                    seen=f"{new} in {text}",
                    allowed=f"{size}, because the model declares {allowed}",
                    next_step=_AGAIN,
                )
    value.type.tensor_type.shape.Clear()
    value.type.tensor_type.shape.SetInParent()
    for size in shape:
        value.type.tensor_type.shape.dim.add().dim_value = size


def _replace_names(value: Any, sizes: Mapping[str, int]) -> None:
    for dim in value.type.tensor_type.shape.dim:
        if dim.dim_param in sizes:
            dim.dim_value = sizes[dim.dim_param]


def _text(shape: tuple[int | str, ...]) -> str:
    return "x".join(str(size) for size in shape)


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
