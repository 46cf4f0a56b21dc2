"""Rollouts and facts, by hand and by hypothesis."""

import dataclasses

from hypothesis import strategies as st

from toolchain.fleet.documents.plan import Plan, Wave
from toolchain.fleet.documents.report import OUTCOMES, REASONS, STAGES
from toolchain.fleet.rollout.engine import Progress, Rollout
from toolchain.fleet.rollout.facts import Facts
from toolchain.fleet.rollout.policy import Policy

NOW = 1_800_000_000.0
RELEASE = 7


def plan(**changes):
    fields = {
        "product": "eyes", "channel": "stable", "sequence": 10, "release": RELEASE, "state": "running", "salt": "s",
        "waves": (Wave("canary", devices=("a", "b", "c", "d")), Wave("all", percent=100.0)), "open_waves": 1,
    }  # fmt: skip
    return Plan(**{**fields, **changes})


def rollout(policy=None, progress=None, approved=(), **changes):
    policy = policy or Policy(soak=0.0)
    return Rollout(policy, plan(**changes), progress or Progress(10, NOW - 60.0), frozenset(approved))


def facts(device, kind="waiting", **changes):
    """A device that stands somewhere."""
    tried = {"release": RELEASE, "sequence": 10}
    kinds = {
        "waiting": {},
        "committed": {"running": RELEASE, **tried, "outcome": "committed"},
        "underway": {**tried, "outcome": "underway", "stage": "checking"},
        "parity": {**tried, "outcome": "failed", "reason": "parity"},
        "health": {**tried, "outcome": "rolled-back", "reason": "health"},
        "held-up": {**tried, "outcome": "underway", "stage": "fetching", "reason": "download"},
        "refused": {**tried, "outcome": "refused", "reason": "depends"},
        "silent": {"seen": NOW - 10 * 86400.0},
        "lost": {**tried, "outcome": "underway", "stage": "soaking", "seen": NOW - 10 * 86400.0},
    }
    return dataclasses.replace(Facts(device, running=RELEASE - 1, seen=NOW - 1.0), **{**kinds[kind], **changes})


names = st.sampled_from([f"d{number}" for number in range(40)])
labels = st.dictionaries(st.sampled_from(["site", "room"]), st.sampled_from(["x", "y"]), max_size=2)
some_labels = st.sampled_from([{"site": "x"}, {"room": "y"}, {"site": "x", "room": "x"}])
latencies = st.none() | st.floats(0.001, 10.0)
one_facts = st.builds(
    Facts,
    device=names,
    labels=labels,
    running=st.integers(0, RELEASE + 1),
    release=st.sampled_from([0, RELEASE - 1, RELEASE, RELEASE]),
    sequence=st.integers(0, 20),
    stage=st.sampled_from(STAGES),
    outcome=st.sampled_from(OUTCOMES),
    reason=st.sampled_from(REASONS),
    before=latencies,
    after=latencies,
    seen=st.sampled_from([0.0, NOW - 40 * 86400.0, NOW - 2 * 86400.0, NOW - 60.0, NOW]),
)
done_facts = st.builds(
    Facts, device=names, labels=labels, running=st.just(RELEASE), seen=st.just(NOW), sequence=st.just(10),
    release=st.just(RELEASE), outcome=st.just("committed"), before=st.just(0.01), after=st.just(0.01),
)  # fmt: skip
#: Any devices, and mostly good ones: gates that are met must occur, too.
fleets = st.one_of(
    st.lists(one_facts, max_size=40, unique_by=lambda each: each.device),
    st.lists(st.one_of(done_facts, done_facts, done_facts, one_facts), max_size=40, unique_by=lambda each: each.device),
)


@st.composite
def waves(draw):
    kinds = st.one_of(
        st.fixed_dictionaries({"percent": st.floats(0.5, 100.0)}),
        st.fixed_dictionaries({"devices": st.lists(names, min_size=1, max_size=5, unique=True).map(tuple)}),
        st.fixed_dictionaries({"labels": some_labels}),
    )
    found = [Wave(f"w{number}", **draw(kinds)) for number in range(draw(st.integers(1, 5)))]
    return (*found, Wave("all", percent=100.0)) if draw(st.booleans()) else tuple(found)


policies = st.builds(
    Policy,
    committed=st.sampled_from([0.0, 0.5, 0.95, 1.0]),
    least=st.integers(1, 5),
    slower=st.none() | st.floats(0.0, 2.0),
    parity=st.sampled_from([0.0, 0.01, 0.3, 1.0]),
    errors=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    tolerated=st.integers(0, 3),
    soak=st.sampled_from([0.0, 60.0, 600.0]),
    timeout=st.sampled_from([0.0, 7 * 86400.0]),
    approvals=st.lists(st.sampled_from(["w0", "w1", "all"]), unique=True, max_size=2).map(tuple),
)


@st.composite
def rollouts(draw):
    found = draw(waves())
    opened = draw(st.integers(0, len(found)))
    states = st.sampled_from(["running", "running", "running", "paused", "aborted", "complete"])
    made = plan(waves=found, open_waves=opened, state=draw(states), salt=draw(st.sampled_from(["s", "t"])))
    past = st.sampled_from([0.0, 30.0, 1000.0, 30 * 86400.0, -50.0])
    met = draw(st.none() | past.map(lambda seconds: NOW - seconds))
    opened = NOW - draw(past)
    progress = Progress(draw(st.integers(1, 10)), opened, met, opened - draw(st.sampled_from([0.0, 5 * 86400.0])))
    approved = frozenset(draw(st.lists(st.sampled_from(["w0", "w1", "all"]), unique=True)))
    return Rollout(draw(policies), made, progress, approved)
