"""What people do: pause, resume, abort; and waves in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import ConfigError
from tests.toolchain.fleet.rollout.fleet_rollouts import plan
from toolchain.fleet.documents.plan import STATES
from toolchain.fleet.rollout.acts import Drawn, act, parse_wave, waves_of
from toolchain.fleet.rollout.membership import draw, wave_of

ALLOWED = {
    ("pause", "running"): "paused", ("pause", "complete"): "paused", ("resume", "paused"): "running",
    ("abort", "running"): "aborted", ("abort", "paused"): "aborted", ("abort", "complete"): "aborted",
}  # fmt: skip


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("what", ["pause", "resume", "abort"])
def test_acts_by_state(what, state):
    before = plan(state=state)
    if (what, state) not in ALLOWED:
        with pytest.raises(ConfigError, match=f"wanted to {what}"):
            act(before, what)
        return
    after = act(before, what)
    assert (after.state, after.sequence, after.open_waves) == (ALLOWED[what, state], 11, before.open_waves)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("canary=5%", Drawn("canary", percent=5.0)),
        ("half=12.5%", Drawn("half", percent=12.5)),
        ("canary=3", Drawn("canary", count=3)),
        ("lab=site:berlin,room:3", Drawn("lab", labels={"site": "berlin", "room": "3"})),
    ],
    ids=["percent", "part of a percent", "count", "labels"],
)
def test_waves_in_words(text, wanted):
    assert parse_wave(text) == wanted


@pytest.mark.parametrize("text", ["", "canary", "canary=", "=5%", "canary=-3", "canary=0", "lab=site", "lab=site:"])
def test_words_that_are_no_wave(text):
    with pytest.raises(ConfigError):
        waves_of([parse_wave(text)], [], "s")


FLEET = [(f"d{number}", {"site": "lab"} if number % 3 == 0 else {}) for number in range(30)]


@given(st.integers(1, 30), st.text(max_size=4))
def test_a_count_is_the_devices_with_the_smallest_draws(count, salt):
    (wave,) = waves_of([Drawn("canary", count=count)], FLEET, salt)
    assert list(wave.devices) == sorted((name for name, _ in FLEET), key=lambda name: draw(salt, name))[:count]


@given(st.integers(1, 5), st.floats(1, 30), st.integers(1, 5), st.sampled_from("stuv"))
def test_later_counts_draw_from_those_that_are_left(first, percent, second, salt):
    wanted = [
        Drawn("one", count=first), Drawn("lab", labels={"site": "lab"}), Drawn("some", percent=percent),
        Drawn("two", count=second), Drawn("rest", percent=100.0),
    ]  # fmt: skip
    try:
        waves = waves_of(wanted, FLEET, salt)
    except ConfigError as error:
        assert "are left" in str(error)
        return
    made = plan(waves=waves, salt=salt)
    found = [wave_of(made, name, labels) for name, labels in FLEET]
    assert found.count(0) == first
    assert found.count(3) == second, "a device of an earlier wave was drawn again"


def test_more_devices_than_there_are_is_said():
    with pytest.raises(ConfigError, match="wants 31 devices"):
        waves_of([Drawn("canary", count=31)], FLEET, "s")
