"""The window of an operator: kernel, stride, padding, dilation, groups; and shapes as rows x columns x channels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from targets.tvm_fpga.partition.composite import Composite


@dataclasses.dataclass(frozen=True)
class Window:
    """Pairs are rows and columns; padding is top, left, bottom, right."""

    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def needs(self, out: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns, padding included, that so many outputs look at."""
        reach = [(size - 1) * step + 1 for size, step in zip(self.kernel, self.dilation, strict=True)]
        return (out[0] - 1) * self.stride[0] + reach[0], (out[1] - 1) * self.stride[1] + reach[1]


def hwc(shape: Sequence[int]) -> tuple[int, int, int]:
    """Rows, columns, channels of a tensor of shape (1, C, H, W) or (1, C)."""
    if len(shape) == 4:
        return shape[2], shape[3], shape[1]
    return 1, 1, shape[-1]


def window_of(composite: Composite) -> Window:
    """Of any composite; those without a window have one of 1 x 1. Steps that nothing takes are 1."""
    window, out = _written(composite), hwc(composite.out_shape)
    stride = tuple(step if size > 1 else 1 for step, size in zip(window.stride, out[:2], strict=True))
    dilation = tuple(step if size > 1 else 1 for step, size in zip(window.dilation, window.kernel, strict=True))
    return dataclasses.replace(window, stride=(stride[0], stride[1]), dilation=(dilation[0], dilation[1]))


def _written(composite: Composite) -> Window:
    """As the operator's attributes say."""
    attrs = composite.core.attrs
    if composite.kind == "conv2d":
        assert composite.weights is not None
        return _window(composite.weights.shape[2:], attrs, int(attrs.groups))
    if composite.kind == "dense" or composite.core.op.name == "relax.mean":
        rows, columns, _ = hwc(composite.operands[0].shape)
        return Window((rows, columns))
    if composite.kind in ("average", "largest"):
        return _window([int(size) for size in attrs.pool_size], attrs, 1)
    return Window()


def _window(kernel: Sequence[int], attrs: object, groups: int) -> Window:
    stride, padding, dilation = (
        [int(each) for each in getattr(attrs, name)] for name in ("strides", "padding", "dilation")
    )
    return Window(
        (int(kernel[0]), int(kernel[1])),
        (stride[0], stride[1]),
        (padding[0], padding[1], padding[2], padding[3]),
        (dilation[0], dilation[1]),
        groups,
    )


def is_depthwise(composite: Composite) -> bool:
    """Whether every channel has a filter of its own, and one only."""
    channels = composite.operands[0].shape[1]
    return composite.kind == "conv2d" and window_of(composite).groups == channels == composite.out_shape[1] > 1
