"""The backend for plain CPUs through TVM, also those that other engines have no package for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from profiles.device import Device
from profiles.errors import UnsupportedError
from profiles.runner import Arrays, Runner
from targets.base import Backend, CalibrationSet, Compiled, ExportedModel, LayerError, Scheme, SupportReport
from targets.tvm_cpu.emit import ROOT


class TvmCpuTarget(Backend):
    """x86-64, 64-bit and 32-bit Arm, 64-bit RISC-V: one library, with no engine on the device."""

    name = "tvm_cpu"
    title = "TVM, ahead of time (CPU)"
    formats = ("onnx",)
    precisions = ("fp32",)
    calibrators = ()
    packages = ("apache-tvm", "onnx")
    resources: tuple[Path, ...] = (ROOT,)

    def support(self, model: ExportedModel, device: Device, precision: str) -> SupportReport:
        """From TVM's own importer."""
        from targets.tvm_cpu.support import report

        return report(self.name, model, device, precision)

    def quantize(
        self, model: ExportedModel, calibration: CalibrationSet, device: Device, scheme: Scheme, out: Path
    ) -> ExportedModel:
        """Nothing to do for fp32; anything else is refused."""
        if scheme.precision != "fp32":
            raise UnsupportedError(f"{self.title} computes in fp32", seen=scheme.precision, allowed="fp32")
        return model

    def compile(self, model: ExportedModel, device: Device, out: Path) -> Compiled:
        """Library, program, archive and header for the device's processor."""
        from targets.tvm_cpu.bundle import write_bundle

        return write_bundle(model, device, out)

    def runner(self, folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> Runner:
        """See ``targets/tvm_cpu/runner.py``."""
        from targets.tvm_cpu.runner import open_runner

        return open_runner(folder, compiled, device)

    def layer_errors(self, quantized: ExportedModel, samples: Iterable[Arrays]) -> list[LayerError]:
        """Nothing is quantized."""
        return []
