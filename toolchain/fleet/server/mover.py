"""Moves rollouts on: look at the facts, decide, keep the decision, publish the plan.

Two steps may be cut by a crash at any place between them. The decision is kept first, and it is kept only if the plan
is still the one that was decided on; what was kept and not published is published by whoever comes next, with the same
sequence, and once. One lock, which ends with its process, lets one server at a time do that.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from profiles.errors import ConfigError, EdgewrightError
from toolchain.fleet.documents.plan import Plan
from toolchain.fleet.rollout.engine import Decision, advance
from toolchain.fleet.store import Store
from toolchain.fleet.store.rows import Kept

log = logging.getLogger("edgewright.fleet.mover")

#: Seconds between two refreshes of the online signatures, which are good for longer.
REFRESH = 3600.0


class Publisher(Protocol):
    """What the mover needs of :class:`toolchain.fleet.trust.repository.Repository`."""

    def plan(self, product: str, channel: str) -> Plan | None:
        """The channel's newest plan in the repository."""

    def set_plan(self, plan: Plan) -> None:
        """Sign and publish."""

    def refresh(self) -> None:
        """Sign timestamp and snapshot anew."""


class Mover:
    """Moves all rollouts of a fleet.

    Args:
        store: of the fleet.
        publisher: of the same fleet.
        clock: seconds since 1970.
        refresh: seconds between two refreshes of the online signatures.
    """

    def __init__(
        self, store: Store, publisher: Publisher, clock: Callable[[], float], refresh: float = REFRESH
    ) -> None:
        self._store, self._publisher, self._clock, self._every = store, publisher, clock, refresh
        self._refreshed = float("-inf")

    def step(self) -> list[Decision]:
        """Look once at every rollout; nothing if another process is at it.

        Raises:
            EdgewrightError: the database or the repository refuses; the next step goes on from there.
        """
        refused: list[EdgewrightError] = []
        with self._store.moving() as alone:
            if not alone:
                return []
            decisions = self._all(refused)
            if self._clock() - self._refreshed >= self._every:
                self._publisher.refresh()
                self._refreshed = self._clock()
        if refused:
            raise refused[0]
        return decisions

    def _all(self, refused: list[EdgewrightError]) -> list[Decision]:
        """Move all rollouts; if they cannot even be read, signatures are still renewed."""
        try:
            return [found for kept in self._store.rollouts() if (found := self._tried(kept, refused)) is not None]
        except EdgewrightError as error:
            refused.append(error)
            return []

    def _tried(self, kept: Kept, refused: list[EdgewrightError]) -> Decision | None:
        """Move one rollout; one that cannot be moved holds up neither the others nor the signatures."""
        try:
            return self._move(kept)
        except EdgewrightError as error:
            refused.append(error)
            return None

    def _move(self, kept: Kept) -> Decision:
        now = self._clock()
        if kept.published < kept.rollout.plan.sequence:
            publish(self._store, self._publisher, kept, kept.rollout.plan)
        decision = advance(kept.rollout, self._store.facts(*kept.channel), now)
        if self._store.decide(kept, decision, now) and decision.plan is not None:
            publish(self._store, self._publisher, kept, decision.plan)
            product, channel = kept.channel
            log.info("%s/%s: %s: %s", product, channel, decision.action, "; ".join(decision.why))
        return decision

    def run(self, stop: threading.Event, every: float) -> None:
        """Step until told to stop; ``every`` is in seconds. What is refused is logged and tried again."""
        while not stop.is_set():
            try:
                self.step()
            except EdgewrightError as error:
                log.warning("the rollouts were not moved: %s", " ".join(str(error).split()))
            stop.wait(every)


def publish(store: Store, publisher: Publisher, kept: Kept, plan: Plan) -> None:
    """Put a plan that was kept into the repository, if it is not there yet. Only under the store's lock.

    Raises:
        ConfigError: the repository has another plan of this sequence, or a newer one: the database is an old copy.
    """
    there = publisher.plan(plan.product, plan.channel)
    if there is None or there.sequence < plan.sequence:
        publisher.set_plan(plan)
    elif there != plan:
        raise ConfigError(
            f"the database does not know the newest plan of {plan.product} on {plan.channel}",
            seen=f"sequence {plan.sequence} here, {there.sequence} in the repository",
            next_step="edgewright fleet rollout start",
        )
    store.was_published(kept, plan.sequence)
