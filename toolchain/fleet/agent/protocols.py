"""What the agent needs of the world. A device has the real ones; simulations and tests have their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from toolchain.fleet.agent.state import State
from toolchain.fleet.documents.plan import Plan
from toolchain.fleet.documents.release import Release


class Transport(Protocol):
    """A web server, by paths below one address."""

    def get(self, path: str, start: int, most: int) -> Iterator[bytes]:
        """The bytes of a file from ``start`` on, ``most`` of them at the most.

        Raises:
            UnreachableError: the server does not answer, is too slow, or has no such file.
            VerificationError: it sends more than ``most``.
        """

    def post(self, path: str, body: bytes) -> bytes:
        """Send, and return the answer.

        Raises:
            UnreachableError: the server does not answer.
            EdgewrightError: it refuses.
        """


class Clock(Protocol):
    """Time."""

    def wall(self) -> float:
        """Seconds since 1970, UTC; may be wrong."""

    def steady(self) -> float:
        """Seconds that only grow."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class Runtime(Protocol):
    """Runs a bundle's own code, outside of this process. ``folder`` is a slot."""

    def build(self, folder: Path) -> None:
        """Compile.

        Raises:
            CheckError: it did not work out.
        """

    def golden(self, folder: Path) -> None:
        """Compare the golden outputs.

        Raises:
            CheckError: they differ, or it did not work out.
        """

    def latency(self, folder: Path) -> Mapping[str, float]:
        """Figures by metric, in SI base units.

        Raises:
            CheckError: it did not work out.
        """

    def health(self, folder: Path) -> str:
        """Ask the user's health check; empty is healthy, else what is wrong."""


class Trust(Protocol):
    """What is signed: plans and releases."""

    def plan(self, state: State) -> tuple[Plan, Mapping[str, int], Mapping[str, str]]:
        """The channel's plan, and new floors and keys (see :class:`~toolchain.fleet.agent.state.State`).

        Raises:
            VerificationError: it is not to be trusted.
            UnreachableError: it cannot be fetched.
            ConfigError: there is no such channel.
        """

    def release(self, version: int) -> Release:
        """A release; the same errors."""

    def knows(self, version: int) -> bool:
        """Whether this release was fetched and verified."""


class CheckError(Exception):
    """A check of a release on this device failed: ``reason`` is one of ``documents.report.Reason``."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")
