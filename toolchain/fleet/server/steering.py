"""What a person does to rollouts, under the mover's lock: start, pause, resume, abort, approve; and explain."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from collections.abc import Callable, Iterator, Sequence

from profiles.errors import ConfigError, UnreachableError
from toolchain.fleet.documents import strict
from toolchain.fleet.documents.plan import Plan, Window
from toolchain.fleet.rollout.acts import Drawn, act, waves_of
from toolchain.fleet.rollout.engine import Decision
from toolchain.fleet.rollout.explain import explain
from toolchain.fleet.rollout.policy import Policy
from toolchain.fleet.server.mover import Publisher, publish
from toolchain.fleet.store import Store
from toolchain.fleet.store.rows import Kept

#: Seconds to wait for a server that is just moving the rollouts.
WAIT = 30.0
#: Bytes by which a plan may grow in the course of its rollout.
ROOM = 1024


@dataclasses.dataclass(frozen=True)
class Wish:
    """A rollout as a person asks for it; see :class:`toolchain.fleet.documents.plan.Plan` for the fields.

    Attributes:
        waves: in order.
        soak: seconds on each device; the policy's is that of a wave.
        salt: what canaries are drawn with; empty is a new one.
    """

    product: str
    channel: str
    release: int
    waves: tuple[Drawn, ...]
    policy: Policy = dataclasses.field(default_factory=Policy)
    soak: float = 60.0
    windows: tuple[Window, ...] = ()
    most_slower: float | None = None
    salt: str = ""


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

    def start(self, wish: Wish, *, known: Sequence[int] | None = None, why: str = "") -> Plan:
        """Begin a rollout, which replaces the channel's one before; its first wave opens when the rollouts are moved.

        Args:
            wish: what to begin.
            known: versions that the repository has; None leaves that to others.
            why: for the log.

        Raises:
            ConfigError: there is no such release, or the wish makes no sense.
        """
        self._check_names(wish, known)
        now = self._clock()
        with self._alone():
            plan = self._plan(wish)
            if not self._store.begin(wish.policy, plan, why or f"version {wish.release}", self._who, now):
                raise _changed()
            publish(self._store, self._publisher, self._kept(wish.product, wish.channel), plan)
        return plan

    def check(self, wish: Wish, *, known: Sequence[int] | None = None) -> None:
        """Refuse what :meth:`start` would refuse, and change nothing: for acts that stop or sign something first.

        Raises:
            ConfigError: as :meth:`start`.
        """
        self._check_names(wish, known)
        self._plan(wish)

    @staticmethod
    def _check_names(wish: Wish, known: Sequence[int] | None) -> None:
        if known is not None and wish.release not in known:
            versions = ", ".join(str(each) for each in sorted(known)[-10:]) or "none"
            raise ConfigError(f"{wish.product} has no version {wish.release}", seen=versions, next_step="fleet publish")
        if unknown := sorted(set(wish.policy.approvals) - {each.name for each in wish.waves}):
            raise ConfigError("an approval is asked for a wave that is not there", seen=", ".join(unknown))

    def _plan(self, wish: Wish) -> Plan:
        before = self._store.rollout(wish.product, wish.channel)
        there = self._publisher.plan(wish.product, wish.channel)
        newest = max(before.rollout.plan.sequence if before else 0, there.sequence if there else 0)
        salt = wish.salt or secrets.token_hex(8)
        rows = [each for each in self._store.devices(wish.product, wish.channel) if each.revoked is None]
        _check_newer(wish, [each.facts.running for each in rows])
        waves = waves_of(wish.waves, [(each.device, each.labels) for each in rows], salt)
        try:
            plan = Plan(
                product=wish.product, channel=wish.channel, sequence=newest + 1, release=wish.release, state="running",
                salt=salt, waves=waves, open_waves=0, soak=wish.soak, windows=wish.windows,
                most_slower=wish.most_slower,
            )  # fmt: skip
        except ValueError as error:
            raise ConfigError("this rollout makes no sense", seen=str(error)) from error
        _check_size(plan)
        return plan

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

    def approve(self, product: str, channel: str, wave: str) -> None:
        """Agree that a wave opens.

        Raises:
            ConfigError: there is no such rollout or wave, or it needs no approval.
        """
        with self._alone():
            kept = self._kept(product, channel)
            if wave not in kept.rollout.policy.approvals:
                raise ConfigError(
                    f"wave '{wave[:80]}' waits for nobody's approval",
                    allowed=", ".join(kept.rollout.policy.approvals) or "none needs one",
                )
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
            raise ConfigError(
                f"there is no rollout of {product[:80]} on {channel[:80]}", next_step="edgewright fleet rollout start"
            )
        return kept

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._store.moving(WAIT) as alone:
            if not alone:
                raise UnreachableError("another process moves the rollouts and does not end", next_step="try again")
            yield


def _check_newer(wish: Wish, running: Sequence[int]) -> None:
    """A device never goes to a smaller version, so that nothing would happen, and the rollout would be complete."""
    if running and min(running) > wish.release:
        back = f"--product {wish.product} --channel {wish.channel} --to {wish.release}"
        raise ConfigError(
            f"all devices of {wish.product} on {wish.channel} run a newer version than {wish.release}",
            seen=f"version {min(running)} or more",
            allowed="a version that some device does not have yet",
            next_step=f"edgewright fleet rollback {back}",
        )


def _check_size(plan: Plan) -> None:
    size, most = len(strict.to_bytes(plan)), strict.MOST_BYTES - ROOM
    if size > most:
        raise ConfigError(
            "the plan of this rollout is too large for devices, because it names too many of them",
            seen=f"{size} bytes",
            allowed=f"{most} bytes",
            next_step="use a percentage in place of a number of devices",
        )


def _changed() -> ConfigError:
    return ConfigError("the rollout has changed meanwhile", next_step="look at it, and try again")
