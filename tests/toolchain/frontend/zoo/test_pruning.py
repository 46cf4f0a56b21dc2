"""The shortcuts of our ResNets let channels of the residual stream go: the reason for option B."""

import pytest
import torch

from toolchain.compress import Prune, compress
from toolchain.frontend import ZOO


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["resnet20", "wrn16_1"])
def test_every_stage_loses_half_of_its_stream(name):
    model = ZOO[name].build()
    step = Prune(method="l1", ratio=0.5, scope="layer")
    small = compress(model, [step], example_input=torch.zeros(1, 3, 32, 32)).model
    convolutions = [module for module in small.modules() if isinstance(module, torch.nn.Conv2d)]
    assert convolutions[0].out_channels == 8
    assert {layer.out_channels for layer in convolutions} == {8, 16, 32}
    assert small(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
