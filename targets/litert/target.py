"""The LiteRT backend."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from profiles.device import Device
from profiles.errors import UnsupportedError
from profiles.runner import Arrays, Runner
from targets.base import Backend, CalibrationSet, Compiled, ExportedModel, LayerError, Scheme, SupportReport


class LiteRtTarget(Backend):
    """Google's on-device runtime, with XNNPACK, on x86 and Arm CPUs."""

    name = "litert"
    title = "LiteRT (CPU, XNNPACK)"
    formats = ("tflite",)
    precisions = ("fp32", "fp16", "int8")
    calibrators = ("minmax", "percentile", "entropy", "mse")
    packages = ("ai-edge-litert", "ai-edge-quantizer")

    def support(self, model: ExportedModel, device: Device, precision: str) -> SupportReport:
        """From the operators of the file."""
        from targets.litert.support import report

        return report(self.name, model, device, precision)

    def quantize(
        self, model: ExportedModel, calibration: CalibrationSet, device: Device, scheme: Scheme, out: Path
    ) -> ExportedModel:
        """int8 with our ranges, or fp16 weights."""
        from targets.tflite_quantize import to_fp16, to_int8

        if scheme.precision == "int8":
            return to_int8(model, calibration, scheme, out)
        return to_fp16(model, out) if scheme.precision == "fp16" else model

    def compile(self, model: ExportedModel, device: Device, out: Path) -> Compiled:
        """The TFLite file as it is: LiteRT compiles when it loads."""
        from targets.tflite_io import native_io

        if model.tflite is None:
            raise UnsupportedError(f"LiteRT needs a TFLite file of '{model.name}'", seen="none")
        shutil.copyfile(model.tflite, out / "model.tflite")
        inputs, outputs = native_io(model.tflite, model.inputs, model.outputs, model.tflite_channel_last)
        return Compiled(("model.tflite",), inputs, outputs, {"threads": int(device.parameters.get("threads", 1))})

    def runner(self, folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> Runner:
        """See ``targets/litert/runner.py``."""
        from targets.litert.runner import open_runner

        return open_runner(folder, compiled, device)

    def layer_errors(self, quantized: ExportedModel, samples: Iterable[Arrays]) -> list[LayerError]:
        """Tensor by tensor: the float file against the quantized one, both with LiteRT's built-in kernels."""
        from targets.tflite_quantize import tensor_errors

        return tensor_errors(quantized, samples)
