"""What the commands do."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from profiles.errors import ConfigError, EdgewrightError, RefusedError
from profiles.streams import tell, write
from toolchain.fleet.agent import identity
from toolchain.fleet.agent.cli import PROGRAM, TOKEN
from toolchain.fleet.agent.config import Config, read_config
from toolchain.fleet.agent.disk import Disk, alone
from toolchain.fleet.agent.keep import read_state
from toolchain.fleet.agent.slots import Slots
from toolchain.fleet.agent.state import State
from toolchain.fleet.documents.report import Answer, Enrolment
from toolchain.fleet.documents.strict import from_bytes

#: Seconds between full comparisons of the running release with its hashes.
_INSPECT_EVERY = 86400.0


def say(text: str) -> None:
    """One thing for people, on standard error; the journal adds the time."""
    tell(f"{PROGRAM}: {text}")


def enroll(args: argparse.Namespace) -> int:
    """Make the key, keep the first root metadata, and ask the server."""
    from toolchain.fleet.agent import reports
    from toolchain.fleet.agent.transport import HttpTransport

    config, disk = read_config(args.config), Disk()
    prepare(config, disk)
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


def prepare(config: Config, disk: Disk) -> None:
    """Make the folder, and copy the first root metadata into it; one that is there already stays.

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
    prepare(config, disk)
    with alone(config.folder / "lock"):
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
    acts: list[Callable[[], None]] = [agent.start, agent.round]
    inspected, trouble = time.monotonic(), 0
    while True:
        failure = _attempt(acts, transport.begin, once=once)
        if once:
            if failure is not None:
                raise failure
            return 0
        trouble = trouble + 1 if failure is not None else 0
        transport.close()
        time.sleep(pause(config, agent.next, trouble))
        acts = [agent.start, agent.round] if agent.state.trying else [agent.round]  # the disk was full, or the like
        if time.monotonic() - inspected > _INSPECT_EVERY:
            acts, inspected = [agent.inspect, *acts], time.monotonic()


def _attempt(acts: list[Callable[[], None]], begin: Callable[[], None], *, once: bool) -> EdgewrightError | None:
    """Each of them, whatever the one before said; the first error."""
    first: EdgewrightError | None = None
    for act in acts:
        try:
            begin()
            act()
        except RefusedError:
            raise
        except EdgewrightError as error:
            if not once or first is not None:
                say(str(error))
            first = first or error
    return first


def pause(config: Config, wish: float | None, trouble: int) -> float:
    """Seconds until the next round: the server may stretch it, errors too, both within four intervals.

    A share that belongs to the device (0.9 to 1.1) keeps devices from coming all at once.
    """
    from toolchain.fleet.rollout.membership import draw

    wanted = config.interval if wish is None else min(max(wish, config.interval), 4 * config.interval)
    wanted = min(wanted * 2 ** min(trouble, 2), 4 * config.interval) if trouble else wanted
    return wanted * (0.9 + draw("pause", config.device) / 500)


def status(args: argparse.Namespace) -> int:
    """What the state says; nothing is changed."""
    config = read_config(args.config)
    state = read_state(config.folder / "state.json") or read_state(config.folder / "state.json.bak") or State()
    slots = Slots(config.folder, Disk())
    data = {
        "schema": 1, "device": config.device, "product": config.product, "channel": config.channel,
        "running": state.running, "slot": state.slot, "current": slots.pointed(),
        "committed": slots.is_committed(state.slot) if state.slot else False,
        "attempt": dataclasses.asdict(state.attempt), "failed": dict(state.failed),
        "latency_before": state.before, "latency_after": state.after, "refused": state.refused,
        "enrolled": config.key.exists(),
    }  # fmt: skip
    write(json.dumps(data, indent=1, sort_keys=True) + "\n" if args.json else _status_text(state, config))
    return 0


def _status_text(state: State, config: Config) -> str:
    lines = [f"{config.device}: version {state.running or 'none'} of {config.product}, channel {config.channel}"]
    attempt = state.attempt
    if attempt.release:
        ended = attempt.outcome if attempt.stage == "idle" else f"{attempt.outcome}, {attempt.stage}"
        why = f" ({attempt.reason}: {attempt.detail})" if attempt.reason else ""
        lines.append(f"newest install: version {attempt.release}, {ended}{why}")
        lines.append(f"fetched: {attempt.fetched} of {attempt.full} bytes")
    if state.before is not None or state.after is not None:
        lines.append(f"median latency: {_seconds(state.before)} before, {_seconds(state.after)} after")
    lines += [f"not tried again: version {version} ({reason})" for version, reason in state.failed.items()]
    lines += ["the server refuses this device"] if state.refused else []
    return "\n".join(lines) + "\n"


def _seconds(value: float | None) -> str:
    return "not measured" if value is None else f"{value * 1e3:.3f} ms"


def install_unit(args: argparse.Namespace) -> int:
    """Print the unit, or write it; only writing below /etc needs root."""
    from toolchain.fleet.agent.unit import unit_text

    config = read_config(args.config)
    text = unit_text(config, args.config.absolute(), args.user)
    if args.out is None:
        write(text)
        return 0
    Disk().write(Path(os.path.abspath(args.out)), text.encode(), 0o644)
    say(f"wrote {args.out}; next: systemctl daemon-reload && systemctl enable --now {args.out.stem}")
    return 0


COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = {
    "enroll": enroll, "run": run, "status": status, "install-unit": install_unit,
}  # fmt: skip
