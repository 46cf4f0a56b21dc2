"""Token buckets, against a count of what a rate allows."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.fleet.server.limits import Buckets, site


@given(st.floats(0.1, 10), st.integers(1, 20), st.lists(st.floats(-5, 20), max_size=60))
def test_no_more_than_burst_and_rate_get_through(rate, burst, steps):
    buckets, now, reached, taken = Buckets(rate, burst, 10), 0.0, 0.0, 0
    grown = 0.0
    for step in steps:
        grown += max(0.0, step)
        now += step
        reached = max(reached, now)
        taken += buckets.take("a", now)
    assert taken <= burst + rate * grown + 1e-6


@given(st.floats(0.1, 10), st.integers(1, 20))
def test_who_keeps_to_the_rate_is_never_refused(rate, burst):
    buckets = Buckets(rate, burst, 10)
    assert all(buckets.take("a", number / rate * 1.0001) for number in range(50))


def test_a_clock_that_goes_back_locks_nobody_out():
    buckets = Buckets(1.0, 2, 10)
    assert [buckets.take("a", now) for now in (1e9, 1e9 - 4e7)] == [True, True]


def test_names_do_not_share_and_are_forgotten_when_there_are_too_many():
    buckets = Buckets(0.001, 1, 2)
    assert [buckets.take(name, 0.0) for name in ("a", "a", "b", "b")] == [True, False, True, False]
    buckets.take("c", 0.0)
    assert buckets.take("a", 0.0), "the oldest name was forgotten, so memory is bounded"
    assert not buckets.take("c", 0.0)


def test_threads_do_not_take_one_token_twice():
    buckets, found, start = Buckets(0.0, 100, 2), [], threading.Barrier(8)

    def take():
        start.wait()
        found.extend(buckets.take("a", 0.0) for _ in range(50))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sum(found) == 100


@pytest.mark.parametrize(
    ("address", "counts"),
    [
        ("192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"), ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("testclient", "testclient"), ("", ""),
    ],
    ids=["v4", "v6", "v6 of the same site", "name", "none"],
)  # fmt: skip
def test_who_an_address_counts_for(address, counts):
    assert site(address) == counts
