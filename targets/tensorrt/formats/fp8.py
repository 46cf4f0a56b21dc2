"""fp8 (E4M3, Micikevicius et al. 2022): Q/DQ pairs around convolutions and matrix products; the rest in fp16.

What TensorRT-RTX 1.7 compiles, read from its schedules for SM 8.9 and 12.0 (SM 8.0 and 8.6 refuse fp8):

- Conv, Gemm and MatMul take fp8 inputs and fp8 weights and write half precision; the next layer's quantization is one
  kernel with whatever stands between.
- Convolutions fuse bias and ReLU with one weight scale per tensor. With one per channel they write float32, and another
  kernel scales. In matrix products, bias and scales always go to the kernel behind, so per channel costs nothing there.
- fp8 weights with inputs in fp16 are widened by a kernel of their own before each inference's product: no gain.
- What the functions below leave in fp16.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from profiles.device import Device
from profiles.errors import UnsupportedError
from profiles.runner import Array
from targets.base import CalibrationSet, ExportedModel, Scheme
from targets.calibration import check_samples, observe, ranges
from targets.onnx_layers import (
    Constraint,
    Weighted,
    attribute,
    batched_weights,
    choose,
    quantized_before,
    reasons,
)
from targets.onnx_tools import load_onnx, onnx_package, save_onnx
from targets.tensorrt.formats.cast import to_half
from targets.tensorrt.formats.half_range import check_activations
from targets.tensorrt.formats.insert_qdq import dequantize_weights, drop_unread, quantize_activation, rewire
from targets.tensorrt.formats.number_formats import (
    FP16_SCALES,
    at_least_opset,
    fp16_scale,
    require_format,
    require_fp16_range,
)
from targets.tensorrt.formats.prepare import name_nodes

#: The largest E4M3 number.
LARGEST = 448.0


def grouped(layer: Weighted) -> bool:
    """grouped convolutions are padded to dense ones"""
    return layer.op == "Conv" and attribute(layer.node, "group", 1) > 1


def wide_window(layer: Weighted) -> bool:
    """windows of more than 32 values are computed in half precision"""
    return layer.op == "Conv" and math.prod(layer.weights.shape[2:]) > 32


def odd_channels(layer: Weighted) -> bool:
    """input channels that are no multiple of 4 are padded"""
    return layer.op == "Conv" and layer.inputs % 4 != 0


#: What keeps a layer in fp16.
CONSTRAINTS: tuple[Constraint, ...] = (
    grouped,
    wide_window,
    odd_channels,
    batched_weights,
    quantized_before,
)


def to_fp8(
    model: ExportedModel, calibration: CalibrationSet, device: Device, scheme: Scheme, out: Path
) -> ExportedModel:
    """Convolutions and matrix products in fp8 with calibrated scales, the rest in fp16, inputs and outputs in float32.

    Raises:
        UnsupportedError: the device has no fp8, no layer can use it, or values exceed fp16's range.
        DataError: calibration samples of the wrong name or shape, or not finite.
    """
    from targets.onnx_prepare import prepare

    require_format(device, "fp8")
    assert model.onnx is not None
    check_samples(calibration, {spec.name: spec.shape for spec in model.inputs})
    prepared, cast = out / "float.onnx", out / "model.onnx"
    prepare(model.onnx, prepared)
    network = at_least_opset(load_onnx(prepared), FP16_SCALES)
    name_nodes(network)
    layers, left = choose(network, CONSTRAINTS)
    _require_some(layers, left)
    largest = _largest_inputs(prepared, layers, calibration, scheme)
    _insert(network, layers, largest, per_channel=scheme.per_channel)
    drop_unread(network)
    half, notes = to_half(network)
    check_activations(prepared, model)
    save_onnx(half, cast)
    notes |= _notes(layers, left, scheme, len(calibration))
    return dataclasses.replace(
        model, onnx=cast, tflite=None, precision="fp8", float_onnx=prepared, notes={**model.notes, **notes}
    )


def _largest_inputs(
    prepared: Path, layers: list[Weighted], calibration: CalibrationSet, scheme: Scheme
) -> dict[str, float]:
    """The largest calibrated magnitude of each layer's input, by tensor name, in the tensor's own unit."""
    from targets.onnx_watch import watch

    wanted = list(dict.fromkeys(layer.node.input[0] for layer in layers))
    computed = [name for name in wanted if all(name not in sample for sample in calibration)]
    seen = observe(
        {name: values for name, values in sample.items() if name in wanted}
        for sample in watch(prepared, computed, calibration)
    )
    largest = {
        name: max(-low, high) for name, (low, high) in ranges(seen, scheme.calibrator, scheme.percentile).items()
    }
    for name, value in largest.items():
        require_fp16_range(value, f"the activation '{name}'")
    return largest


def _insert(model: Any, layers: list[Weighted], largest: Mapping[str, float], *, per_channel: bool) -> None:
    """Put Q/DQ pairs before the layers' inputs, one per tensor, and dequantization behind their weights."""
    inputs = {}
    for name, value in largest.items():
        scale = fp16_scale(np.asarray(value / LARGEST))
        inputs[name] = quantize_activation(model, name, scale, fp8(np.zeros(())))
    for layer in layers:
        axis = layer.output_axis if per_channel and layer.op != "Conv" else None
        weights = dequantize_weights(model, layer, *quantized_weights(layer.weights, axis), axis=axis)
        rewire(layer.node, {0: inputs[layer.node.input[0]], 1: weights})


def quantized_weights(weights: Array, axis: int | None) -> tuple[Array, Array]:
    """Weights in E4M3 and their scales, of shape () or (channels,): weights = scale * quantized.

    Raises:
        UnsupportedError: weights beyond fp16's range.
    """
    others = None if axis is None else tuple(other for other in range(weights.ndim) if other != axis)
    largest = np.max(np.abs(weights), axis=others)
    require_fp16_range(float(np.max(largest)), "the weights of a layer")
    scale = fp16_scale(largest / LARGEST)
    shape = [1] * weights.ndim
    if axis is not None:
        shape[axis] = -1
    return fp8(weights / scale.reshape(shape)), scale


def fp8(values: Array) -> Array:
    """To the nearest E4M3 number, ties to even, saturated at 448."""
    dtype = onnx_package().helper.tensor_dtype_to_np_dtype(onnx_package().TensorProto.FLOAT8E4M3FN)
    clipped: Array = np.clip(values, -LARGEST, LARGEST).astype(dtype)
    return clipped


def _require_some(layers: list[Weighted], left: Mapping[str, str]) -> None:
    if not layers:
        raise UnsupportedError(
            "wanted the model in fp8",
            seen=reasons(left, 3) or "no layer with weights",
            allowed="dense convolutions and matrix products with constant weights",
            next_step='set precision = "fp16" under this [[device]]',
        )


def _notes(layers: list[Weighted], left: Mapping[str, str], scheme: Scheme, samples: int) -> dict[str, str]:
    kept = {"left in fp16": reasons(left)} if left else {}
    return {
        "dialect": "Q/DQ in E4M3, one scale per activation and per convolution's weights",
        "calibrator": scheme.calibrator,
        "calibration samples": str(samples),
        "layers in fp8": f"{len(layers)} of {len(layers) + len(left)}",
        **kept,
    }
