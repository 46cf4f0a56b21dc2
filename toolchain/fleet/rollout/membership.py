"""Which wave a device belongs to, and whether it may install now. Pure; agent and server ask the same functions.

Travels to the device: the standard library only.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
from collections.abc import Mapping

from toolchain.fleet.documents.plan import DAYS, Plan, Window


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether a device may install the plan's release now.

    Attributes:
        may: it may.
        why: a sentence, for ``rollout explain`` and the agent's log.
        wave: number of its wave, from 0; None if it is in none.
    """

    may: bool
    why: str
    wave: int | None = None


def draw(salt: str, device: str) -> float:
    """A number from 0 to below 100 that never changes for a device and a salt: SHA-256's first 64 bits."""
    digest = hashlib.sha256(f"{salt}\0{device}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * 100


def wave_of(plan: Plan, device: str, labels: Mapping[str, str]) -> int | None:
    """The first wave that the device belongs to; None if it belongs to none."""
    drawn = draw(plan.salt, device)
    for number, wave in enumerate(plan.waves):
        if (
            (wave.percent and drawn < wave.percent)
            or device in wave.devices
            or (wave.labels and all(labels.get(key) == value for key, value in wave.labels.items()))
        ):
            return number
    return None


def verdict(plan: Plan, device: str, labels: Mapping[str, str], running: int, now: float) -> Verdict:
    """Whether it may begin to install; ``running`` is the committed version, ``now`` seconds since 1970, UTC."""
    wave = wave_of(plan, device, labels)
    if running >= plan.release:
        return Verdict(False, f"version {running} runs already, the plan asks for {plan.release}", wave)
    if plan.state in ("paused", "aborted"):
        return Verdict(False, f"the rollout of version {plan.release} is {plan.state}", wave)
    if wave is None:
        return Verdict(False, "this device is in none of the waves", wave)
    if plan.state != "complete" and wave >= plan.open_waves:
        return Verdict(False, f"wave '{plan.waves[wave].name}' is not open yet", wave)
    if plan.windows and not any(within(window, now) for window in plan.windows):
        return Verdict(False, "it is outside of the maintenance windows", wave)
    return Verdict(True, f"wave '{plan.waves[wave].name}' is open for version {plan.release}", wave)


def within(window: Window, now: float) -> bool:
    """Whether a time (seconds since 1970, UTC) lies in a window; ``until`` itself does not."""
    moment = datetime.datetime.fromtimestamp(now, datetime.timezone.utc)
    minute, today = moment.hour * 60 + moment.minute, moment.weekday()
    since, until = (int(text[:2]) * 60 + int(text[3:]) for text in (window.since, window.until))
    if since < until:
        return since <= minute < until and _on(window, today)
    return (minute >= since and _on(window, today)) or (minute < until and _on(window, (today - 1) % 7))


def _on(window: Window, day: int) -> bool:
    return not window.days or DAYS[day] in window.days
