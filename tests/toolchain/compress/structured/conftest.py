"""Small learnable images, and a context around them."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="pruning works on torch modules")

from toolchain.compress.context import Context  # noqa: E402
from toolchain.frontend import DataSpec, InputSpec, TrainSpec  # noqa: E402
from toolchain.frontend.data import load_data  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def image_data(tmp_path_factory):
    """96 images of 2 channels, 6 x 6, in three classes: each class has its own pattern under noise."""
    generator = np.random.default_rng(0)
    labels = np.arange(96) % 3
    patterns = generator.standard_normal((3, 2, 6, 6))
    x = (patterns[labels] + 0.3 * generator.standard_normal((96, 2, 6, 6))).astype(np.float32)
    path = tmp_path_factory.mktemp("images") / "images.npz"
    np.savez(path, x=x, y=labels)
    return load_data(DataSpec(f"npz:{path}"), InputSpec((1, 2, 6, 6)))


@pytest.fixture
def around(image_data):
    """Makes a context; ``data=None`` for one without data."""

    def make(**changes):
        spec = TrainSpec(epochs=1, batch=16, augment=False, precision="fp32", threads=1)
        inputs = {"input": np.ones((1, 2, 6, 6), np.float32)}
        return Context(**{"inputs": inputs, "data": image_data, "training": spec, **changes})

    return make
