"""A small net with everything that a program keeps: branches, constants made inside, two inputs, three outputs."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from profiles.device import Cpu, Device
from targets.base import ExportedModel, Scheme, TensorSpec
from targets.pytorch.program_file import save_program
from targets.pytorch.target import PyTorchTarget

TARGET = PyTorchTarget()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.blocks = nn.ModuleList([nn.Conv2d(8, 8, 3, padding=1)])
        self.drop = nn.Dropout()
        self.fc = nn.Linear(8, 5)
        self.table = nn.Embedding(4, 5)

    def forward(self, image, index):
        x = torch.relu(self.norm(self.stem(image)))
        x = x + self.blocks[0](x) * torch.full((1, 8, 1, 1), 0.5)
        offset = torch.arange(5, dtype=torch.float32) / 10
        scores = self.fc(self.drop(x.mean((2, 3)))).to(torch.float32) + self.table(index) + offset
        return {"scores": scores, "extra": (x, scores.argmax(1))}


def seeded():
    torch.manual_seed(0)
    net = Net().eval()
    net.norm.running_mean.uniform_(-0.5, 0.5)
    net.norm.running_var.uniform_(0.5, 2)
    return net


@pytest.fixture(scope="session")
def net():
    """The module."""
    return seeded()


@pytest.fixture(scope="session")
def sample():
    """One inference's inputs."""
    image = np.random.default_rng(1).standard_normal((1, 3, 12, 10)).astype(np.float32)
    return {"image": image, "index": np.array([2])}


def expected(net, sample, dtype=None):
    """What the module computes, in the order of the program's outputs; ``dtype`` casts weights and float inputs."""
    tensors = [torch.from_numpy(values) for values in sample.values()]
    with torch.inference_mode():
        if dtype is not None:
            net = seeded().to(dtype)
            tensors = [value.to(dtype) if value.is_floating_point() else value for value in tensors]
        result = net(*tensors)
    return [value.numpy() for value in (result["scores"], *result["extra"])]


@pytest.fixture(scope="session")
def outputs_of():
    return expected


@pytest.fixture(autouse=True)
def one_thread():
    """The bits of a sum depend on how many threads share it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def exported_to(tmp_path_factory):
    """``exported_to(module, sample)``: the module as a model with a .pt2 program, named outputs in order."""

    def made(module, sample):
        tensors = tuple(torch.from_numpy(values) for values in sample.values())
        path = tmp_path_factory.mktemp("program") / "net.pt2"
        with torch.no_grad():
            program = torch.export.export(module, tensors)
            flat = torch.utils._pytree.tree_leaves(module(*tensors))
        save_program(program, path)
        inputs = tuple(TensorSpec(name, values.shape, str(values.dtype)) for name, values in sample.items())
        kinds = [str(value.dtype).removeprefix("torch.") for value in flat]
        outputs = tuple(
            TensorSpec(f"output_{number}", tuple(value.shape), kind)
            for number, (value, kind) in enumerate(zip(flat, kinds, strict=True))
        )
        return ExportedModel("net", inputs, outputs, pt2=path)

    return made


@pytest.fixture(scope="session")
def model(net, sample, exported_to):
    """The net as a program."""
    return exported_to(net, sample)


@pytest.fixture(scope="session")
def processor():
    """``processor("avx512_bf16")``: a machine without GPU; ``targets`` and parameters as wanted."""

    def made(*features, targets=("onnxruntime", "pytorch"), **parameters):
        return Device("d", "D", targets, Cpu("x86_64", features=features), parameters=parameters)

    return made


@pytest.fixture
def bundle(model, processor, tmp_path):
    """``bundle("bf16")``: folder, compiled and device, ready for a runner."""

    def made(precision="fp32", of=model, device=None):
        device = device or processor(threads=1)
        folder = tmp_path / f"{of.name}-{precision}"
        (folder / "work").mkdir(parents=True)
        cast = TARGET.quantize(of, [], device, Scheme(precision), folder / "work")
        return folder, TARGET.compile(cast, device, folder), device

    return made


@pytest.fixture
def gpu(processor):
    """A device with an NVIDIA GPU."""
    return dataclasses.replace(processor(), targets=("tensorrt", "pytorch"))
