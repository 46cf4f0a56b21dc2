"""The fields of a COMPUTE: where its inputs begin, how addresses go on from there, what follows the sums."""

from __future__ import annotations

import dataclasses

from targets.tvm_fpga.compiler.blocks import Block
from targets.tvm_fpga.compiler.ir import Addition, Layer
from targets.tvm_fpga.compiler.layout import View
from targets.tvm_fpga.isa import Mode

ADDRESSES = 1 << 20


@dataclasses.dataclass(frozen=True)
class Places:
    """A layer's tensors on the chip; ``run`` as in :func:`targets.tvm_fpga.compiler.layout.run_of`."""

    source: View
    out: View
    other: View | None = None
    run: int = 0


@dataclasses.dataclass(frozen=True)
class Share:
    """What of the channels an instruction takes: groups of outputs and tiles of inputs, first and count.

    ``out`` is where the first group goes in a position of the output tensor. ``carry`` and ``keep`` as in the
    instruction.
    """

    group: int
    groups: int
    out: int
    tile: int
    tiles: int
    carry: bool = False
    keep: bool = False


def compute_values(layer: Layer, mode: Mode, places: Places, block: Block, share: Share) -> dict[str, int]:
    """All fields but those of weights, parameters and waits."""
    values = _inputs(layer, mode, places, block, share) | _outputs(layer, places, block, share)
    if mode is Mode.WINDOW:
        rows, columns = (block.rows - 1) * layer.stride[0] + 3, (block.columns - 1) * layer.stride[1] + 3
        values |= {"wrows": rows, "wcols": columns}
    if layer.addition and places.other:
        values |= _addition(layer, layer.addition, places.other, block, share)
    return values


def _inputs(layer: Layer, mode: Mode, places: Places, block: Block, share: Share) -> dict[str, int]:
    """The frame that addresses are counted in begins where the block does, if that is inside of the tensor."""
    view = places.source
    (ky, kx), (sy, sx), (dy, dx) = layer.kernel, layer.stride, layer.dilation
    pad = layer.padding[1]
    if places.run:
        kx, sx, dx, pad = 1, 1, 1, 0
    y, x = block.row * sy - layer.padding[0] - view.first, block.column * sx - pad
    below = y + (block.rows - 1) * sy + (ky - 1) * dy + 1
    right = x + (block.columns - 1) * sx + (kx - 1) * dx + 1
    tile = share.tile if mode is Mode.CONV else share.group
    return {
        "mode": int(mode),
        "max": int(layer.kind.value == "largest"),
        "in_base": (view.base + y * view.pitch + x * view.pixel + tile) % ADDRESSES,
        "step_y": sy * view.pitch,
        "step_x": sx * view.pixel,
        "step_ky": dy * view.pitch,
        "step_kx": dx * view.pixel,
        "in_h": max(0, min(view.rows, below) - max(y, 0)),
        "in_w": max(0, min(view.columns, right) - max(x, 0)),
        "iy0": min(y, 0),
        "ix0": min(x, 0),
        "sy": sy,
        "sx": sx,
        "dy": dy,
        "dx": dx,
        "kh": ky,
        "kw": kx,
        "ct": share.tiles if mode is Mode.CONV else 1,
        "fill": layer.fill,
    }


def _outputs(layer: Layer, places: Places, block: Block, share: Share) -> dict[str, int]:
    view = places.out
    return {
        "nt": share.groups,
        "rows": block.rows,
        "ow": block.columns,
        "out_base": view.base + (block.row - view.first) * view.pitch + block.column * view.pixel + share.out,
        "out_row": view.pitch,
        "out_px": view.pixel,
        "zero": layer.zero,
        "lo": layer.lo,
        "hi": layer.hi,
        "carry": int(share.carry),
        "keep": int(share.keep),
    }


def _addition(layer: Layer, addition: Addition, view: View, block: Block, share: Share) -> dict[str, int]:
    return {
        "residual": 1,
        "res_base": view.base + (block.row - view.first) * view.pitch + block.column * view.pixel + share.group,
        "res_row": view.pitch,
        "res_px": view.pixel,
        "res_zero": addition.other.zero,
        "mul_a": addition.mul_a,
        "mul_b": addition.mul_b,
        "res_shift": addition.shift,
        "sum_zero": layer.out.zero,
        "sum_lo": addition.lo,
        "sum_hi": addition.hi,
    }
