"""The files that a torch model is exported to: one per format, each checked against a float64 run and cached."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from targets.base import ExportedModel, TensorSpec
from toolchain.export.exported import Exported
from toolchain.steps.data import unstack
from toolchain.steps.torch_reference import reference
from toolchain.steps.torch_stage import Staged

#: Formats as people write them.
TITLES = {"onnx": "ONNX", "tflite": "TFLite", "pt2": "a PyTorch program"}
_TOOLS = ("onnx", "onnxscript", "litert-torch")


@dataclasses.dataclass(frozen=True)
class ExportedFile:
    """One file, with the outputs and the channel-last names that it came with."""

    path: Path
    outputs: tuple[TensorSpec, ...]
    channel_last: tuple[str, ...]


class TorchExports:
    """Exports of one model, each made when it is first asked for."""

    def __init__(self, model: Staged) -> None:
        self.model = model
        self._made: dict[str, ExportedFile] = {}

    def files(self, formats: Iterable[str]) -> dict[str, ExportedFile]:
        """Every file that there is, those in ``formats`` among them."""
        for name in sorted(set(formats) - set(self._made)):
            self._made[name] = self._exported(name)
        return dict(self._made)

    def _exported(self, name: str) -> ExportedFile:
        model = self.model
        sources = ("toolchain.export", __name__, *(("targets.pytorch",) if name == "pt2" else ()))
        inputs = {**model.key(*sources), "format": name}
        inputs |= {"golden": model.golden_inputs, "tools": {tool: _version(tool) for tool in _TOOLS}}
        with model.progress.step(f"export {model.name} to {TITLES[name]}") as step:
            cached = model.cache.folder("export", inputs, lambda out: self._write(name, out))
            step.cached = cached.hit
        facts: dict[str, Any] = json.loads((cached.path / "facts.json").read_text())
        outputs = tuple(TensorSpec.from_dict(spec) for spec in facts["outputs"])
        return ExportedFile(cached.path / f"model.{name}", outputs, tuple(facts["channel_last"]))

    def _write(self, name: str, out: Path) -> None:
        from toolchain.export.parity import check_parity

        model = self.model
        exported = _exporter(name)(model.module, model.sample, out / f"model.{name}")
        report = check_parity(model.module, exported, unstack(model.golden_inputs))
        facts = {
            "outputs": [spec.as_dict() for spec in exported.outputs],
            "channel_last": exported.channel_last,
            "parity": report.as_dict(),
        }
        (out / "facts.json").write_text(json.dumps(facts))


def model_files(exports: TorchExports, formats: Iterable[str]) -> ExportedModel:
    """The model in the wanted formats, each checked against a float64 run, with golden samples."""
    model = exports.model
    outputs, _, how = reference(model)
    found = exports.files(formats)
    specs = next(iter(found.values())).outputs
    return ExportedModel(
        name=model.name,
        inputs=model.base.inputs,
        outputs=specs,
        onnx=found["onnx"].path if "onnx" in found else None,
        tflite=found["tflite"].path if "tflite" in found else None,
        pt2=found["pt2"].path if "pt2" in found else None,
        tflite_channel_last=found["tflite"].channel_last if "tflite" in found else (),
        golden_inputs=model.golden_inputs,
        golden_outputs={spec.name: outputs[spec.name].astype(spec.dtype) for spec in specs},
        reference=how,
    )


def _exporter(name: str) -> Callable[..., Exported]:
    from toolchain.export.onnx import export_onnx
    from toolchain.export.tflite import export_tflite
    from toolchain.export.torch_program import export_program

    return {"onnx": export_onnx, "tflite": export_tflite, "pt2": export_program}[name]


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
