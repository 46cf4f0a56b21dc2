"""Small learnable images, and a context around them."""

import copy

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


@pytest.fixture
def net():
    """Makes two convolutions with normalisation, and two linear layers: three groups of 6, 8 and 10 channels."""

    def make(seed=0):
        torch.manual_seed(seed)
        layers = (
            torch.nn.Conv2d(2, 6, 3, padding=1),
            torch.nn.BatchNorm2d(6),
            torch.nn.ReLU(inplace=True),
            torch.nn.Conv2d(6, 8, 3, stride=2),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(32, 10),
            torch.nn.ReLU(),
            torch.nn.Linear(10, 3),
        )
        model = torch.nn.Sequential(*layers)
        for norm in (model[1], model[4]):  # statistics that say something
            torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
            torch.nn.init.normal_(norm.bias, std=0.3)
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
        return model.eval()

    return make


@pytest.fixture
def groups_of():
    """The groups of a model, by name."""
    from toolchain.compress.structured.groups import Pruner

    def make(model, context):
        return {group.name: group for group in Pruner(model, context.tensors()).groups}

    return make


@pytest.fixture
def gated_loss():
    """Makes the loss on a batch as a function of factors on the channels of one of the net's groups (float64)."""
    from torch.nn import functional

    reads = {"0": 3, "3": 6, "7": 9}

    def make(model, batch, name):
        double = copy.deepcopy(model).double()
        before, after = double[: reads[name]], double[reads[name] :]

        def loss(factors):
            x = before(batch.x.double())
            return functional.cross_entropy(after(x * factors.reshape(1, -1, *[1] * (x.ndim - 2))), batch.labels)

        return loss

    return make
