"""The ends of a trial: kept, gone back from, or neither because the board does not do as it is told."""

import asyncio
import dataclasses
from pathlib import Path

import fleet_memory_boards as mb
import pytest

from profiles.errors import UnreachableError, VerificationError
from toolchain.fleet.gateway.board import go_back, keep
from toolchain.fleet.gateway.flash import install
from toolchain.fleet.gateway.place import Place
from toolchain.fleet.gateway.smp_line import Held

SLOT = 24 << 10


@pytest.fixture
def board(tmp_path):
    """It runs version 1, and keeps it."""
    return mb.MemoryBoard(tmp_path / "flash.bin", mb.wanted(1, 1)[1], SLOT)


def on(board, act, *words, **more):
    line, place = mb.line(board, **more)
    return asyncio.run(act(line, place, *words))


async def back(line, place):
    return await go_back(line, place), await line.images()


async def on_trial(line, place):
    await install(line, place, *mb.wanted(2, 2))


async def pending(line, place):
    """Uploaded and set to be tried, and then the gateway was lost."""
    new, image = mb.wanted(2, 2)
    await line.upload(image, lambda done, full: None)
    await line.test(new.digest)


def reset_is(data):
    return data[0] & 7 == 2 and data[4:6] == b"\0\0" and data[7] == 5  # a write, group OS, command 5


@pytest.mark.parametrize("before", [on_trial, pending])
def test_going_back_ends_in_confirmed_firmware_with_nothing_to_come(board, before):
    on(board, before)
    restarted, held = on(board, back)
    assert restarted and board.running == mb.wanted(1, 1)[0].digest
    assert [(each.active, each.confirmed, each.pending) for each in held] == [(True, True, False), (False,) * 3]


def test_going_back_from_nothing_restarts_nothing(board):
    seen = []

    def watch(data, answer):
        seen.append(bytes(data))
        return answer(data)

    assert on(board, back, through=watch)[0] is False
    assert seen and not any(map(reset_is, seen))


def test_another_board_is_not_restarted(board):
    on(board, on_trial)
    line, place = mb.line(board)
    with pytest.raises(VerificationError, match="not the one of the configuration"):
        asyncio.run(go_back(line, dataclasses.replace(place, platform="nucleo_l4r5zi")))
    assert board.running == mb.wanted(2, 2)[0].digest, "it was not restarted"


def test_a_board_that_never_goes_back_is_said():
    class Stubborn:
        """On trial, with another digest after each restart."""

        resets = 0

        async def images(self, tries=3):
            return (Held(0, bytes([self.resets]) * 32, "0.0.2", active=True),)

        async def reset(self):
            self.resets += 1

    line = Stubborn()
    place = Place("b", "serial:///memory", "serial:///memory", Path("key"), boot=0.005, pause=0.001)
    with pytest.raises(VerificationError, match="does not go back"):
        asyncio.run(go_back(line, place))
    assert line.resets == 2, "two restarts end any trial, more are in vain"


def test_a_board_that_confirms_nothing_is_found_out(board, monkeypatch):
    """It says that all is well, and its flash does not take the flag."""
    on(board, on_trial)
    monkeypatch.setattr(board.boot, "set_flag", lambda slot, where: None)
    with pytest.raises(VerificationError, match="did not keep its firmware"):
        on(board, lambda line, place: keep(line, mb.wanted(2, 2)[0]))


def test_a_restart_whose_answer_is_lost_is_not_asked_for_again(board):
    """A board may be gone before its answer is out; a second restart would end the trial that the first began."""
    resets = []

    def lose(data, answer):
        said = answer(data)
        if reset_is(data):
            resets.append(bytes(data))
            raise TimeoutError("nobody answers")
        return said

    on(board, on_trial, through=lose)
    assert len(resets) == 1 and board.running == mb.wanted(2, 2)[0].digest


def test_a_restart_that_never_happens_is_said(board):
    def refuse(data, answer):
        if reset_is(data):
            raise TimeoutError("nobody answers")
        return answer(data)

    with pytest.raises(UnreachableError, match="does not come back") as caught:
        on(board, on_trial, through=refuse)
    assert caught.value.seen == "it answers, and has not restarted"
