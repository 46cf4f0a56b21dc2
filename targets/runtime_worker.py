"""What runs next to the engine for ``edgewright-runtime``: the worker's actions, and those that only a device needs.

A target that has something to do on the device (compile, keep engines) says so with a module ``on_device`` in its
folder; see ``targets/tensorrt/on_device.py``. Travels to the device.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

import targets
from profiles.errors import EdgewrightError
from profiles.machine import describe, snapshot
from targets import worker
from targets.artifact import load_artifact
from targets.worker import ACTIONS, Actions, Request, Say


class OnDevice(Protocol):
    """What a module ``targets/NAME/on_device.py`` has."""

    def build(self, folder: Path, rebuild: bool, tell: Callable[[str], None]) -> list[dict[str, Any]]:
        """Compile what the device has to compile; one row for each batch size."""
        ...

    def describe(self) -> dict[str, Any]:
        """Hardware, libraries, kept engines."""
        ...

    def problems(self) -> list[EdgewrightError]:
        """Why this machine cannot run bundles of the target."""
        ...

    def engines(self) -> list[dict[str, Any]]:
        """What is kept."""
        ...

    def prune(self, everything: bool) -> dict[str, Any]:
        """Remove what is of no use here, or everything."""
        ...


def hook(target: str) -> OnDevice | None:
    """The target's part for devices, if it has one."""
    name = f"targets.{target}.on_device"
    if not re.fullmatch(r"[a-z0-9_]+", target):
        return None
    try:
        return cast(OnDevice, importlib.import_module(name))
    except ModuleNotFoundError as error:
        if error.name not in (name, f"targets.{target}"):
            raise
        return None


def hooks() -> dict[str, OnDevice]:
    """The parts of all targets that have come along."""
    names = sorted(module.name for module in pkgutil.iter_modules(targets.__path__) if module.ispkg)
    found = {name: hook(name) for name in names}
    return {name: part for name, part in found.items() if part}


def do_build(request: Request, say: Say) -> dict[str, Any]:
    """Compile a bundle on this machine; nothing to do for targets that compile where the bundle is built."""
    artifact = load_artifact(Path(request["bundle"]))
    part = hook(artifact.target)
    if part is None:
        return {"engines": []}
    rows = part.build(artifact.folder, bool(request.get("rebuild")), lambda text: say({"event": "note", "text": text}))
    return {"engines": rows}


def do_describe(request: Request, say: Say) -> dict[str, Any]:
    """This machine, and what each target finds on it."""
    state = snapshot()
    machine = {"description": describe(state), **state.as_dict()}
    return {"machine": machine, "targets": {name: part.describe() for name, part in hooks().items()}}


def do_health(request: Request, say: Say) -> dict[str, Any]:
    """Raise the first problem; having come here, Python and numpy work."""
    for part in hooks().values():
        for problem in part.problems():
            raise problem
    return {}


def do_engines(request: Request, say: Say) -> dict[str, Any]:
    """The kept engines of all targets."""
    return {"engines": [{"target": name, **row} for name, part in hooks().items() for row in part.engines()]}


def do_prune(request: Request, say: Say) -> dict[str, Any]:
    """Remove engines."""
    done = [part.prune(bool(request.get("everything"))) for part in hooks().values()]
    return {
        "removed": [path for each in done for path in each["removed"]],
        "freed": sum(each["freed"] for each in done),
    }


DEVICE_ACTIONS: Actions = {
    **ACTIONS,
    "build": do_build,
    "describe": do_describe,
    "health": do_health,
    "engines": do_engines,
    "prune": do_prune,
}


def main(argv: list[str] | None = None) -> int:
    """Entry point: the request is the first argument."""
    return worker.main(argv, DEVICE_ACTIONS)


if __name__ == "__main__":
    sys.exit(main())
