"""Why a device installs, or does not, in sentences. Pure; the first sentence says what the device itself finds."""

from __future__ import annotations

from collections.abc import Sequence

from toolchain.fleet.rollout.engine import Decision, Rollout, advance
from toolchain.fleet.rollout.facts import Facts, Standing, standing, vanished
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
_WAITS = {
    True: "it was silent already when the rollout began: its wave waits for it {timeout:.0f} s at most",
    False: "it fell silent since the rollout began: its wave counts it as not committed until it is heard of again",
}
#: What an abort, a stop by the engine, or a pause means for a device that has begun. It learns of it from the plan,
#: which it looks at before it begins, and not again before it is through.
_STOPPED = {
    "committed": "it keeps what it has committed: only 'edgewright fleet rollback' brings an older release",
    "underway": "it is not called back: it commits if it stays healthy for its soak of {soak:g} s, else it goes back",
    "fetching": "it gives up when it looks at the plan next; if it has begun again already, it goes on to the end",
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
    words = [_STANDS[found] if device.seen or found != "silent" else "it has never checked in"]
    quiet = vanished(rollout.plan, device, now - policy.silent)
    if quiet:
        words.append(_STANDS["silent"])
    if quiet or found == "silent":
        words.append(_WAITS[device.seen < rollout.progress.began - policy.silent])
    if rollout.plan.state in ("paused", "aborted") and (stopped := _stopped(rollout, device, found)):
        words.append(_STOPPED[stopped])
    return "stands: " + "; ".join(words).format(
        running=device.running, stage=device.stage, outcome=device.outcome, reason=device.reason,
        because=f" because of {device.reason}" if device.reason else "", away=now - device.seen, silent=policy.silent,
        timeout=policy.timeout, soak=rollout.plan.soak,
    )  # fmt: skip


def _stopped(rollout: Rollout, device: Facts, found: Standing) -> str:
    """The key of :data:`_STOPPED`; empty for a device that the stop keeps from beginning, or that is through."""
    if found == "committed":
        return "committed" if device.running == rollout.plan.release else ""
    if found not in ("underway", "held-up") or device.outcome != "underway":
        return ""
    return "fetching" if device.stage in ("fetching", "staged") else "underway"


def _next(decision: Decision) -> list[str]:
    return [f"rollout, {decision.action}: {sentence}" for sentence in decision.why]
