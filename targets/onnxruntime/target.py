"""The ONNX Runtime backend."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from profiles.device import Device
from profiles.errors import UnsupportedError
from profiles.runner import Arrays, Runner
from targets.base import Backend, CalibrationSet, Compiled, ExportedModel, LayerError, Scheme, SupportReport, TensorSpec


class OnnxRuntimeTarget(Backend):
    """Microsoft's runtime, on x86 and Arm CPUs."""

    name = "onnxruntime"
    title = "ONNX Runtime (CPU)"
    formats = ("onnx",)
    precisions = ("fp32", "fp16", "int8")
    calibrators = ("minmax", "percentile", "entropy", "mse")
    packages = ("onnxruntime", "onnx")

    def support(self, model: ExportedModel, device: Device, precision: str) -> SupportReport:
        """From the operators of the graph."""
        from targets.onnxruntime.support import report

        return report(self.name, model, device, precision)

    def quantize(
        self, model: ExportedModel, calibration: CalibrationSet, device: Device, scheme: Scheme, out: Path
    ) -> ExportedModel:
        """int8 QDQ in the device's dialect, or fp16 by casting."""
        from targets.onnxruntime.quantize import to_fp16, to_int8

        if scheme.precision == "int8":
            return to_int8(model, calibration, device, scheme, out)
        return to_fp16(model, out) if scheme.precision == "fp16" else model

    def compile(self, model: ExportedModel, device: Device, out: Path) -> Compiled:
        """The ONNX file as it is: ONNX Runtime compiles when it loads."""
        if model.onnx is None:
            raise UnsupportedError(f"ONNX Runtime needs an ONNX file of '{model.name}'", seen="none")
        shutil.copyfile(model.onnx, out / "model.onnx")
        threads = int(device.parameters.get("threads", 1))
        return Compiled(("model.onnx",), _native(model.inputs), _native(model.outputs), {"threads": threads})

    def runner(self, folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> Runner:
        """See ``targets/onnxruntime/runner.py``."""
        from targets.onnxruntime.runner import open_runner

        return open_runner(folder, compiled, device)

    def layer_errors(self, quantized: ExportedModel, samples: Iterable[Arrays]) -> list[LayerError]:
        """Node by node: the prepared float graph against the QDQ graph, both unfused."""
        from targets.onnx_errors import node_errors

        if quantized.float_onnx is None or quantized.onnx is None:
            return []
        return node_errors(quantized.float_onnx, quantized.onnx, samples)


def _native(specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """ONNX keeps float inputs and outputs; an already quantized file keeps its own types."""
    return tuple(
        dataclasses.replace(spec, scale=None, zero_point=None) if spec.dtype.startswith("float") else spec
        for spec in specs
    )
