"""Small networks, small images, and terms without a step around them."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="compression works on torch modules")

from toolchain.compress.catalogue import find_method  # noqa: E402
from toolchain.compress.context import Context  # noqa: E402
from toolchain.compress.distill.term import Pair, Seen, Setting  # noqa: E402
from toolchain.frontend.data import load_data  # noqa: E402
from toolchain.frontend.specs import DataSpec, InputSpec, TrainSpec  # noqa: E402
from toolchain.frontend.train.feed import Batch  # noqa: E402
from toolchain.project.recipe import Distill  # noqa: E402

IMAGES = InputSpec((1, 3, 8, 8), name="x")
VECTORS = InputSpec((1, 12), "NC", name="x")


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Net(torch.nn.Module):
    """Three stages of 8x8, 4x4 and 2x2, each a convolution, normalisation and ReLU; logits, or two outputs."""

    def __init__(self, widths=(4, 6, 8), classes=3, boxes=0):
        super().__init__()
        ins = (3, *widths)
        for index, (a, b) in enumerate(zip(ins, widths, strict=False)):
            conv = torch.nn.Conv2d(a, b, 3, stride=1 + (index > 0), padding=1)
            self.add_module(f"stage{index}", torch.nn.Sequential(conv, torch.nn.BatchNorm2d(b), torch.nn.ReLU()))
        self.head = torch.nn.Linear(widths[-1], classes)
        with torch.no_grad():  # outputs that differ from sample to sample
            self.head.weight.mul_(10)
        self.boxes = torch.nn.Conv2d(widths[-1], boxes, 1) if boxes else None

    def forward(self, x):
        x = self.stage2(self.stage1(self.stage0(x)))
        logits = self.head(x.mean((2, 3)))
        return logits if self.boxes is None else (logits, self.boxes(x))


@pytest.fixture
def net():
    """``net(widths, seed=…)`` is always the same network, in eval mode."""

    def make(widths=(4, 6, 8), seed=0, kind=Net, **settings):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return kind(widths, **settings).eval()

    return make


def splits(tmp_path, shape, spec, *, samples=40, labelled=True):
    random = np.random.default_rng(0)
    labels = np.arange(samples) % 3
    values = random.standard_normal((samples, *shape)) * 0.5 + (labels - 1).reshape(-1, *[1] * len(shape))
    arrays = {"x": values.astype(np.float32), **({"y": labels} if labelled else {})}
    np.savez(tmp_path / "data.npz", **arrays)
    return load_data(DataSpec(f"npz:{tmp_path / 'data.npz'}", calibration=8), spec)


@pytest.fixture
def images(tmp_path):
    """A context with 32 labelled images to train with, in two batches."""
    data = splits(tmp_path, (3, 8, 8), IMAGES)
    training = TrainSpec(batch=16, precision="fp32", momentum=0.01, weight_decay=0.0)
    inputs = {"x": np.zeros((1, 3, 8, 8), np.float32)}
    return Context(inputs, data=data, training=training)


@pytest.fixture
def unlabelled(tmp_path, images):
    """The same images without labels."""
    return dataclasses.replace(images, data=splits(tmp_path, (3, 8, 8), IMAGES, labelled=False))


@pytest.fixture
def vectors(tmp_path, images):
    """A context whose task is to give 12 numbers back."""
    data = splits(tmp_path, (12,), VECTORS, labelled=False)
    return dataclasses.replace(images, inputs={"x": np.zeros((1, 12), np.float32)}, data=data, task="reconstruction")


@pytest.fixture
def draw():
    """Normal random numbers of a shape, the same ones for the same seed."""

    def make(*shape, seed=0, dtype=torch.float32):
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(shape, generator=generator, dtype=dtype)

    return make


@pytest.fixture
def build():
    """``build(loss, student features, teacher features, …)``: the term of a loss for such features."""

    def make(
        name, student=(), teacher=(), *, labels=None, samples=8, task="classification", outputs=((1, 4),), **options
    ):
        import importlib

        pairs = tuple(
            Pair(f"s{i}", f"t{i}", tuple(a.shape[1:]), tuple(b.shape[1:]))
            for i, (a, b) in enumerate(zip(student, teacher, strict=True))
        )
        wanted = Distill(loss=options.pop("loss", name), **options)
        setting = Setting(wanted, task, pairs, outputs, outputs, samples, labels)
        module, _, attribute = find_method("distill", name).implementation.partition(":")
        return getattr(importlib.import_module(module), attribute).build(setting)

    return make


@pytest.fixture
def batch():
    """A batch with these labels."""

    def make(labels=None, count=None):
        count = len(labels) if labels is not None else count
        values = None if labels is None else torch.as_tensor(labels)
        return Batch(torch.zeros(count, 1), values, np.arange(count))

    return make


@pytest.fixture
def seen():
    """``seen(output, *features)``."""
    return lambda output=None, *features: Seen(output, features)
