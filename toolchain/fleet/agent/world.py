"""What an agent works with, all in one place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from toolchain.fleet.agent.install import Installer
from toolchain.fleet.agent.keep import Keeper
from toolchain.fleet.agent.protocols import Clock, Runtime, Trust
from toolchain.fleet.agent.slots import Slots
from toolchain.fleet.agent.state import State
from toolchain.fleet.documents.report import Answer


@dataclasses.dataclass(frozen=True)
class World:
    """What an agent works with.

    Attributes:
        device, labels: from the configuration.
        keeper, slots, installer, trust, runtime, clock: see their classes.
        report: sends a report of a state; None where there is no server.
        say: one line for people.
    """

    device: str
    labels: Mapping[str, str]
    keeper: Keeper
    slots: Slots
    installer: Installer
    trust: Trust
    runtime: Runtime
    clock: Clock
    report: Callable[[State], Answer] | None
    say: Callable[[str], None]
