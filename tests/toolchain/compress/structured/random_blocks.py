"""Blocks of random nets that take channels apart and put them together: shuffles, splits, groups, concatenation."""

from __future__ import annotations

import random

import torch
from torch import nn
from torch.nn import functional as F


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
