"""Random nets for pruning: every kind of coupling that networks use, put together by chance.

:func:`make` draws a net from a seed. Some of its blocks can be pruned, some only in part, some not at all (constants
in a reshape, statistics over channels); a pruner has to tell them apart. No two seeds give the same weights, and no
weight is degenerate.
"""

from __future__ import annotations

import random

import torch
from torch import nn
from torch.nn import functional as F

from tests.toolchain.compress.structured.random_blocks import (
    Chunks,
    ConstantShuffle,
    Dense,
    Grouped,
    Parts,
    Residual,
    Shuffled,
)
from tests.toolchain.compress.structured.random_gates import (
    Attention,
    Branches,
    Normed,
    Padded,
    Picked,
    Pixels,
    Revived,
    Spatial,
    Squeeze,
    Twice,
)

SIDE = 6
BLOCKS: tuple[type[nn.Module], ...] = (
    Residual, Dense, Shuffled, ConstantShuffle, Chunks, Parts, Grouped, Squeeze, Revived, Attention, Normed, Spatial,
    Branches, Picked, Padded, Pixels, Twice,
)  # fmt: skip


class Net(nn.Module):
    """A stem, blocks, and a head: global pooling or flattening, one or two linear layers."""

    def __init__(self, seed: int, blocks: int = 3) -> None:
        super().__init__()
        draw = random.Random(seed)
        wide = draw.choice([6, 8, 12])
        self.stem = nn.Sequential(nn.Conv2d(3, wide, 3, padding=1), nn.BatchNorm2d(wide), nn.ReLU(inplace=True))
        self.blocks = nn.Sequential()
        for _ in range(draw.randint(1, blocks)):
            block = draw.choice(BLOCKS)(wide, draw)
            wide = int(block.wide)  # type: ignore[arg-type]
            self.blocks.append(block)
        self.flat = draw.random() < 0.5
        self.head = nn.Sequential(nn.Linear(wide * (9 if self.flat else 1), 10), nn.ReLU(), nn.Linear(10, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(self.stem(x))
        x = torch.flatten(F.max_pool2d(x, 2), 1) if self.flat else x.mean(dim=(2, 3))
        return self.head(x)


def make(seed: int, blocks: int = 3) -> tuple[Net, torch.Tensor]:
    """A net in eval mode with random weights and statistics, and an input."""
    torch.manual_seed(seed)
    net = Net(seed, blocks).eval()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
                if module.affine:
                    module.weight.uniform_(0.5, 1.5)
                    module.bias.uniform_(-0.5, 0.5)
    return net, torch.randn(2, 3, SIDE, SIDE)
