"""The PyTorch baseline."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from profiles.device import Device
from profiles.errors import UnsupportedError
from profiles.runner import Arrays, Runner
from targets.base import Backend, CalibrationSet, Compiled, ExportedModel, LayerError, Scheme, SupportReport

MODEL = "model.pt2"


class PyTorchTarget(Backend):
    """What the model costs without the other engines: a program of ``torch.export``, run operator by operator."""

    name = "pytorch"
    title = "PyTorch (baseline)"
    formats = ("pt2",)
    precisions = ("fp32", "fp16", "bf16")
    calibrators: tuple[str, ...] = ()
    packages = ("torch",)

    def absent(self, device: Device) -> str:
        """A GPU's baseline runs on CUDA or not at all: a processor's figures would say nothing about it."""
        from targets.pytorch.place import CUDA, place_of, why_no_cuda

        return why_no_cuda() if place_of(device.as_dict()) == CUDA else ""

    def support(self, model: ExportedModel, device: Device, precision: str) -> SupportReport:
        """From the operators of the program."""
        from targets.pytorch.support import report

        return report(self.name, model, device, precision)

    def quantize(
        self, model: ExportedModel, calibration: CalibrationSet, device: Device, scheme: Scheme, out: Path
    ) -> ExportedModel:
        """fp16 and bf16 by casting weights and operators; inputs and outputs stay float32."""
        from targets.pytorch.cast import to_sixteen_bits

        return model if scheme.precision == "fp32" else to_sixteen_bits(model, scheme.precision, out)

    def compile(self, model: ExportedModel, device: Device, out: Path) -> Compiled:
        """The program as it is. ``torch.compile`` works on the device, and only where it is asked for."""
        if model.pt2 is None:
            raise UnsupportedError(
                f"PyTorch needs a .pt2 program of '{model.name}'",
                seen="none",
                next_step="start from a torch model, which is exported to one",
            )
        shutil.copyfile(model.pt2, out / MODEL)
        options = {
            "threads": int(device.parameters.get("threads", 1)),
            "compile": bool(device.parameters.get("torch_compile", False)),
        }
        return Compiled((MODEL,), model.inputs, model.outputs, options)

    def runner(self, folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> Runner:
        """See ``targets/pytorch/runner.py``."""
        from targets.pytorch.runner import open_runner

        return open_runner(folder, compiled, device)

    def layer_errors(self, quantized: ExportedModel, samples: Iterable[Arrays]) -> list[LayerError]:
        """Nothing is quantized."""
        return []
