"""The ONNX Runtime backend."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from profiles.device import Device
from profiles.errors import UnsupportedError
from profiles.runner import Arrays, Runner
from targets.base import CalibrationSet, Compiled, ExportedModel, LayerError, Scheme, SupportReport, TensorSpec
from targets.layer_errors import compare


class OnnxRuntimeTarget:
    """Microsoft's runtime, on x86 and Arm CPUs."""

    name = "onnxruntime"
    title = "ONNX Runtime (CPU)"
    formats = ("onnx",)
    precisions = ("fp32", "fp16", "int8")
    calibrators = ("minmax", "percentile", "entropy", "mse")
    packages = ("onnxruntime", "onnx")
    programs: ClassVar[dict[str, str]] = {}
    resources: tuple[Path, ...] = ()

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
        import onnx

        from targets.onnxruntime.activations import float_tensors, watch

        if quantized.float_onnx is None or quantized.onnx is None:
            return []
        kept = list(samples)
        before = onnx.load(str(quantized.float_onnx))
        ops = {output: node.op_type for node in before.graph.node for output in node.output}
        seen = counterparts(float_tensors(before), float_tensors(onnx.load(str(quantized.onnx))))
        reference = watch(quantized.float_onnx, seen, kept)
        rows = compare(reference, _renamed(watch(quantized.onnx, seen.values(), kept), seen), {k: ops[k] for k in seen})
        names = {output: name for node in before.graph.node for output, name in _output_names(node)}
        return [dataclasses.replace(row, name=names[row.name]) for row in rows]


def _output_names(node: Any) -> Iterator[tuple[str, str]]:
    """Every output of a node with the node's name, and its number where it is not the first."""
    for number, output in enumerate(node.output):
        yield output, (f"{node.name}:{number}" if number else node.name) if node.name else output


def counterparts(before: Iterable[str], after: Iterable[str]) -> dict[str, str]:
    """Float tensor to the tensor of the QDQ graph that stands for it: after its Q/DQ pair where it has one.

    A ReLU may be gone from the QDQ graph, its clipping done by the unsigned range of the pair.
    """
    present = set(after)
    pairs = {name: f"{name}_DequantizeLinear_Output" for name in before}
    return {name: pair if pair in present else name for name, pair in pairs.items() if {pair, name} & present}


def _renamed(stream: Iterable[Arrays], names: Mapping[str, str]) -> Iterator[Arrays]:
    return ({name: sample[other] for name, other in names.items()} for sample in stream)


def _native(specs: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """ONNX keeps float inputs and outputs; an already quantized file keeps its own types."""
    return tuple(
        dataclasses.replace(spec, scale=None, zero_point=None) if spec.dtype.startswith("float") else spec
        for spec in specs
    )
