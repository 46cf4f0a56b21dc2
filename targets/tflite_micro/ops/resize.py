"""RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR."""

from __future__ import annotations

import numpy as np

from profiles.runner import Array
from targets.tflite_micro.calls import Call, In, Out, Rule, Variant, option
from targets.tflite_micro.graph.ir import ITEM_BYTES, Graph, Op
from targets.tflite_micro.ops.common import int8_activations
from targets.tflite_micro.ops.moves import blank, move
from targets.tflite_micro.ops.slices import gather


def images(op: Op, graph: Graph) -> str:
    """Input and output are NHWC images of the same batch and channels, with sizes of at most 32767."""
    shapes = graph.tensor(op.inputs[0]).shape, graph.tensor(op.outputs[0]).shape
    sane = all(len(shape) == 4 and max(shape) < 1 << 15 for shape in shapes)
    return "" if sane and shapes[0][::3] == shapes[1][::3] else f"{shapes[0]} and {shapes[1]}"


def one_alignment(op: Op, graph: Graph) -> str:
    """Not both align_corners and half_pixel_centers are set."""
    both = option(op, "align_corners", False) and option(op, "half_pixel_centers", False)
    return "both" if both else ""


def nearest(size: int, out: int, corners: bool, centers: bool) -> Array:
    """The input element of every output element (TFLite GetNearestNeighbor, in float32)."""
    one = np.float32(1)
    scale = one * (size - 1) / (one * (out - 1)) if corners and out > 1 else one * size / (one * out)
    real = (np.arange(out, dtype=np.float32) + np.float32(0.5 if centers else 0)) * np.float32(scale)
    whole = np.floor(real + np.float32(0.5)) if corners else np.floor(real)
    return np.asarray(np.clip(whole, 0, size - 1), np.int64)


def lower_nearest(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_copy`` where every element is repeated equally often, or else of ``ew_gather``."""
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    (batch, height, width, channels), (_, out_h, out_w, _) = source.shape, target.shape
    flags = bool(option(op, "align_corners", False)), bool(option(op, "half_pixel_centers", False))
    rows, columns = nearest(height, out_h, *flags), nearest(width, out_w, *flags)
    if _repeats(rows, height) and _repeats(columns, width):
        times_h, times_w = out_h // height, out_w // width
        split = (batch, height, times_h, width, times_w, channels)
        read = np.broadcast_to(blank(source)[:, :, None, :, None, :], split)
        return move(source, read, target, blank(target).reshape(split))
    run = channels * ITEM_BYTES[source.dtype]
    return gather(source, target, (rows, columns), (height * width * run, width * run, run))


def _repeats(indices: Array, size: int) -> bool:
    times, rest = divmod(len(indices), size)
    return rest == 0 and np.array_equal(indices, np.repeat(np.arange(size), times))


def _scale(size: int, out: int, corners: bool) -> int:
    """Input elements per output element, 2^-10 (TFLite ResizeBilinearInteger)."""
    if corners and out > 1:
        size, out = size - 1, out - 1
    return (1024 * size + out // 2) // out


def near_scale(op: Op, graph: Graph) -> str:
    """The last output element lies less than 2 input elements behind the last input element."""
    source, target = graph.tensor(op.inputs[0]).shape, graph.tensor(op.outputs[0]).shape
    for size, out in zip(source[1:3], target[1:3], strict=True):
        scale, start = _places(op, size, out)
        if (out - 1) * scale + start >= 1024 * (size + 1):
            return f"{size} to {out}"
    return ""


def _places(op: Op, size: int, out: int) -> tuple[int, int]:
    scale = _scale(size, out, bool(option(op, "align_corners", False)))
    return scale, scale // 2 - 512 if option(op, "half_pixel_centers", False) else 0


def lower_bilinear(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_resize_bilinear``."""
    source, target = graph.tensor(op.inputs[0]), graph.tensor(op.outputs[0])
    (batch, height, width, channels), (_, out_h, out_w, _) = source.shape, target.shape
    (scale_h, start_h), (scale_w, start_w) = _places(op, height, out_h), _places(op, width, out_w)
    params = {
        "batch": batch, "in_h": height, "in_w": width, "channels": channels, "out_h": out_h, "out_w": out_w,
        "scale_h": scale_h, "scale_w": scale_w, "start_h": start_h, "start_w": start_w,
    }  # fmt: skip
    args = (In(source.index), Out(target.index))
    return Call("ew_resize_bilinear", params, args, sources=("ew_resize.c",))


RULES = (
    Rule("RESIZE_NEAREST_NEIGHBOR", (images,), lower_nearest),
    Rule("RESIZE_BILINEAR", (int8_activations, images, one_alignment, near_scale), lower_bilinear),
)
