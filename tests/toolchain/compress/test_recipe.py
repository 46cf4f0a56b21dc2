"""The mechanism of compression steps, with methods of the tests' own."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from profiles.errors import ConfigError, DataError, ModelError
from profiles.measurement import Kind, Metric
from toolchain.compress import Context, Distill, Finetune, LowRank, Prune, Row, Sparsify, compress
from toolchain.compress.clock import Comparison
from toolchain.compress.recipe import title_of, uses_clock
from toolchain.compress.rows import Speed
from toolchain.frontend.specs import TrainSpec

torch = pytest.importorskip("torch", reason="compression works on torch modules")
X = torch.ones(1, 4)
FAST = TrainSpec(batch=16, precision="fp32")


def width(model):
    return model.first.out_features


def test_no_steps_change_nothing(fakes):
    model = fakes.net().train()
    result = compress(model, [], example_input=X)
    assert result.rows == (Row("start", "", 4 * 8 + 8 + 8 * 3 + 3, 4 * 8 + 8 * 3, 4 * (4 * 8 + 8 + 8 * 3 + 3), 0.0),)
    assert not result.model.training and model.training, "the given model stays as it is"


def test_steps_run_in_order_and_each_leaves_a_row(fakes):
    model = fakes.net(8)
    result = compress(model, [Prune(method="halve"), LowRank(method="halve")], example_input=X)
    assert [row.title for row in result.rows] == ["start", "prune (halve)", "lowrank (halve)"]
    assert [row.macs for row in result.rows] == [4 * n + n * 3 for n in (8, 4, 2)]
    assert [row.facts for row in result.rows] == [{}, {"width": 4}, {"width": 2}]
    assert result.rows[1].notes == ("half is gone",)
    assert width(result.model) == 2 and width(model) == 8


def test_the_input_may_be_a_tensor_a_mapping_or_the_first_sample(fakes, blobs):
    for given in ({"example_input": X}, {"example_input": {"x": np.ones((1, 4), np.float32)}}, {"data": blobs}):
        assert compress(fakes.net(), [], **given).rows[0].macs == 56
    with pytest.raises(ConfigError, match="example input or data"):
        compress(fakes.net(), [])


def test_with_data_every_row_has_an_accuracy(fakes, blobs):
    around = Context(inputs={"x": np.ones((1, 4), np.float32)}, data=blobs, training=FAST)
    start, step = compress(fakes.net(), [Finetune(epochs=20, lr=0.5)], context=around).rows
    assert start.accuracy < step.accuracy == 1.0
    assert step.facts["final_loss"] < 0.3 and step.flags == ()


@pytest.mark.parametrize(
    ("method", "words", "seen"),
    [
        ("other_shape", "outputs keep their shapes", "(1, 5)"),
        ("not_a_number", "weights are finite", "'first.weight'"),
        ("masked", "masks are folded", "'first' has a parametrization"),
        ("widen", "no more parameters", "67 instead of 35"),
    ],
)
def test_what_must_hold_after_a_step(fakes, method, words, seen):
    with pytest.raises(
        ModelError, match=rf"step 2 of the recipe, prune \({method}\): after 'prune'.*{words}"
    ) as caught:
        compress(fakes.net(), [Prune(method="halve"), Prune(method=method)], example_input=X)
    assert seen in caught.value.seen


def test_what_must_hold_before_the_first_step(fakes):
    model = fakes.net()
    model.last.bias.data[1] = float("inf")
    with pytest.raises(ModelError, match="before 'prune': wanted that all weights are finite") as caught:
        compress(model, [Prune(method="halve")], example_input=X)
    assert "'last.bias'" in caught.value.seen


def test_zeros_that_were_asked_for_must_be_there(fakes):
    assert compress(fakes.net(), [Sparsify(method="zero")], example_input=X).rows[1].zeros == 0.5
    with pytest.raises(ModelError, match="50 % of the weights are zero"):
        compress(fakes.net(), [Sparsify(method="nothing")], example_input=X)


def test_zeros_outlive_the_training_after_them(fakes, blobs):
    around = Context(inputs={"x": np.ones((1, 4), np.float32)}, data=blobs, training=FAST)
    steps = [Sparsify(method="zero"), Finetune(epochs=2)]
    result = compress(fakes.net(), steps, context=around)
    assert [row.zeros for row in result.rows] == [0.0, 0.5, 0.5]
    assert (result.model.first.weight[:, ::2] == 0).all() and (result.model.first.weight[:, 1::2] != 0).all()


def test_models_come_out_in_eval_mode(fakes):
    assert not compress(fakes.net(), [Prune(method="training")], example_input=X).model.training


def test_a_method_that_fails_says_which_step_it_was(fakes):
    with pytest.raises(ModelError) as caught:
        compress(fakes.net(), [Prune(method="nothing"), Prune(method="fails")], example_input=X)
    assert caught.value.wanted == "step 2 of the recipe, prune (fails): this method never works"
    assert (caught.value.seen, caught.value.next_step) == ("a model", "take another")


def test_a_goal_that_is_missed_is_flagged(fakes):
    row = compress(fakes.net(), [LowRank(method="nothing", macs=0.5)], example_input=X).rows[1]
    assert row.flags == ("56 MACs are left; asked for were 28 MACs",) and row.kept


class Watch:
    """A clock that writes down what it compares; a model is as slow as it is wide."""

    def __init__(self):
        self.pairs = []

    def prepare(self, start, steps):
        pass

    def device(self, wanted):
        return wanted or "here"

    def identity(self, wanted):
        return {}

    def seconds(self, model, device):
        return width(model)

    def compare(self, before, after):
        self.pairs.append((width(before.model), width(after.model)))
        old, new = (Metric(float(one), "s", Kind.MEASURED, "a clock") for one in self.pairs[-1])
        judgement = "helped" if new.value < old.value else "not measurably"
        return {"here": Comparison(old, new, Speed(old.value / new.value, judgement=judgement))}


def test_the_whole_recipe_is_measured_against_its_start(fakes, blobs):
    around = Context(inputs={"x": np.ones((1, 4), np.float32)}, data=blobs, training=FAST)
    halve, nothing = Prune(method="halve"), Prune(method="nothing", guard=True)
    clock = Watch()
    rows = compress(fakes.net(8), [halve, halve, Finetune(epochs=1), nothing], context=around, clock=clock).rows
    assert clock.pairs == [(8, 4), (4, 2), (2, 2), (8, 2)], "the training is not measured, the whole is"
    assert [row.kept for row in rows] == [True, True, True, True, False]
    assert [row.total["here"].ratio if row.total else None for row in rows] == [None, None, None, 4.0, None]
    assert Row.from_dict(rows[3].as_dict()) == rows[3]


def test_a_single_step_is_the_whole(fakes):
    clock = Watch()
    rows = compress(fakes.net(8), [Prune(method="halve")], example_input=X, clock=clock).rows
    assert clock.pairs == [(8, 4)] and rows[1].total == rows[1].speed
    assert (
        compress(fakes.net(), [Prune(method="nothing", guard=True)], example_input=X, clock=Watch()).rows[0].total == {}
    )


def test_a_training_at_the_start_has_no_speed(fakes, blobs):
    """The same network twice: whatever the clock says of it is chance."""
    around = Context(inputs={"x": np.ones((1, 4), np.float32)}, data=blobs, training=FAST)
    clock = Watch()
    start, step = compress(fakes.net(8), [Finetune(epochs=1)], context=around, clock=clock).rows
    assert clock.pairs == [(8, 8)] and step.speed == {} and step.latency == start.latency != {}


def test_a_step_that_costs_too_much_accuracy_is_rolled_back_where_it_is_guarded(fakes, blobs):
    around = Context(inputs={"x": np.ones((1, 4), np.float32)}, data=blobs, training=FAST)
    train = Finetune(epochs=20, lr=0.5)
    for guard in (False, True):
        halve = Prune(method="halve", guard=guard, max_drop=0.0)
        result = compress(fakes.net(4, seed=3), [train, halve, halve], context=around)
        dropped = [row.accuracy < 1.0 for row in result.rows[2:]]
        assert any(dropped), "the test needs a net that suffers"
        assert [row.kept for row in result.rows[2:]] == [not (guard and drop) for drop in dropped]
        assert any("points of accuracy; max_drop allows 0.00" in flag for row in result.rows for flag in row.flags)
        if guard:
            assert result.rows[-1].flags[-1].startswith("rolled back") and result.rows[-1].accuracy < 1.0
            assert around.accuracy(result.model) == 1.0


def test_a_training_that_does_not_help_is_flagged(fakes, blobs):
    around = Context(inputs={"x": np.ones((1, 4), np.float32)}, data=blobs, training=FAST)
    good = Finetune(epochs=20, lr=0.5)
    rows = compress(fakes.net(), [good, Finetune(epochs=1, lr=1e-4, guard=True)], context=around).rows
    assert rows[2].flags[0] == "did not raise the accuracy: 100.00 % before, 100.00 % after" and not rows[2].kept


def test_equal_seeds_give_equal_models(fakes, blobs):
    around = Context(inputs={"x": np.ones((1, 4), np.float32)}, data=blobs, training=FAST)
    steps = [Prune(method="halve", epochs=2)]
    first, again = (compress(fakes.net(), steps, context=around).model for _ in range(2))
    other = compress(fakes.net(), steps, context=dataclasses.replace(around, seed=1)).model
    assert torch.equal(first.last.weight, again.last.weight)
    assert not torch.equal(first.last.weight, other.last.weight)


def test_methods_that_need_data_say_so(fakes):
    with pytest.raises(DataError, match="needs training samples") as caught:
        compress(fakes.net(), [Finetune(epochs=1)], example_input=X)
    assert caught.value.seen == "none"


def test_an_empty_part_is_refused(fakes, blobs):
    none = dataclasses.replace(blobs.train, rows=blobs.train.rows[:0], labels=blobs.train.labels[:0])
    with pytest.raises(DataError, match="example input") as caught:
        compress(fakes.net(), [], data=dataclasses.replace(blobs, train=none))
    assert caught.value.seen == "an empty training part"
    with pytest.raises(DataError, match="needs training samples") as caught:
        compress(fakes.net(), [Finetune(epochs=1)], data=dataclasses.replace(blobs, train=none), example_input=X)
    assert caught.value.seen == "an empty training part"
    with pytest.raises(DataError, match="no samples to evaluate on"):
        compress(fakes.net(), [], data=dataclasses.replace(blobs, test=none), example_input=X)


def test_a_training_that_diverges_stops_and_keeps_its_last_good_checkpoint(fakes, blobs, tmp_path):
    around = Context(inputs={"x": np.ones((1, 4), np.float32)}, data=blobs, training=FAST, work=tmp_path)
    with pytest.raises(
        ModelError, match=r"recipe, prune \(diverges\): training diverged; the weights after epoch 2"
    ) as caught:
        compress(fakes.net(), [Prune(method="diverges", epochs=4)], context=around)
    place = Path(caught.value.next_step.rpartition(" ")[2])
    assert place.is_file() and place.is_relative_to(tmp_path)
    assert torch.load(place, weights_only=True)["epoch"] == 2
    with pytest.raises(
        ModelError, match="step 1 of the recipe, finetune: training diverged; the initial weights are kept"
    ):
        compress(fakes.net(), [Finetune(epochs=9, lr=1e30)], context=around)


def test_titles_and_clocks_of_steps(fakes):
    assert title_of(Prune(method="halve")) == "prune (halve)" and title_of(Finetune()) == "finetune"
    assert title_of(Distill()) == "distill (kd)"
    assert uses_clock(Prune(method="halve", latency=0.5)) and not uses_clock(Prune(method="halve", macs=0.5))


def test_importing_the_mechanism_loads_no_torch():
    code = "import sys, toolchain.compress.recipe; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
