"""What the commands do."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from profiles.errors import ConfigError, EdgewrightError, RefusedError
from profiles.streams import tell, write
from toolchain.fleet.agent import identity
from toolchain.fleet.agent.answers import StillRefusedError
from toolchain.fleet.agent.cli import PROGRAM, TOKEN
from toolchain.fleet.agent.config import Config, read_config
from toolchain.fleet.agent.disk import Disk, alone, disk_error
from toolchain.fleet.agent.status import status
from toolchain.fleet.documents.report import Answer, Enrolment
from toolchain.fleet.documents.strict import from_bytes

#: Seconds between two looks at all that a start looks at: files of the running release, ``current``, a board.
_START_EVERY = 86400.0


def say(text: str) -> None:
    """One thing for people, on standard error; the journal adds the time."""
    tell(f"{PROGRAM}: {text}")


def enroll(args: argparse.Namespace) -> int:
    """Make the key, keep the first root metadata, and ask the server."""
    config, disk = read_config(args.config), Disk()
    with held(config, disk):
        return _enroll(args, config, disk)


def _enroll(args: argparse.Namespace, config: Config, disk: Disk) -> int:
    from toolchain.fleet.agent import reports
    from toolchain.fleet.agent.transport import HttpTransport

    own = identity.load_or_make(config.key, disk)
    if not config.checkin:
        say(f"{config.device} has its key; no server is configured (checkin), so there is nobody to ask")
        return 0
    if not config.checkin.startswith("https://"):
        say("the token goes over a connection that is not encrypted; use https outside of a lab")
    token = identity.token(TOKEN, args.token_file)
    labels = reports.lines(config.labels)
    try:
        enrolment = Enrolment(config.device, own.public_key, token, config.product, config.channel, labels)
    except ValueError as error:
        raise ConfigError("this device cannot be enrolled as it is configured", seen=str(error)) from error
    answer = HttpTransport(config.checkin, config.limits).post(reports.ENROL, own.envelope(enrolment))
    from_bytes(Answer, answer)
    say(f"{config.device} is in the fleet")
    return 0


@contextlib.contextmanager
def held(config: Config, disk: Disk) -> Iterator[None]:
    """The agent's folder, made and held against other agents, for as long as the context lasts.

    Raises:
        ConfigError: another agent works there, or there is no root metadata.
    """
    disk.folder(config.folder)
    with alone(config.folder / "lock"):
        prepare(config, disk)
        yield


def prepare(config: Config, disk: Disk) -> None:
    """Copy the first root metadata into the folder; one that is there already stays.

    Raises:
        ConfigError: there is no root metadata.
    """
    disk.folder(config.folder / "engines")
    target = config.folder / "root.json"
    if config.public_root is None or target.exists():
        return
    try:
        content = config.public_root.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read public_root {config.public_root}", seen=error.strerror or str(error)) from error
    disk.write(target, content, 0o644)


def run(args: argparse.Namespace) -> int:
    """Rounds, until we are ended; or one."""
    config, disk = read_config(args.config), Disk()
    with held(config, disk):
        return rounds(config, disk, once=args.once, retry=args.retry)


def rounds(config: Config, disk: Disk, *, once: bool, retry: bool = False) -> int:
    """The agent's life.

    Raises:
        RefusedError: the server does not want this device.
        EdgewrightError: with ``once``: how the round ended.
    """
    from toolchain.fleet.agent.perform import Agent
    from toolchain.fleet.agent.real import world_of

    world, transport = world_of(config, disk, say)
    agent = Agent(world)
    if retry and agent.state.failed:
        agent.state = dataclasses.replace(agent.state, failed={})
        world.keeper.save(agent.state)
    say(f"{config.device} runs version {agent.state.running or 'none'} of {config.product}, channel {config.channel}")
    started, trouble = -math.inf, 0

    def start() -> None:
        nonlocal started
        agent.start()
        started = time.monotonic()  # one that failed is repeated

    while True:
        is_due = agent.is_unsettled or time.monotonic() - started > _START_EVERY
        acts = [start, agent.round] if is_due else [agent.round]
        failure = _attempt(acts, transport.begin, config.folder, once=once)
        if once:
            if failure is not None:
                raise failure
            return 0
        trouble = trouble + 1 if failure is not None else 0
        transport.close()
        time.sleep(pause(config, agent.next, trouble))


def _attempt(
    acts: list[Callable[[], None]], begin: Callable[[], None], folder: Path, *, once: bool
) -> EdgewrightError | None:
    """Each of them, whatever the one before said; the first error. ``folder`` is named where the system names none."""
    first: EdgewrightError | None = None
    for act in acts:
        failure = _failure(begin, act, folder)
        if failure is not None and (not once or first is not None):
            say(str(failure))
        first = first or failure
    return first


def _failure(begin: Callable[[], None], act: Callable[[], None], folder: Path) -> EdgewrightError | None:
    """How it failed; None when it went well. What the system refuses at a place where nobody expected it, too.

    Raises:
        RefusedError: the server does not want this device, and has said so now.
    """
    try:
        begin()
        act()
    except StillRefusedError as error:
        return error
    except RefusedError:
        raise
    except EdgewrightError as error:
        return error
    except OSError as error:
        return disk_error(Path(error.filename or folder), error)
    return None


def pause(config: Config, wish: float | None, trouble: int) -> float:
    """Seconds until the next round: the server may stretch it, errors too, both within four intervals.

    A share that belongs to the device (0.9 to 1.1) keeps devices from coming all at once.
    """
    from toolchain.fleet.rollout.membership import draw

    wanted = config.interval if wish is None else min(max(wish, config.interval), 4 * config.interval)
    wanted = min(wanted * 2 ** min(trouble, 2), 4 * config.interval) if trouble else wanted
    return wanted * (0.9 + draw("pause", config.device) / 500)


def install_unit(args: argparse.Namespace) -> int:
    """Print the unit, or write it; only writing below /etc needs root."""
    from toolchain.fleet.agent.unit import hidden, unit_text

    config = read_config(args.config)
    text = unit_text(config, args.config.absolute(), args.user)
    for place in hidden(config, args.config.absolute()):
        say(f"the unit has a private /tmp, which hides {place}: move it, such as to /var/lib/edgewright")
    if args.out is None:
        write(text)
        return 0
    Disk().write(Path(os.path.abspath(args.out)), text.encode(), 0o644)
    say(f"wrote {args.out}; next: systemctl daemon-reload && systemctl enable --now {args.out.stem}")
    return 0


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "enroll": enroll, "run": run, "status": status, "install-unit": install_unit,
}  # fmt: skip
