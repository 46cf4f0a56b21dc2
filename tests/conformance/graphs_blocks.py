"""Blocks of well-known networks, with the papers that they come from."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

IMAGE = {"image": (1, 8, 12, 12)}
SEQUENCE = {"sequence": (1, 10, 16)}


class Residual(nn.Module):
    """He et al. 2015: two convolutions with batch norm, and the input added."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.norm_a = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.b, self.norm_b = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        inner = self.norm_b(self.b(torch.relu(self.norm_a(self.a(image)))))
        return torch.relu(inner + image)


class InvertedResidual(nn.Module):
    """Sandler et al. 2018: widen, depthwise, narrow, and the input added."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(8, 32, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6(),
            nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False), nn.BatchNorm2d(32), nn.ReLU6(),
            nn.Conv2d(32, 8, 1, bias=False), nn.BatchNorm2d(8),
        )  # fmt: skip

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image + self.body(image)


class SqueezeExcite(nn.Module):
    """Hu et al. 2018: channels weighted by a small net on their means."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 16, 3, padding=1)
        self.squeeze, self.excite = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.conv(image))
        weight = self.excite(torch.relu(self.squeeze(functional.adaptive_avg_pool2d(x, 1))))
        return x * torch.sigmoid(weight)


class Dense(nn.Module):
    """Huang et al. 2017: every layer sees the outputs of all layers before it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(8 + 4 * i, 4, 3, padding=1) for i in range(3))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            image = torch.cat([image, torch.relu(layer(image))], 1)
        return image


class ChannelShuffle(nn.Module):
    """Zhang et al. 2018: grouped convolutions with the groups' channels mixed between them."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(8, 16, 1, groups=4), nn.Conv2d(16, 8, 1, groups=4)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.b(functional.channel_shuffle(torch.relu(self.a(image)), 4))


class UNet(nn.Module):
    """Ronneberger et al. 2015: down, up again, and the fine map joined by concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.last = nn.Conv2d(24, 4, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        fine = torch.relu(self.fine(image))
        coarse = torch.relu(self.coarse(functional.max_pool2d(fine, 2)))
        wide = functional.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
        return self.last(torch.cat([fine, wide], 1))


class Classifier(nn.Module):
    """Convolution, pool, flatten, two linear layers: the shape of LeCun et al. 1998."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.a, self.b = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(288, 24), nn.Linear(24, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        pooled = functional.max_pool2d(torch.relu(self.conv(image)), 2)
        return self.b(torch.relu(self.a(pooled.flatten(1))))


class Attention(nn.Module):
    """Vaswani et al. 2017: multi-head self-attention from its formula."""

    def __init__(self, width: int = 16, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        batch, length, width = sequence.shape
        split = self.qkv(sequence).reshape(batch, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        weight = torch.softmax(query @ key.transpose(-1, -2) * (width // self.heads) ** -0.5, -1)
        return self.out((weight @ value).transpose(1, 2).reshape(batch, length, width))


class TorchAttention(nn.Module):
    """torch's own multi-head attention, and a residual with layer norm around it."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.norm = nn.MultiheadAttention(16, 4, batch_first=True), nn.LayerNorm(16)

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        return self.norm(sequence + self.attention(sequence, sequence, sequence, need_weights=False)[0])


class Recurrent(nn.Module):
    """A recurrent layer and a linear one on all of its states."""

    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(width, 5)

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(sequence)[0])


BLOCKS = {
    "residual": (Residual, IMAGE),
    "inverted_residual": (InvertedResidual, IMAGE),
    "squeeze_excite": (SqueezeExcite, IMAGE),
    "dense_block": (Dense, IMAGE),
    "channel_shuffle": (ChannelShuffle, IMAGE),
    "unet": (UNet, IMAGE),
    "classifier": (Classifier, IMAGE),
    "attention": (Attention, SEQUENCE),
    "torch_attention": (TorchAttention, SEQUENCE),
    "lstm": (lambda: Recurrent(nn.LSTM(16, 12, batch_first=True), 12), SEQUENCE),
    "lstm_bidirectional": (lambda: Recurrent(nn.LSTM(16, 6, batch_first=True, bidirectional=True), 12), SEQUENCE),
    "gru": (lambda: Recurrent(nn.GRU(16, 12, batch_first=True), 12), SEQUENCE),
}
