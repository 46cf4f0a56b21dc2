"""Flags and roll-backs, on figures that are made up."""

import pytest

from profiles.measurement import Kind, Metric, unavailable
from toolchain.compress import Distill, Finetune, Prune
from toolchain.compress.clock import Comparison
from toolchain.compress.guard import judged, reshapes
from toolchain.compress.rows import Row, Speed


def row(accuracy=None, macs=100, **more):
    return Row("prune", "l1", 10, macs, 40, 0.0, accuracy, **more)


def compared(judgement="helped", ratio=1.5):
    metric = Metric(1.0, "s", Kind.MEASURED, "a clock")
    return Comparison(metric, metric, Speed(ratio, ratio - 0.1, ratio + 0.1, judgement))


GUARDED = Prune(method="l1", macs=0.5, guard=True)


def test_a_step_that_helps_on_its_device_is_kept():
    found = judged(row(0.9), row(0.89, 50), GUARDED, {"a": compared(), "b": compared("harmed")}, "a")
    assert found.kept and found.flags == () and list(found.latency) == list(found.speed) == ["a", "b"]


@pytest.mark.parametrize(
    ("judgement", "words"),
    [
        ("not measurably", "not measurably faster on a: ×0.99 (0.89–1.09)"),
        ("harmed", "slower on a: ×0.99 (0.89–1.09)"),
        ("unknown", "not known to be faster on a: ×0.99 (0.89–1.09)"),
    ],
)
@pytest.mark.parametrize("guard", [False, True])
def test_a_step_that_does_not_help_is_flagged_and_rolled_back_where_it_is_guarded(judgement, words, guard):
    options = GUARDED.model_copy(update={"guard": guard})
    found = judged(row(), row(macs=50), options, {"a": compared(judgement, 0.99)}, "a")
    assert found.flags[0] == words and found.kept is not guard
    assert len(found.flags) == 1 + guard


def test_what_was_not_measured_did_not_help():
    missing = unavailable("latency_p50", "no such GPU here")
    found = judged(row(), row(macs=50), GUARDED, {"a": Comparison(missing, missing)}, "a")
    assert found.flags[0] == "not measured on a: no such GPU here" and not found.kept
    assert found.latency["a"] == missing and found.speed == {}
    metric = Metric(1.0, "s", Kind.MEASURED, "a clock")
    stand_in = Metric(1.0, "s", Kind.STAND_IN, "a clock elsewhere")
    found = judged(row(), row(macs=50), GUARDED, {"a": Comparison(metric, stand_in)}, "a")
    assert found.flags[0] == "not measured on a: figures of different kinds"


def test_without_any_device_only_accuracy_decides():
    assert judged(row(0.9), row(0.89, 50), GUARDED, {}, "").kept
    found = judged(row(0.9), row(0.8, 50), GUARDED, {}, "")
    assert not found.kept and found.flags[0] == "costs 10.00 points of accuracy; max_drop allows 2.00"


def test_the_limit_itself_is_allowed():
    options = GUARDED.model_copy(update={"max_drop": 0.25})
    assert judged(row(0.75), row(0.5, 50), options, {}, "").kept


def test_steps_that_only_train_are_held_to_the_accuracy():
    slow = {"a": compared("not measurably", 1.0)}
    assert judged(row(0.5), row(0.6), Finetune(guard=True), slow, "a").flags == ()
    found = judged(row(0.6), row(0.6), Finetune(guard=True), slow, "a")
    assert found.flags[0].startswith("did not raise the accuracy: 60.00 % before, 60.00 % after") and not found.kept
    assert judged(row(), row(), Finetune(guard=True), slow, "a").kept, "nobody can tell"


def test_a_student_changes_the_network():
    assert reshapes(Distill(student="zoo:resnet8")) and reshapes(Distill(resolution=16))
    assert not reshapes(Distill()) and not reshapes(Finetune()) and reshapes(GUARDED)


@pytest.mark.parametrize(("macs", "flags"), [(50, 0), (51, 1)])
def test_a_goal_is_held_against_what_the_step_began_with(macs, flags):
    found = judged(row(macs=100), row(macs=macs), GUARDED, {"a": compared()}, "a")
    assert len(found.flags) == flags and found.kept, "a missed goal is told, and no reason to roll back"


def test_rows_survive_json():
    import json

    found = judged(row(0.9), row(0.8, 50, facts={"kept": 0.5}), GUARDED, {"a": compared()}, "a")
    assert Row.from_dict(json.loads(json.dumps(found.as_dict()))) == found
