"""Run, verify and measure a bundle in a process of its own, here or on another machine."""

from __future__ import annotations

import dataclasses
import functools
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from profiles.errors import ConfigError
from profiles.profiler import Profile
from profiles.runner import Array, Arrays
from profiles.sampling import Settings
from targets import execute, remote
from targets.artifact import BESIDE, PROFILE, Artifact, write_bytes, write_json
from targets.execute import Event
from targets.files import remove
from targets.serial_address import SERIAL, parse_serial
from targets.stand_in import APART, marked, state_is_device
from targets.worker import save_stacks

__all__ = [
    "APART", "ask_worker", "profile_bundle", "run_bundle", "state_is_device", "verify_bundle", "write_profile",
]  # fmt: skip

Progress = Callable[[int, int], None]


def _no_progress(done: int, total: int) -> None:
    pass


def ask_worker(
    folder: Path, request: Mapping[str, Any], *, via: str = "", python: str = "", progress: Progress = _no_progress
) -> Event:
    """One request to a worker: a child process here, or one on ``via`` (``ssh://user@host:port``).

    With ``via`` a ``serial://`` address the worker runs here, and its runner drives the board.

    Raises:
        EdgewrightError: as the worker reports it, or when it cannot be reached or dies.
    """

    def on_event(event: Event) -> None:
        if event["event"] == "progress":
            progress(int(event["done"]), int(event["total"]))

    if via.startswith(SERIAL):  # the worker stays here and speaks to the board
        parse_serial(via)
        request, via = {**request, "port": via}, ""
    if via:
        asked = {**request, "bundle": str(folder)}
        return remote.converse(via, folder, asked, on_event, python=python or "python3")
    argv = execute.python_argv("targets.worker", json.dumps({**request, "bundle": str(folder)}))
    explain = functools.partial(execute.crash, f"the engine, asked to {request['action']} a bundle,")
    return execute.converse(argv, on_event, env=execute.ONE_THREAD, explain=explain)


def run_bundle(
    folder: Path, inputs: Arrays, progress: Progress = _no_progress, *, emulate: bool = False
) -> tuple[dict[str, Array], Event]:
    """Outputs for stacked native inputs, and the worker's other findings (``executed``, ``facts``).

    With ``emulate`` the target's emulator computes them, because this machine cannot run its engine.
    """
    with tempfile.TemporaryDirectory(prefix="edgewright-") as scratch:
        given, got = Path(scratch) / "inputs.npz", Path(scratch) / "outputs.npz"
        save_stacks(given, dict(inputs))
        request = {"action": "run", "inputs": str(given), "outputs": str(got), "scratch": scratch, "emulate": emulate}
        event = ask_worker(folder, request, progress=progress)
        with np.load(got, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}, event


def verify_bundle(artifact: Artifact, *, via: str = "", python: str = "") -> float:
    """The largest error of the golden outputs on that machine; raises VerificationError beyond the tolerance."""
    _check_address(artifact, via)
    event = ask_worker(artifact.folder, {"action": "verify"}, via=via, python=python)
    return float(event["golden_error"])


def profile_bundle(
    artifact: Artifact, settings: Settings, *, via: str = "", python: str = "", progress: Progress = _no_progress
) -> Profile:
    """Measure a bundle. On a machine that is not its device, every figure becomes a stand-in that names the machine."""
    _check_address(artifact, via)
    request = {"action": "profile", "settings": settings.as_dict()}
    event = ask_worker(artifact.folder, request, via=via, python=python, progress=progress)
    files = {name: str(text) for name, text in event.get("files", {}).items() if name in BESIDE}
    profile = dataclasses.replace(Profile.from_dict(event["profile"]), files=files)
    return marked(artifact.device, profile)


def write_profile(folder: Path, profile: Profile) -> None:
    """Write ``profile.json`` and what lies beside it into a bundle; what an earlier measurement left there goes.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    for name in BESIDE:
        if name in profile.files:
            write_bytes(folder / name, profile.files[name].encode())
        else:
            remove(folder / name)
    write_json(folder / PROFILE, profile.as_dict())


def _check_address(artifact: Artifact, via: str) -> None:
    """Microcontrollers are reached over a serial port, machines with an operating system over ssh.

    Raises:
        ConfigError: the address is of the other kind.
    """
    has_system = artifact.device.get("reach", "local") not in APART
    if via and via.startswith(SERIAL) == has_system:
        raise ConfigError(
            f"'{artifact.device.get('name')}' cannot be reached like this",
            seen=via,
            allowed="ssh://user@host:port" if has_system else "serial:///dev/PORT, or none: an emulator runs it",
        )
