"""Devices that fall silent never open a gate, whenever they do and however long it lasts."""

import dataclasses
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.toolchain.fleet.rollout.fleet_rollouts import NOW, facts, rollout
from toolchain.fleet.documents.plan import Wave
from toolchain.fleet.rollout.engine import Progress, advance
from toolchain.fleet.rollout.explain import explain
from toolchain.fleet.rollout.policy import Policy

DAY = 86400.0
BEGAN = NOW - 20 * DAY
WAVES = (Wave("canary", labels={"ring": "canary"}), Wave("some", labels={"ring": "some"}), Wave("all", percent=100.0))
KINDS = ["committed", "vanished", "waiting", "underway", "soaking", "health", "held-up", "refused", "silent", "lost"]
#: Who may have been silent already when the rollout began.
DEAD = ("committed", "waiting")

policies = st.builds(
    Policy, soak=st.just(0.0), committed=st.sampled_from([0.5, 0.75, 1.0]), least=st.integers(1, 2),
    errors=st.sampled_from([0.0, 0.5, 1.0]), tolerated=st.integers(0, 2), timeout=st.sampled_from([0.0, 7 * DAY]),
)  # fmt: skip
one = st.tuples(st.sampled_from(KINDS), st.sampled_from(["canary", "canary", "some"]), st.booleans(), st.booleans())


def device(number, kind, ring, long_dead):
    more = {
        "soaking": {"kind": "underway", "stage": "soaking"},
        "vanished": {"kind": "committed", "seen": NOW - 5 * DAY},
    }.get(kind, {"kind": kind})
    made = facts(f"d{number}", labels={"ring": ring}, **more)
    if long_dead and kind in DEAD:
        return dataclasses.replace(made, seen=BEGAN - 2 * DAY)
    return made


def opens(decision):
    return decision.action in ("open", "complete")


def silence(device):
    return dataclasses.replace(device, seen=min(device.seen, NOW - 5 * DAY)) if device.seen > BEGAN else device


@pytest.mark.parametrize("waited", [60.0, 8 * DAY], ids=["just opened", "after the timeout"])
@pytest.mark.parametrize("tolerated", [0, 1])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_no_three_devices_open_a_gate_by_falling_silent(share, tolerated, waited):
    """All ways for three devices to stand, and all ways for some of them to fall silent."""
    policy = Policy(soak=0.0, committed=share, tolerated=tolerated, errors=0.5)
    now = rollout(policy, Progress(10, NOW - waited, began=BEGAN), waves=WAVES)
    ways = [(kind, dead) for kind in KINDS for dead in ((False, True) if kind in DEAD else (False,))]
    opened = 0
    for those in itertools.combinations_with_replacement(ways, 3):
        before = [device(number, kind, "canary", dead) for number, (kind, dead) in enumerate(those)]
        one = advance(now, before, NOW)
        opened += opens(one)
        for falls in itertools.product((False, True), repeat=3):
            after = [silence(each) if does else each for each, does in zip(before, falls, strict=True)]
            other = advance(now, after, NOW)
            assert opens(one) or not opens(other), f"{those}, {falls}: closed: {one.why}; then open: {other.why}"
    assert opened, "a gate that never opens proves nothing"


@settings(max_examples=400)
@given(policies, st.lists(one, min_size=1, max_size=4), st.integers(1, 2), st.sampled_from([60.0, 8 * DAY]))
def test_devices_that_fall_silent_never_open_a_gate(policy, fleet, opened, waited):
    """Whoever was heard of after the rollout began, and is not any more: what was closed stays closed."""
    before = [device(number, kind, ring, dead) for number, (kind, ring, dead, _) in enumerate(fleet)]
    silenced = [silence(each) if falls else each for each, (_, _, _, falls) in zip(before, fleet, strict=True)]
    now = rollout(policy, Progress(10, NOW - waited, began=BEGAN), waves=WAVES, open_waves=opened)
    one, other = advance(now, before, NOW), advance(now, silenced, NOW)
    assert opens(one) or not opens(other), f"closed: {one.why}; silence opened it: {other.why}"


@pytest.mark.parametrize("share", [0.5, 1.0])
@pytest.mark.parametrize("later", [2 * DAY, 8 * DAY, 90 * DAY], ids="{:g} s".format)
def test_time_without_a_word_opens_nothing(share, later):
    """Nobody is heard of again who was there when the rollout began; neither is the timeout a way on."""
    now = rollout(Policy(soak=0.0, committed=share, errors=1.0), Progress(10, NOW - 60, began=BEGAN), waves=WAVES)
    for kinds in itertools.combinations_with_replacement(KINDS, 3):
        those = [device(number, kind, "canary", False) for number, kind in enumerate(kinds)]
        those = [dataclasses.replace(each, seen=max(each.seen, BEGAN)) for each in those]
        one, other = advance(now, those, NOW), advance(now, those, NOW + later)
        assert opens(one) or not opens(other), f"{kinds}: closed: {one.why}; {later:g} s later it is open: {other.why}"


def told(device, **progress):
    made = rollout(progress=Progress(10, NOW - 60, **progress))
    return explain(made, [device], device, NOW)[2]


def test_explain_says_how_long_a_silent_device_is_waited_for():
    fell = facts("a", "silent")
    assert "its wave counts it as not committed until it is heard of again" in told(fell, began=BEGAN)
    assert "silent already when the rollout began: its wave waits for it 604800 s at most" in told(fell, began=NOW)
    gone = facts("a", "committed", seen=NOW - 10 * DAY)
    assert "it runs version 7" in told(gone, began=BEGAN) and "until it is heard of again" in told(gone, began=BEGAN)
    assert "it has never checked in" in told(facts("a", seen=0.0), began=BEGAN)
    assert "heard of again" not in told(facts("a", "committed"), began=BEGAN)
