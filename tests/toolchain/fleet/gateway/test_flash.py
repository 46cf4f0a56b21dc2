"""What follows from what a board says it holds: from every state to the wanted firmware. No board, no I/O."""

import itertools

import pytest

from profiles.errors import VerificationError
from toolchain.fleet.gateway.flash import MOST_STEPS, Step, next_step
from toolchain.fleet.gateway.image import Identity
from toolchain.fleet.gateway.smp_line import Held

DIGESTS = {"old": b"o" * 32, "new": b"n" * 32, "third": b"t" * 32}
VERSIONS = {"old": 1, "new": 2, "third": 1}


def identity(name):
    return Identity((0, 0, VERSIONS[name]), DIGESTS[name], b"", 100)


class Model:
    """A board as MCUboot's tables say: what each slot holds, what is next, and whether the active one is on trial."""

    def __init__(self, one, two, pending=False, trial=False):
        self.one, self.two, self.pending, self.trial = one, two, pending, trial

    def held(self):
        found = []
        if self.one:
            found.append(self.as_held(0, self.one, active=True, confirmed=not self.trial))
        if self.two:
            found.append(self.as_held(1, self.two, confirmed=self.trial, pending=self.pending))
        return tuple(found)

    @staticmethod
    def as_held(slot, name, **flags):
        return Held(slot, DIGESTS[name], f"0.0.{VERSIONS[name]}", **flags)

    def do(self, step, wanted):
        if step is Step.UPLOAD:
            assert not self.pending and not self.trial, "boards refuse an upload into a slot that they need"
            self.two = wanted
        elif step is Step.TEST:
            assert self.two == wanted and not self.trial
            self.pending = True
        elif self.pending or self.trial:
            self.one, self.two, self.trial, self.pending = self.two, self.one, self.pending, False


STATES = [
    (one, two, pending, trial)
    for one, two, pending, trial in itertools.product(
        ("old", "new", "third", ""), ("old", "new", "third", ""), (0, 1), (0, 1)
    )
    if one != two and not (pending and trial) and (two or not (pending or trial)) and (one or not trial)
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: "-".join(str(each) or "none" for each in state))
def test_every_state_leads_to_the_new_firmware(state):
    board = Model(*state)
    for _ in range(MOST_STEPS):
        step = next_step(board.held(), identity("new"))
        if step is Step.DONE:
            assert board.one == "new"
            return
        board.do(step, "new")
    raise AssertionError(f"a board in state {state} never gets to the new firmware; it is at {vars(board)}")


@pytest.mark.parametrize("slots", [("new", ""), ("new", "old"), ("new", "third")], ids="-".join)
def test_a_board_that_keeps_newer_firmware_does_not_go_back(slots):
    with pytest.raises(VerificationError, match="does not go back"):
        next_step(Model(*slots).held(), identity("old"))


def test_newer_firmware_on_trial_is_gone_back_from():
    board = Model("new", "old", trial=True)
    assert next_step(board.held(), identity("old")) is Step.RESTART


@pytest.mark.parametrize("text", ["", "1", "1.2", "a.b.c", "1.2.x"])
def test_a_version_that_is_none_counts_as_the_oldest(text):
    held = (Held(0, DIGESTS["old"], text, active=True, confirmed=True),)
    assert next_step(held, identity("new")) is Step.UPLOAD


def test_a_build_number_is_not_compared():
    held = (Held(0, DIGESTS["old"], "0.0.2.77", active=True, confirmed=True),)
    assert next_step(held, identity("new")) is Step.UPLOAD
