"""From a float ONNX file to int8 with Q/DQ pairs, by ONNX Runtime's quantizer with ranges of our own.

Ranges come from our calibrators and are handed over in ONNX Runtime's own calibration cache, so that placement of
Q/DQ pairs, weight and bias quantization stay the library's.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from targets.base import CalibrationSet, ExportedModel, Scheme
from targets.calibration import check_samples, observe, ranges
from targets.onnx_pools import name_global_pools
from targets.onnx_prepare import prepare
from targets.onnx_tools import load_onnx, save_onnx
from targets.onnx_watch import float_tensors, watch
from targets.quiet import in_our_words


@dataclasses.dataclass(frozen=True)
class Dialect:
    """What an engine wants of its int8.

    Attributes:
        signed: activations are int8, else uint8.
        reduce_range: weights keep only 7 bits.
        words: the dialect in words, for the manifest.
    """

    signed: bool
    reduce_range: bool
    words: str


def to_int8(
    model: ExportedModel, calibration: CalibrationSet, scheme: Scheme, out: Path, dialect: Dialect
) -> ExportedModel:
    """Static int8 quantization (Jacob et al. 2018), written to ``out/model.onnx``, the float graph beside it.

    Raises:
        DataError: calibration samples of the wrong name or shape, or not finite.
    """
    assert model.onnx is not None
    check_samples(calibration, {spec.name: spec.shape for spec in model.inputs})
    prepared, quantized = out / "float.onnx", out / "model.onnx"
    prepare(model.onnx, prepared)
    _name_pools(prepared)
    _quantize(prepared, calibration, scheme, quantized, dialect)
    notes = {
        "dialect": dialect.words,
        "calibrator": scheme.calibrator,
        "calibration samples": str(len(calibration)),
    }
    return dataclasses.replace(
        model, onnx=quantized, tflite=None, precision="int8", float_onnx=prepared, notes={**model.notes, **notes}
    )


def _name_pools(prepared: Path) -> None:
    graph = load_onnx(prepared)
    if name_global_pools(graph):
        save_onnx(graph, prepared)


def _quantize(prepared: Path, calibration: CalibrationSet, scheme: Scheme, out: Path, dialect: Dialect) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "ranges.json"
        _write_ranges(prepared, calibration, scheme, cache)
        with in_our_words("ONNX Runtime must quantize the model"):
            quantize_static(
                str(prepared),
                str(out),
                None,
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QInt8 if dialect.signed else QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=scheme.per_channel,
                reduce_range=dialect.reduce_range,
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
