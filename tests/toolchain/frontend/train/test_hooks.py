"""Objectives and hooks: another loss with parameters of its own, and what happens around every step."""

import dataclasses

import pytest
import torch

from profiles.errors import ConfigError, DataError, ModelError
from toolchain.frontend import TrainSpec
from toolchain.frontend.train import train
from toolchain.frontend.train.gradients import Recorded, StepByStep, gradients_for
from toolchain.frontend.train.hooks import Hook, TrainingState, task_loss

QUICK = TrainSpec(epochs=2, batch=40, lr=0.05, precision="fp32")


class Told(Hook):
    """Writes down what it is told; stops the run at a step, if wanted."""

    def __init__(self, stop: int | None = None):
        self.calls: list[str] = []
        self.count, self.stop = 0, stop

    def __repr__(self):
        return "Told"

    def start(self, state):
        self.calls.append(f"start 0/{state.total}")

    def before_step(self, state):
        self.calls.append("before")
        if state.step == self.stop:
            raise KeyboardInterrupt

    def penalty(self, state):
        self.calls.append("penalty")
        return 0.0

    def after_backward(self, state):
        assert all(p.grad is not None for p in state.model.parameters())
        self.calls.append("backward")

    def after_step(self, state):
        self.count += 1
        self.calls.append("after")

    def after_epoch(self, state, epoch):
        self.calls.append(f"epoch {epoch}")

    def finish(self, state):
        self.calls.append("finish")

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


class Scaled(torch.nn.Module):
    """Cross-entropy of logits times a factor that is learned."""

    def __init__(self):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.ones(()))

    def forward(self, output, batch):
        return torch.nn.functional.cross_entropy(self.factor * output, batch.labels)


def test_hooks_are_called_in_order(blobs, tiny_net):
    told = Told()
    train(tiny_net(), blobs, QUICK, hooks=[told])
    step = ["before", "penalty", "backward", "after"]
    assert told.calls == ["start 0/6", *step * 3, "epoch 0", *step * 3, "epoch 1", "finish"]


def test_a_penalty_is_part_of_the_loss(blobs, tiny_net):
    class Pull(Hook):
        def penalty(self, state):
            return 10.0 * sum(p.abs().sum() for p in state.model[0].parameters())

    free, pulled = tiny_net(), tiny_net()
    train(free, blobs, QUICK)
    train(pulled, blobs, QUICK, hooks=[Pull()])
    assert pulled[0].weight.abs().mean() < 0.8 * free[0].weight.abs().mean()


def test_the_parameters_of_an_objective_are_trained_too(blobs, tiny_net):
    objective = Scaled()
    train(tiny_net(), blobs, QUICK, objective=objective)
    assert objective.factor.item() != 1.0


def test_an_objective_may_do_without_labels(blobs, tiny_net):
    class Small(torch.nn.Sequential):
        """Empty, and an objective all the same."""

        needs_labels = False

        def forward(self, output, batch):
            assert batch.labels is None
            return output.square().mean()

    bare = dataclasses.replace(blobs, train=dataclasses.replace(blobs.train, labels=None))
    assert train(tiny_net(), bare, QUICK, objective=Small()).losses[-1] > 0
    for objective in (Scaled(), None):
        with pytest.raises(DataError, match="training a classifier needs labels"):
            train(tiny_net(), bare, QUICK, objective=objective)


def test_hooks_and_objective_go_on_after_an_interruption(blobs, tiny_net, tmp_path):
    path, whole, parts = tmp_path / "run.ckpt", tiny_net(), tiny_net()
    wanted, once = Scaled(), Told()
    train(whole, blobs, QUICK, objective=wanted, hooks=[once])
    with pytest.raises(KeyboardInterrupt):
        train(parts, blobs, QUICK, objective=Scaled(), hooks=[Told(stop=4)], checkpoint=path)
    again, told = Scaled(), Told()
    result = train(tiny := tiny_net(), blobs, QUICK, objective=again, hooks=[told], checkpoint=path)
    assert (result.resumed_from, told.count) == (1, once.count)
    assert torch.equal(again.factor, wanted.factor)
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), tiny.state_dict().values(), strict=True))


def test_a_checkpoint_belongs_to_its_objective(blobs, tiny_net, tmp_path):
    path = tmp_path / "run.ckpt"
    train(tiny_net(), blobs, QUICK, objective=Scaled(), checkpoint=path)
    with pytest.raises(ConfigError, match="another model, other data or other settings"):
        train(tiny_net(), blobs, QUICK, checkpoint=path)


def test_a_loss_that_is_not_finite_leaves_the_last_good_weights(blobs, tiny_net):
    class Break(Hook):
        def penalty(self, state):
            return float("nan") if state.step == 4 else 0.0

    first, net = tiny_net(), tiny_net()
    train(first, blobs, dataclasses.replace(QUICK, epochs=2), hooks=[Told()])
    with pytest.raises(ModelError, match="the weights after epoch 1 are kept"):
        train(net, blobs, QUICK, hooks=[Break()])
    assert all(torch.isfinite(value).all() for value in net.state_dict().values())
    assert not net.training


def test_the_model_comes_back_to_where_it_was(blobs, tiny_net):
    net = tiny_net()
    train(net, blobs, QUICK)
    assert {p.device.type for p in net.parameters()} == {"cpu"}


def test_steps_are_recorded_on_cuda_only_where_everything_can_be(blobs, tiny_net):
    net, loss = tiny_net(), task_loss("classification", blobs.train)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def chosen(device, *hooks):
        return type(gradients_for(TrainingState(net, optimizer, QUICK, 6, device), loss, hooks))

    fit = Told()
    fit.captured = True
    assert chosen("cuda") is Recorded
    assert chosen("cuda:1", fit) is Recorded
    assert chosen("cuda", Told()) is StepByStep
    assert chosen("cpu") is StepByStep
