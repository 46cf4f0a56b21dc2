"""A tiny labelled data set, a tiny network, and contexts around them."""

import dataclasses

import numpy as np
import pytest
import torch

from toolchain.compress.context import Context
from toolchain.frontend import DataSpec, InputSpec, TrainSpec
from toolchain.frontend.data import load_data

SHAPE = (1, 4, 6, 6)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def splits(tmp_path_factory):
    """64 images of 4 channels in 4 classes to train with (80 in all), each brighter in a channel of its own."""
    generator = np.random.default_rng(0)
    y = np.arange(80) % 4
    x = generator.normal(size=(80, *SHAPE[1:])).astype(np.float32)
    x[np.arange(80), y] += 1
    path = tmp_path_factory.mktemp("data") / "d.npz"
    np.savez(path, x=x, y=y)
    return load_data(DataSpec(f"npz:{path}"), InputSpec(SHAPE))


@pytest.fixture
def context(splits):
    """Trains in steps of 16 samples (4 an epoch), without any checkpoint."""
    train = TrainSpec(batch=16, precision="fp32")
    return Context(inputs={"x": np.zeros(SHAPE, np.float32)}, data=splits, training=train, seed=3)


@pytest.fixture
def bare(context):
    """Without data."""
    return dataclasses.replace(context, data=None)


@pytest.fixture
def make_net():
    """Makes the same network every time: 4 * 8 * 9 + 8 * 8 * 9 + 8 * 4 = 896 prunable weights."""

    def make(seed=1):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return torch.nn.Sequential(
                torch.nn.Conv2d(4, 8, 3, padding=1),
                torch.nn.BatchNorm2d(8),
                torch.nn.ReLU(),
                torch.nn.Conv2d(8, 8, 3, stride=2, bias=False),
                torch.nn.ReLU(),
                torch.nn.AdaptiveAvgPool2d(1),
                torch.nn.Flatten(),
                torch.nn.Linear(8, 4),
            ).eval()

    return make
