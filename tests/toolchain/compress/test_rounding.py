"""A multiple that is too coarse for a goal gives way, unless it was asked for."""

import pytest

from profiles.errors import UnsupportedError
from toolchain.compress.passes import Outcome
from toolchain.compress.rounding import Rounding, rounded


def reaches(most):
    """A step that finds no way with multiples above ``most``."""
    tried = []

    def run(multiple):
        tried.append(multiple)
        if multiple > most:
            raise UnsupportedError(f"not with {multiple}")
        return Outcome(None, notes=("done",))

    return run, tried


def test_the_coarsest_multiple_that_works():
    run, tried = reaches(4)
    outcome = rounded(run, Rounding(16, "somebody says so"))
    assert tried == [16, 8, 4]
    assert outcome.notes == (
        "done",
        "channel counts are multiples of 4: somebody says so; with 16 the goal cannot be reached",
    )
    run, tried = reaches(16)
    assert (
        rounded(run, Rounding(16, "somebody says so")).notes[1]
        == "channel counts are multiples of 16: somebody says so"
    )


def test_a_multiple_that_the_user_asked_for_stays():
    run, tried = reaches(4)
    with pytest.raises(UnsupportedError, match="not with 16"):
        rounded(run, Rounding(16, "the file", fixed=True))
    assert tried == [16]


def test_a_goal_that_no_multiple_reaches():
    run, tried = reaches(0)
    with pytest.raises(UnsupportedError, match="not with 1"):
        rounded(run, Rounding(4))
    assert tried == [4, 2, 1]


def test_without_a_wish_nothing_is_said():
    assert rounded(reaches(1)[0], Rounding()).notes == ("done",)
