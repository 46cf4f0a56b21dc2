"""What a person does to rollouts, under the mover's lock: start, pause, resume, abort, approve; and explain."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence

from profiles.errors import ConfigError, UnreachableError
from profiles.suggest import did_you_mean
from toolchain.fleet.documents.plan import Plan
from toolchain.fleet.rollout.acts import act
from toolchain.fleet.rollout.engine import Decision, Rollout, advance
from toolchain.fleet.rollout.explain import explain
from toolchain.fleet.server.mover import Publisher, publish
from toolchain.fleet.server.wishes import Wish, check_names, drafted, remarks
from toolchain.fleet.store import Store
from toolchain.fleet.store.rows import Kept

__all__ = ["WAIT", "Steering", "Wish"]

#: Seconds to wait for a server that is just moving the rollouts.
WAIT = 30.0


class Steering:
    """Steers the rollouts of a fleet.

    Args:
        store: of the fleet.
        publisher: of the same fleet.
        clock: seconds since 1970.
        who: the operator's name, for the log.
    """

    def __init__(self, store: Store, publisher: Publisher, clock: Callable[[], float], who: str) -> None:
        self._store, self._publisher, self._clock, self._who = store, publisher, clock, who

    def start(
        self,
        wish: Wish,
        *,
        known: Sequence[int] | None = None,
        whole: Callable[[], None] = lambda: None,
        why: str = "",
    ) -> Plan:
        """Begin a rollout, which replaces the channel's one before; its first wave opens when the rollouts are moved.

        Args:
            wish: what to begin.
            known: versions that the repository has; None leaves that to others.
            whole: raises ConfigError if the release cannot be fetched; asked when nobody can remove files of it.
            why: for the log.

        Raises:
            ConfigError: there is no such release, or the wish makes no sense.
        """
        check_names(wish, known)
        now = self._clock()
        with self._alone():
            whole()
            plan, said = self._plan(wish), [why or f"version {wish.release}", *self.remarks(wish)]
            if not self._store.begin(wish.policy, plan, "; ".join(said), self._who, now):
                raise _changed()
            publish(self._store, self._publisher, self._kept(wish.product, wish.channel), plan)
        return plan

    def check(self, wish: Wish, *, known: Sequence[int] | None = None) -> None:
        """Refuse what :meth:`start` would refuse, and change nothing: for acts that stop or sign something first.

        Raises:
            ConfigError: as :meth:`start`.
        """
        check_names(wish, known)
        self._plan(wish)

    def remarks(self, wish: Wish) -> tuple[str, ...]:
        """What a person should know who begins this; see :func:`toolchain.fleet.server.wishes.remarks`."""
        before = self._store.rollout(wish.product, wish.channel)
        devices = [each for each in self._store.devices(wish.product, wish.channel) if each.revoked is None]
        return remarks(wish, before.rollout.plan if before else None, len(devices))

    def _plan(self, wish: Wish) -> Plan:
        before = self._store.rollout(wish.product, wish.channel)
        there = self._publisher.plan(wish.product, wish.channel)
        newest = max(before.rollout.plan.sequence if before else 0, there.sequence if there else 0)
        return drafted(wish, self._store.devices(wish.product, wish.channel), newest)

    def act(self, product: str, channel: str, what: str, why: str = "") -> Plan:
        """``pause``, ``resume`` or ``abort``.

        Raises:
            ConfigError: there is no rollout, or its state does not allow it.
        """
        now = self._clock()
        with self._alone():
            kept = self._kept(product, channel)
            plan = act(kept.rollout.plan, what)
            progress = dataclasses.replace(kept.rollout.progress, met=None)
            if what == "resume":  # a wave waits anew for its silent devices, which could not begin meanwhile
                progress = dataclasses.replace(progress, opened=now)
            decision = Decision("none", plan, progress, (why or f"{what} by a person",))
            if not self._store.decide(kept, decision, now, action=what, who=self._who):
                raise _changed()
            publish(self._store, self._publisher, kept, plan)
        return plan

    def not_called_back(self, product: str, channel: str) -> tuple[str, ...]:
        """What devices do that had begun when a rollout was paused or aborted, in sentences; none if there are none.

        Raises:
            ConfigError: there is no such rollout.
        """
        kept = self._kept(product, channel)
        if kept.rollout.plan.state not in ("paused", "aborted"):
            return ()
        return advance(kept.rollout, self._store.facts(product, channel), self._clock()).why[1:]

    def approve(self, product: str, channel: str, wave: str) -> None:
        """Agree that a wave opens.

        Raises:
            ConfigError: there is no such rollout or wave, or it needs no approval, or that comes too late.
        """
        with self._alone():
            kept = self._kept(product, channel)
            _check_approval(kept.rollout, wave)
            self._store.approve(kept, wave, self._who, self._clock())

    def explain(self, device: str) -> list[str]:
        """Why a device installs or does not, in sentences.

        Raises:
            ConfigError: there is no such device, or no rollout for it.
        """
        rows = self._store.devices(device=device)
        if not device or not rows:
            raise ConfigError(f"there is no device '{device[:80]}'", next_step="edgewright fleet devices list")
        kept = self._kept(rows[0].product, rows[0].channel)
        if rows[0].revoked is not None:
            return ["this device is revoked: its reports are refused, and it counts in no wave"]
        return explain(kept.rollout, self._store.facts(*kept.channel), rows[0].facts, self._clock())

    def _kept(self, product: str, channel: str) -> Kept:
        kept = self._store.rollout(product, channel)
        if kept is None:
            known = ", ".join("/".join(each.channel) for each in self._store.rollouts())
            raise ConfigError(
                f"there is no rollout of {product[:80]} on {channel[:80]}",
                seen=f"rollouts of {known}" if known else "none at all",
                next_step="check --product and --channel, or: edgewright fleet rollout start",
            )
        return kept

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._store.moving(WAIT) as alone:
            if not alone:
                raise UnreachableError("another process moves the rollouts and does not end", next_step="try again")
            yield


def _check_approval(rollout: Rollout, wave: str) -> None:
    plan, asked = rollout.plan, rollout.policy.approvals
    if wave not in asked:
        raise ConfigError(
            f"wave '{wave[:80]}' waits for nobody's approval",
            allowed=", ".join(asked) or "none needs one",
            next_step=did_you_mean(wave, asked),
        )
    if plan.state in ("aborted", "complete"):
        raise ConfigError(f"wave '{wave}' does not open any more", seen=f"the rollout is {plan.state}")
    if wave in [each.name for each in plan.waves[: plan.open_waves]]:
        raise ConfigError(f"wave '{wave}' is open already", seen="it was approved before it opened")


def _changed() -> ConfigError:
    return ConfigError("the rollout has changed meanwhile", next_step="look at it, and try again")
