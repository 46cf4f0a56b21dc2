"""Gates on residual blocks: the formula, which blocks there are, and which are removed."""

import pytest

torch = pytest.importorskip("torch", reason="gates are torch modules")

from profiles.errors import ConfigError, UnsupportedError  # noqa: E402
from toolchain.compress.structured.gates import Gated, gates, residual_blocks, without  # noqa: E402
from toolchain.frontend.macs import count  # noqa: E402
from toolchain.frontend.zoo import ZOO  # noqa: E402
from toolchain.project.recipe import Prune  # noqa: E402


class Block(torch.nn.Module):
    def __init__(self, channels, scale=1.0):
        super().__init__()
        self.conv = torch.nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(channels)
        self.scale = scale

    def forward(self, x):
        return torch.relu(x + self.scale * self.norm(self.conv(x)))


def net(blocks=2):
    torch.manual_seed(0)
    body = [Block(4) for _ in range(blocks)]
    ends = torch.nn.Conv2d(2, 4, 3, padding=1), torch.nn.Flatten(), torch.nn.Linear(144, 3)
    return torch.nn.Sequential(ends[0], *body, *ends[1:]).eval()


def test_a_gate_lets_each_sample_through_its_block_or_past_it():
    gated = Gated(torch.nn.Conv2d(2, 2, 1), 2).eval()
    with torch.no_grad():
        gated.gate.weight.copy_(torch.tensor([[1.0, 0.0]]))
        gated.gate.bias.zero_()
    x = torch.randn(4, 2, 3, 3)
    x[:, 0] = torch.tensor([1.0, -1.0, 2.0, -0.5]).reshape(4, 1, 1)
    y, through = gated(x), gated.block(x)
    assert torch.equal(y[[0, 2]], through[[0, 2]]) and torch.equal(y[[1, 3]], x[[1, 3]])
    assert gated.runs == 0.5


def test_the_gates_gradient_is_that_of_the_sigmoid():
    gated = Gated(torch.nn.Conv2d(2, 2, 1), 2)
    x, bias = torch.randn(5, 2, 3, 3), gated.gate.bias
    gated(x).sum().backward()
    soft = torch.sigmoid(bias.detach())
    wanted = (soft * (1 - soft) * (gated.block(x) - x).sum()).item()
    assert bias.grad.item() == pytest.approx(wanted, rel=1e-4)


def test_residual_blocks_are_found_by_what_they_do():
    assert residual_blocks(net(), (torch.ones(1, 2, 6, 6),)) == ["1", "2"]
    assert residual_blocks(ZOO["resnet8"].build(), (torch.ones(1, 3, 16, 16),)) == ["1"]
    plain = torch.nn.Sequential(torch.nn.Conv2d(2, 2, 1), torch.nn.ReLU(), torch.nn.Conv2d(2, 2, 1))
    assert residual_blocks(plain, (torch.ones(1, 2, 6, 6),)) == []


def test_a_block_that_only_hurts_is_gated_off_and_removed(around):
    model = net()
    model[1].scale = 0.0  # this block does nothing: only the price of running it counts
    options = Prune(method="gates", ratio=0.5, sparse_epochs=30, strength=3.0, lr=0.2)
    outcome = gates(model, options, around())
    assert outcome.facts["removed"] in (["1"], ["2"]) and dict(outcome.facts["runs"])["1"] == 0.0
    assert isinstance(outcome.model.get_submodule(outcome.facts["removed"][0]), torch.nn.Identity)
    assert not any(isinstance(module, Gated) for module in outcome.model.modules())
    assert "no gain on static engines" in outcome.notes[0]


def test_gates_that_stay_open_remove_nothing(around):
    outcome = gates(net(), Prune(method="gates", ratio=0.5, sparse_epochs=1, strength=0.0, lr=1e-6), around())
    assert outcome.facts["removed"] == [] and [runs for _, runs in outcome.facts["runs"]] == [1.0, 1.0]


def test_a_goal_removes_blocks_until_it_is_reached(around):
    model, context = net(3), around()
    start = count(model, context.tensors())[1]
    block = 36 * 4 * 36
    options = Prune(method="gates", macs=(start - block - 1) / start, sparse_epochs=1, lr=1e-6)
    outcome = gates(model, options, context)
    assert len(outcome.facts["removed"]) == 2
    assert "though their gates let most samples in: '" in outcome.notes[1] and "(100 %)" in outcome.notes[1]
    assert count(outcome.model, context.tensors())[1] == start - 2 * block


def test_removal_is_the_identity_and_leaves_the_original():
    model, x = net(1), torch.rand(2, 2, 6, 6)
    thin = without(model, ["1"])
    assert torch.equal(thin(x), model[3](model[2](model[0](x)))) and isinstance(model[1], Block)


def test_excluded_blocks_get_no_gate(around):
    step = Prune(method="gates", ratio=0.9, sparse_epochs=1, lr=1e-6, exclude=("2",))
    assert [name for name, _ in gates(net(3), step, around()).facts["runs"]] == ["1", "3"]


def test_what_cannot_be_gated_says_so(around):
    plain = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(72, 3))
    with pytest.raises(UnsupportedError, match="residual blocks"):
        gates(plain, Prune(method="gates", sparse_epochs=1), around())
    with pytest.raises(ConfigError, match="trains gates"):
        gates(net(), Prune(method="gates"), around())
