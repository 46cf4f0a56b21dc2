"""The lightweight networks are what the catalogue says, and compute with small images."""

import pytest
import torch

from toolchain.compress.catalogue.networks import METHODS
from toolchain.frontend import InputSpec, ModelSpec
from toolchain.frontend.macs import count
from toolchain.frontend.source import load_module

EACH = pytest.mark.parametrize("network", METHODS, ids=lambda network: network.name)


@EACH
def test_size_and_work(network):
    if network.library:
        pytest.importorskip(network.library, reason=f"SKIPPED: needs {network.library}")
    model = load_module(ModelSpec(network.source))
    assert count(model, (torch.zeros(network.input_shape),)) == (network.params, network.macs)


@EACH
def test_images_of_another_size_and_other_classes(network):
    if network.library:
        pytest.importorskip(network.library, reason=f"SKIPPED: needs {network.library}")
    spec = ModelSpec(network.source, classes=10, input=InputSpec((1, 3, 32, 32)))
    with torch.inference_mode():
        y = load_module(spec)(torch.randn(2, 3, 32, 32))
    assert y.shape == (2, 10) and torch.isfinite(y).all()
