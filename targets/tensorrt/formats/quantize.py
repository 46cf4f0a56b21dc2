"""From a float ONNX file to explicit int8: Q/DQ pairs by our rules, with our scales, the rest in fp16."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from profiles.device import Device
from profiles.errors import UnsupportedError
from profiles.runner import Arrays
from targets.base import CalibrationSet, ExportedModel, LayerError, Scheme
from targets.calibration import check_samples, observe, ranges
from targets.histogram import Range
from targets.onnx_errors import node_errors
from targets.onnx_tools import constant_values, load_onnx, save_onnx, weights
from targets.onnx_watch import watch
from targets.tensorrt.device import AHEAD_OF_TIME
from targets.tensorrt.formats.cast import to_half
from targets.tensorrt.formats.half_range import computed, misfit, noting
from targets.tensorrt.formats.prepare import prepare_graph
from targets.tensorrt.formats.scales import LARGEST, symmetric_scales
from targets.tensorrt.placement.candidates import candidates, weights_style
from targets.tensorrt.placement.graph import WEIGHTED
from targets.tensorrt.placement.insert import insert
from targets.tensorrt.placement.placement import Placement, Weights
from targets.tensorrt.placement.plan import require_some


def to_int8(
    model: ExportedModel, calibration: CalibrationSet, device: Device, scheme: Scheme, out: Path
) -> ExportedModel:
    """The default placement, written to ``out/model.onnx``; inputs and outputs stay float32.

    Raises:
        UnsupportedError: nothing in the model can be int8.
        DataError: calibration samples of the wrong name or shape, or not finite.
    """
    return next(_made(model, calibration, device, scheme, out, most=1))[1]


def to_int8_variants(
    model: ExportedModel, calibration: CalibrationSet, device: Device, scheme: Scheme, out: Path
) -> Iterator[tuple[Placement, ExportedModel]]:
    """The model in every placement worth timing, the default first; prepared and calibrated once.

    The default is ``out/model.onnx``, the others are ``out/placementN/model.onnx``, written when they are asked for.
    Errors as in :func:`to_int8`.
    """
    return _made(model, calibration, device, scheme, out)


def _made(
    model: ExportedModel,
    calibration: CalibrationSet,
    device: Device,
    scheme: Scheme,
    out: Path,
    *,
    most: int | None = None,
) -> Iterator[tuple[Placement, ExportedModel]]:
    assert model.onnx is not None
    check_samples(calibration, {spec.name: spec.shape for spec in model.inputs})
    prepared, library = out / "float.onnx", library_of(device)
    graph = prepare_graph(model.onnx, prepared, library)
    placements = candidates(graph, library, per_channel=scheme.per_channel)[:most]
    require_some(placements[0])
    tensors = {tensor for placement in placements for tensor in placement.activations()}
    largest: dict[str, float] = {}
    seen = activation_ranges(prepared, tensors, calibration, scheme, largest)
    rest = _beyond_half(graph, placements[0], seen, largest, device)
    style = weights_style(library, per_channel=scheme.per_channel)
    told = {"calibrator": scheme.calibrator, "calibration samples": str(len(calibration))}
    for number, placement in enumerate(placements):
        file = (out / f"placement{number}" if number else out) / "model.onnx"
        file.parent.mkdir(exist_ok=True)
        made, notes = _quantized(graph, placement, seen, style, rest)
        save_onnx(made, file)
        notes = {**model.notes, **notes, **told}
        yield (
            placement,
            dataclasses.replace(model, onnx=file, tflite=None, precision="int8", float_onnx=prepared, notes=notes),
        )


def library_of(device: Device) -> str:
    """What compiles for a device: its parameter ``library``, or what its compute capability suggests."""
    ahead = str(device.parameters.get("compute_capability", "")) in AHEAD_OF_TIME
    return str(device.parameters.get("library", "tensorrt_rtx" if ahead else "tensorrt"))


def activation_ranges(
    prepared: Path,
    tensors: Collection[str],
    calibration: CalibrationSet,
    scheme: Scheme,
    largest: dict[str, float],
) -> dict[str, Range]:
    """What a calibrator makes of each tensor over all samples, in the tensor's real unit.

    The largest magnitudes of all that is computed are put into ``largest``.
    """
    given = {name for sample in calibration for name in sample}
    others = computed(load_onnx(prepared))
    names = sorted({*others, *(tensor for tensor in tensors if tensor not in given)})
    stream = noting(watch(prepared, names, calibration), others, largest)
    wanted = ({name: values for name, values in sample.items() if name in tensors} for sample in stream)
    return ranges(observe(wanted), scheme.calibrator, scheme.percentile)


def tensor_errors(quantized: ExportedModel, samples: Iterable[Arrays]) -> list[LayerError]:
    """Node by node: the prepared float graph against the Q/DQ graph, both unfused."""
    if quantized.float_onnx is None or quantized.onnx is None:
        return []
    return node_errors(quantized.float_onnx, quantized.onnx, samples)


def _quantized(
    graph: Any, placement: Placement, seen: Mapping[str, Range], style: Weights, rest: str
) -> tuple[Any, dict[str, str]]:
    """The graph with its pairs, and notes; ``rest`` says why the float part stays in fp32."""
    made = insert(graph, placement, symmetric_scales(seen, placement.shared), style)
    notes = {"dialect": f"Q/DQ int8, symmetric, weights with {placement.choice.weights or style}"}
    if not rest:
        try:
            made, more = to_half(made)
            notes |= more
        except UnsupportedError as error:
            rest = error.seen
    layers = [decision for decision in placement.decisions if decision.op in WEIGHTED]
    return made, {
        **notes,
        "placement": placement.name,
        "layers in int8": f"{sum(decision.int8 for decision in layers)} of {len(layers)}",
        "float part": f"fp32, because of {rest}" if rest else "fp16",
    }


def _beyond_half(
    graph: Any, placement: Placement, seen: Mapping[str, Range], largest: Mapping[str, float], device: Device
) -> str:
    """Why the float part of the network stays in fp32; empty when it can be fp16.

    Args:
        graph: the prepared float ``ModelProto``.
        placement: the default.
        seen: ranges of what is quantized.
        largest: magnitudes of all that is computed.
        device: which may have no fp16.
    """
    if "fp16" not in device.formats:
        return "hardware without fp16"
    names = {item.tensor for item in placement.inputs if item.weights}
    stored = {name: constant_values(tensor) for name, tensor in weights(graph) if name in names}
    reasons = [misfit(f"the activation '{name}'", max(map(abs, pair)), LARGEST) for name, pair in seen.items()]
    reasons += [misfit(f"the activation '{name}'", value, 0) for name, value in largest.items()]
    reasons += [
        misfit(f"the weights '{name}'", float(np.abs(values).max(initial=0.0)), LARGEST)
        for name, values in stored.items()
    ]
    return next(filter(None, reasons), "")
