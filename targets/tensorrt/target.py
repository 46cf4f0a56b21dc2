"""The TensorRT backend."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from profiles.device import Device
from profiles.runner import Arrays, Counters, Runner
from targets.base import Backend, CalibrationSet, Compiled, ExportedModel, LayerError, Scheme, SupportReport


class TensorRtTarget(Backend):
    """NVIDIA's compiler and runtime: TensorRT-RTX for desktop GPUs, TensorRT for Jetson and the data centre."""

    name = "tensorrt"
    title = "TensorRT (NVIDIA GPUs)"
    formats = ("onnx",)
    precisions = ("fp32", "fp16", "fp8", "int8", "int4")
    calibrators = ("minmax", "percentile", "entropy", "mse")
    packages = ("tensorrt-rtx-cu13", "onnx", "onnxruntime")
    side_by_side = ("fp32", "fp16", "int8")
    exploits = frozenset({"2:4"})

    def absent(self, device: Device) -> str:
        """No NVIDIA GPU, or one that the device's engines are not for."""
        from targets.tensorrt.presence import why_absent

        return why_absent(device)

    def static_counters(self, folder: Path, compiled: Compiled) -> Counters:
        """What the compiler planned: kernels, their number formats, memory; nothing where the device compiles."""
        from targets.tensorrt.figures import of_schedule

        return of_schedule(folder)

    def support(self, model: ExportedModel, device: Device, precision: str) -> SupportReport:
        """From the graph, the rules of placement and, ahead of time, the compiler's own answer."""
        from targets.tensorrt.advice.support import report

        return report(self.name, model, device, precision)

    def quantize(
        self, model: ExportedModel, calibration: CalibrationSet, device: Device, scheme: Scheme, out: Path
    ) -> ExportedModel:
        """Explicit Q/DQ for int8, fp8 and int4; fp16 by casting."""
        if scheme.precision == "int8":
            from targets.tensorrt.search.searching import to_int8

            return to_int8(model, calibration, device, scheme, out)
        if scheme.precision == "fp8":
            from targets.tensorrt.formats.fp8 import to_fp8

            return to_fp8(model, calibration, device, scheme, out)
        if scheme.precision == "int4":
            from targets.tensorrt.formats.int4 import to_int4

            return to_int4(model, device, scheme, out)
        from targets.tensorrt.formats.cast import to_fp16

        return to_fp16(model, out) if scheme.precision == "fp16" else dataclasses.replace(model)

    def compile(self, model: ExportedModel, device: Device, out: Path) -> Compiled:
        """Engines where TensorRT-RTX can make them without a GPU; else what the device needs to make them."""
        from targets.tensorrt.compile import compile_bundle

        return compile_bundle(model, device, out)

    def runner(self, folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> Runner:
        """See ``targets/tensorrt/runner.py``."""
        from targets.tensorrt.runner import open_runner

        return open_runner(folder, compiled, device)

    def layer_errors(self, quantized: ExportedModel, samples: Iterable[Arrays]) -> list[LayerError]:
        """Tensor by tensor: the float graph against the Q/DQ graph, both unfused."""
        from targets.tensorrt.formats.quantize import tensor_errors

        return tensor_errors(quantized, samples)
