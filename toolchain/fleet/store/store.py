"""The store: one object that everything else asks. May be used from several threads, and by several processes."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Self

from profiles.errors import ConfigError
from toolchain.fleet.documents.plan import Plan
from toolchain.fleet.documents.report import Report
from toolchain.fleet.rollout.engine import Decision
from toolchain.fleet.rollout.facts import Facts
from toolchain.fleet.rollout.policy import Policy
from toolchain.fleet.store import checkins, enrolment, rollouts, summary
from toolchain.fleet.store.database import Database
from toolchain.fleet.store.overview import MOST_DECISIONS, Overview
from toolchain.fleet.store.rows import DecisionRow, DeviceRow, HistoryRow, Identity, Kept, TokenRow

#: Of the lock under which plans are decided on and published.
MOVER = "edgewright-fleet-mover"


class Store:
    """State of a fleet.

    Args:
        url: of the database, see :class:`toolchain.fleet.store.database.Database`, which also says what is raised.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def moving(self, wait: float = 0.0) -> contextlib.AbstractContextManager[bool]:
        """Whether this process alone may decide on plans and publish them; ``wait`` in seconds for another one."""
        return self._database.exclusive(MOVER, wait)

    # Tokens and devices.

    def make_token(
        self, product: str, *, channel: str = "", uses: int = 1, now: float, lasts: float, note: str = ""
    ) -> str:
        """A new token, shown once; ``channel`` limits it to one, ``lasts`` is in seconds."""
        with self._database.writing() as connection:
            return enrolment.make_token(connection, product, channel, uses=uses, now=now, lasts=lasts, note=note)

    def tokens(self) -> list[TokenRow]:
        """All of them, without what they are."""
        with self._database.reading() as connection:
            return enrolment.list_tokens(connection)

    def revoke_token(self, start: str) -> None:
        """Remove a token by the beginning of its id.

        Raises:
            ConfigError: there is none, or there are several.
        """
        with self._database.writing() as connection:
            if len(start) < 4 or not enrolment.revoke_token(connection, start):
                raise ConfigError(f"no token, or more than one, is called '{start[:40]}'", next_step="fleet token list")

    def identity(self, device: str) -> Identity | None:
        """What the check-in needs to know of a device; None if there is none of this name."""
        with self._database.reading() as connection:
            return enrolment.identity(connection, device)

    def enrol(
        self,
        device: str,
        product: str,
        channel: str,
        labels: Mapping[str, str],
        *,
        key: tuple[str, str],
        token: str,
        now: float,
    ) -> str:
        """Add a device: empty if it worked, else ``token`` or ``name`` for what was not good; then nothing changed."""
        result = ""
        with contextlib.suppress(_Undo), self._database.writing() as connection:
            if not enrolment.use_token(connection, token, product, channel, now):
                result = "token"
                raise _Undo
            if not enrolment.add_device(connection, device, product, channel, labels, key=key, now=now):
                result = "name"
                raise _Undo
        return result

    def devices(self, product: str = "", channel: str = "", device: str = "") -> list[DeviceRow]:
        """Devices by name, revoked ones too; empty is any."""
        with self._database.reading() as connection:
            return checkins.list_devices(connection, product, channel, device)

    def history(self, device: str) -> list[HistoryRow]:
        """What changed on a device, the newest first.

        Raises:
            ConfigError: there is no such device.
        """
        with self._database.reading() as connection:
            enrolment.known(connection, device)
            return checkins.list_history(connection, device)

    def revoke(self, device: str, now: float) -> None:
        """Refuse a device from now on; ConfigError if there is none of this name."""
        with self._database.writing() as connection:
            enrolment.revoke(connection, device, now)

    def remove(self, device: str) -> None:
        """Forget a device; ConfigError if there is none of this name."""
        with self._database.writing() as connection:
            enrolment.remove(connection, device)

    # Reports.

    def take_up(self, who: Identity, report: Report, now: float) -> bool:
        """Keep a report; False, and nothing is changed, if its counter was seen before.

        ``who`` is whose key verified it. What the history follows from is read again here: another report of the same
        device may have been taken up since, and the device revoked, removed, or enrolled with another key.
        """
        with self._database.writing() as connection:
            checkins.lock(connection, who.device)
            there = enrolment.identity(connection, who.device)
            if there is None or there.revoked is not None or there.keyid != who.keyid:
                return False
            return checkins.take_up(connection, there, report, now)

    def facts(self, product: str, channel: str) -> list[Facts]:
        """Every device of a channel that is not revoked, for the engine."""
        with self._database.reading() as connection:
            return checkins.facts(connection, product, channel)

    # Rollouts.

    def rollouts(self) -> list[Kept]:
        """The newest of every channel, the newest first."""
        with self._database.reading() as connection:
            return rollouts.current(connection)

    def rollout(self, product: str, channel: str) -> Kept | None:
        """The newest of a channel."""
        wanted = (product, channel)
        return next((each for each in self.rollouts() if each.channel == wanted), None)

    def begin(self, policy: Policy, plan: Plan, why: str, who: str, now: float) -> bool:
        """Keep a new rollout; False if somebody began one with the same sequence."""
        with self._database.writing() as connection:
            number = rollouts.begin(connection, policy, plan, now)
            if number is not None:
                rollouts.log(connection, number, DecisionRow(now, "start", why, who, plan.sequence))
        return number is not None

    def decide(self, kept: Kept, decision: Decision, now: float, *, action: str = "", who: str = "") -> bool:
        """Keep what was decided, and note it if the plan changes; False if the plan is another one by now."""
        if decision.plan is None and decision.progress == kept.rollout.progress:
            return True
        with self._database.writing() as connection:
            done = rollouts.decide(connection, kept, decision)
            if done and decision.plan is not None:
                words = "; ".join(decision.why)
                row = DecisionRow(now, action or decision.action, words, who, decision.plan.sequence)
                rollouts.log(connection, kept.id, row)
        return done

    def approve(self, kept: Kept, wave: str, who: str, now: float) -> None:
        """A person agrees that a wave opens."""
        with self._database.writing() as connection:
            rollouts.approve(connection, kept.id, wave, who, now)
            row = DecisionRow(now, "approve", f"wave '{wave}' may open", who, kept.rollout.plan.sequence)
            rollouts.log(connection, kept.id, row)

    def was_published(self, kept: Kept, sequence: int) -> None:
        """The repository has the plan of this sequence."""
        with self._database.writing() as connection:
            rollouts.was_published(connection, kept.id, sequence)

    def decisions(self, kept: Kept, most: int = MOST_DECISIONS) -> list[DecisionRow]:
        """What was decided, the newest first."""
        with self._database.reading() as connection:
            return rollouts.logged(connection, kept.id, most)

    def overview(self, now: float) -> Overview:
        """What the status page shows, of one moment."""
        with self._database.reading() as connection:
            kept = rollouts.current(connection)
            log = [rollouts.logged(connection, each.id, MOST_DECISIONS) for each in kept]
            return summary.overview(checkins.list_devices(connection), list(zip(kept, log, strict=True)), now)


class _Undo(Exception):
    """Ends a transaction without a trace."""
