"""The null target: accepts every model, compiles to a copy, runs a fixed function."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from profiles.device import Device
from profiles.runner import Arrays
from targets.base import Backend, CalibrationSet, Compiled, ExportedModel, LayerError, Scheme, SupportReport
from targets.null.runner import NullRunner, open_runner


class NullTarget(Backend):
    """Keeps the pipeline testable; its outputs are not the model's, and it says so."""

    name = "null"
    title = "Nothing at all: for tests of the pipeline"
    formats = ("onnx", "tflite")
    precisions = ("fp32", "bf16", "fp16", "int8")
    calibrators = ("minmax", "percentile", "entropy", "mse")
    packages: tuple[str, ...] = ()

    def support(self, model: ExportedModel, device: Device, precision: str) -> SupportReport:
        """Everything is fine."""
        return SupportReport(self.name, device.name, precision)

    def quantize(
        self, model: ExportedModel, calibration: CalibrationSet, device: Device, scheme: Scheme, out: Path
    ) -> ExportedModel:
        """The same model, said to be in the wanted precision."""
        return dataclasses.replace(model, precision=scheme.precision, float_onnx=model.onnx, float_tflite=model.tflite)

    def compile(self, model: ExportedModel, device: Device, out: Path) -> Compiled:
        """A copy of the model file."""
        source = model.onnx or model.tflite
        if source is None:
            return Compiled((), model.inputs, model.outputs)
        name = f"model{source.suffix}"
        shutil.copyfile(source, out / name)
        return Compiled((name,), model.inputs, model.outputs)

    def runner(self, folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> NullRunner:
        """See ``targets/null/runner.py``."""
        return open_runner(folder, compiled, device)

    def layer_errors(self, quantized: ExportedModel, samples: Iterable[Arrays]) -> list[LayerError]:
        """There are no layers."""
        return []
