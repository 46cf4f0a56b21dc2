"""Resizing, padding, moving and cutting tensors, and element-wise operations between two of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

IMAGE = {"image": (1, 8, 6, 6)}
PAIR = {"left": (1, 8, 6, 6), "right": (1, 8, 6, 6)}


class Apply(nn.Module):
    """A function as a module, behind an optional convolution of 8 to 8 channels."""

    def __init__(self, function: Callable[..., object], *, conv: bool = False) -> None:
        super().__init__()
        self.function = function
        self.conv = nn.Conv2d(8, 8, 1) if conv else nn.Identity()

    def forward(self, image: torch.Tensor) -> object:
        return self.function(self.conv(image))


def of(function: Callable[..., object], *, conv: bool = False) -> Callable[[], nn.Module]:
    return lambda: Apply(function, conv=conv)


class TwoInputs(nn.Module):
    """Two convolutions, each on an input of its own, added."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1)

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.a(left) + self.b(right))


class ImageAndVector(nn.Module):
    """A feature map scaled by a vector (inputs of different rank)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(8, 8, 1), nn.Linear(4, 8)

    def forward(self, image: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        return self.conv(image) * self.linear(vector)[:, :, None, None]


class TwoOutputs(nn.Module):
    """One trunk, a map and a vector out of it."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.head = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 5)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        map_ = torch.relu(self.trunk(image))
        return map_, self.head(map_.mean((2, 3)))


def resize(**how: object) -> Callable[[], nn.Module]:
    return of(lambda x: functional.interpolate(x, **how), conv=True)


SHAPES = {
    "resize_nearest": (resize(scale_factor=2, mode="nearest"), IMAGE),
    "resize_bilinear": (resize(scale_factor=2, mode="bilinear", align_corners=False), IMAGE),
    "resize_bilinear_corners": (resize(scale_factor=2, mode="bilinear", align_corners=True), IMAGE),
    "resize_bilinear_down": (resize(size=(4, 3), mode="bilinear", align_corners=False), IMAGE),
    "pixel_shuffle": (of(nn.PixelShuffle(2), conv=True), IMAGE),
    "pad_constant": (of(lambda x: functional.pad(x, (1, 2, 0, 1), value=0.5), conv=True), IMAGE),
    "pad_reflect": (of(lambda x: functional.pad(x, (1, 1, 2, 2), mode="reflect"), conv=True), IMAGE),
    "pad_replicate": (of(lambda x: functional.pad(x, (1, 1, 1, 1), mode="replicate"), conv=True), IMAGE),
    "reshape_permute": (of(lambda x: x.reshape(1, 2, 4, 36).permute(0, 3, 1, 2), conv=True), IMAGE),
    "flatten": (of(lambda x: x.flatten(1), conv=True), IMAGE),
    "mean_space": (of(lambda x: x.relu().mean((2, 3)), conv=True), IMAGE),
    "mean_channels": (of(lambda x: x.mean(1, keepdim=True), conv=True), IMAGE),
    "max_over_axis": (of(lambda x: x.amax(3), conv=True), IMAGE),
    "slice": (of(lambda x: x[:, 1:7:2, 1:, :-1], conv=True), IMAGE),
    "index_select": (of(lambda x: x[:, [0, 3, 3, 6]], conv=True), IMAGE),
    "split": (of(lambda x: (x[:, :3] * 2, x[:, 3:] + 1), conv=True), IMAGE),
    "gated": (of(lambda x: functional.glu(x, 1), conv=True), IMAGE),
    "concat": (of(lambda x: torch.cat([x, functional.max_pool2d(x, 3, 1, 1)], 1), conv=True), IMAGE),
    "multiply_broadcast": (of(lambda x: x * x.mean(1, keepdim=True), conv=True), IMAGE),
    "subtract_divide": (of(lambda x: (x - x.mean((2, 3), keepdim=True)) / (x.abs() + 1), conv=True), IMAGE),
    "clamp": (of(lambda x: x.clamp(-0.5, 0.5), conv=True), IMAGE),
    "two_inputs": (TwoInputs, PAIR),
    "inputs_of_two_ranks": (ImageAndVector, {"image": (1, 8, 6, 6), "vector": (1, 4)}),
    "two_outputs": (TwoOutputs, IMAGE),
}
