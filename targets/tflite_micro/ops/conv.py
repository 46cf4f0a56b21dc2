"""CONV_2D: constraints, and the calls of ``ew_conv`` and ``ew_pointwise``. The geometry is also that of depthwise convolutions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from targets.tflite_micro.calls import Call, Const, In, Out, Role, Rows, Rule, Scratch, Variant, option
from targets.tflite_micro.graph.ir import Graph, Op, Tensor
from targets.tflite_micro.ops import pack, pack_mve
from targets.tflite_micro.ops.common import (
    activation_range, int8_activations, known_activation, out_size, same_padding,
)  # fmt: skip
from targets.tflite_micro.ops.requant import fold_bias, real_multipliers, rounded_twice
from targets.tflite_micro.ops.weights import (
    LARGEST, bias_of, int8_weights, int32_bias, symmetric_weights, values_of, weights_of,
)  # fmt: skip

#: C files per kernel and variant; the header of the first one declares the kernel.
SOURCES: dict[Variant, dict[str, tuple[str, ...]]] = {
    "portable": {
        "ew_conv": ("ew_conv.c", "ew_ring.c", "ew_block.c"), "ew_pointwise": ("ew_pointwise.c", "ew_block.c"),
        "ew_depthwise": ("ew_depthwise.c", "ew_ring.c", "ew_lines.c"), "ew_dense": ("ew_dense.c",),
    },
    "dsp": {
        "ew_conv": ("ew_conv.c", "ew_ring.c", "ew_block_dsp.c", "ew_dot_dsp.c", "ew_finish_dsp.c"),
        "ew_pointwise": ("ew_pointwise.c", "ew_block_dsp.c", "ew_dot_dsp.c", "ew_finish_dsp.c"),
        "ew_depthwise": ("ew_depthwise.c", "ew_ring.c", "ew_lines_dsp.c", "ew_finish_dsp.c"),
        "ew_dense": ("ew_dense.c", "ew_dense_dsp.c", "ew_dot_dsp.c"),
    },
    "mve": {f"ew_{name}": files for name, files in pack.MVE_SOURCES.items()},
}  # fmt: skip


def four_axes(op: Op, graph: Graph) -> str:
    """Image and output have the four axes batch, height, width and channels, each of 32767 at most."""
    for tensor in (graph.ins(op)[0], *graph.outs(op)):
        if tensor is None or len(tensor.shape) != 4 or max(tensor.shape) > LARGEST:
            return "no image" if tensor is None else f"{tensor.shape} in '{tensor.name}'"
    return ""


def whole_groups(op: Op, graph: Graph) -> str:
    """The channels of the image and of the output are multiples of the number of groups."""
    image, weights = graph.ins(op)[0], weights_of(op, graph)
    assert image is not None
    in_c, out_c, cell = image.shape[3], weights.shape[0], weights.shape[3]
    return "" if in_c % cell == 0 and out_c % (in_c // cell) == 0 else f"{in_c} by {cell} channels, and {out_c}"


def matching_sizes(op: Op, graph: Graph) -> str:
    """The output has the size that follows from image, kernel, stride, dilation and padding."""
    image, output = graph.ins(op)[0], graph.outs(op)[0]
    assert image is not None
    try:
        geometry = geometry_of(op, graph)
    except KeyError as error:
        return f"padding {error}"
    sizes = (image.shape[0], geometry.sizes[0], geometry.sizes[1], weights_of(op, graph).shape[_channels_axis(op)])
    return "" if output.shape == sizes and max(geometry.kernel) <= LARGEST else f"{output.shape} where {sizes} belongs"


def _channels_axis(op: Op) -> int:
    return 0 if op.kind == "CONV_2D" else 3


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


def image_members(image: Tensor, output: Tensor, op: Op, geometry: Geometry, groups: int, wide: bool) -> dict[str, Any]:
    """The members of ``ew_conv_t`` behind the pointers."""
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
    """The smallest ``address(input) - address(output)`` at which no output row overwrites an input row still to be read."""
    in_row, out_row = image.shape[2] * image.shape[3], output.shape[2] * output.shape[3]
    batch, in_h, out_h = image.shape[0], image.shape[1], output.shape[1]
    y = np.arange(out_h)
    read = np.minimum(in_h, y * geometry.stride[0] + geometry.reach)
    read[-1] = in_h  # nothing below the last window is read
    n = np.arange(batch)[:, None]
    written, first_unread = (n * out_h + y + 1) * out_row, (n * in_h + read) * in_row
    matters = first_unread < batch * in_h * in_row
    return int((written - first_unread)[matters].max(initial=-image.bytes))


def pixel_head_start(image: Tensor, output: Tensor, stride: tuple[int, int]) -> int:
    """The same where each output pixel may be written once the input pixels up to its own are read."""
    batch, in_h, in_w, in_c = image.shape
    n, y, x = (np.arange(count) for count in output.shape[:3])
    start = (((n[:, None, None] * in_h + y[:, None] * stride[0]) * in_w + x * stride[1]) * in_c).reshape(-1)
    behind = np.arange(1, start.size) * output.shape[3] - start[1:]
    return int(behind.max(initial=-image.bytes))


def lower(op: Op, graph: Graph, variant: Variant) -> Call:
    """The call of ``ew_pointwise`` where the kernel is a single pixel, else of ``ew_conv``."""
    image, output, weights = graph.ins(op)[0], graph.outs(op)[0], weights_of(op, graph)
    assert image is not None and weights.data is not None and weights.quantization is not None
    geometry, groups = geometry_of(op, graph), image.shape[3] // weights.shape[3]
    single = geometry.kernel == (1, 1) and geometry.pad == (0, 0) and groups == 1 and _inside(image, output, geometry)
    rows = pack.window_rows(weights.data)
    bias = fold_bias(rows, values_of(bias_of(op, graph)), image.zero_point)
    reals = real_multipliers(image.scale, weights.quantization.scale, output.scale)
    members = image_members(image, output, op, geometry, groups, pack.is_wide(weights.data, groups, variant))
    packed = pack.pointwise(rows, variant) if single else pack.conv(weights.data, groups, variant)
    function = "ew_pointwise" if single else "ew_conv"
    params = {
        "weights": Const(packed, Role.WEIGHTS),
        **pack.constants(rows, bias, *rounded_twice(reals, output.shape[3]), variant),
        **members,
    }
    return Call(
        function, params, (In(image.index), Out(output.index), Scratch()),
        scratch=pack.pointwise_scratch(members, variant) if single else pack.conv_scratch(members, variant),
        overlap={image.index: _overlap(image, output, geometry, members if single else None, variant)},
        rows=rows_of(function, image, output, geometry, ring=not single), sources=SOURCES[variant][function],
        macs=output.elements * rows.shape[1],
    )  # fmt: skip


def _overlap(
    image: Tensor, output: Tensor, geometry: Geometry, pointwise: Mapping[str, int] | None, variant: Variant
) -> int:
    """How far the output must stay behind the input; ``pointwise``: the parameters of a kernel without a ring."""
    if pointwise is None:
        return head_start(image, output, geometry)
    if variant == "mve":
        return pack_mve.pointwise_head_start(pointwise)
    return pixel_head_start(image, output, geometry.stride)


def _inside(image: Tensor, output: Tensor, geometry: Geometry) -> bool:
    """Whether no pixel of the output reads padding behind the image."""
    return all((output.shape[1 + i] - 1) * geometry.stride[i] < image.shape[1 + i] for i in (0, 1))


RULES = (
    Rule(
        "CONV_2D",
        (
            int8_activations, known_activation, four_axes, int8_weights, symmetric_weights, int32_bias,
            whole_groups, matching_sizes,
        ),
        lower,
    ),
)  # fmt: skip
