"""The command ``status``: what the state says."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from profiles.errors import ConfigError
from profiles.streams import write
from toolchain.fleet.agent.config import Config, read_config
from toolchain.fleet.agent.disk import Disk
from toolchain.fleet.agent.keep import FILES, read_state
from toolchain.fleet.agent.slots import Slots
from toolchain.fleet.agent.state import State


def status(args: argparse.Namespace) -> int:
    """What the state says; nothing is changed.

    Raises:
        ConfigError: there is a state, and it cannot be read.
    """
    config = read_config(args.config)
    state = _state(config.folder)
    slots = Slots(config.folder, Disk())
    data = {
        "schema": 1, "device": config.device, "product": config.product, "channel": config.channel,
        "running": state.running, "slot": state.slot, "current": slots.pointed(),
        "committed": slots.is_committed(state.slot) if state.slot else False,
        "attempt": dataclasses.asdict(state.attempt), "failed": dict(state.failed),
        "latency_before": state.before, "latency_after": state.after, "refused": state.refused,
        "unkept": state.unkept, "enrolled": config.key.exists(),
    }  # fmt: skip
    write(json.dumps(data, indent=1, sort_keys=True) + "\n" if args.json else _status_text(state, config))
    return 0


def _state(folder: Path) -> State:
    """The state that is kept; a new one where there never was one.

    Raises:
        ConfigError: there is one, and it cannot be read.
    """
    paths = [folder / name for name in FILES]
    for path in paths:
        if (found := read_state(path)) is not None:
            return found
    if reasons := [f"{path.name}: {reason}" for path in paths if (reason := _unreadable(path))]:
        raise ConfigError(
            f"cannot read the agent's state in {folder}", seen="; ".join(reasons),
            next_step="ask as the user who runs the agent; the agent's next round mends what is damaged",
        )  # fmt: skip
    return State()


def _unreadable(path: Path) -> str:
    """Why a file cannot be read; empty where there is none."""
    try:
        path.read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as error:
        return error.strerror or str(error)
    return "damaged"


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
    lines += [f"not kept yet: {state.unkept}"] if state.unkept else []
    lines += ["the server refuses this device"] if state.refused else []
    return "\n".join(lines) + "\n"


def _seconds(value: float | None) -> str:
    return "not measured" if value is None else f"{value * 1e3:.3f} ms"
