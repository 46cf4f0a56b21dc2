"""The whole agent on a gateway: signed releases from a mirror to a stand-in board with real firmware under QEMU."""

import contextlib
import dataclasses
import io
import subprocess
import sys

import fleet_boards as fb
import pytest

from profiles.errors import EdgewrightError, UnreachableError
from targets.execute import Finished
from tests.toolchain.fleet.agent import fleet_worlds
from tests.toolchain.fleet.agent.fleet_device import packed, plan_of, release_of
from tests.toolchain.fleet.agent.fleet_repository import Mirror
from toolchain.fleet.agent.disk import Disk
from toolchain.fleet.agent.install import Installer
from toolchain.fleet.agent.perform import Agent
from toolchain.fleet.agent.protocols import CheckError
from toolchain.fleet.documents.release import Depends
from toolchain.fleet.gateway import commands, flash
from toolchain.fleet.gateway.__main__ import main
from toolchain.fleet.gateway.image import IMAGE
from toolchain.fleet.gateway.runtime import BoardRuntime, BoardSlots, BoardSteps


def quiet(text):
    pass


def here(argv, *, timeout):
    """A step in this process, which is faster."""
    assert argv[1:4] == ["-P", "-m", "toolchain.fleet.gateway"] and timeout == 60.0
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        code = main(argv[4:])
    return Finished(code, out.getvalue(), error.getvalue())


class Well:
    """The user's health check; ``then`` is done when it is asked."""

    then = staticmethod(lambda: None)

    def health(self, folder):
        self.then()
        return ""


class Gateway:
    """A mirror, an agent's folder, and a board with version 1 of factory firmware."""

    def __init__(self, tmp_path, board):
        self.mirror, self.folder, self.board = Mirror(tmp_path / "mirror"), tmp_path / "agent", board
        fleet_worlds.make_home(self.folder, self.mirror.first_root())
        self.said, self.user = [], Well()
        self.steps = BoardSteps(dataclasses.replace(board.place, answer=1.0, boot=5.0), 60.0, here)

    def ship(self, version, seed, *, budget=(), **words):
        made = fb.bundle(seed, spoiled=words.get("spoiled", False))
        files = {
            f"bundle/{path.relative_to(made.folder)}": path.read_bytes()
            for path in made.folder.rglob("*")
            if path.is_file()
        }
        files[IMAGE] = fb.signed(version, seed, **words)
        bundle = packed(self.mirror, files, depends=Depends(fb.BOARD, board=fb.BOARD), builds=True, budget=budget)
        self.mirror.release(release_of(version, bundle))
        self.mirror.plan(plan_of(version))

    def agent(self):
        """As the gateway's agent is put together; see docs/guide/fleet-microcontrollers.md."""
        plain = fleet_worlds.world(self.folder, self.mirror.folder, said=self.said)
        disk, transport = Disk(), fleet_worlds.FolderTransport(self.mirror.folder)
        slots = BoardSlots(self.folder, disk, self.steps, self.said.append)
        runtime = BoardRuntime(self.steps, self.user, self.folder / "board.json", disk)
        has = {"device": fb.BOARD, "board": fb.BOARD}
        installer = Installer(self.folder, plain.trust, transport, disk, slots=slots, has=has, installed=dict)
        return Agent(dataclasses.replace(plain, slots=slots, runtime=runtime, installer=installer))

    def round(self, *, fails=False):
        agent = self.agent()
        try:
            agent.start()
            agent.round()
        except EdgewrightError as error:
            assert fails, f"{error}\n{self.said}"
        return agent.state

    def on_board(self):
        return commands.status(self.board.place, None, quiet)["slots"][0]


@pytest.fixture
def gateway(tmp_path, boards):
    found = Gateway(tmp_path, boards(fb.signed(1, 1)))
    found.ship(2, 2)
    state = found.round()
    assert (state.running, state.attempt.outcome) == (2, "committed"), found.said
    return found


def version(held):
    return held["version"], held["confirmed"]


def test_a_release_gets_onto_the_board_and_stays(gateway):
    assert version(gateway.on_board()) == ("0.0.2", True)
    gateway.ship(3, 3)
    state = gateway.round()
    assert (state.running, state.slot) == (3, "b") and version(gateway.on_board()) == ("0.0.3", True)
    assert state.before is not None and state.after is not None, "what it took before and after was measured"
    assert gateway.agent().world.slots.pointed() == "b"


def test_a_board_that_is_lost_in_the_switch_is_not_the_release_s_fault(gateway, monkeypatch):
    point = BoardSlots.point

    def lost(slots, slot):
        if slot == "b":
            raise UnreachableError("the board cannot be switched", seen="it does not answer")
        point(slots, slot)

    gateway.ship(3, 3)
    monkeypatch.setattr(BoardSlots, "point", lost)
    state = gateway.round(fails=True)
    assert (state.running, state.attempt.outcome, state.attempt.reason) == (2, "rolled-back", "download"), gateway.said
    assert dict(state.failed) == {} and version(gateway.on_board()) == ("0.0.2", True)


def test_a_release_with_wrong_numbers_is_gone_back_from(gateway):
    gateway.ship(3, 3, spoiled=True)
    state = gateway.round(fails=True)
    assert (state.running, state.attempt.outcome, state.attempt.reason) == (2, "failed", "parity"), gateway.said
    assert version(gateway.on_board()) == ("0.0.2", True)


def test_a_board_that_loses_its_power_in_the_soak_is_gone_back_from(gateway):
    def cut():
        gateway.board.unplug()
        gateway.board.power()

    gateway.ship(3, 3)
    gateway.mirror.plan(plan_of(3, 4, soak=30.0))
    gateway.user.then = cut
    state = gateway.round(fails=True)
    assert (state.running, state.attempt.outcome, state.attempt.reason) == (2, "rolled-back", "health")
    assert "restarted" in state.attempt.detail
    assert version(gateway.on_board()) == ("0.0.2", True)


@pytest.fixture
def unkept(gateway, monkeypatch):
    """Version 3 is committed, and the line was lost before the board was told to keep it."""
    run = gateway.steps.run

    def no_keep(command, slot=None):
        if command == "keep":
            raise CheckError("download", "pulled")
        return run(command, slot)

    gateway.ship(3, 3)
    with monkeypatch.context() as patch:
        patch.setattr(gateway.steps, "run", no_keep)
        assert gateway.round().running == 3
    assert version(gateway.on_board()) == ("0.0.3", False)
    return gateway


def test_a_board_that_was_not_told_to_keep_its_firmware_is_told_at_the_next_start(unkept):
    unkept.round()
    assert version(unkept.on_board()) == ("0.0.3", True)


def test_a_board_that_went_back_after_the_commit_is_brought_to_the_release_again(unkept):
    unkept.board.unplug()
    unkept.board.power()
    assert version(unkept.on_board()) == ("0.0.2", True)
    assert unkept.round().running == 3
    unkept.round()
    assert version(unkept.on_board()) == ("0.0.3", True)


def test_a_line_that_is_lost_in_the_middle_of_an_install_leaves_nothing_to_come(gateway, monkeypatch):
    """The image was set to be tried: the next restart of the board, whoever does it, must not start it."""

    async def lost(line, place, held):
        raise UnreachableError("lost the board", seen="the cable was touched")

    gateway.ship(3, 3)
    with monkeypatch.context() as patch:
        patch.setattr(flash, "restart", lost)
        state = gateway.round(fails=True)
    assert (state.running, state.attempt.outcome, state.attempt.reason) == (2, "failed", "download"), gateway.said
    slots = commands.status(gateway.board.place, None, quiet)["slots"]
    assert version(slots[0]) == ("0.0.2", True) and not any(each["pending"] for each in slots)
    assert gateway.round().running == 3


def test_a_board_that_is_not_there_is_tried_again(gateway):
    gateway.ship(3, 3)
    gateway.board.unplug()
    state = gateway.round(fails=True)
    assert (state.running, state.attempt.outcome) == (2, "failed") and not state.failed, "another time it may work"
    gateway.board.power()
    assert gateway.round().running == 3
    assert version(gateway.on_board()) == ("0.0.3", True)


def test_a_release_that_the_board_refuses_leaves_the_running_one_alone(gateway):
    gateway.ship(3, 3, key="other")
    state = gateway.round(fails=True)
    assert (state.running, state.attempt.outcome, state.attempt.reason) == (2, "refused", "trust")
    assert version(gateway.on_board()) == ("0.0.2", True)


def test_steps_are_processes_of_their_own(boards, tmp_path):
    board, slot = boards(fb.signed(1, 1)), fb.agent_slot(tmp_path / "a", 1, 1)
    status = BoardSteps(board.place, 60.0).run("status", slot)
    assert status["runs"] and status["kept"]
    with pytest.raises(CheckError) as caught:
        BoardSteps(board.place, 60.0).run("install", fb.agent_slot(tmp_path / "b", 2, 2, key="other"))
    assert caught.value.reason == "trust" and "not signed with the firmware key" in caught.value.detail
    with pytest.raises(CheckError) as caught:
        BoardSteps(board.place, 0.01).run("status", slot)
    assert caught.value.reason == "download", "a step that hangs is ended, and tried again"


def test_a_release_that_is_too_slow_is_gone_back_from(gateway):
    gateway.ship(3, 3, budget=(("latency_p50", 1e-9),))
    state = gateway.round(fails=True)
    assert (state.running, state.attempt.outcome, state.attempt.reason) == (2, "failed", "budget")
    assert version(gateway.on_board()) == ("0.0.2", True)


def test_the_agent_stays_small_beside_a_board():
    """What speaks to boards is loaded by the steps' processes only."""
    heavy = ("numpy", "pydantic", "smp", "smpclient", "imgtool", "serial")
    code = (
        "import sys, toolchain.fleet.gateway.runtime, toolchain.fleet.gateway.place\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
