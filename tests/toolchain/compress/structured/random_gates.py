"""Blocks of random nets that mix channels: squeeze-excite, attention, normalisation, padding, lists of channels."""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F


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
