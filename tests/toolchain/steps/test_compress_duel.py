"""Two bundles in turn, with a clock and engines of the tests' own."""

import json
import math

import pytest

from profiles.measurement import Kind, Metric, unavailable
from profiles.sampling import Settings
from toolchain.project import project_from_dict
from toolchain.steps import compress_duel, duel_worker
from toolchain.steps.compress_latency import speed_of
from toolchain.steps.compress_rounding import rounding


def metric(value, *, kind=Kind.MEASURED, unit="s", samples=None):
    return Metric(value, unit, kind, "a clock", samples=samples)


@pytest.mark.parametrize(("timed", "rounds"), [(True, 3), (False, 1)])
def test_rounds_take_turns_and_so_does_who_begins(monkeypatch, timed, rounds):
    order, said = [], []

    def once(folder, settings):
        order.append(folder.name)
        return {"latency_p50": metric(2.0, samples=(2.0,))} if timed else {"cycles": metric(2.0, unit="1")}

    monkeypatch.setattr(duel_worker, "once", once)
    monkeypatch.setattr(duel_worker, "load_artifact", lambda folder, verify: folder)
    request = {"bundles": ["a", "b"], "settings": Settings().as_dict(), "rounds": 3}
    found = duel_worker.do_duel(request, said.append)["rounds"]
    assert "".join(order) == "abbaab"[: 2 * rounds], "what an emulator counts is counted once"
    assert [len(side) for side in found] == [rounds, rounds]
    assert [event["done"] for event in said] == list(range(1, rounds + 1))


def test_all_samples_count_in_the_order_of_the_rounds():
    rounds = [
        {"latency_p50": metric(2.0, samples=(1.0, 2.0, 3.0))},
        {"latency_p50": metric(5.0, samples=(4.0, 5.0, 9.0))},
    ]
    found = compress_duel.pooled("latency_p50", rounds)
    assert found.samples == (1.0, 2.0, 3.0, 4.0, 5.0, 9.0) and found.value == 3.5
    assert found.method == "a clock; 2 rounds, in turn with the other model"
    many = compress_duel.pooled("latency_p50", [{"latency_p50": metric(1.0, samples=(1.0,) * 950)}] * 2)
    assert len(many.samples) == 190, "every tenth"


def test_a_figure_that_one_round_lacks_is_unavailable():
    rounds = [{"latency_p50": metric(1.0)}, {"latency_p50": unavailable("latency_p50", "it broke")}]
    assert compress_duel.pooled("latency_p50", rounds).reason == "it broke"
    assert compress_duel.pooled("cycles", rounds).reason == "the engine does not tell"


def test_counted_instructions_are_exact_and_therefore_judged():
    before, after = (
        compress_duel.pooled("instructions", [{"instructions": metric(count, kind=Kind.SIMULATED, unit="1")}])
        for count in (1000.0, 999.0)
    )
    assert before.uncertainty == 0.0
    speed = speed_of(before, after)
    assert speed.judgement == "helped" and speed.low == speed.high == pytest.approx(1000 / 999)
    assert speed_of(after, after).judgement == "not measurably"
    assert speed_of(after, before).judgement == "harmed"


def best(first, second):
    return compress_duel.best_figure(compress_duel.Duel(first, second))


def test_rounds_that_differ_widen_the_interval():
    """Samples that scatter by nothing, in rounds that are 2 % faster or slower: a difference of 1 % was not shown.

    Student's t with 4 degrees of freedom on the logarithms: 2.776 * 0.03 / sqrt(5) = 0.037.
    """
    before, after = (metric(value, samples=(value,) * 50) for value in (1.01, 1.0))
    assert speed_of(before, after, (1.01,) * 5).judgement == "helped"
    rounds = tuple(1.01 * math.exp(shift) for shift in (-0.03, -0.03, 0.0, 0.03, 0.03))
    speed = speed_of(before, after, rounds)
    assert speed.judgement == "not measurably" and speed.ratio == pytest.approx(1.01)
    reach = 2.776 * 0.03 / math.sqrt(5)
    assert (speed.low, speed.high) == pytest.approx((1.01 * math.exp(-reach), 1.01 * math.exp(reach)))
    assert speed_of(before, after, (0.5, 2.0)) == speed_of(before, after), "two rounds tell no spread"


def test_ratios_are_of_rounds_that_have_both_figures():
    first = [{"cycles": metric(4.0)}, {"cycles": metric(6.0)}, {}]
    second = [{"cycles": metric(2.0)}, {"cycles": unavailable("cycles", "why")}, {"cycles": metric(1.0)}]
    assert compress_duel.ratios("cycles", first, second) == (2.0,)


def test_a_duel_survives_json():
    one, two = ({"latency_p50": metric(value, samples=(value,))} for value in (1.0, 2.0))
    found = compress_duel.Duel(one, two, {"latency_p50": (0.5, 0.25, 0.5)})
    assert compress_duel.Duel.from_dict(json.loads(json.dumps(found.as_dict()))) == found


def test_what_was_counted_comes_before_what_is_estimated():
    latency = metric(0.02, kind=Kind.ESTIMATED)
    figures = {"latency_p50": latency, "cycles": unavailable("cycles", "why")}
    counted = metric(9.0, kind=Kind.SIMULATED, unit="1")
    assert best({**figures, "instructions": counted}, {**figures, "instructions": counted}) == "instructions"
    none = {**figures, "instructions": unavailable("instructions", "why")}
    assert best(none, none) == best(none, {**none, "latency_p50": unavailable("s", "broken")}) == "latency_p50"


def test_figures_of_different_kinds_are_not_compared():
    assert speed_of(metric(1.0), metric(1.0, kind=Kind.STAND_IN)) is None
    assert speed_of(metric(1.0), unavailable("latency_p50", "why")) is None


def test_all_rounds_together_take_as_long_as_one_run():
    found = compress_duel.paced(Settings(seconds=2.0))
    assert found.seconds * compress_duel.ROUNDS == 2.0 and found.runs is None
    assert compress_duel.paced(Settings(runs=50)).runs == 10 and compress_duel.paced(Settings(runs=1)).runs == 1


def test_on_another_machine_every_round_is_a_run_of_its_own(monkeypatch):
    order = []

    def profile(artifact, settings, *, via):
        order.append((artifact, via))
        figures = {
            "cycles": metric(float(len(artifact)), unit="1"),
            "latency_p50": unavailable("latency_p50", "a board"),
        }
        return type("Profile", (), {"metrics": figures})

    monkeypatch.setattr(compress_duel, "profile_bundle", profile)
    found = compress_duel.duel(("aa", "b"), Settings(), "serial:///dev/ttyX", lambda done, total: None)
    assert (found.first["cycles"].value, found.second["cycles"].value) == (2.0, 1.0)
    assert len(order) == 2 * compress_duel.ROUNDS and found.ratios["cycles"] == (2.0,) * compress_duel.ROUNDS
    assert [artifact for artifact, _ in order[:4]] == ["aa", "b", "b", "aa"]


@pytest.mark.parametrize(
    ("device", "multiple"),
    [
        ({"profile": "cortex-m4-an386"}, 4),
        ({"profile": "raspberry-pi-5"}, 8),
        ({"profile": "rtx-4070", "precision": "fp16"}, 8),
        ({"profile": "intel-nuc"}, 8),
        ({"profile": "rtx-4070", "target": "tensorrt", "precision": "fp32"}, 1),
    ],
)
def test_channels_are_rounded_to_what_kernels_like(device, multiple):
    project = project_from_dict({"model": {"source": "zoo:resnet8"}, "device": [device]})
    found = rounding(project, None)
    assert found.multiple == multiple and found.source and not found.fixed
    own = project_from_dict({"model": {"source": "zoo:resnet8"}, "device": [device], "compress": {"round_to": 5}})
    assert rounding(own, None).multiple == 5 and rounding(own, None).fixed


def test_without_a_device_nothing_is_rounded():
    assert rounding(project_from_dict({"model": {"source": "zoo:resnet8"}}), None).multiple == 1
