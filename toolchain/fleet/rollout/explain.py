"""Why a device installs, or does not, in sentences. Pure; the first sentence says what the device itself finds."""

from __future__ import annotations

from collections.abc import Sequence

from toolchain.fleet.rollout.engine import Decision, Rollout, advance
from toolchain.fleet.rollout.facts import Facts, standing
from toolchain.fleet.rollout.membership import Verdict, draw, verdict

_STANDS = {
    "committed": "it runs version {running}, which this rollout asks for or more",
    "underway": "it has begun: {stage}",
    "waiting": "it has not begun",
    "troubled": "it counts against the release: {outcome}{because} ({stage})",
    "held-up": "it could not try yet, which does not count against the release: {reason}",
    "refused": "no bundle of the release fits it; it does not count",
    "silent": "it has not checked in for {away:.0f} s, longer than the {silent:.0f} s after which a device is silent",
}


def explain(rollout: Rollout, facts: Sequence[Facts], device: Facts, now: float) -> list[str]:
    """Whether the device may install now, its wave and how it was found, where it stands, what the rollout does next.

    Args:
        rollout: where it stands.
        facts: of every device of the channel that is not revoked, this one included.
        device: the one that is asked about.
        now: seconds since 1970.
    """
    found = verdict(rollout.plan, device.device, device.labels, device.running, now)
    return [
        f"{'may install' if found.may else 'may not install'}: {found.why}",
        _belongs(rollout, device, found),
        _stands(rollout, device, now),
        *_next(advance(rollout, facts, now)),
    ]


def _belongs(rollout: Rollout, device: Facts, found: Verdict) -> str:
    drawn = draw(rollout.plan.salt, device.device)
    if found.wave is None:
        return f"wave: none; its draw is {drawn:.2f} of 100, and no wave names it or its labels"
    wave = rollout.plan.waves[found.wave]
    by = "it is named"
    if wave.percent:
        by = f"its draw {drawn:.2f} is below {wave.percent:g}"
    elif wave.labels:
        by = "its labels are " + ", ".join(f"{key}={value}" for key, value in wave.labels.items())
    return f"wave: '{wave.name}', number {found.wave + 1} of {len(rollout.plan.waves)}: {by}"


def _stands(rollout: Rollout, device: Facts, now: float) -> str:
    policy = rollout.policy
    found = standing(rollout.plan, rollout.progress.first, device, now - policy.silent)
    if found == "silent" and not device.seen:
        return "stands: it has never checked in"
    words = _STANDS[found].format(
        running=device.running, stage=device.stage, outcome=device.outcome, reason=device.reason,
        because=f" because of {device.reason}" if device.reason else "", away=now - device.seen, silent=policy.silent,
    )  # fmt: skip
    return f"stands: {words}"


def _next(decision: Decision) -> list[str]:
    return [f"rollout, {decision.action}: {sentence}" for sentence in decision.why]
