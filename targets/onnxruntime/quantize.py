"""From a float ONNX file to ONNX Runtime's int8 (QDQ) or fp16.

Ranges come from our calibrators and are handed over in ONNX Runtime's own calibration cache, so
that placement of Q/DQ pairs, weight and bias quantization stay the library's.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from profiles.device import Device
from targets.base import CalibrationSet, ExportedModel, Scheme
from targets.calibration import check_samples, observe, ranges
from targets.onnx_prepare import prepare
from targets.onnx_watch import float_tensors, watch
from targets.onnxruntime import dialect
from targets.quiet import in_our_words


def to_int8(
    model: ExportedModel, calibration: CalibrationSet, device: Device, scheme: Scheme, out: Path
) -> ExportedModel:
    """Static int8 quantization (Jacob et al. 2018) in the device's dialect."""
    assert model.onnx is not None
    check_samples(calibration, {spec.name: spec.shape for spec in model.inputs})
    prepared, quantized = out / "float.onnx", out / "model.onnx"
    prepare(model.onnx, prepared)
    _quantize(prepared, calibration, device, scheme, quantized)
    notes = {
        "dialect": dialect.describe(device),
        "calibrator": scheme.calibrator,
        "calibration samples": str(len(calibration)),
    }
    return dataclasses.replace(
        model, onnx=quantized, tflite=None, precision="int8", float_onnx=prepared, notes={**model.notes, **notes}
    )


def _quantize(prepared: Path, calibration: CalibrationSet, device: Device, scheme: Scheme, out: Path) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    signed = dialect.activations_signed(device)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "ranges.json"
        _write_ranges(prepared, calibration, scheme, cache)
        with in_our_words("ONNX Runtime must quantize the model"):
            quantize_static(
                str(prepared),
                str(out),
                None,
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=scheme.per_channel,
                reduce_range=dialect.reduce_range(device),
                calibration_cache_path=cache,
            )


def _write_ranges(prepared: Path, calibration: CalibrationSet, scheme: Scheme, cache: Path) -> None:
    import numpy as np
    import onnx
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData, save_tensors_data

    names = float_tensors(onnx.load(str(prepared)))
    seen = ranges(observe(watch(prepared, names, calibration)), scheme.calibrator, scheme.percentile)
    data = {name: (np.array([low], np.float32), np.array([high], np.float32)) for name, (low, high) in seen.items()}
    save_tensors_data(TensorsData(CalibrationMethod.MinMax, data), cache)


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
