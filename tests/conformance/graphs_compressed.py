"""Networks as compression leaves them: odd channel counts, chains of small layers, sums of layers, zeros."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from toolchain.compress import LowRank, Prune, Sparsify, compress
from toolchain.frontend.zoo.condconv import CondConv2d
from toolchain.frontend.zoo.micronet import DynamicShiftMax, Shuffle, factorized_depthwise

IMAGE = {"image": (1, 8, 12, 12)}


def conv(inputs: int, outputs: int, kernel: int = 3, **more: int) -> nn.Sequential:
    """A convolution that keeps height and width, and a batch norm."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False, **more), nn.BatchNorm2d(outputs)
    )


class SqueezedResidual(nn.Module):
    """A block of SE-ResNet (Hu et al. 2018), a strided one with a convolution on its shortcut, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b = conv(8, 16), conv(16, 16), conv(16, 16)
        self.squeeze, self.excite = nn.Conv2d(16, 8, 1), nn.Conv2d(8, 16, 1)
        self.c, self.d, self.short = conv(16, 24, stride=2), conv(24, 24), conv(16, 24, 1, stride=2)
        self.last = nn.Linear(24, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(image))
        inner = self.b(torch.relu(self.a(x)))
        weight = self.excite(torch.relu(self.squeeze(functional.adaptive_avg_pool2d(inner, 1))))
        x = torch.relu(x + inner * torch.sigmoid(weight))
        x = torch.relu(self.d(torch.relu(self.c(x))) + self.short(x))
        return self.last(x.mean((2, 3)))


class Mobile(nn.Module):
    """An inverted residual (Sandler et al. 2018), then grouped convolutions around a shuffle (Zhang et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.wide = conv(8, 16, 1), conv(16, 32, 1)
        self.depthwise, self.narrow = conv(32, 32, groups=32), conv(32, 16, 1)
        self.a, self.b = conv(16, 32, 1, groups=4), conv(32, 16, 1, groups=4)
        self.last = nn.Conv2d(16, 6, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = functional.relu6(self.stem(image))
        inner = functional.relu6(self.depthwise(functional.relu6(self.wide(x))))
        x = x + self.narrow(inner)
        grouped = functional.channel_shuffle(torch.relu(self.a(x)), 4)
        return self.last(torch.relu(self.b(grouped)))


class Plain(nn.Module):
    """Three convolutions and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(i, 16, 3, padding=1) for i in (8, 16, 16))
        self.d, self.e = nn.Linear(16 * 9, 32), nn.Linear(32, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = functional.max_pool2d(torch.relu(self.a(image)), 2)
        x = functional.max_pool2d(torch.relu(self.c(torch.relu(self.b(x)))), 2)
        return self.e(torch.relu(self.d(x.flatten(1))))


def mixed_kernels() -> nn.Module:
    """A convolution whose kernel every sample mixes from three (Yang et al. 2019), behind another one."""
    return nn.Sequential(conv(8, 12), nn.ReLU(), CondConv2d(12, 8, 3, 3), nn.BatchNorm2d(8))


def dynamic() -> nn.Module:
    """The inside of a block of MicroNet (Li et al. 2021), whose factors depend on the sample, and mixed outputs."""
    micro = (conv(8, 16, 1, groups=4), DynamicShiftMax(16, 4), Shuffle(4), factorized_depthwise(16, 1, 3, 1))
    return nn.Sequential(*micro, CondConv2d(16, 8, 3, 3, static=True), nn.BatchNorm2d(8))


def compressed(make: Callable[[], nn.Module], *steps: Prune | LowRank | Sparsify) -> Callable[[], nn.Module]:
    """A factory of what the steps leave of a network."""

    def made() -> nn.Module:
        return compress(make(), steps, example_input=torch.ones(IMAGE["image"])).model

    return made


def only(layer: str, names: Sequence[str] = "abcde") -> tuple[str, ...]:
    """The other layers' names, to be left out."""
    return tuple(name for name in names if name != layer)


COMPRESSED = {
    "mixed_kernels": (mixed_kernels, IMAGE),
    "dynamic_factors": (dynamic, IMAGE),
    "pruned_residual": (compressed(SqueezedResidual, Prune(method="l1", ratio=0.4, scope="layer")), IMAGE),
    "pruned_mobile": (compressed(Mobile, Prune(method="group_norm", ratio=0.4, scope="layer")), IMAGE),
    "low_rank": (
        compressed(
            Plain,
            LowRank(method="separable", rank=6, exclude=only("a")),
            LowRank(method="tucker2", rank=6, exclude=only("b")),
            LowRank(method="cp", rank=12, exclude=only("c")),
            LowRank(method="svd", rank=8, exclude=only("d")),
        ),
        IMAGE,
    ),
    "sparse": (
        compressed(
            Plain,
            LowRank(method="sparse_lowrank", ratio=0.5, exclude=only("c")),
            Sparsify(method="magnitude", sparsity=0.8, exclude=("b", "c", "d")),
            Sparsify(method="nm", pattern="2:4", exclude=("a", "c", "e")),
        ),
        IMAGE,
    ),
}
