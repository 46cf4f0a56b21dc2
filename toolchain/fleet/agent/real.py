"""The world of a real device, put together from its configuration."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from profiles.errors import MissingToolError
from toolchain import __version__
from toolchain.fleet.agent import identity, provides, reports
from toolchain.fleet.agent.config import Config
from toolchain.fleet.agent.disk import Disk
from toolchain.fleet.agent.install import Installer
from toolchain.fleet.agent.keep import Keeper
from toolchain.fleet.agent.protocols import Runtime
from toolchain.fleet.agent.runtime import BundleRuntime
from toolchain.fleet.agent.slots import Slots
from toolchain.fleet.agent.state import State
from toolchain.fleet.agent.transport import HttpTransport
from toolchain.fleet.agent.trust import TufTrust
from toolchain.fleet.agent.world import World
from toolchain.fleet.documents.report import Answer

#: Seconds that a report may take; it never holds up an install for long.
_REPORT_SECONDS = 30.0


class SystemClock:
    """The machine's."""

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def steady(self) -> float:
        """Seconds since some start, which only grow."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def world_of(config: Config, disk: Disk, say: Callable[[str], None]) -> tuple[World, HttpTransport]:
    """Everything real, and the transport whose limits are to be begun anew every round.

    Raises:
        ConfigError: an address, the device's key, or the table of a board cannot be used.
        MissingToolError: a board needs more than this agent came with.
    """
    clock, transport = SystemClock(), HttpTransport(config.repository, config.limits)
    slots, runtime = _hands(config, disk, say)
    has = provides.provides(config.provides)

    def installed() -> dict[str, str]:
        return {**provides.packages(config.python), **provides.listed(config.provides.get("packages", ""))}

    trust = TufTrust(
        config.folder, transport, disk, product=config.product, channel=config.channel, now=clock.wall
    )  # fmt: skip
    installer = Installer(config.folder, trust, transport, disk, slots=slots, has=has, installed=installed)
    world = World(
        config.device, config.labels, Keeper(config.folder, disk, slots, say), slots, installer, trust, runtime, clock,
        _reporter(config, has, clock, say), say,
    )  # fmt: skip
    return world, transport


def _hands(config: Config, disk: Disk, say: Callable[[str], None]) -> tuple[Slots, Runtime]:
    """Slots and runtime of this machine, or of the board behind it.

    Raises:
        ConfigError: the board's table cannot be used.
        MissingToolError: this agent came without the gateway's part.
    """
    runtime = BundleRuntime(
        config.python, config.folder / "engines", config.health, seconds=config.check_seconds,
        memory=config.check_memory, measure=config.measure_seconds, health_seconds=config.health_seconds,
    )  # fmt: skip
    if not config.gateway:
        return Slots(config.folder, disk), runtime
    try:
        from toolchain.fleet.gateway.place import from_table
        from toolchain.fleet.gateway.runtime import BoardRuntime, BoardSlots, BoardSteps
    except ModuleNotFoundError as error:
        raise MissingToolError(
            "a gateway needs all of Edgewright", seen=str(error), next_step="install the wheel instead of the zipapp"
        ) from error
    place = from_table(dict(config.gateway), config.provides.get("board", ""), config.home)
    steps = BoardSteps(place, config.check_seconds)
    board = BoardRuntime(steps, runtime, config.folder / "figures.json", disk)
    return BoardSlots(config.folder, disk, steps, say), board


def _reporter(
    config: Config, has: dict[str, str], clock: SystemClock, say: Callable[[str], None]
) -> Callable[[State], Answer] | None:
    """What sends reports; None without a server, or before the device was enrolled, which is said."""
    own = identity.load(config.key)
    if config.checkin and own is None:
        say(f"{config.device} is not enrolled, and sends no reports; for that, run: edgewright-agent enroll")
    if not config.checkin or own is None:
        return None
    limits = dataclasses.replace(config.limits, total_seconds=_REPORT_SECONDS)
    transport = HttpTransport(config.checkin, limits)

    def report(state: State) -> Answer:
        transport.begin()
        try:
            return reports.send(transport, own, reports.report_of(state, config, __version__, has, clock.wall()))
        finally:
            transport.close()

    return report
