"""Power may fail at any moment of upload, trial and confirmation: afterwards the old or the new firmware runs, whole.

First at flash operations, one after the other, of a board within this process, then with processes that are killed: the
board's, and the gateway's, while the board runs real firmware under QEMU.
"""

import asyncio
import contextlib
import dataclasses
import os
import random
import signal
import subprocess
import time

import fleet_boards as fb
import fleet_memory_boards as mb
import pytest

from profiles.errors import EdgewrightError, UnreachableError
from targets.execute import python_argv
from toolchain.fleet.gateway import commands
from toolchain.fleet.gateway.board import keep
from toolchain.fleet.gateway.flash import install
from toolchain.fleet.gateway.image import IMAGE, check_image

SLOT = 24 << 10
#: More of the random points: EDGEWRIGHT_BOARD_KILLS=200.
KILLS = int(os.environ.get("EDGEWRIGHT_BOARD_KILLS", "3"))


def quiet(text):
    pass


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    place = tmp_path_factory.mktemp("pair")
    slots = fb.agent_slot(place / "a", 1, 1), fb.agent_slot(place / "b", 2, 2)
    return slots, [check_image(slot / IMAGE, fb.keys()[1], fb.BOARD) for slot in slots]


def update(board, new, image):
    """Install, and keep. Gives the power-cut error, if there was one."""

    async def act():
        line, place = mb.line(board)
        await install(line, place, new, image)
        await keep(line, new)

    with contextlib.suppress(UnreachableError):
        asyncio.run(act())


def operations(tmp_path, pair):
    """Flash operations of one whole update."""
    (_, new), (_, wanted) = pair
    board = mb.MemoryBoard(tmp_path / "whole.bin", fb.signed(1, 1), SLOT)
    update(board, wanted, (new / IMAGE).read_bytes())
    assert board.running == wanted.digest
    return board.boot.flash.operations


def test_power_fails_at_the_flash_operations_of_the_board(tmp_path, pair):
    (_, new), (old, wanted) = pair
    image, last, seen = (new / IMAGE).read_bytes(), operations(tmp_path, pair), set()
    assert last > 300, "an update takes that many"
    for cut in range(1, last + 1):
        board = mb.MemoryBoard(tmp_path / "flash.bin", fb.signed(1, 1), SLOT)
        assert board.power(cut)
        update(board, wanted, image)
        assert not board.alive or cut == last, f"power was to fail in operation {cut}"
        assert board.power(), f"the board does not start after a cut in operation {cut}"
        assert board.running in (old.digest, wanted.digest)
        seen.add(board.running)
        update(board, wanted, image)
        assert board.running == wanted.digest and board.server.images()[0]["confirmed"], f"cut in operation {cut}"
    assert seen == {old.digest, wanted.digest}, "some cuts were before and some behind the switch"


def test_power_fails_again_while_the_bootloader_mends_the_first_failure(tmp_path, pair):
    (_, new), (old, wanted) = pair
    image, last, drawn = (new / IMAGE).read_bytes(), operations(tmp_path, pair), random.Random(1)
    for _ in range(25):
        board = mb.MemoryBoard(tmp_path / "flash.bin", fb.signed(1, 1), SLOT)
        board.power(drawn.randint(1, last))
        update(board, wanted, image)
        for _ in range(4):
            board.power(drawn.randint(1, 60))
        assert board.power() and board.running in (old.digest, wanted.digest)
        update(board, wanted, image)
        assert board.running == wanted.digest


def which(board, pair):
    """The firmware that runs: it must answer, compute its golden outputs, and be one of the two."""
    slots, _ = pair
    running = [slot for slot in slots if commands.status(board.place, slot, quiet)["runs"]]
    assert len(running) == 1, f"the board runs {commands.status(board.place, None, quiet)}"
    assert commands.golden(board.place, running[0], quiet) == {"golden_error": 0.0}
    return running[0]


def finished(board, pair):
    """The same install, once more, ends with the new firmware, which stays."""
    new = pair[0][1]
    commands.install_slot(board.place, new, quiet)
    commands.keep_slot(board.place, new, quiet)
    board.unplug()
    board.power()
    assert which(board, pair) == new


@pytest.mark.parametrize("number", range(KILLS))
def test_the_board_is_killed_at_a_random_point(boards, pair, number):
    cut = random.Random(number).randint(1, 660)
    board = boards(fb.signed(1, 1))
    board.unplug()
    board.power(cut)
    place = dataclasses.replace(board.place, answer=0.5, boot=1.0)
    with contextlib.suppress(EdgewrightError):
        commands.install_slot(place, pair[0][1], quiet)
        commands.keep_slot(place, pair[0][1], quiet)
    assert not board.alive or cut > 600, f"power was to fail in operation {cut}"
    board.unplug()
    board.power()
    which(board, pair)
    finished(board, pair)


@pytest.mark.parametrize("number", range(KILLS))
def test_the_gateway_is_killed_at_a_random_point(boards, pair, number):
    board = boards(fb.signed(1, 1))
    drawn = random.Random(100 + number)
    wait, command = drawn.uniform(0.2, 1.2), "keep" if number % 2 else "install"
    argv = python_argv("toolchain.fleet.gateway", command, str(pair[0][1]), *board.place.words())
    gateway = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(wait)
    gateway.send_signal(signal.SIGKILL)
    gateway.wait()
    if drawn.random() < 0.5:  # and the board loses its power, too
        board.unplug()
        board.power()
    which(board, pair)
    finished(board, pair)
