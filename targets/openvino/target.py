"""The OpenVINO backend."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from profiles.device import Device
from profiles.errors import UnsupportedError
from profiles.runner import Arrays, Runner
from targets.base import Backend, CalibrationSet, Compiled, ExportedModel, LayerError, Scheme, SupportReport, TensorSpec
from targets.layer_errors import compare


class OpenVinoTarget(Backend):
    """Intel's runtime, on x86 and Arm CPUs."""

    name = "openvino"
    title = "OpenVINO (CPU)"
    formats = ("onnx", "tflite")
    precisions = ("fp32", "bf16", "fp16", "int8")
    calibrators = ("minmax", "percentile")
    packages = ("openvino", "nncf")

    def support(self, model: ExportedModel, device: Device, precision: str) -> SupportReport:
        """Ask OpenVINO's CPU plugin."""
        from targets.openvino.support import report

        return report(self.name, model, device, precision)

    def quantize(
        self, model: ExportedModel, calibration: CalibrationSet, device: Device, scheme: Scheme, out: Path
    ) -> ExportedModel:
        """int8 by NNCF; 16-bit arithmetic is chosen when the model is loaded, and needs nothing here."""
        from targets.openvino.quantize import to_int8

        if scheme.precision == "int8":
            return to_int8(model, calibration, scheme, out)
        return dataclasses.replace(model, precision=scheme.precision)

    def compile(self, model: ExportedModel, device: Device, out: Path) -> Compiled:
        """OpenVINO IR; constants in fp16 for ``fp16`` and ``bf16``."""
        from targets.openvino.models import open_network
        from targets.openvino.precision import hint
        from targets.openvino.quantize import save

        network = open_network(model)
        _require_static(network)
        save(network, out / "model.xml", half=model.precision in ("fp16", "bf16"))
        inputs = tuple(_native(spec, port) for spec, port in zip(model.inputs, network.inputs, strict=True))
        outputs = tuple(_native(spec, port) for spec, port in zip(model.outputs, network.outputs, strict=True))
        threads = int(device.parameters.get("threads", 1))
        options = {"hint": hint(model.precision, device), "threads": threads}
        return Compiled(("model.xml", "model.bin"), inputs, outputs, options)

    def runner(self, folder: Path, compiled: Compiled, device: Mapping[str, Any]) -> Runner:
        """See ``targets/openvino/runner.py``."""
        from targets.openvino.runner import open_runner

        return open_runner(folder, compiled, device)

    def layer_errors(self, quantized: ExportedModel, samples: Iterable[Arrays]) -> list[LayerError]:
        """Node by node: the float IR against the quantized one, both on the CPU plugin in f32."""
        from targets.openvino.models import in_order, open_network, watch, watchable

        if quantized.float_native is None:
            return []
        kept = in_order(quantized, samples)
        before = open_network(dataclasses.replace(quantized, native=quantized.float_native, precision="fp32"))
        after = open_network(quantized)
        common = watchable(after)
        ops = {name: node.get_type_name() for name, node in watchable(before).items() if name in common}
        names = list(ops)
        return compare(watch(before, names, kept), watch(after, names, kept), ops)


def _native(spec: TensorSpec, port: Any) -> TensorSpec:
    """The engine's view of a canonical tensor: OpenVINO keeps names, layouts and quantized types of the source."""
    dtype = port.get_element_type().to_dtype().name
    shape = tuple(int(size) for size in port.get_shape())
    quantized = dtype in ("int8", "uint8") and spec.scale is not None
    kept = spec if quantized else dataclasses.replace(spec, scale=None, zero_point=None)
    return dataclasses.replace(kept, dtype=dtype, shape=shape)


def _require_static(network: Any) -> None:
    for port in [*network.inputs, *network.outputs]:
        if port.get_partial_shape().is_dynamic:
            raise UnsupportedError(
                "a bundle needs fixed shapes",
                seen=f"{port.get_any_name()}: {port.get_partial_shape()}",
                next_step="give the shape: edgewright build MODEL --input NAME=1x3x320x320",
            )
