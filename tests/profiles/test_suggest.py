"""The nearest known word."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.suggest import did_you_mean, nearest

DEVICES = ["local-cpu", "intel-nuc", "raspberry-pi-4", "raspberry-pi-5", "jetson-orin-nano", "cortex-m4-an386"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("raspberry-pi-5", "raspberry-pi-5"),
        ("rasberry-pi-5", "raspberry-pi-5"),
        ("raspberrypi5", "raspberry-pi-5"),
        ("Raspberry_Pi_4", "raspberry-pi-4"),
        ("local_cpu", "local-cpu"),
        ("LOCAL-CPU", "local-cpu"),
        ("orin-nano", "jetson-orin-nano"),
        ("cortex-m4", "cortex-m4-an386"),
        ("toaster", None),
        ("", None),
    ],
)
def test_nearest(word, expected):
    assert nearest(word, DEVICES) == expected


def test_nothing_is_near_when_nothing_is_known():
    assert nearest("word", []) is None
    assert did_you_mean("word", []) == ""


def test_asks_as_a_question():
    assert did_you_mean("latncy", {"latency", "energy"}) == "did you mean 'latency'?"
    assert did_you_mean("xyz", {"latency", "energy"}) == ""


words = st.text(alphabet="abcdef-_ABC", min_size=1, max_size=12)


@settings(deadline=None)
@given(words, st.lists(words))
def test_the_answer_is_a_known_word(word, known):
    found = nearest(word, known)
    assert found is None or found in known


@settings(deadline=None)
@given(st.lists(words, min_size=1))
def test_a_known_word_is_nearest_to_itself_up_to_case_and_hyphens(known):
    for word in known:
        found = nearest(word.swapcase(), known)
        assert found is not None, f"{word!r} is known but nothing was found"
        assert found.lower().replace("-", "_") == word.lower().replace("-", "_")


@settings(deadline=None)
@given(words, st.lists(words))
def test_the_order_of_the_known_words_does_not_matter(word, known):
    assert nearest(word, known) == nearest(word, reversed(known))


def test_words_that_differ_in_hyphens_only_do_not_depend_on_order_either():
    assert nearest("max-latency", ["max-latency", "max_latency"]) == nearest(
        "max-latency", ["max_latency", "max-latency"]
    )
