"""Inputs and outputs as the host module takes and gives them: like the model file that it was compiled from."""

from __future__ import annotations

import dataclasses

from profiles.errors import UnsupportedError
from targets.base import ExportedModel, TensorSpec

Io = tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]


def native(model: ExportedModel) -> Io:
    """Of a Q/DQ ONNX file the real values; of a TFLite file its own integers, in its own layout.

    Raises:
        UnsupportedError: a TFLite file that has its inputs or outputs in another order than the model.
    """
    if model.onnx is None and model.tflite is not None:
        return _of_tflite(model)
    return tuple(map(_real, model.inputs)), tuple(map(_real, model.outputs))


def _real(spec: TensorSpec) -> TensorSpec:
    return dataclasses.replace(spec, scale=None, zero_point=None) if spec.dtype.startswith("float") else spec


def _of_tflite(model: ExportedModel) -> Io:
    from targets.tflite_io import native_io
    from targets.tflite_tools import read_tflite

    assert model.tflite is not None
    found = native_io(model.tflite, model.inputs, model.outputs, model.tflite_channel_last)
    file = read_tflite(model.tflite)
    for specs, listed in zip(found, (file.inputs, file.outputs), strict=True):
        seen = [spec.name.partition(":")[2] for spec in specs]
        wanted = [io.tensor.name for io in listed]
        if seen != wanted:
            raise UnsupportedError(
                f"the accelerator needs the inputs and outputs of '{model.name}' in the file's order",
                seen=", ".join(seen),
                allowed=", ".join(wanted),
            )
    return found
