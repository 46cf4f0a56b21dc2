"""Plain layers from factors: every stage takes stride, padding and dilation of the axes that it is responsible for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from toolchain.compress.lowrank.sites import Matrix
from toolchain.frontend.zoo.layers import SameConv2d


def conv(
    like: nn.Conv2d, weight: Matrix, *, height: bool = False, width: bool = False, groups: int = 1, last: bool = False
) -> nn.Conv2d:
    """One stage in the place of ``like``.

    Args:
        like: the layer that is factorised.
        weight: (out, in / groups, kh, kw), float64.
        height, width: whether the stage does the layer's stride, padding and dilation along this axis.
        groups: of the stage.
        last: takes the layer's bias.
    """
    out, per_group, *kernel = weight.shape
    axes = (height, width)
    stride = tuple(value if on else 1 for value, on in zip(like.stride, axes, strict=True))
    dilation = tuple(value if on else 1 for value, on in zip(like.dilation, axes, strict=True))
    bias = last and like.bias is not None
    given: dict[str, Any] = {"stride": stride, "dilation": dilation, "groups": groups, "bias": bias}
    if _pads_itself(like) and any(axes):
        made: nn.Conv2d = SameConv2d(per_group * groups, out, tuple(kernel), 1, groups, bias=bias)
        made.stride, made.padding, made.explicit = stride, (0, 0), True
        made._reversed_padding_repeated_twice = [0] * 4
    else:
        padding = _padding(like, axes)
        mode = like.padding_mode if padding not in (0, (0, 0)) else "zeros"
        made = nn.Conv2d(per_group * groups, out, tuple(kernel), padding=padding, padding_mode=mode, **given)
    return _filled(made, like, weight)


def linear(like: nn.Linear, weight: Matrix, *, last: bool = False) -> nn.Linear:
    """One stage in the place of ``like``; weight (out, in), float64."""
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=last and like.bias is not None)
    return _filled(made, like, weight)


def pointwise(like: nn.Module, matrices: Sequence[Matrix]) -> nn.Sequential:
    """A linear layer or a 1x1 convolution as a chain of (out, in) matrices, the first to be applied first."""
    final = len(matrices) - 1
    if isinstance(like, nn.Linear):
        return nn.Sequential(*(linear(like, m, last=k == final) for k, m in enumerate(matrices)))
    stages = [
        conv(like, m[:, :, None, None], height=k == 0, width=k == 0, last=k == final) for k, m in enumerate(matrices)
    ]
    return nn.Sequential(*stages)


def _pads_itself(like: nn.Module) -> bool:
    return isinstance(like, SameConv2d) and like.explicit


def _padding(like: nn.Conv2d, axes: tuple[bool, bool]) -> Any:
    if isinstance(like.padding, str):
        return like.padding if any(axes) and like.padding == "same" else 0
    return tuple(value if on else 0 for value, on in zip(like.padding, axes, strict=True))


def _filled(made: Any, like: nn.Module, weight: Matrix) -> Any:
    made.to(like.weight.dtype)
    with torch.no_grad():
        made.weight.copy_(torch.from_numpy(weight.copy()))
        if made.bias is not None:
            made.bias.copy_(like.bias)
    return made
