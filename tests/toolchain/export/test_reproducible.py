"""Another process, in another folder and with another hash seed, exports the same module to the same bytes."""

import hashlib
import importlib
import os
import runpy
import subprocess
import sys

import pytest

NETS = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)) + x)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks, self.fc = nn.Sequential(Block(), Block()), nn.Linear(4, 3)
    def forward(self, x, y):
        return {"b": self.fc(self.blocks(x).mean((2, 3))), "a": y * 2}
"""
EXPORT = """
import sys
import numpy as np, torch
from pathlib import Path
from nets import Net
from toolchain.export.onnx import export_onnx
from toolchain.export.tflite import export_tflite

inputs = {"x": np.ones((1, 4, 6, 6), np.float32), "y": np.ones((1, 2), np.float32)}
for export, name in ((export_onnx, "net.onnx"), (export_tflite, "net.tflite")):
    torch.manual_seed(3)
    export(Net(), inputs, Path(__file__).parent / name)
"""


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """The folder of an export in this process, that of one in another, and what the other printed."""
    here, there = tmp_path_factory.mktemp("here"), tmp_path_factory.mktemp("a_longer_name") / "deep"
    there.mkdir()
    for folder in (here, there):
        (folder / "nets.py").write_text(NETS)
        (folder / "export.py").write_text(EXPORT)
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    env = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run([sys.executable, "export.py"], cwd=there, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    sys.path.insert(0, str(here))
    try:
        importlib.import_module("nets")
        runpy.run_path(str(here / "export.py"))
    finally:
        sys.path.remove(str(here))
        del sys.modules["nets"]
    return here, there, done.stdout


@pytest.mark.parametrize("name", ["net.onnx", "net.tflite"])
def test_the_same_module_gives_the_same_bytes(exports, name):
    digests = {hashlib.sha256((folder / name).read_bytes()).hexdigest() for folder in exports[:2]}
    assert len(digests) == 1, f"{name} differs between two processes that export the same module"


def test_nothing_reaches_standard_output(exports):
    assert exports[2] == b""


@pytest.mark.parametrize("name", ["net.onnx", "net.tflite"])
def test_no_path_of_the_machine_is_in_the_files(exports, name):
    for folder in exports[:2]:
        content = (folder / name).read_bytes()
        assert str(folder).encode() not in content
        assert b"nets.py" not in content
