"""Serial lines as they are: noise in an answer, a board that never stops talking, a port that comes back as another."""

import asyncio
import contextlib
import dataclasses
import os
import threading
import time
import tty

import fleet_boards as fb
import pytest
from fleet_flash_stand_in import FlashStandIn
from fleet_mcuboot_stand_in import BootloaderStandIn
from fleet_smp_stand_in import SmpStandIn

from profiles.errors import UnreachableError
from toolchain.fleet.gateway import commands
from toolchain.fleet.gateway.image import class_of
from toolchain.fleet.gateway.place import Place
from toolchain.fleet.gateway.smp_line import smp_line


@contextlib.contextmanager
def port(path, talk):
    """A serial port at ``path``, at whose other end ``talk(fd, stop)`` runs."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    path.unlink(missing_ok=True)
    path.symlink_to(os.ttyname(theirs))
    stop = threading.Event()
    thread = threading.Thread(target=talk, args=(ours, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        os.close(ours)
        os.close(theirs)


@pytest.fixture
def place(tmp_path):
    return Place(fb.BOARD, f"serial://{tmp_path / 'smp'}", "serial:///dev/none", fb.keys()[1], answer=1.0, pause=0.01)


@pytest.fixture
def server(tmp_path):
    flash = FlashStandIn(tmp_path / "flash.bin", 24 << 10)
    flash.write(0, fb.signed(1, 1))
    return SmpStandIn(BootloaderStandIn(flash, fb.keys()[1], class_of(fb.BOARD)), fb.BOARD)


def serving(server, spoil=lambda answer: answer):
    """What a board does; ``spoil`` makes other bytes of its answers."""

    def talk(fd, stop):
        while not stop.wait(0.002):
            with contextlib.suppress(BlockingIOError):
                if answer := server.feed(os.read(fd, 1 << 14)):
                    os.write(fd, spoil(answer))

    return talk


def quiet(text):
    pass


def test_an_answer_that_is_damaged_on_its_way_is_asked_for_again(tmp_path, place, server):
    """The rest of the damaged answer is not taken for the next one."""
    spoiled = []

    def spoil(answer):
        lines = answer.splitlines(keepends=True)
        if len(lines) < 2 or spoiled:
            return answer
        spoiled.append(answer)
        return lines[0] + b"\x06\tboot: noise\n" + b"".join(lines[1:]) * 5

    with port(tmp_path / "smp", serving(server, spoil)):
        found = commands.status(place, None, quiet)
    assert [each["version"] for each in found["slots"]] == ["0.0.1"]
    assert spoiled, "no answer was long enough to be damaged"


def test_a_board_that_never_stops_talking_is_said_in_time(tmp_path, place):
    begun = time.monotonic()

    def chatter(fd, stop):
        while not stop.is_set() and time.monotonic() < begun + 20:
            with contextlib.suppress(BlockingIOError):
                os.write(fd, b"\x06 the end is near \x04\x14" * 100)

    with port(tmp_path / "smp", chatter), pytest.raises(UnreachableError):
        commands.status(dataclasses.replace(place, answer=0.3), None, quiet)
    assert time.monotonic() - begun < 15, "it was listened to for as long as it talked"


def test_a_port_that_goes_away_and_comes_back_is_opened_anew(tmp_path, place, server):
    """USB: the cable was touched, and the port is another one under the same name."""

    async def ask():
        async with smp_line(place) as line:
            before = await line.images()
            first.close()
            with port(tmp_path / "smp", serving(server)):
                return before, await line.images()

    first = contextlib.ExitStack()
    first.enter_context(port(tmp_path / "smp", serving(server)))
    with first:
        before, after = asyncio.run(ask())
    assert before == after and after[0].version == "0.0.1"
