"""Where the windows of CONV_2D and DEPTHWISE_CONV_2D lie: constraints, members of ``ew_conv_t``, rows, overlap."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from targets.tflite_micro.calls import Rows, option
from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.ops.common import activation_range, out_size, same_padding
from targets.tflite_micro.ops.weights import LARGEST, channel_axis, weights_of


def four_axes(op: Op, graph: Graph) -> str:
    """Image and output have the four axes batch, height, width and channels, each of 32767 at most."""
    for tensor in (graph.ins(op)[0], *graph.outs(op)):
        if tensor is None or len(tensor.shape) != 4 or max(tensor.shape) > LARGEST:
            return "no image" if tensor is None else f"{tensor.shape} in '{tensor.name}'"
    return ""


def small_windows(op: Op, graph: Graph) -> str:
    """Strides and dilations are at least 1, a window spans 32767 pixels and has 65535 values at most."""
    for name, taps in zip("hw", weights_of(op, graph).shape[1:3], strict=True):
        stride, dilation = option(op, f"stride_{name}", 1), option(op, f"dilation_{name}_factor", 1)
        if not 1 <= stride <= LARGEST or dilation < 1 or (taps - 1) * dilation >= LARGEST:
            return f"a stride of {stride}, a dilation of {dilation} and {taps} taps"
    values = math.prod(weights_of(op, graph).shape[1 : 4 if channel_axis(op) == 0 else 3])
    return "" if values <= 65535 else f"a window of {values} values"


def matching_sizes(op: Op, graph: Graph) -> str:
    """The output has the size that follows from image, kernel, stride, dilation and padding."""
    image, output = graph.ins(op)[0], graph.outs(op)[0]
    assert image is not None
    try:
        geometry = geometry_of(op, graph)
    except KeyError as error:
        return f"padding {error}"
    sizes = (image.shape[0], geometry.sizes[0], geometry.sizes[1], weights_of(op, graph).shape[channel_axis(op)])
    return "" if output.shape == sizes else f"{output.shape} where {sizes} belongs"


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Where windows lie; each pair is (along height, along width).

    Attributes:
        sizes: of the output.
        kernel, stride, dilation: as in the file.
        pad: at the top and at the left.
    """

    sizes: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pad: tuple[int, int]

    @property
    def span(self) -> int:
        """Rows from the first to the last of a window."""
        return (self.kernel[0] - 1) * self.dilation[0] + 1

    @property
    def reach(self) -> int:
        """Of :class:`Rows`."""
        return self.span - self.pad[0]

    def members(self) -> dict[str, Any]:
        """Members of ``ew_conv_t``."""
        names = ("kernel", "stride", "dilation")
        found = {f"{name}_{axis}": getattr(self, name)[i] for name in names for i, axis in enumerate("hw")}
        return {**found, "pad_top": self.pad[0], "pad_left": self.pad[1]}


def geometry_of(op: Op, graph: Graph) -> Geometry:
    """The geometry of a convolution.

    Raises:
        KeyError: a padding that is not known.
    """
    image, kernel = graph.ins(op)[0], weights_of(op, graph).shape[1:3]
    assert image is not None
    padding, found = option(op, "padding"), []
    for axis, name in enumerate("hw"):
        size, taps = image.shape[axis + 1], kernel[axis]
        stride, dilation = option(op, f"stride_{name}", 1), option(op, f"dilation_{name}_factor", 1)
        if padding == "explicit":
            before, behind = option(op, "pad")[2 * axis : 2 * axis + 2]
            out = (size + before + behind - (taps - 1) * dilation - 1) // stride + 1
        elif padding in ("same", "valid"):
            out = out_size(size, taps, stride, dilation, padding)
            before = same_padding(size, taps, stride, dilation, out) if padding == "same" else 0
        else:
            raise KeyError(padding)
        found.append((out, taps, stride, dilation, before))
    return Geometry(*((one, other) for one, other in zip(*found, strict=True)))


def image_members(op: Op, graph: Graph, *, groups: int, wide: bool) -> dict[str, Any]:
    """The members of ``ew_conv_t`` behind the pointers."""
    image, output, geometry = graph.ins(op)[0], graph.outs(op)[0], geometry_of(op, graph)
    assert image is not None
    low, high = activation_range(op, output)
    return {
        **dict(zip(("in_h", "in_w", "in_c"), image.shape[1:], strict=True)),
        **dict(zip(("out_h", "out_w", "out_c"), output.shape[1:], strict=True)),
        **geometry.members(), "groups": groups, "batch": image.shape[0],
        "in_zero": image.zero_point, "out_zero": output.zero_point, "act_min": low, "act_max": high, "wide": int(wide),
    }  # fmt: skip


def rows_of(function: str, image: Tensor, output: Tensor, geometry: Geometry, ring: bool = True) -> Rows | None:
    """How a convolution of one image runs row by row."""
    if image.shape[0] != 1:
        return None
    return Rows(
        f"{function}_load" if ring else "", f"{function}_row" if ring else "",
        geometry.stride[0], geometry.reach, image.shape[1], output.shape[1],
        image.shape[2] * image.shape[3], output.shape[2] * output.shape[3],
    )  # fmt: skip


def head_start(image: Tensor, output: Tensor, geometry: Geometry) -> int:
    """The smallest ``address(input) - address(output)`` at which no output row overwrites unread input rows."""
    in_row, out_row = image.shape[2] * image.shape[3], output.shape[2] * output.shape[3]
    batch, in_h, out_h = image.shape[0], image.shape[1], output.shape[1]
    y = np.arange(out_h)
    read = np.minimum(in_h, y * geometry.stride[0] + geometry.reach)
    read[-1] = in_h  # nothing below the last window is read
    n = np.arange(batch)[:, None]
    written, first_unread = (n * out_h + y + 1) * out_row, (n * in_h + read) * in_row
    matters = first_unread < batch * in_h * in_row
    return int((written - first_unread)[matters].max(initial=-image.bytes))
