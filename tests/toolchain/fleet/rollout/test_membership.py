"""Who belongs to which wave, and who may install when: the same answer on the server and on every device."""

import dataclasses
import datetime
import hashlib
import math
import time as clocks

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.toolchain.fleet.documents.fleet_documents import WORDS, plans
from tests.toolchain.fleet.fleet_homes import a_plan
from toolchain.fleet.documents.plan import DAYS, Wave, Window
from toolchain.fleet.rollout.membership import draw, verdict, wave_of, within

NAMES = [f"device-{number}" for number in range(10_000)]
NOW = 1_800_000_000.0


def test_draws_are_what_they_were():
    """These numbers are part of the protocol: another agent, or a later one, must draw the same."""
    assert draw("s", "device-1") == int(hashlib.sha256(b"s\0device-1").hexdigest()[:16], 16) / 2**64 * 100
    known = {("", ""): 43.048, ("s", "device-1"): 10.292, ("2026-11", "cam-7"): 19.172}
    assert {key: round(draw(*key), 3) for key in known} == known


@given(WORDS, WORDS)
def test_draws_are_percentages(salt, device):
    assert 0 <= draw(salt, device) < 100


def test_draws_are_uniform():
    """Chi-squared over 100 bins; 99 degrees of freedom, so that 149 is passed by chance once in a thousand."""
    counts = [0] * 100
    for name in NAMES:
        counts[int(draw("salt", name))] += 1
    chi = sum((count - 100) ** 2 / 100 for count in counts)
    assert chi < 149, f"chi-squared is {chi:.1f}"


def test_another_salt_draws_others():
    first, second = ({name for name in NAMES if draw(salt, name) < 10} for salt in ("a", "b"))
    both = len(first & second)
    assert abs(both - 100) < 4 * math.sqrt(100), f"{both} of 1000 are canaries twice, by chance it is 100"


def counted(*waves):
    plan = a_plan(waves=waves)
    found = [wave_of(plan, name, {}) for name in NAMES]
    return [found.count(number) / len(NAMES) * 100 for number in range(len(waves))] + [found.count(None) / 100]


def test_percentages_add_up():
    shares = counted(Wave("canary", 5.0), Wave("half", 50.0), Wave("all", 100.0))
    assert shares[:3] == pytest.approx([5, 45, 50], abs=1.5) and shares[3] == 0
    assert counted(Wave("some", 20.0), Wave("fewer", 10.0))[1] == 0, "who is in 10 % is in 20 % already"
    assert counted(Wave("few", 1.0))[1] == pytest.approx(99, abs=0.5)


@given(plans(), st.floats(0, 100), st.floats(0, 100), st.sampled_from(NAMES))
def test_a_larger_percentage_only_adds_devices(plan, one, other, device):
    small, large = sorted((max(one, 0.01), max(other, 0.01)))
    inside = [wave_of(a_plan(salt=plan.salt, waves=(Wave("w", share),)), device, {}) for share in (small, large)]
    assert inside != [0, None], "a device of the smaller wave must be in the larger one"


def test_the_first_wave_wins():
    named, labelled = Wave("named", devices=("cam-1", "cam-2")), Wave("site", labels={"site": "lab", "row": "1"})
    lab = {"site": "lab", "row": "1", "more": "x"}
    one, other = (
        a_plan(waves=(named, labelled, Wave("all", 100.0))),
        a_plan(waves=(labelled, named, Wave("all", 100.0))),
    )
    assert [wave_of(plan, "cam-1", lab) for plan in (one, other)] == [0, 0]
    assert [wave_of(plan, "cam-2", {}) for plan in (one, other)] == [0, 1]
    assert [wave_of(plan, "cam-3", lab) for plan in (one, other)] == [1, 0]
    assert wave_of(one, "cam-3", {}) == 2


@pytest.mark.parametrize("labels", [{}, {"site": "lab"}, {"site": "lab", "row": "2"}, {"site": "", "row": "1"}])
def test_all_labels_must_fit(labels):
    plan = a_plan(waves=(Wave("w", labels={"site": "lab", "row": "1"}),))
    assert wave_of(plan, "cam", labels) is None


def moment(text):
    return datetime.datetime.fromisoformat(text + "+00:00").timestamp()


@pytest.mark.parametrize(
    ("window", "time", "inside"),
    [
        (Window("22:00", "23:30"), "2026-11-20T22:00", True),
        (Window("22:00", "23:30"), "2026-11-20T23:29:59", True),
        (Window("22:00", "23:30"), "2026-11-20T23:30", False),
        (Window("22:00", "23:30"), "2026-11-20T21:59:59", False),
        (Window("22:00", "02:00"), "2026-11-20T23:59", True),
        (Window("22:00", "02:00"), "2026-11-20T00:00", True),
        (Window("22:00", "02:00"), "2026-11-20T01:59:59", True),
        (Window("22:00", "02:00"), "2026-11-20T02:00", False),
        (Window("22:00", "02:00"), "2026-11-20T12:00", False),
        (Window("22:00", "02:00", ("fri",)), "2026-11-20T22:30", True),  # a Friday
        (Window("22:00", "02:00", ("fri",)), "2026-11-21T01:30", True),  # its night
        (Window("22:00", "02:00", ("fri",)), "2026-11-20T01:30", False),  # Thursday's
        (Window("22:00", "02:00", ("fri",)), "2026-11-21T22:30", False),
        (Window("22:00", "02:00", ("sun",)), "2026-11-23T01:30", True),  # Monday morning, after Sunday
        (Window("22:00", "02:00", ("mon",)), "2026-11-23T01:30", False),
        (Window("08:00", "09:00", ("mon", "sun")), "2026-11-22T08:30", True),
        (Window("08:00", "09:00", ("mon", "sun")), "2026-11-21T08:30", False),
        (Window("05:00", "05:00"), "2026-11-20T05:00", True),  # a whole day
        (Window("05:00", "05:00"), "2026-11-20T04:59", True),
        (Window("05:00", "05:00", ("fri",)), "2026-11-21T04:59", True),
        (Window("05:00", "05:00", ("fri",)), "2026-11-20T04:59", False),
        (Window("00:00", "00:00", ("fri",)), "2026-11-20T23:59", True),
    ],
)
def test_windows(window, time, inside):
    assert within(window, moment(time)) is inside


@given(st.integers(0, 1439), st.integers(0, 1439), st.sets(st.sampled_from(DAYS)), st.integers(0, 14 * 1440))
def test_windows_are_minutes_counted_from_their_beginning(since, until, days, minute):
    """The oracle goes through two weeks, window by window."""
    window = Window(f"{since // 60:02}:{since % 60:02}", f"{until // 60:02}:{until % 60:02}", tuple(days))
    start = moment("2026-11-16T00:00")  # a Monday
    length = until - since if since < until else until - since + 1440
    begins = [day * 1440 + since for day in range(-1, 15) if not days or DAYS[day % 7] in days]
    wanted = any(begin <= minute < begin + length for begin in begins)
    assert within(window, start + minute * 60) == wanted


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("day", ["2026-03-28", "2026-03-29", "2026-10-25", "2026-11-01", "2026-04-05"])
def test_windows_are_utc_wherever_the_machine_is_and_when_clocks_are_changed(monkeypatch, zone, day):
    """Days on which clocks are set forward or back somewhere; a window past midnight is as long as always."""
    monkeypatch.setenv("TZ", zone)
    clocks.tzset()
    try:
        start = moment(f"{day}T00:00")
        window = Window("22:30", "04:15")
        inside = [within(window, start + 60 * minute) for minute in range(12 * 60, 36 * 60)]
    finally:
        monkeypatch.undo()
        clocks.tzset()
    assert sum(inside) == 345, "minutes from 22:30 to 04:15"
    assert inside.index(True) == 10 * 60 + 30, "it begins at 22:30 UTC"


PLAN = a_plan(release=5, waves=(Wave("canary", devices=("c",)), Wave("rest", devices=("r",))), open_waves=1)


@pytest.mark.parametrize(
    ("changes", "device", "running", "may", "why", "wave"),
    [
        ({}, "c", 4, True, "wave 'canary' is open for version 5", 0),
        ({}, "c", 5, False, "version 5 runs already, the plan asks for 5", 0),
        ({}, "c", 6, False, "version 6 runs already, the plan asks for 5", 0),
        ({}, "r", 4, False, "wave 'rest' is not open yet", 1),
        ({"open_waves": 2}, "r", 4, True, "wave 'rest' is open for version 5", 1),
        ({"open_waves": 0}, "c", 0, False, "wave 'canary' is not open yet", 0),
        ({}, "x", 4, False, "this device is in none of the waves", None),
        ({"state": "paused"}, "c", 4, False, "the rollout of version 5 is paused", 0),
        ({"state": "aborted"}, "c", 4, False, "the rollout of version 5 is aborted", 0),
        ({"state": "paused"}, "c", 5, False, "version 5 runs already, the plan asks for 5", 0),
        ({"state": "complete", "open_waves": 0}, "r", 4, True, "wave 'rest' is open for version 5", 1),
        ({"state": "complete"}, "x", 4, False, "this device is in none of the waves", None),
        ({"windows": (Window("00:00", "00:01"),)}, "c", 4, False, "it is outside of the maintenance windows", 0),
        ({"windows": (Window("00:00", "00:01"), Window("00:00", "23:59"))}, "c", 4, True, "wave 'canary' is open", 0),
        ({"state": "complete", "windows": (Window("00:00", "00:01"),)}, "r", 4, False, "maintenance windows", 1),
        ({"windows": (Window("00:00", "00:01"),), "open_waves": 0}, "c", 4, False, "wave 'canary' is not open yet", 0),
    ],
)
def test_verdicts(changes, device, running, may, why, wave):
    found = verdict(dataclasses.replace(PLAN, **changes), device, {}, running, NOW)
    assert (found.may, found.wave) == (may, wave) and why in found.why, found


@given(plans(), st.sampled_from(NAMES), st.dictionaries(st.text(max_size=3), st.text(max_size=3)), st.integers(0, 9))
def test_verdicts_agree_with_the_plan(plan, device, labels, running):
    """What must hold for every plan, whatever its shape."""
    found = verdict(plan, device, labels, running, NOW)
    assert found.why and found.wave == wave_of(plan, device, labels)
    if found.may:
        assert running < plan.release and plan.state in ("running", "complete")
        assert found.wave is not None and (plan.state == "complete" or found.wave < plan.open_waves)
        assert not plan.windows or any(within(window, NOW) for window in plan.windows)
    assert found == verdict(plan, device, labels, running, NOW), "asked again, it says the same"
