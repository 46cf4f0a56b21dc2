"""From a float ONNX file to ONNX Runtime's int8 (QDQ) or fp16."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from profiles.device import Device
from targets import onnx_quantize
from targets.base import CalibrationSet, ExportedModel, Scheme
from targets.onnx_prepare import prepare
from targets.onnxruntime import dialect
from targets.quiet import in_our_words


def to_int8(
    model: ExportedModel, calibration: CalibrationSet, device: Device, scheme: Scheme, out: Path
) -> ExportedModel:
    """Static int8 quantization (Jacob et al. 2018) in the device's dialect."""
    spoken = onnx_quantize.Dialect(
        dialect.activations_signed(device), dialect.reduce_range(device), dialect.describe(device)
    )
    return onnx_quantize.to_int8(model, calibration, scheme, out, spoken)


def to_fp16(model: ExportedModel, out: Path) -> ExportedModel:
    """Cast weights and arithmetic to fp16; inputs and outputs stay float32."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    assert model.onnx is not None
    prepared, cast = out / "float.onnx", out / "model.onnx"
    prepare(model.onnx, prepared)
    with in_our_words("ONNX Runtime must cast the model to fp16"):
        converted = convert_float_to_float16(onnx.load(str(prepared)), keep_io_types=True)
    onnx.save(converted, str(cast))
    return dataclasses.replace(model, onnx=cast, tflite=None, precision="fp16", float_onnx=prepared)
