"""TFLite files from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from profiles.errors import ConfigError, ModelError, UnsupportedError
from profiles.suggest import did_you_mean
from targets.base import ExportedModel, TensorSpec
from targets.tflite_tools import (
    FLOATS,
    TfliteFile,
    TfliteIo,
    constants,
    is_quantized,
    parse_tflite,
    read_bytes,
    tensor_values,
)
from targets.tflite_verify import verify_tflite
from toolchain.export.foreign_checks import check_file, check_finite, guess_layout, refuse_dynamic

_IO_TYPES = ("float32", "float16", "float64", "int8", "uint8", "int16", "int32", "int64", "bool")


def open_tflite(path: Path, fixed: Mapping[str, tuple[int, ...]] | None = None) -> ExportedModel:
    """Check a TFLite file and describe it; nothing runs it.

    The canonical form is the file's own layout (NHWC for images), with real float32 values where
    inputs and outputs are quantized; the specs keep scale and zero point. A batch axis that the file
    leaves open has the stored size, which engines run unless told otherwise; other open axes must be
    confirmed by ``fixed``, with their stored sizes.

    Args:
        path: the file, which the model keeps referring to.
        fixed: input name to full shape.

    Raises:
        ConfigError: no such file; a dynamic axis other than the batch; a shape that the file does not have.
        ModelError: empty, truncated or damaged; weights that are not finite (names the tensor).
        UnsupportedError: inputs or outputs of a type that no target takes.
        MissingToolError: ``ai_edge_litert`` is not installed.
    """
    check_file(path, "TFLite")
    data = read_bytes(path)
    verify_tflite(data, path.name)
    file = parse_tflite(data, path)
    for tensor in constants(file):
        values = tensor_values(tensor, data)
        if values is not None:
            check_finite(tensor.name, values, path.name)
    _check_shapes(file, fixed or {})
    quantized = is_quantized(file)
    return ExportedModel(
        name=path.stem,
        inputs=tuple(_spec(io, path.name) for io in file.inputs),
        outputs=tuple(_spec(io, path.name) for io in file.outputs),
        tflite=path,
        precision="int8" if quantized else "fp32",
        notes=_notes(file),
    )


def _check_shapes(file: TfliteFile, fixed: Mapping[str, tuple[int, ...]]) -> None:
    inputs = {io.name: io.tensor for io in file.inputs}
    for name, shape in fixed.items():
        if name not in inputs:
            raise ConfigError(
                f"wanted to fix the shape of the input '{name}'",
                seen="the model has no input of that name",
                allowed=", ".join(inputs),
                next_step=did_you_mean(name, inputs) or "give one of the model's inputs",
            )
        if shape != inputs[name].shape:
            raise ConfigError(
                f"wanted the input '{name}' of {file.path.name} in another shape",
                seen="x".join(map(str, shape)),
                allowed="x".join(map(str, inputs[name].shape)) + ", the shape stored in the TFLite file",
                next_step="convert the model again with that shape; a TFLite file keeps the sizes of all inner tensors",
            )
    open_axes = {
        name: tuple("?" if size < 0 else size for size in t.signature)
        for name, t in inputs.items()
        if name not in fixed and any(size < 0 for size in t.signature[1:])
    }
    if open_axes:
        raise _refused(file, open_axes)


def _refused(file: TfliteFile, open_axes: Mapping[str, tuple[int | str, ...]]) -> ConfigError:
    error = refuse_dynamic(file.path.name, open_axes)
    stored = {io.name: "x".join(map(str, io.tensor.shape)) for io in file.inputs}
    options = " ".join(f"--input {name}={stored[name]}" for name in open_axes)
    return ConfigError(
        error.wanted,
        seen=error.seen,
        allowed=error.allowed,
        next_step=f"confirm the sizes stored in the file: {options}; for others, convert the model again",
    )


def _spec(io: TfliteIo, file: str) -> TensorSpec:
    tensor = io.tensor
    if tensor.dtype not in _IO_TYPES:
        raise UnsupportedError(
            f"wanted numbers as '{io.name}' of {file}", seen=f"{tensor.dtype} values", allowed=", ".join(_IO_TYPES)
        )
    layout = guess_layout(tensor.shape, "NHWC")
    if not tensor.scale:
        return TensorSpec(io.name, tensor.shape, tensor.dtype, layout)
    if len(tensor.scale) != 1 or tensor.scale[0] <= 0:
        raise ModelError(
            f"wanted one positive quantization scale for '{io.name}' of {file}", seen=f"{len(tensor.scale)} scales"
        )
    scale, zero_point = tensor.scale[0], tensor.zero_point[0]
    return TensorSpec(io.name, tensor.shape, "float32", layout, scale=scale, zero_point=zero_point)


def _notes(file: TfliteFile) -> dict[str, str]:
    notes = {"source": f"{file.path.name} as given"}
    batches = [io.name for io in file.inputs if io.tensor.signature[:1] == (-1,)]
    if batches:
        notes["batch"] = f"open in the file for {', '.join(batches)}; the stored size is used"
    if not is_quantized(file) and any(t.scale and t.dtype not in FLOATS for t in constants(file)):
        notes["weights"] = "stored as integers, computed in floating point"
    return notes
