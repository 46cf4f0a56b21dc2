"""Shapes of operators that slide a window over an image: convolutions and pools.

TFLite kernels/padding.h (ComputeOutSize). ``padding`` is "same", "valid", or "explicit" with ``pad`` =
(top, bottom, left, right), which :mod:`~targets.tflite_micro.graph.fuse` makes.
"""

from __future__ import annotations

from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.graph.parameters import LARGEST, Shape, data, ints, positive
from targets.tflite_micro.graph.verify import Malformed


def conv(op: Op, graph: Graph) -> list[Shape]:
    """CONV_2D: groups are the input's channels over the weights'."""
    image, weights = _image(op, graph, 0), _image(op, graph, 1)
    filters, height, width, channels = weights.shape
    groups, rest = divmod(image.shape[3], channels)
    if rest or filters % groups:
        raise Malformed(f"CONV_2D {op.index} has weights {weights.shape} for an input {image.shape}")
    _check_bias(op, graph, 2, filters)
    return [(image.shape[0], *_slide(op, image, (height, width)), filters)]


def depthwise(op: Op, graph: Graph) -> list[Shape]:
    """DEPTHWISE_CONV_2D: weights 1HWC with C = channels * multiplier."""
    image, weights = _image(op, graph, 0), _image(op, graph, 1)
    one, height, width, filters = weights.shape
    multiplier = op.options.get("depth_multiplier", 1)
    if one != 1 or multiplier * image.shape[3] != filters:
        raise Malformed(
            f"DEPTHWISE_CONV_2D {op.index} has weights {weights.shape} and the multiplier {multiplier} "
            f"for an input {image.shape}"
        )
    _check_bias(op, graph, 2, filters)
    return [(image.shape[0], *_slide(op, image, (height, width)), filters)]


def pool(op: Op, graph: Graph) -> list[Shape]:
    """AVERAGE_POOL_2D and MAX_POOL_2D."""
    image = _image(op, graph, 0)
    kernel = positive(op, "filter_height"), positive(op, "filter_width")
    return [(image.shape[0], *_slide(op, image, kernel), image.shape[3])]


def transpose_conv(op: Op, graph: Graph) -> list[Shape]:
    """TRANSPOSE_CONV: inputs are the output's shape, weights OHWI, and the image.

    The output has a size from which the convolution with the same options would give the image.
    """
    out, weights, image = ints(op, graph, 0), _image(op, graph, 1), _image(op, graph, 2)
    filters, height, width, channels = weights.shape
    if len(out) != 4 or min(out) < 1 or (out[0], out[3]) != (image.shape[0], filters) or channels != image.shape[3]:
        raise Malformed(f"TRANSPOSE_CONV {op.index} makes {out} from {image.shape} with weights {weights.shape}")
    if op.options.get("padding") == "explicit":
        raise Malformed(f"TRANSPOSE_CONV {op.index} has the padding explicit")
    back = [
        _out(op, size, positive(op, f"stride_{name}"), kernel, (0, 0))
        for size, kernel, name in zip(out[1:3], (height, width), "hw", strict=True)
    ]
    if tuple(back) != image.shape[1:3]:
        raise Malformed(f"TRANSPOSE_CONV {op.index} makes {out} from {image.shape} with kernel {(height, width)}")
    _check_bias(op, graph, 3, filters)
    return [out]


def _image(op: Op, graph: Graph, place: int) -> Tensor:
    tensor = data(op, graph, place)
    if len(tensor.shape) != 4 or 0 in tensor.shape:
        raise Malformed(f"{op.kind} {op.index} has an input '{tensor.name}' of shape {tensor.shape}")
    return tensor


def _check_bias(op: Op, graph: Graph, place: int, filters: int) -> None:
    bias = graph.ins(op)[place] if place < len(op.inputs) else None
    if bias is not None and bias.elements != filters:
        raise Malformed(f"{op.kind} {op.index} has {bias.elements} biases for {filters} filters")


def _slide(op: Op, image: Tensor, kernel: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the output."""
    top, bottom, left, right = op.options.get("pad", (0, 0, 0, 0))
    sizes = []
    for size, taps, name, pad in zip(image.shape[1:3], kernel, "hw", ((top, bottom), (left, right)), strict=True):
        dilation = positive(op, f"dilation_{name}_factor", 1)
        sizes.append(_out(op, size, positive(op, f"stride_{name}"), (taps - 1) * dilation + 1, pad))
    return sizes[0], sizes[1]


def _out(op: Op, size: int, stride: int, reach: int, pad: tuple[int, int]) -> int:
    """Output size along one axis; ``reach`` is the kernel's size with dilation."""
    padding = op.options.get("padding")
    if reach >= LARGEST or padding not in ("same", "valid", "explicit"):
        raise Malformed(f"{op.kind} {op.index} has a kernel that reaches over {reach}, and the padding {padding}")
    if padding == "same":
        return -(-size // stride)
    if padding == "explicit":
        if not all(0 <= amount < reach for amount in pad):
            raise Malformed(f"{op.kind} {op.index} pads by {pad} for a kernel of {reach}")
        size += sum(pad)
    if size < reach:
        raise Malformed(f"{op.kind} {op.index} has a kernel of {reach} on an input of {size}")
    return (size - reach) // stride + 1


INFER = {
    "CONV_2D": conv,
    "DEPTHWISE_CONV_2D": depthwise,
    "AVERAGE_POOL_2D": pool,
    "MAX_POOL_2D": pool,
    "TRANSPOSE_CONV": transpose_conv,
}
