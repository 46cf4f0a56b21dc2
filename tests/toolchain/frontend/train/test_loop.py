import dataclasses
import math

import numpy as np
import pytest
import torch

from profiles.errors import ConfigError, DataError, ModelError, OutputError
from toolchain.frontend import DataSpec, InputSpec, ModelSpec, TrainSpec
from toolchain.frontend.data import load_data
from toolchain.frontend.source import load_module
from toolchain.frontend.train import evaluate, reconstruction_error, train

QUICK = TrainSpec(epochs=4, batch=16, lr=0.05, precision="fp32")


class Stop(Exception):
    """Stands for a kill, a power cut or Ctrl-C."""


def stop_at(step):
    def on_progress(done, total, text):
        if text.startswith("epoch") and done == step:
            raise Stop

    return on_progress


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same(a, b, why):
    different = [name for name in a if not torch.equal(a[name], b[name])]
    assert not different, f"{why}: {different} differ"


def test_digits_are_learned_in_seconds():
    spec = InputSpec((1, 1, 16, 16))
    data = load_data(DataSpec("digits"), spec)
    model = load_module(ModelSpec("zoo:resnet8", classes=10, input=spec))
    assert evaluate(model, data.test) < 0.3, "an untrained net guesses"
    result = train(model, data, TrainSpec(epochs=3, batch=64, precision="fp32"))
    accuracy = evaluate(model, data.test)
    assert accuracy >= 0.95, f"three epochs of ResNet-8 on the digits reach 97 %, got {accuracy:.1%}"
    assert (result.epochs, result.steps, result.resumed_from) == (3, 3 * 23, 0)
    assert result.losses[-1] < result.losses[0] / 4
    assert not model.training


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not(blobs, tiny_net):
    nets = [tiny_net() for _ in range(3)]
    torch.manual_seed(11)
    train(nets[0], blobs, QUICK)
    torch.manual_seed(12)
    train(nets[1], blobs, QUICK)
    train(nets[2], blobs, dataclasses.replace(QUICK, seed=1))
    assert_same(weights(nets[0]), weights(nets[1]), "the global random state must not matter")
    assert not torch.equal(nets[0][0].weight, nets[2][0].weight)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("step", [1, 10, 11, 25, 39])
def test_a_resumed_run_gives_the_same_bits_as_one_that_was_not_stopped(blobs, tiny_net, tmp_path, precision, step):
    """150 samples, 80 % of them to train: 8 steps an epoch, 32 in all; the last stop comes after the end."""
    spec = dataclasses.replace(QUICK, precision=precision)
    whole, parts = tiny_net(), tiny_net()
    losses = train(whole, blobs, spec).losses
    path = tmp_path / "run.ckpt"
    stopped = False
    try:
        train(parts, blobs, spec, checkpoint=path, on_progress=stop_at(step))
    except Stop:
        stopped = True
    assert stopped == (step <= 32)
    again = tiny_net()
    result = train(again, blobs, spec, checkpoint=path)
    assert result.resumed_from == min((step - 1) // 8, 4)
    assert result.losses == losses
    assert_same(weights(whole), weights(again), f"stopped at step {step}")


def test_images_resume_to_the_same_bits_too(tmp_path):
    """Channels-last convolutions with augmentation: the layout of the optimizer's state must survive."""
    x = np.random.default_rng(0).integers(0, 256, (40, 3, 24, 24), np.uint8)
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(40) % 2)
    spec = InputSpec((1, 3, 24, 24))
    data = load_data(DataSpec(f"npz:{tmp_path / 'd.npz'}"), spec)
    how = TrainSpec(epochs=3, batch=8, augment=True, precision="fp32")
    whole, parts, again = (load_module(ModelSpec("zoo:resnet8", classes=2, input=spec)) for _ in range(3))
    train(whole, data, how)
    with pytest.raises(Stop):
        train(parts, data, how, checkpoint=tmp_path / "c", on_progress=stop_at(9))
    assert train(again, data, how, checkpoint=tmp_path / "c").resumed_from == 2
    assert_same(weights(whole), weights(again), "stopped in the third epoch")
    assert all(value.is_contiguous() for value in whole.state_dict().values())


def test_a_finished_run_is_not_repeated(blobs, tiny_net, tmp_path):
    train(tiny_net(), blobs, QUICK, checkpoint=tmp_path / "c")
    calls = []
    model = tiny_net()
    result = train(model, blobs, QUICK, checkpoint=tmp_path / "c", on_progress=lambda *a: calls.append(a[2]))
    assert result.resumed_from == QUICK.epochs
    assert not [text for text in calls if text.startswith("epoch")]
    assert evaluate(model, blobs.test) > 0.9


def test_progress_counts_every_step(blobs, tiny_net):
    seen = []
    train(tiny_net(), blobs, QUICK, on_progress=lambda done, total, text: seen.append((done, total, text)))
    steps = [(done, total) for done, total, text in seen if text.startswith("epoch")]
    assert steps == [(i + 1, 32) for i in range(32)]
    assert seen[-1][2].startswith("epoch 4/4, loss ")


def test_another_runs_checkpoint_is_refused(blobs, tiny_net, tmp_path):
    path = tmp_path / "c"
    train(tiny_net(), blobs, QUICK, checkpoint=path)
    for model, spec in ((tiny_net(), dataclasses.replace(QUICK, lr=0.1)), (tiny_net(4), QUICK)):
        with pytest.raises(ConfigError, match="another model"):
            train(model, blobs, spec, checkpoint=path)


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_checkpoint_is_refused(blobs, tiny_net, tmp_path, damage):
    path = tmp_path / "c"
    train(tiny_net(), blobs, QUICK, checkpoint=path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    with pytest.raises(ModelError, match="delete it"):
        train(tiny_net(), blobs, QUICK, checkpoint=path)
    torch.save({"format": 99}, path)
    with pytest.raises(ModelError, match="not one of ours"):
        train(tiny_net(), blobs, QUICK, checkpoint=path)


def test_a_checkpoint_that_cannot_be_written(blobs, tiny_net, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        train(tiny_net(), blobs, QUICK, checkpoint=tmp_path / "file" / "c")


class Poisoned(torch.nn.Module):
    """Learns as usual, and answers NaN from its ``after``-th batch on."""

    def __init__(self, inner, after):
        super().__init__()
        self.inner, self.after, self.calls = inner, after, 0

    def forward(self, x):
        self.calls += 1
        return self.inner(x) * (math.nan if self.calls > self.after else 1.0)


def test_a_loss_that_is_not_a_number_stops_with_the_last_good_weights(blobs, tiny_net, tmp_path):
    path = tmp_path / "c"
    model = Poisoned(tiny_net(), after=19)
    with pytest.raises(ModelError) as caught:
        train(model, blobs, QUICK, checkpoint=path)
    assert "the weights after epoch 2 are kept" in caught.value.wanted
    assert caught.value.seen == "the loss became nan in step 4 of epoch 3"
    assert caught.value.next_step == "try a lower lr than 0.05"
    kept = torch.load(path, weights_only=True)
    assert kept["epoch"] == 2
    assert_same(weights(model), kept["model"], "model and checkpoint")
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    assert not model.training


def test_divergence_from_the_start_keeps_the_initial_weights(blobs, tiny_net):
    model = tiny_net()
    before = weights(model)
    with pytest.raises(ModelError, match="diverged"):
        train(model, blobs, dataclasses.replace(QUICK, lr=1e30))
    assert_same(before, weights(model), "initial weights")


def test_wide_weights_decay_and_narrow_ones_do_not(blobs, tiny_net):
    """With lr * decay near 1 and hardly any other learning, matrices shrink, biases and norms stay."""
    free, decayed = tiny_net(), tiny_net()
    spec = dataclasses.replace(QUICK, lr=1e-3, epochs=1)
    train(free, blobs, dataclasses.replace(spec, weight_decay=0.0))
    train(decayed, blobs, dataclasses.replace(spec, weight_decay=50.0))
    assert decayed[0].weight.abs().sum() < 0.9 * free[0].weight.abs().sum()
    torch.testing.assert_close(decayed[1].weight, free[1].weight, atol=0.05, rtol=0)


def test_reconstruction(tmp_path):
    x = np.random.default_rng(0).normal(size=(200, 16)).astype(np.float32)
    x[:, 8:] = x[:, :8]
    np.savez(tmp_path / "d.npz", x=x)
    data = load_data(DataSpec(f"npz:{tmp_path / 'd.npz'}"), InputSpec((1, 16), "NC"))
    model = load_module(ModelSpec("zoo:fc_autoencoder", input=InputSpec((1, 16), "NC")))
    before = reconstruction_error(model, data.test)
    train(model, data, TrainSpec(epochs=10, batch=32, precision="fp32"), task="reconstruction")
    assert reconstruction_error(model, data.test) < 0.6 * before
    with pytest.raises(DataError, match="labels"):
        train(model, data, QUICK)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: torch.nn.Linear(8, 2), "one value for each of 3 classes"),
        (lambda: torch.nn.Unflatten(1, (2, 4)), "one value for each of 3 classes"),
        (lambda: torch.nn.LSTM(8, 3), "one value for each of 3 classes"),
    ],
)
def test_outputs_that_do_not_fit_the_classes(blobs, make, words):
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), make())
    with pytest.raises(ModelError, match=words):
        train(model, blobs, QUICK)


def test_what_cannot_be_trained(blobs, tiny_net):
    with pytest.raises(ConfigError, match="unknown task"):
        train(tiny_net(), blobs, QUICK, task="clasification")
    random = load_data(DataSpec("random"), InputSpec((1, 8), "NC"))
    with pytest.raises(DataError, match="teach nothing"):
        train(tiny_net(), random, QUICK)
    exported = torch.export.export(tiny_net().eval(), (torch.zeros(2, 8),)).module()
    with pytest.raises(ConfigError, match="cannot be trained"):
        train(exported, blobs, QUICK)


def test_threads_are_bounded_and_put_back(blobs, tiny_net):
    before, seen = torch.get_num_threads(), set()
    train(tiny_net(), blobs, QUICK, on_progress=lambda *_: seen.add(torch.get_num_threads()))
    assert 1 in seen
    assert torch.get_num_threads() == before
