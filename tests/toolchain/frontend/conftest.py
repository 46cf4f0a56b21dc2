"""Small models and data sets that the frontend's tests share."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from toolchain.frontend import DataSpec, InputSpec
from toolchain.frontend.data import Splits, load_data

SHARED = Path(__file__).parents[3].parent / "shared"


@pytest.fixture
def cifar_dir() -> Path:
    folder = SHARED / "data" / "cifar10"
    if not folder.is_dir():
        pytest.skip(f"SKIPPED: needs the shared CIFAR-10 files in {folder}, which are not part of the repository")
    return folder


@pytest.fixture
def mlperf_dir() -> Path:
    folder = SHARED / "models" / "mlperf_tiny"
    if not folder.is_dir():
        pytest.skip(f"SKIPPED: needs the MLPerf Tiny reference models in {folder}, not part of the repository")
    return folder


@pytest.fixture
def blobs(tmp_path) -> Splits:
    """Three well separated clouds of 8 features, 150 samples: learnable in an instant."""
    return load_data(DataSpec(f"npz:{write_blobs(tmp_path / 'blobs.npz')}"), InputSpec((1, 8), "NC"))


def write_blobs(path: Path, samples: int = 150, seed: int = 0) -> Path:
    generator = np.random.default_rng(seed)
    y = np.arange(samples) % 3
    x = generator.normal(size=(samples, 8)) + 4 * np.eye(8)[y]
    np.savez(path, x=x.astype(np.float32), y=y)
    return path


@pytest.fixture
def tiny_net():
    """Makes the same small network with batch normalisation and dropout every time it is called."""

    def make(classes: int = 3) -> torch.nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            return torch.nn.Sequential(
                torch.nn.Linear(8, 16),
                torch.nn.BatchNorm1d(16),
                torch.nn.ReLU(),
                torch.nn.Dropout(0.1),
                torch.nn.Linear(16, classes),
            )

    return make


@pytest.fixture
def make_images():
    """Writes ``count`` random images of one base colour per class below ``folder/CLASS/``."""

    def make(folder: Path, classes=("cat", "dog"), count: int = 10, size=(40, 30), seed: int = 0) -> Path:
        generator = np.random.default_rng(seed)
        for number, name in enumerate(classes):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                pixels = generator.integers(0, 80, (size[1], size[0], 3), np.uint8)
                pixels[..., number % 3] += 150
                Image.fromarray(pixels).save(folder / name / f"{index}.png")
        return folder

    return make
