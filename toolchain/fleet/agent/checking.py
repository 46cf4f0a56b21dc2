"""The checks of a release on this device, as events. What programs say is made fit to be kept and reported."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from profiles.errors import OutputError
from toolchain.fleet.agent import events as ev
from toolchain.fleet.agent.machine import LATENCY
from toolchain.fleet.agent.protocols import CheckError
from toolchain.fleet.agent.words import one_line
from toolchain.fleet.agent.world import World


def build(world: World, action: ev.Build) -> ev.Event:
    """Compile."""
    return _checked(world.runtime.build, world.slots.path(action.slot), ev.Built())


def compare(world: World, action: ev.Compare) -> ev.Event:
    """Run the golden samples."""
    return _checked(world.runtime.golden, world.slots.path(action.slot), ev.Matched())


def _checked(check: Callable[[Path], None], folder: Path, fine: ev.Event) -> ev.Event:
    try:
        check(folder)
    except CheckError as error:
        return _failed(error)
    return fine


def measure(world: World, action: ev.Measure) -> ev.Event:
    """Measure both; that the running release cannot be measured does not stop a new one."""
    before = None
    try:
        if action.running:
            before = _figures(world, action.running).get(LATENCY)
    except CheckError as error:
        world.say(f"the running release cannot be measured: {one_line(error.detail)}")
    try:
        return ev.Measured(_figures(world, action.slot), before)
    except CheckError as error:
        return _failed(error)


def _figures(world: World, slot: str) -> Mapping[str, float]:
    """Figures of a slot.

    Raises:
        CheckError: it did not work out, or gave what no state, report or comparison can hold.
    """
    try:
        found = world.runtime.latency(world.slots.path(slot))
    except OutputError as error:  # what was measured on a board could not be kept
        raise CheckError("space", str(error)) from error
    for name, value in found.items():
        if not math.isfinite(value):
            raise CheckError("crash", f"{name} is {value}: that is no measurement")
    return found


def probe(world: World, action: ev.Probe) -> ev.Event:
    """Run the health check once."""
    trouble = world.runtime.health(world.slots.path(action.slot))
    return ev.Probed(world.clock.steady(), one_line(trouble) or (trouble and "it said nothing that can be printed"))


def _failed(error: CheckError) -> ev.Failed:
    return ev.Failed(error.reason, one_line(error.detail))


CHECKS: Mapping[type, Callable[[World, Any], ev.Event]] = {
    ev.Build: build, ev.Compare: compare, ev.Measure: measure, ev.Probe: probe,
}  # fmt: skip
