"""An agent in this process, without network and child processes, on a folder; and what ends it at a given change."""

import os
import signal
import sys
from pathlib import Path

from profiles.errors import UnreachableError
from tests.toolchain.fleet.agent.fleet_device import CHANNEL, PRODUCT
from toolchain.fleet.agent.answers import HttpError
from toolchain.fleet.agent.disk import Disk
from toolchain.fleet.agent.install import Installer
from toolchain.fleet.agent.keep import Keeper
from toolchain.fleet.agent.perform import Agent, World
from toolchain.fleet.agent.runtime import BundleRuntime
from toolchain.fleet.agent.slots import Slots
from toolchain.fleet.agent.trust import TufTrust
from toolchain.fleet.documents.report import Answer

#: Python's own words for system calls that change the disk.
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "os.truncate")


class FolderTransport:
    """A mirror without a server; 100 bytes at a time, so that downloads have middles."""

    def __init__(self, folder, block=10_000):
        self.folder, self.block = folder, block

    def get(self, path, start, most):
        file = self.folder / path
        if not file.is_file():
            error = HttpError(f"no {path}")
            error.status = 404
            raise error
        content = file.read_bytes()[start:]
        for at in range(0, len(content), self.block):
            yield content[at : at + self.block]

    def post(self, path, body):
        raise UnreachableError("there is no server")


class CalmRuntime(BundleRuntime):
    """All checks are fine but those that ``model.json`` says fail."""

    def __init__(self):
        pass

    def build(self, folder):
        pass

    def golden(self, folder):
        pass

    def latency(self, folder):
        return {"latency_p50": 0.001}

    def health(self, folder):
        return "it is ill" if b'"ill": true' in (folder / "bundle/model.json").read_bytes() else ""


class StillClock:
    def __init__(self):
        import time

        self.now, self.start = 0.0, time.time()

    def wall(self):
        return self.start + self.now

    def steady(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def world(folder: Path, mirror: Path, disk=None, said=None, runtime=None, clock=None, transport=None):
    disk, transport, clock = disk or Disk(), transport or FolderTransport(mirror), clock or StillClock()
    slots, say = Slots(folder, disk), (said if said is not None else []).append
    trust = TufTrust(folder, transport, disk, product=PRODUCT, channel=CHANNEL, now=clock.wall)
    has = {"device": "local-cpu", "machine": os.uname().machine, "memory": str(1 << 40)}
    installer = Installer(folder, trust, transport, disk, slots=slots, has=has, installed=dict)
    return World(
        "bell-1", {}, Keeper(folder, disk, slots, say), slots, installer, trust, runtime or CalmRuntime(), clock,
        lambda state: Answer(60.0, state.counter), say,
    )  # fmt: skip


def live(folder: Path, mirror: Path, **more):
    """One round of an agent; gives it."""
    agent = Agent(world(folder, mirror, **more))
    agent.start()
    agent.round()
    return agent


def make_home(folder: Path, root: bytes):
    folder.mkdir(parents=True)
    (folder / "root.json").write_bytes(root)


def killed_at(number, act):
    """Carry out ``act(disk)`` in a child that is killed before its change number ``number``; whether it came so far.

    Changes are those that :class:`Disk` announces, and those of others (python-tuf, shutil) that Python announces.
    """
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"the child ended with {status}: see its output"
        return os.WIFSIGNALED(status)
    left = number

    def count(*_):
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def heard(event, arguments):
        opened = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        if opened or event in CHANGES:
            count()

    try:
        sys.addaudithook(heard)
        act(Disk(before=count))
        os._exit(0)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(3)
