"""Recorded steps are the steps: with a recorder of operations in the place of CUDA's graphs."""

import contextlib
import dataclasses

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from toolchain.frontend import TrainSpec
from toolchain.frontend.train import train
from toolchain.frontend.train.gradients import Recorded
from toolchain.frontend.train.hooks import Hook

#: 120 samples: steps of 7 and of 6, so that there are two recordings.
SPEC = TrainSpec(epochs=2, batch=7, lr=0.05, precision="fp32")


class Tape(TorchDispatchMode):
    """Writes operations down with the tensors that they made, and does them again into the same tensors."""

    def __init__(self):
        super().__init__()
        self.calls, self.replays = [], 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        self.calls.append((function, args, kwargs or {}, made))
        return made

    @torch.no_grad()
    def replay(self):
        self.replays += 1
        for function, args, kwargs, made in self.calls:
            again = function(*args, **kwargs)
            old, new = (value if isinstance(value, (tuple, list)) else (value,) for value in (made, again))
            for kept, value in zip(old, new, strict=True):
                if isinstance(kept, torch.Tensor) and kept is not value:
                    kept.copy_(value)


class Keep(Hook):
    """Holds the model, for the recorder: a recording changes nothing, and only the tape has to run to make it."""

    captured = True

    def __init__(self):
        self.buffers = []

    def start(self, state):
        self.buffers = list(state.model.buffers())


class Sign(Hook):
    """Changes gradients in place, as masks and clipping do."""

    captured = True

    def after_backward(self, state):
        for parameter in state.model.parameters():
            parameter.grad.mul_(0.5)


@pytest.fixture
def keep(monkeypatch):
    """Graphs on the processor; gives a hook that a training needs for it, with the ``tapes`` that were made."""
    hook = Keep()
    hook.tapes = []

    def graph():
        hook.tapes.append(Tape())
        return hook.tapes[-1]

    @contextlib.contextmanager
    def record(tape):
        before, state = [value.clone() for value in hook.buffers], torch.get_rng_state()
        with tape:
            yield
        torch.set_rng_state(state)
        for value, kept in zip(hook.buffers, before, strict=True):
            value.copy_(kept)

    class Stream:
        def wait_stream(self, other):
            pass

    monkeypatch.setattr("torch.cuda.CUDAGraph", graph)
    monkeypatch.setattr("torch.cuda.graph", record)
    monkeypatch.setattr("torch.cuda.Stream", Stream)
    monkeypatch.setattr("torch.cuda.current_stream", Stream)
    monkeypatch.setattr("torch.cuda.stream", lambda stream: contextlib.nullcontext())
    return hook


def recorded(monkeypatch):
    monkeypatch.setattr("toolchain.frontend.train.run.gradients_for", Recorded)


def test_a_recorded_training_gives_the_same_bits(blobs, tiny_net, keep, monkeypatch):
    """With batch normalisation and dropout: neither warming up nor recording may leave a trace."""
    one, other = tiny_net(), tiny_net()
    plain = train(one, blobs, SPEC, hooks=[Sign()])
    recorded(monkeypatch)
    result = train(other, blobs, SPEC, hooks=[keep, Sign()])
    assert [tape.replays for tape in keep.tapes] == [24, 12], "one recording per size, used in both epochs"
    assert result.losses == pytest.approx(plain.losses, rel=1e-12)
    different = [name for name, value in one.state_dict().items() if not torch.equal(value, other.state_dict()[name])]
    assert not different


def test_what_cannot_be_recorded_is_done_step_by_step(blobs, tiny_net, keep, monkeypatch):
    one, other = tiny_net(), tiny_net()
    train(one, blobs, SPEC)
    recorded(monkeypatch)

    @contextlib.contextmanager
    def refuse(graph):
        raise RuntimeError("operation not permitted when stream is capturing")
        yield

    monkeypatch.setattr("torch.cuda.graph", refuse)
    with pytest.warns(
        UserWarning, match="not recorded as a CUDA graph, so launched one by one: operation not permitted"
    ):
        train(other, blobs, SPEC, hooks=[keep])
    assert not any(tape.replays for tape in keep.tapes)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_other_errors_are_not_taken_for_that(blobs, tiny_net, keep, monkeypatch):
    recorded(monkeypatch)

    @contextlib.contextmanager
    def fail(graph):
        raise RuntimeError("CUDA error: out of memory")
        yield

    monkeypatch.setattr("torch.cuda.graph", fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(tiny_net(), blobs, dataclasses.replace(SPEC, epochs=1), hooks=[keep])
