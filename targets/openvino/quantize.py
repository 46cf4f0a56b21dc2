"""From a float model to OpenVINO int8, by NNCF's post-training quantization."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from profiles.errors import ToolCrashError, UnsupportedError
from targets.base import CalibrationSet, ExportedModel, Scheme
from targets.calibration import check_samples
from targets.openvino.left_in_float import left_in_float
from targets.openvino.models import in_order, name_anew, open_network, source_file
from targets.quiet import quiet

CALIBRATORS = ("minmax", "percentile")


def to_int8(model: ExportedModel, calibration: CalibrationSet, scheme: Scheme, out: Path) -> ExportedModel:
    """NNCF with the MIXED preset: symmetric weights per channel, asymmetric activations where they need it.

    NNCF places and computes the quantizers; of our calibrators it can express min-max and percentile.
    """
    check_samples(calibration, {spec.name: spec.shape for spec in model.inputs})
    _require_calibrator(scheme)
    target = out / "model.xml"
    quantized = _quantize(open_network(model), in_order(model, calibration), scheme)
    save(quantized, target, half=False)
    notes = {
        "dialect": "NNCF FakeQuantize, preset MIXED",
        "calibrator": scheme.calibrator,
        "calibration samples": str(len(calibration)),
    }
    return dataclasses.replace(
        model,
        native=target,
        onnx=None,
        tflite=None,
        precision="int8",
        float_native=source_file(model),
        notes={**model.notes, **notes},
    )


def _require_calibrator(scheme: Scheme) -> None:
    if scheme.calibrator not in CALIBRATORS:
        raise UnsupportedError(
            "the target 'openvino' quantizes through NNCF, which has no such calibrator",
            seen=scheme.calibrator,
            allowed=", ".join(CALIBRATORS),
            next_step='set [quantize] calibrator = "minmax", or calibrator under this [[device]]',
        )


def _quantize(model: Any, items: list[list[Any]], scheme: Scheme) -> Any:
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters

    nncf.set_log_level("ERROR")
    advanced = AdvancedQuantizationParameters(activations_range_estimator_params=_estimator(scheme))
    advanced.disable_bias_correction = True  # it cost ResNet-8 on CIFAR-10 7.7 dB: 21.2 instead of 28.9
    with quiet() as chatter:
        try:
            return nncf.quantize(
                model,
                nncf.Dataset(items),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(items),
                advanced_parameters=advanced,
                ignored_scope=nncf.IgnoredScope(names=left_in_float(model)),
            )
        except Exception as error:  # whatever the library raises
            raise ToolCrashError(
                "NNCF could not quantize the model", seen=f"{type(error).__name__}: {error} {chatter.tail(1)}".strip()
            ) from error


def _estimator(scheme: Scheme) -> Any:
    from nncf.quantization.range_estimator import (
        AggregatorType,
        RangeEstimatorParameters,
        RangeEstimatorParametersSet,
        StatisticsCollectorParameters,
        StatisticsType,
    )

    if scheme.calibrator == "minmax":
        return RangeEstimatorParametersSet.MINMAX
    tail = (1 - scheme.percentile / 100) / 2
    return RangeEstimatorParameters(
        StatisticsCollectorParameters(StatisticsType.QUANTILE, AggregatorType.MIN, quantile_outlier_prob=tail),
        StatisticsCollectorParameters(StatisticsType.QUANTILE, AggregatorType.MAX, quantile_outlier_prob=tail),
    )


def save(model: Any, path: Path, *, half: bool) -> None:
    """Write IR; ``half`` stores constants in fp16. Nothing of the building machine stays in the file."""
    import openvino as ov

    for key in ("conversion_parameters", "optimization"):
        if key in model.get_rt_info():
            del model.get_rt_info()[key]
    name_anew(model)
    ov.save_model(model, str(path), compress_to_fp16=half)
