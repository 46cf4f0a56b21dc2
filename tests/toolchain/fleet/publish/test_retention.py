"""Which releases keep their files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.fleet.publish.retention import kept

some = st.sets(st.integers(1, 30))
counts = st.integers(0, 40)


@pytest.mark.parametrize(
    ("planned", "devices", "keep", "stays"),
    [
        ({}, {}, 0, {1, 2, 3, 4, 5, 6}),
        ({4: "rollout on stable"}, {}, 0, {4, 5, 6}),
        ({4: "rollout on stable"}, {2: 1}, 0, {2, 4, 5, 6}),
        ({2: "rollout on beta", 6: "rollout on stable"}, {}, 1, {2, 5, 6}),
        ({6: "rollout on stable"}, {4: 3}, 2, {3, 4, 5, 6}),
        ({6: "rollout on stable"}, {}, 99, {1, 2, 3, 4, 5, 6}),
    ],
    ids=["no rollout yet", "newer", "device", "two channels", "keep two others", "keep all"],
)
def test_what_stays(planned, devices, keep, stays):
    assert set(kept(range(1, 7), planned, devices, keep)) == stays


def test_the_reasons_are_said():
    found = kept(range(1, 7), {5: "rollout on stable"}, {1: 1, 2: 7}, 1)
    assert found == {
        1: "1 device has it", 2: "7 devices have it", 4: "among the 1 newest of the others", 5: "rollout on stable",
        6: "newer than every rollout",
    }  # fmt: skip


@given(some, some, some, counts)
def test_nothing_goes_that_a_plan_or_a_device_needs_or_that_is_newer(versions, planned, devices, keep):
    stays = kept(versions, dict.fromkeys(planned, "x"), dict.fromkeys(devices, 1), keep)
    for version in set(versions) - set(stays):
        assert version not in planned | devices, "somebody may ask for it"
        assert planned and version < max(planned), "its rollout may begin any time"
        assert sum(version < other for other in versions & set(stays)) >= keep, "a newer one should have gone first"


@given(some, some, some, counts, counts)
def test_to_keep_more_removes_nothing_more(versions, planned, devices, one, other):
    plans, has = dict.fromkeys(planned, "x"), dict.fromkeys(devices, 1)
    assert set(kept(versions, plans, has, min(one, other))) <= set(kept(versions, plans, has, max(one, other)))
