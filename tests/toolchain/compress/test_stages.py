"""Recipes that were interrupted go on, and changed ones reuse what did not change."""

import dataclasses

import numpy as np
import pytest

from profiles.errors import ModelError
from toolchain.compress import Context, Finetune, Prune, Sparsify, compress
from toolchain.frontend.specs import TrainSpec

torch = pytest.importorskip("torch", reason="compression works on torch modules")
INPUTS = {"x": np.ones((1, 4), np.float32)}


@pytest.fixture
def around(blobs, tmp_path):
    return Context(inputs=INPUTS, data=blobs, training=TrainSpec(batch=16, precision="fp32"), work=tmp_path / "work")


def test_a_changed_third_step_reuses_the_first_two(fakes, around):
    steps = [Prune(method="halve"), Prune(method="nothing"), Prune(method="halve")]
    first = compress(fakes.net(), steps, context=around)
    assert fakes.CALLS == ["halve", "nothing", "halve"]
    again = compress(fakes.net(), steps, context=around)
    assert fakes.CALLS == ["halve", "nothing", "halve"] and again.rows == first.rows
    assert torch.equal(again.model.last.weight, first.model.last.weight)
    compress(fakes.net(), [*steps[:2], Prune(method="halve", epochs=1)], context=around)
    assert fakes.CALLS == ["halve", "nothing", "halve", "halve"]


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"training": TrainSpec(batch=12, precision="fp32")},
        {"round_to": 4},
        {"inputs": {"x": np.zeros((1, 4), np.float32)}},
    ],
)
def test_what_a_step_depends_on(fakes, around, change):
    for context in (around, around, dataclasses.replace(around, **change)):
        compress(fakes.net(), [Prune(method="halve")], context=context)
    assert fakes.CALLS == ["halve", "halve"]
    compress(fakes.net(seed=1), [Prune(method="halve")], context=around)
    assert fakes.CALLS == ["halve"] * 3, "another model at the start"


def test_guards_are_judged_again_without_doing_the_step_again(fakes, around):
    for guard in (False, True):
        compress(fakes.net(), [Prune(method="halve", guard=guard)], context=around)
    assert fakes.CALLS == ["halve"]


def test_an_interrupted_step_goes_on_in_its_training(fakes, around, monkeypatch):
    """The third epoch is interrupted; the next run begins with it, and ends with the same weights."""
    steps = [Prune(method="halve", epochs=4)]
    whole = compress(fakes.net(), steps, context=dataclasses.replace(around, work=around.work / "other"))
    fakes.EPOCHS.clear()
    monkeypatch.setattr(fakes, "STOP", 3)
    with pytest.raises(KeyboardInterrupt):
        compress(fakes.net(), steps, context=around)
    result = compress(fakes.net(), steps, context=around)
    assert fakes.EPOCHS == [0, 1, 2, 2, 3]
    assert torch.equal(result.model.first.weight, whole.model.first.weight)
    assert not list((around.work / "checkpoints").glob("*/*")), "checkpoints go when the step is done"


def test_steps_before_a_failed_one_are_kept(fakes, around):
    for last in ("fails", "nothing"):
        steps = [Prune(method="halve"), Prune(method=last)]
        if last == "fails":
            with pytest.raises(ModelError):
                compress(fakes.net(), steps, context=around)
        else:
            assert len(compress(fakes.net(), steps, context=around).rows) == 3
    assert fakes.CALLS == ["halve", "nothing"]


def test_a_model_that_cannot_be_written_is_made_again_and_says_so(fakes, around):
    model = fakes.net()
    model.last = torch.nn.utils.parametrizations.weight_norm(model.last)
    for _ in range(2):
        row = compress(model, [Prune(method="nothing")], context=around).rows[1]
        assert row.notes[-1].startswith("the model after this step cannot be kept, and is made again next time")
    assert fakes.CALLS == ["nothing", "nothing"]


def test_zeros_are_kept_by_the_key_as_well(fakes, around):
    """The same fine-tuning means something else after a step that made zeros."""
    steps = [Sparsify(method="zero"), Finetune(epochs=1)]
    first, second = (compress(fakes.net(), steps, context=around) for _ in range(2))
    assert first.rows[2].zeros == second.rows[2].zeros == 0.5
