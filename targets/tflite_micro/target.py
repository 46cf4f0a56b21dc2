"""The backend for microcontrollers: an int8 TFLite graph becomes C, a library and linked firmware."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from profiles.device import Device
from profiles.errors import UnsupportedError
from profiles.runner import Arrays, Runner
from targets.base import Backend, CalibrationSet, Compiled, ExportedModel, LayerError, Scheme, SupportReport
from targets.tflite_micro.kernels import ROOT


class TfliteMicroTarget(Backend):
    """Cortex-M: kernels of our own, called from generated C; no interpreter and no flatbuffer on the device."""

    name = "tflite_micro"
    title = "TFLite for microcontrollers, ahead of time (Cortex-M)"
    formats = ("tflite",)
    precisions = ("int8",)
    calibrators = ("minmax", "percentile", "entropy", "mse")
    packages = ("ai-edge-litert", "ai-edge-quantizer")
    programs: Mapping[str, str] = MappingProxyType(
        {
            "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
            "qemu-system-arm": "qemu-system-arm",
        }
    )
    resources: tuple[Path, ...] = (ROOT,)

    def support(self, model: ExportedModel, device: Device, precision: str) -> SupportReport:
        """Operator by operator, and whether constants, code and arena fit the device's memories."""
        from targets.tflite_micro.support import report

        return report(self.name, model, device, precision)

    def quantize(
        self, model: ExportedModel, calibration: CalibrationSet, device: Device, scheme: Scheme, out: Path
    ) -> ExportedModel:
        """int8 with our ranges, the same file that LiteRT would get."""
        from targets.tflite_quantize import to_int8

        return to_int8(model, calibration, scheme, out)

    def compile(self, model: ExportedModel, device: Device, out: Path) -> Compiled:
        """Firmware, library, memory plan and the kit for TFLM."""
        from targets.tflite_micro.bundle import write_bundle

        if model.tflite is None:
            raise UnsupportedError(f"{self.title} needs a TFLite file of '{model.name}'", seen="none")
        return write_bundle(model, device, out)

    def runner(self, folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> Runner:
        """See ``targets/tflite_micro/runner.py``."""
        from targets.tflite_micro.runner import open_runner

        return open_runner(folder, compiled, device)

    def layer_errors(self, quantized: ExportedModel, samples: Iterable[Arrays]) -> list[LayerError]:
        """Tensor by tensor: the float file against the quantized one."""
        from targets.tflite_quantize import tensor_errors

        return tensor_errors(quantized, samples)
