"""Random nets for pruning: every kind of coupling that networks use, put together by chance.

:func:`make` draws a net from a seed. Some of its blocks can be pruned, some only in part, some not at all (constants
in a reshape, statistics over channels); a pruner has to tell them apart. No two seeds give the same weights, and no
weight is degenerate.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

SIDE = 6


class Residual(nn.Module):
    """``x + f(x)``, activations in place, written as functions."""

    def __init__(self, c: int, draw: random.Random) -> None:
        super().__init__()
        inner = draw.choice([4, 6, 10])
        self.conv1, self.bn1 = nn.Conv2d(c, inner, 3, padding=1), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = nn.Conv2d(inner, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)
        self.wide = c

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        y += x
        return F.relu(y, inplace=True)


class Dense(nn.Module):
    """Concatenation of the input, a branch, and the branch of the branch."""

    def __init__(self, c: int, draw: random.Random) -> None:
        super().__init__()
        grow = draw.choice([4, 6])
        self.one, self.two = nn.Conv2d(c, grow, 1), nn.Conv2d(c + grow, grow, 3, padding=1)
        self.bn = nn.BatchNorm2d(c + 2 * grow)
        self.wide = c + 2 * grow

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([x, torch.relu(self.one(x))], dim=1)
        x = torch.cat((self.two(x), x), 1)
        return torch.relu(self.bn(x))


class Shuffled(nn.Module):
    """Grouped convolutions around a channel shuffle, sizes from the tensor; the second factor may be the groups."""

    def __init__(self, c: int, draw: random.Random) -> None:
        super().__init__()
        self.groups, self.inner, self.last = 2, draw.choice([8, 12]), draw.random() < 0.3
        self.conv1 = nn.Conv2d(c, self.inner, 1, groups=2 if c % 2 == 0 else 1)
        self.bn = nn.BatchNorm2d(self.inner)
        self.conv2 = nn.Conv2d(self.inner, c, 3, padding=1, groups=2 if c % 2 == 0 and draw.random() < 0.5 else 1)
        self.wide = c

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.leaky_relu(self.bn(self.conv1(x)))
        b, c, h, w = y.shape
        sizes = (b, c // self.groups, self.groups, h, w) if self.last else (b, self.groups, c // self.groups, h, w)
        y = y.view(*sizes).transpose(1, 2).contiguous().view(b, c, h, w)
        return self.conv2(y)


class ConstantShuffle(nn.Module):
    """The same with the channel count as a constant: pruning would break the reshape."""

    def __init__(self, c: int, draw: random.Random) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(c, 8, 1), nn.Conv2d(8, c, 1)
        self.wide = c

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv1(x)
        y = y.view(y.shape[0], 2, 4, *y.shape[2:]).transpose(1, 2).reshape(y.shape[0], 8, *y.shape[2:])
        return self.conv2(torch.relu(y))


class Chunks(nn.Module):
    """Halves take different ways."""

    def __init__(self, c: int, draw: random.Random) -> None:
        super().__init__()
        half = draw.choice([4, 6])
        self.conv = nn.Conv2d(c, 2 * half, 1)
        self.left, self.right = nn.Conv2d(half, 5, 3, padding=1), nn.Conv2d(half, half, 3, padding=1, groups=half)
        self.gate = draw.random() < 0.5
        self.wide = 5 + half

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, two = torch.chunk(self.conv(x), 2, dim=1)
        two = self.right(two) * torch.sigmoid(one) if self.gate else self.right(two)
        return torch.cat([self.left(one), two], 1)


class Parts(nn.Module):
    """A split into parts whose lengths the layer keeps, as attribute, as list, or as constant in the code."""

    def __init__(self, c: int, draw: random.Random) -> None:
        super().__init__()
        self.kind = draw.choice(["list", "border", "constant"])
        self.parts, self.border = [4, 6], 4
        self.conv = nn.Conv2d(c, 10, 1)
        self.a, self.b = nn.Conv2d(4, 6, 1), nn.Conv2d(6, 6, 3, padding=1)
        self.wide = 6

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.conv(x))
        if self.kind == "list":
            one, two = torch.split(x, self.parts, dim=1)
        elif self.kind == "border":
            one, two = x[:, : self.border], x[:, self.border :]
        else:
            one, two = x[:, :4], x[:, 4:]
        return self.a(one) + self.b(two)


class Grouped(nn.Module):
    """Grouped convolution of a few or many groups, batch norm without affine, parametric ReLU."""

    def __init__(self, c: int, draw: random.Random) -> None:
        super().__init__()
        groups = draw.choice([2, 4])
        self.conv1 = nn.Conv2d(c, 16, 1)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1, groups=groups)
        self.deep = nn.Conv2d(16, 32, 3, padding=1, groups=16)
        self.norm, self.act = nn.BatchNorm2d(32, affine=draw.random() < 0.5), nn.PReLU(32)
        self.conv3 = nn.Conv2d(32, c, 1)
        self.wide = c

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv3(self.act(self.norm(self.deep(self.conv2(torch.relu(self.conv1(x)))))))


class Squeeze(nn.Module):
    """Squeeze-excite by convolutions or linear layers; hard sigmoid or sigmoid."""

    def __init__(self, c: int, draw: random.Random) -> None:
        super().__init__()
        self.linear = draw.random() < 0.5
        kind: Callable[..., nn.Module] = nn.Linear if self.linear else lambda a, b: nn.Conv2d(a, b, 1)
        self.conv = nn.Conv2d(c, 8, 1)
        self.fc1, self.fc2 = kind(8, 4), kind(4, 8)
        self.act = draw.choice([nn.Sigmoid(), nn.Hardsigmoid()])
        self.wide = 8

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.silu(self.conv(x))
        w = F.adaptive_avg_pool2d(x, 1)
        w = w.view(w.size(0), -1) if self.linear else w
        w = self.act(self.fc2(torch.relu(self.fc1(w))))
        return x * (w.unsqueeze(2).unsqueeze(3).expand_as(x) if self.linear else w)


class Revived(nn.Module):
    """A zero that does not stay zero: sigmoid, then a convolution without padding."""

    def __init__(self, c: int, draw: random.Random) -> None:
        super().__init__()
        self.conv1, self.conv2, self.wide = nn.Conv2d(c, 6, 1), nn.Conv2d(6, c, 1), c

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv2(torch.sigmoid(self.conv1(x)) + 0.3)


class Attention(nn.Module):
    """Self-attention over positions; heads and their width are kept by the layer, or read from the tensor."""

    def __init__(self, c: int, draw: random.Random) -> None:
        super().__init__()
        self.heads, self.wide_head, self.kept, self.fused = 2, 4, draw.random() < 0.5, draw.random() < 0.5
        self.q, self.k, self.v = (nn.Linear(c, 8) for _ in range(3))
        self.out = nn.Linear(8, c)
        self.scale, self.wide = 0.5, c

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, _, h, w = x.shape
        y = x.flatten(2).transpose(1, 2)
        q, k, v = (self._heads(layer(y)) for layer in (self.q, self.k, self.v))
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        else:
            y = torch.softmax(q @ k.transpose(-2, -1) * self.scale, dim=-1) @ v
        y = self.out(y.transpose(1, 2).flatten(2))
        return x + y.transpose(1, 2).reshape(b, -1, h, w)

    def _heads(self, y: torch.Tensor) -> torch.Tensor:
        width = self.wide_head if self.kept else y.shape[-1] // self.heads
        return y.reshape(y.shape[0], -1, self.heads, width).transpose(1, 2)


class Normed(nn.Module):
    """Layer or group norm over channels: their statistics change when channels go."""

    def __init__(self, c: int, draw: random.Random) -> None:
        super().__init__()
        self.layer = draw.random() < 0.5
        self.conv1 = nn.Conv2d(c, 8, 1)
        self.norm: nn.Module = nn.LayerNorm(8) if self.layer else nn.GroupNorm(2, 8)
        self.conv2, self.conv3, self.wide = nn.Conv2d(8, 10, 1), nn.Conv2d(10, 6, 1), 6

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(x)
        x = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) if self.layer else self.norm(x)
        return self.conv3(F.gelu(self.conv2(x)))


class Spatial(nn.Module):
    """Spatial attention from the mean and the maximum over channels (the input's channels must stay)."""

    def __init__(self, c: int, draw: random.Random) -> None:
        super().__init__()
        self.conv, self.mix, self.wide = nn.Conv2d(2, 1, 3, padding=1), nn.Conv2d(c, c, 1), c

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = torch.cat([x.mean(dim=1, keepdim=True), x.max(dim=1, keepdim=True)[0]], dim=1)
        return self.mix(x * torch.sigmoid(self.conv(found)))


class Branches(nn.Module):
    """Selective kernels: a softmax over branches, channels laid out by an attribute."""

    def __init__(self, c: int, draw: random.Random) -> None:
        super().__init__()
        self.branches, self.wide = 2, 6
        self.one, self.two = nn.Conv2d(c, 6, 1), nn.Conv2d(c, 6, 3, padding=1)
        self.fc1, self.fc2 = nn.Conv2d(6, 4, 1), nn.Conv2d(4, 12, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.stack([torch.relu(self.one(x)), torch.relu(self.two(x))], dim=1)
        w = self.fc2(torch.relu(self.fc1(y.sum(dim=1).mean(dim=(2, 3), keepdim=True))))
        w = torch.softmax(w.view(x.shape[0], self.branches, self.wide), dim=1)
        return (y * w.unsqueeze(3).unsqueeze(4)).sum(dim=1)


class Picked(nn.Module):
    """Channels in an order that a buffer keeps, then a grouped convolution."""

    def __init__(self, c: int, draw: random.Random) -> None:
        super().__init__()
        self.conv1, self.conv2, self.wide = nn.Conv2d(c, 8, 1), nn.Conv2d(8, 8, 3, padding=1, groups=2), 8
        order = list(range(8))
        draw.shuffle(order)
        self.register_buffer("order", torch.tensor(order))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv2(torch.index_select(torch.relu(self.conv1(x)), 1, self.order))


class Padded(nn.Module):
    """A shortcut padded with zero channels, their number read from the tensors or a constant."""

    def __init__(self, c: int, draw: random.Random) -> None:
        super().__init__()
        self.kept, self.wide = draw.random() < 0.5, c + 4
        self.conv, self.bn = nn.Conv2d(c, c + 4, 3, padding=1), nn.BatchNorm2d(c + 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn(self.conv(x))
        more = 4 if self.kept else y.size(1) - x.size(1)
        return y + torch.cat([x, x.new_zeros(x.size(0), more, *x.shape[2:])], dim=1)


class Pixels(nn.Module):
    """Channels become pixels, and back by a transposed convolution's sibling: pooling."""

    def __init__(self, c: int, draw: random.Random) -> None:
        super().__init__()
        self.conv, self.wide = nn.Conv2d(c, 16, 1), 5
        self.up = nn.ConvTranspose2d(4, 5, 2, stride=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.avg_pool2d(F.pixel_shuffle(self.conv(x), 2), 2)
        return self.up(y)[:, :, 1:, 1:]


class Twice(nn.Module):
    """One layer used twice."""

    def __init__(self, c: int, draw: random.Random) -> None:
        super().__init__()
        self.first, self.conv, self.wide = nn.Conv2d(c, 6, 1), nn.Conv2d(6, 6, 3, padding=1), 6

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(torch.tanh(self.conv(torch.relu(self.first(x)))))


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
