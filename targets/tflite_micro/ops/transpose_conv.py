"""TRANSPOSE_CONV: constraints, weights by phase, and the call of ``ew_transpose_conv``."""

from __future__ import annotations

import numpy as np

from profiles.runner import Array
from targets.tflite_micro.calls import Call, Const, In, Out, Role, Rule, Scratch, Variant, one_int8, option
from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.ops.common import activation_range, known_activation, quantize_multiplier, same_padding

#: The DSP variant reads weights in groups of this many: EW_TRANSPOSE_CONV_RUN of the header.
DSP_RUN = 4


def int8_image(op: Op, graph: Graph) -> str:
    """The image and the output are int8 with one scale each."""
    for tensor in (graph.ins(op)[2], graph.outs(op)[0]):
        if not one_int8(tensor):
            return f"{tensor.dtype} '{tensor.name}'" if tensor else "no image"
    return ""


def sizes(op: Op, graph: Graph) -> str:
    """Strides and the sizes of image, kernel and output are at most 32767."""
    shapes = [tensor.shape for tensor in (*graph.ins(op)[1:3], *graph.outs(op)) if tensor is not None]
    largest = max(option(op, "stride_h", 1), option(op, "stride_w", 1), *(max(shape) for shape in shapes))
    return f"{largest}" if largest > 32767 else ""


def constant_weights(op: Op, graph: Graph) -> str:
    """Weights are constant int8 with zero point 0 and one scale, or one per output channel."""
    weights = graph.ins(op)[1]
    if weights is None or not weights.constant or weights.dtype != "int8" or weights.quantization is None:
        return "weights that are not constant, or not int8"
    scales = len(weights.quantization.scale)
    if scales not in (1, weights.shape[0]) or (scales > 1 and weights.quantization.axis != 0):
        return f"{scales} scales along axis {weights.quantization.axis}"
    return "a zero point other than 0" if any(weights.quantization.zero_point) else ""


def constant_bias(op: Op, graph: Graph) -> str:
    """The bias is constant int32, or left out."""
    bias = _bias(op, graph)
    return "" if bias is None or (bias.constant and bias.dtype == "int32") else f"{bias.dtype} '{bias.name}'"


def _bias(op: Op, graph: Graph) -> Tensor | None:
    return graph.ins(op)[3] if len(op.inputs) > 3 else None


def taps(kernel: int, stride: int, phase: int) -> int:
    """How many weights of one axis meet an output pixel of one phase."""
    return max(0, -(-(kernel - phase) // stride))


def pack(weights: Array, stride_h: int, stride_w: int, run: int) -> tuple[Array, Array]:
    """OHWI weights in the order in which the kernel reads them, and where each phase begins.

    Args:
        weights: OHWI.
        stride_h, stride_w: phases along each axis.
        run: the weights of one row of taps are padded with zeros to a multiple of this; 4 swaps values 1 and 2
            of each 4, as the DSP extension unpacks them.
    """
    packed, starts, place = [], [], 0
    for y in range(stride_h):
        for x in range(stride_w):
            part = weights[:, y::stride_h, x::stride_w][:, :, ::-1]
            flat = part.reshape(part.shape[0], part.shape[1], part.shape[2] * part.shape[3])
            flat = np.pad(flat, ((0, 0), (0, 0), (0, -flat.shape[2] % run)))
            if run == DSP_RUN:
                flat = flat.reshape(*flat.shape[:2], flat.shape[2] // run, run)[..., [0, 2, 1, 3]]
            starts.append(place)
            packed.append(flat.reshape(-1))
            place += flat.size
    return np.concatenate(packed), np.array(starts, np.int32)


def lower(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_transpose_conv``."""
    weights, image, output, bias = graph.ins(op)[1], graph.ins(op)[2], graph.outs(op)[0], _bias(op, graph)
    assert weights is not None and weights.data is not None and image is not None
    out_c, kernel_h, kernel_w, in_c = weights.shape
    strides = option(op, "stride_h", 1), option(op, "stride_w", 1)
    run = DSP_RUN if variant == "dsp" else 1
    packed, starts = pack(weights.data, *strides, run)
    pads = [
        same_padding(output.shape[axis], kernel, stride, 1, image.shape[axis])
        for axis, kernel, stride in ((1, kernel_h, strides[0]), (2, kernel_w, strides[1]))
    ]
    multiplier, shift = _requantization(image, weights, output)
    left, ring = taps(kernel_w, strides[1], 0) - 1, taps(kernel_h, strides[0], 0)
    right = max(0, (output.shape[2] - 1 + pads[1]) // strides[1] - image.shape[2] + 1)
    row = (left + image.shape[2] + right) * in_c
    low, high = activation_range(op, output)
    params = {
        "weights": Const(packed, Role.WEIGHTS), "start": Const(starts, Role.TABLE),
        "bias": None if bias is None or bias.data is None else Const(bias.data.reshape(-1), Role.BIAS),
        "multiplier": multiplier, "shift": shift, "row": row,
        "in_h": image.shape[1], "in_w": image.shape[2], "in_c": in_c,
        "out_h": output.shape[1], "out_w": output.shape[2], "out_c": out_c,
        "kernel_h": kernel_h, "kernel_w": kernel_w, "stride_h": strides[0], "stride_w": strides[1],
        "pad_top": pads[0], "pad_left": pads[1], "ring_h": ring, "ring_left": left, "batch": image.shape[0],
        "in_zero": image.zero_point, "out_zero": output.zero_point, "act_min": low, "act_max": high,
    }  # fmt: skip
    return Call(
        "ew_transpose_conv", params, (In(image.index), Out(output.index), Scratch()), scratch=2 * (ring * row + run),
        overlap={image.index: head_start(image.shape, output.shape, strides[0], pads[0])},
        sources=("ew_transpose_conv.c",), macs=image.elements * kernel_h * kernel_w * out_c,
    )  # fmt: skip


def head_start(image: tuple[int, ...], output: tuple[int, ...], stride: int, pad: int) -> int:
    """The smallest ``address(input) - address(output)`` at which no output row overwrites an unread input row.

    Args:
        image, output: NHWC shapes of int8 tensors.
        stride, pad: along the rows.
    """
    in_row, out_row = image[2] * image[3], output[2] * output[3]
    needed = []
    for y in range(image[0] * output[1]):
        batch, inside = divmod(y, output[1])
        loaded = batch * image[1] + min(image[1], (inside + pad) // stride + 1)
        if loaded < image[0] * image[1]:
            needed.append((y + 1) * out_row - loaded * in_row)
    return max(needed, default=-image[0] * image[1] * in_row)


def _requantization(image: Tensor, weights: Tensor, output: Tensor) -> tuple[Const, Const]:
    assert weights.quantization is not None
    scales = np.broadcast_to(np.array(weights.quantization.scale, np.float32), (weights.shape[0],))
    pairs = [quantize_multiplier(image.scale * float(scale) / output.scale) for scale in scales]
    multiplier, shift = zip(*pairs, strict=True)
    return Const(np.array(multiplier, np.int32), Role.REQUANT), Const(np.array(shift, np.int8), Role.REQUANT, align=1)


RULES = (
    Rule(
        "TRANSPOSE_CONV",
        (int8_image, sizes, constant_weights, constant_bias, known_activation),
        lower,
    ),
)
