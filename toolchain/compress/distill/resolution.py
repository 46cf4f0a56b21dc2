"""A network that sees images smaller than it is given."""

from __future__ import annotations

import torch
from torch.nn import functional

from profiles.errors import ConfigError
from toolchain.compress.context import Context


class LowResolution(torch.nn.Module):  # type: ignore[misc]
    """``network`` on images (N, C, H, W) that are made smaller first: it takes the same input, and computes less.

    By means over whole windows as far as these go, and bilinearly for the rest.
    """

    def __init__(self, network: torch.nn.Module, resolution: int) -> None:
        super().__init__()
        self.resolution = resolution
        self.network = network

    def extra_repr(self) -> str:
        """For ``repr``."""
        return f"resolution={self.resolution}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the network gives for the smaller images."""
        size = self.resolution
        windows = x.shape[2] // size, x.shape[3] // size
        if windows != (1, 1):
            x = functional.avg_pool2d(x, windows)
        if tuple(x.shape[2:]) != (size, size):
            x = functional.interpolate(x, (size, size), mode="bilinear", align_corners=False)
        smaller: torch.Tensor = self.network(x)
        return smaller


def lowered(model: torch.nn.Module, resolution: int, context: Context) -> LowResolution:
    """The model behind a smaller input; one that has that already gets the new size.

    Raises:
        ConfigError: inputs that are not (N, C, H, W), or not larger than ``resolution``.
    """
    shapes = [tuple(value.shape) for value in context.inputs.values()]
    if len(shapes) != 1 or len(shapes[0]) != 4:
        raise ConfigError("resolution is for one input of images (N, C, H, W)", seen=", ".join(map(str, shapes)))
    if resolution >= min(shapes[0][2:]):
        raise ConfigError(
            "resolution must be smaller than the images",
            seen=f"{resolution} for images of {shapes[0][2]}x{shapes[0][3]}",
            allowed=f"1 to {min(shapes[0][2:]) - 1}",
        )
    return LowResolution(model.network if isinstance(model, LowResolution) else model, resolution)
