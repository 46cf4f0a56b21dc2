"""The weights in ``examples/weights`` fit their models, and score what their README says."""

import re
from pathlib import Path

import pytest

from toolchain.frontend import DataSpec, InputSpec, ModelSpec
from toolchain.frontend.data import load_data
from toolchain.frontend.source import load_module
from toolchain.frontend.train import evaluate

WEIGHTS = Path(__file__).parents[3] / "examples" / "weights"
README = (WEIGHTS / "README.md").read_text(encoding="utf-8")
LIMIT = 2**20


def accuracy_in_readme(file: str) -> float:
    row = next(line for line in README.splitlines() if line.startswith(f"| `{file}`"))
    return float(re.search(r"([\d.]+) %", row).group(1)) / 100


def test_every_file_is_described_and_small():
    files = [path for path in WEIGHTS.iterdir() if path.name != "README.md"]
    assert files
    for path in files:
        assert path.stat().st_size < LIMIT, f"{path.name} has {path.stat().st_size} bytes"
        assert accuracy_in_readme(path.name) > 0
        assert f"--out examples/weights/{path.name}" in README, f"the README must say how {path.name} was made"


@pytest.fixture(scope="module")
def resnet8():
    return load_module(ModelSpec("zoo:resnet8", weights=WEIGHTS / "resnet8_cifar10.safetensors"))


def test_resnet8_on_the_shared_test_images(resnet8, cifar_dir):
    data = load_data(DataSpec(f"parquet:{cifar_dir}"), InputSpec((1, 3, 32, 32)))
    accuracy = evaluate(resnet8, data.test)
    expected = accuracy_in_readme("resnet8_cifar10.safetensors")
    assert abs(accuracy - expected) < 0.0006, f"the README says {expected:.2%}, measured {accuracy:.2%}"
