"""int4 weights in blocks (weight-only quantization): matrix products read int4 weights, activations stay in fp16.

What TensorRT-RTX 1.7 compiles, read from its schedules for SM 8.0 to 12.0: the product of one row is one kernel that
reads int4 weights and multiplies in half precision. For several rows the weights are widened by a kernel of their own,
unless the compiler chooses otherwise on the device. Convolution weights are refused: "the blocking dimension must be
the last or second to last". TensorRT's own blocks are of 64 and 128 values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from profiles.device import Device
from profiles.errors import UnsupportedError
from profiles.runner import Array
from targets.base import ExportedModel, Scheme
from targets.onnx_layers import Constraint, Weighted, batched_weights, choose, quantized_before, reasons
from targets.onnx_tools import load_onnx, onnx_package, save_onnx
from targets.tensorrt.formats.cast import to_half
from targets.tensorrt.formats.half_range import check_activations
from targets.tensorrt.formats.insert_qdq import dequantize_weights, drop_unread, rewire
from targets.tensorrt.formats.number_formats import (
    INT4_BLOCKS,
    at_least_opset,
    fp16_scale,
    require_format,
    require_fp16_range,
)
from targets.tensorrt.formats.prepare import name_nodes

#: Values that share a scale, best first: the larger block where the input features are a multiple of it.
BLOCKS = (128, 64)
#: Symmetric: the eighth negative number has no positive counterpart and stays unused.
LARGEST = 7
#: Shares of a block's largest magnitude that are tried as its range, when the calibrator is ``mse``.
_SHARES = np.linspace(1.0, 0.6, 9)


def convolution(layer: Weighted) -> bool:
    """int4 weights are for matrix products"""
    return layer.op == "Conv"


def short_rows(layer: Weighted) -> bool:
    """its input features are no multiple of 64"""
    return layer.inputs % min(BLOCKS) != 0


#: What keeps a layer in fp16.
CONSTRAINTS: tuple[Constraint, ...] = (convolution, batched_weights, short_rows, quantized_before)


def to_int4(model: ExportedModel, device: Device, scheme: Scheme, out: Path) -> ExportedModel:
    """Weights of matrix products in int4 blocks, all arithmetic in fp16, inputs and outputs in float32.

    No calibration samples are needed. The calibrator ``mse`` chooses each block's range by its squared error; the
    others have no meaning for a block of 64 weights, and take all of it.

    Raises:
        UnsupportedError: the device has no int4, no layer can use it, or constants exceed fp16's range.
    """
    from targets.onnx_prepare import prepare

    require_format(device, "int4")
    assert model.onnx is not None
    prepared, cast = out / "float.onnx", out / "model.onnx"
    prepare(model.onnx, prepared)
    network = at_least_opset(load_onnx(prepared), INT4_BLOCKS)
    name_nodes(network)
    layers, left = choose(network, CONSTRAINTS)
    _require_some(layers, left)
    for layer in layers:
        _insert(network, layer, search=scheme.calibrator == "mse")
    drop_unread(network)
    half, notes = to_half(network)
    check_activations(prepared, model)
    save_onnx(half, cast)
    notes |= _notes(layers, left, scheme)
    return dataclasses.replace(
        model, onnx=cast, tflite=None, precision="int4", float_onnx=prepared, notes={**model.notes, **notes}
    )


def block_size(features: int) -> int:
    """How many values share a scale in a layer of so many input features."""
    return next(size for size in BLOCKS if features % size == 0)


def _insert(model: Any, layer: Weighted, *, search: bool) -> None:
    block = block_size(layer.inputs)
    values, scale = quantized_weights(layer.weights, layer.input_axis, block, search=search)
    dtype = onnx_package().helper.tensor_dtype_to_np_dtype(onnx_package().TensorProto.INT4)
    name = dequantize_weights(model, layer, values.astype(dtype), scale, axis=layer.input_axis, block=block)
    rewire(layer.node, {1: name})


def quantized_weights(weights: Array, axis: int, block: int, *, search: bool = False) -> tuple[Array, Array]:
    """Integers of -7 to 7 and their scales: weights = scale of the block * integer.

    Args:
        weights: float, of rank 2.
        axis: along which ``block`` neighbours share a scale; a multiple of ``block``.
        block: values in a block.
        search: try smaller ranges than the whole, and take each block's best by squared error.

    Returns:
        int8 integers of the weights' shape, and float32 scales with ``axis`` shorter by ``block``.

    Raises:
        UnsupportedError: weights beyond fp16's range.
    """
    rows = np.moveaxis(weights, axis, -1)
    blocks = rows.reshape(rows.shape[0], -1, block).astype(np.float64)
    largest = np.abs(blocks).max(axis=-1, keepdims=True)
    require_fp16_range(float(largest.max()), "the weights of a layer")
    best, scale = _rounded(blocks, largest)
    for share in _SHARES[1:] if search else ():
        other, smaller = _rounded(blocks, largest * share)
        better = _squared(blocks, other, smaller) < _squared(blocks, best, scale)
        best, scale = np.where(better, other, best), np.where(better, smaller, scale)
    values = np.moveaxis(best.reshape(rows.shape), -1, axis).astype(np.int8)
    return values, np.ascontiguousarray(np.moveaxis(scale[..., 0], -1, axis), dtype=np.float32)


def _rounded(blocks: Array, largest: Array) -> tuple[Array, Array]:
    scale = fp16_scale(largest / LARGEST).astype(np.float64)
    return np.clip(np.rint(blocks / scale), -LARGEST, LARGEST), scale


def _squared(blocks: Array, values: Array, scale: Array) -> Array:
    return np.asarray(np.sum((blocks - values * scale) ** 2, axis=-1, keepdims=True))


def _require_some(layers: list[Weighted], left: Mapping[str, str]) -> None:
    if not layers:
        raise UnsupportedError(
            "wanted the model with int4 weights",
            seen=reasons(left, 3) or "no layer with weights",
            allowed="matrix products whose input features are a multiple of 64",
            next_step='set precision = "fp16" under this [[device]]',
        )


def _notes(layers: list[Weighted], left: Mapping[str, str], scheme: Scheme) -> dict[str, str]:
    sizes = sorted({block_size(layer.inputs) for layer in layers}, reverse=True)
    kept = {"left in fp16": reasons(left)} if left else {}
    return {
        "dialect": f"int4 weights in blocks of {' and '.join(map(str, sizes))} input features, arithmetic in fp16",
        "range of a block": "least squared error" if scheme.calibrator == "mse" else "its largest weight",
        "layers with int4 weights": f"{len(layers)} of {len(layers) + len(left)}",
        **kept,
    }
