"""A rollout as a person asks for it, and the plan that becomes of it."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Sequence

from profiles.errors import ConfigError
from profiles.suggest import did_you_mean
from toolchain.fleet.documents import strict
from toolchain.fleet.documents.plan import Plan, Window
from toolchain.fleet.rollout.acts import Drawn, waves_of
from toolchain.fleet.rollout.policy import Policy
from toolchain.fleet.store.rows import DeviceRow

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


def check_names(wish: Wish, known: Sequence[int] | None) -> None:
    """Refuse a version that is not among the known ones, and approvals of waves that are not there.

    Raises:
        ConfigError: such a one.
    """
    if known is not None and wish.release not in known:
        versions = ", ".join(str(each) for each in sorted(known)[-10:]) or "none"
        raise ConfigError(f"{wish.product} has no version {wish.release}", seen=versions, next_step="fleet publish")
    names = [each.name for each in wish.waves]
    if unknown := sorted(set(wish.policy.approvals) - set(names)):
        raise ConfigError(
            "an approval is asked for a wave that is not there",
            seen=", ".join(unknown),
            allowed=", ".join(names),
            next_step=did_you_mean(unknown[0], names),
        )


def drafted(wish: Wish, devices: Sequence[DeviceRow], newest: int) -> Plan:
    """The first plan of a rollout.

    Args:
        devices: of the channel, revoked ones too.
        newest: the largest sequence that the channel has had.

    Raises:
        ConfigError: the wish makes no sense for these devices.
    """
    salt = wish.salt or secrets.token_hex(8)
    rows = [each for each in devices if each.revoked is None]
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


def remarks(wish: Wish, before: Plan | None, devices: int) -> tuple[str, ...]:
    """What a person should know who begins this; none of it is wrong.

    Args:
        before: the channel's plan as it is; None is none yet.
        devices: how many the channel has.
    """
    found = []
    if before is not None and before.state in ("running", "paused"):
        far = f"{before.open_waves} of {len(before.waves)} waves open"
        found.append(f"it replaces the rollout of version {before.release}, which was {before.state} with {far}")
    if not devices:
        found.append(f"no device of {wish.product} is on the channel {wish.channel} so far")
    if not any(wave.percent >= 100 for wave in wish.waves):
        found.append("no wave has 100%: devices that are in none of the waves stay as they are")
    return tuple(found)
