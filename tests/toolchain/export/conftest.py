"""Small nets that exercise what exports get wrong: batch norm, residuals, several inputs and outputs."""

import numpy as np
import pytest
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)) + x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(Block(8), Block(8))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(8, 5)

    def forward(self, image):
        return self.fc(self.drop(self.pool(self.blocks(self.stem(image))).flatten(1)))


class Several(nn.Module):
    """An image and a vector in; an image, a vector and an integer out."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 1)
        self.fc = nn.Linear(6, 4)

    def forward(self, image, vector):
        map_ = self.conv(image) * self.fc(vector)[:, :, None, None]
        return {"map": map_, "heads": (map_.mean((2, 3)), vector.argmax(1))}


def seeded(kind):
    torch.manual_seed(0)
    net = kind()
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.uniform_(-0.5, 0.5)
                part.running_var.uniform_(0.5, 2)
    return net


@pytest.fixture
def net():
    return seeded(Net)


@pytest.fixture(scope="session")
def same_net():
    """For tests that leave it as it is."""
    return seeded(Net)


@pytest.fixture
def several():
    return seeded(Several)


@pytest.fixture(scope="session")
def image():
    return {"image": np.random.default_rng(1).standard_normal((1, 3, 12, 10)).astype(np.float32)}


@pytest.fixture
def image_and_vector():
    rng = np.random.default_rng(2)
    return {
        "image": rng.standard_normal((1, 2, 5, 7)).astype(np.float32),
        "vector": rng.standard_normal((1, 6)).astype(np.float32),
    }
