"""Weights and parameters in the order in which the hardware reads them."""

from __future__ import annotations

import numpy as np

from profiles.runner import Array
from targets.tvm_fpga.compiler.ir import Kind, Layer
from targets.tvm_fpga.geometry import Geometry
from targets.tvm_fpga.isa import Mode


def mode_of(layer: Layer, geometry: Geometry) -> Mode:
    """How the array runs a layer: 3x3 through line buffers, unless there are so few positions that taps take less."""
    if layer.kind is Kind.CONV:
        return Mode.CONV
    plain = layer.kind is Kind.DEPTHWISE and layer.kernel == (3, 3) and layer.dilation == (1, 1)
    (rows, columns), (sy, sx) = (layer.out.height, layer.out.width), layer.stride
    walked = ((rows - 1) * sy + 3) * ((columns - 1) * sx + 3)
    window = geometry.passes * max(walked, geometry.lanes)
    return Mode.WINDOW if plain and window < 9 * rows * columns else Mode.TAPS


def weight_tiles(layer: Layer, geometry: Geometry, *, run: int = 0) -> Array:
    """Tiles of weights: groups of outputs x taps x tiles of inputs x rows x lanes, int8.

    ``run`` as in :func:`targets.tvm_fpga.compiler.layout.run_of`: then the taps of a row are inputs of one tap. Modes
    that give every column its own channel have one tile with all that a group needs.
    """
    mode, lanes = mode_of(layer, geometry), geometry.lanes
    if mode is Mode.CONV:
        return _dense(layer.weights, lanes, run)
    taps = _padded(layer.weights.reshape(-1, layer.weights.shape[2]), 1, lanes)
    groups = taps.reshape(len(taps), -1, lanes).transpose(1, 0, 2)
    rows = groups if mode is Mode.TAPS else _padded(groups, 1, geometry.passes * lanes)
    return rows[:, None, None]


def _dense(weights: Array, lanes: int, run: int) -> Array:
    """A row of a tile is an input channel, a column an output."""
    outputs, rows, columns, inputs = weights.shape
    flat = weights.reshape(outputs, rows, 1, columns * inputs) if run else weights
    padded = _padded(_padded(flat, 3, lanes), 0, lanes)
    groups = padded.reshape(-1, lanes, padded.shape[1] * padded.shape[2], padded.shape[3] // lanes, lanes)
    return np.ascontiguousarray(groups.transpose(0, 2, 3, 4, 1))


def _padded(values: Array, axis: int, multiple: int) -> Array:
    """Zeros at the end of an axis, up to a multiple."""
    missing = -values.shape[axis] % multiple
    return np.pad(values, [(0, missing if each == axis else 0) for each in range(values.ndim)])


def parameter_entries(layer: Layer, geometry: Geometry) -> Array:
    """One entry of 8 bytes per output, padded to whole groups: groups x lanes, uint64."""
    bias = layer.bias.astype(np.int32).view(np.uint32).astype(np.uint64)
    words = bias | layer.mult.astype(np.uint64) << np.uint64(32) | layer.shift.astype(np.uint64) << np.uint64(48)
    return _padded(words, 0, geometry.lanes).reshape(-1, geometry.lanes)
