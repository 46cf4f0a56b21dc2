"""From rows to what the status page shows. Pure."""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

from toolchain.fleet.documents.plan import Plan, Wave
from toolchain.fleet.rollout.engine import advance, everyone
from toolchain.fleet.rollout.gates import gate
from toolchain.fleet.rollout.tally import Member, Tally, tallies
from toolchain.fleet.store import overview as view
from toolchain.fleet.store.rows import DecisionRow, DeviceRow, Kept

#: Seconds: who checked in within them is heard; whose clock is off by more has a wrong one.
HEARD, WRONG = 3600.0, 300.0
NO_WAVE = "(no wave)"
_COUNTS = ("devices", "committed", "underway", "waiting", "troubled", "held_up", "refused", "silent")


def overview(
    devices: Sequence[DeviceRow], rollouts: Sequence[tuple[Kept, Sequence[DecisionRow]]], now: float
) -> view.Overview:
    """Everything at one moment; ``rollouts`` with their decisions, both the newest first."""
    active = [each for each in devices if each.revoked is None]
    versions: dict[str, Counter[int]] = {}
    for each in active:
        versions.setdefault(each.product, Counter())[each.running] += 1
    return view.Overview(
        when=now,
        devices=len(active),
        revoked=len(devices) - len(active),
        heard=sum(each.seen >= now - HEARD for each in active),
        never=sum(not each.seen for each in active),
        wrong_clocks=sum(bool(each.seen) and abs(each.skew) > WRONG for each in active),
        versions={product: dict(sorted(count.items())) for product, count in sorted(versions.items())},
        rollouts=tuple(_rollout(kept, _of(active, kept.rollout.plan), rows, now) for kept, rows in rollouts),
    )


def _of(devices: Sequence[DeviceRow], plan: Plan) -> list[DeviceRow]:
    return [each for each in devices if (each.product, each.channel) == (plan.product, plan.channel)]


def _rollout(kept: Kept, devices: Sequence[DeviceRow], rows: Sequence[DecisionRow], now: float) -> view.RolloutView:
    rollout, plan = kept.rollout, kept.rollout.plan
    facts = [each.facts for each in devices]
    those = everyone(rollout, facts, now)
    mine = [each for each in devices if each.release == plan.release]
    return view.RolloutView(
        product=plan.product,
        channel=plan.channel,
        release=plan.release,
        state=plan.state,
        sequence=plan.sequence,
        published=kept.published >= plan.sequence,
        started=kept.started,
        waves=_waves(kept, those, now),
        latency=latency(plan, those),
        troubles=_troubles(plan, list(zip(those, devices, strict=True))),
        outliers=_outliers(plan, those),
        decisions=tuple(view.DecisionView(each.at, each.action, each.why, each.who, each.sequence) for each in rows),
        fetched=sum(each.fetched for each in mine),
        full=sum(each.full for each in mine),
        next_step="; ".join(advance(rollout, facts, now).why),
    )


def _waves(kept: Kept, members: Sequence[Member], now: float) -> tuple[view.WaveView, ...]:
    rollout, plan = kept.rollout, kept.rollout.plan
    counted = tallies(plan, members)
    missing = "; ".join(gate(rollout.policy, plan, counted, now - rollout.progress.opened))
    running = plan.state in ("running", "paused")
    shown = []
    for number, count in counted.items():
        if number is None and not count.devices:
            continue
        those = [each for each in members if each.wave == number]
        wave = None if number is None else plan.waves[number]
        is_open = number is not None and (plan.state == "complete" or number < plan.open_waves)
        turn = running and number is not None and number == plan.open_waves - 1
        shown.append(_wave(wave, count, latency(plan, those), is_open, missing if turn else ""))
    return tuple(shown)


def _wave(wave: Wave | None, count: Tally, times: view.Latency, is_open: bool, missing: str) -> view.WaveView:
    names = [each.name for each in dataclasses.fields(Tally) if each.name in _COUNTS]
    counts = {name: getattr(count, name) for name in names}
    return view.WaveView(wave.name if wave else NO_WAVE, who(wave), is_open, **counts, latency=times, gate=missing)


def who(wave: Wave | None) -> str:
    """Who belongs to a wave, in words."""
    if wave is None:
        return "everyone else"
    if wave.devices:
        return f"{len(wave.devices)} device{'s' if len(wave.devices) > 1 else ''}"
    return f"{wave.percent:g} % of all" if wave.percent else ", ".join(f"{k}={v}" for k, v in wave.labels.items())


def latency(plan: Plan, those: Sequence[Member]) -> view.Latency:
    """Quantiles of the devices that measured before and after."""
    pairs = [(each.facts.before, each.facts.after) for each in those if each.facts.change(plan) is not None]
    known = [(before, after) for before, after in pairs if before and after is not None]
    if not known:
        return view.Latency()
    return view.Latency(
        len(known),
        _quantiles([before for before, _ in known]),
        _quantiles([after for _, after in known]),
        _quantiles([after / before - 1 for before, after in known]),
    )


def _quantiles(values: Sequence[float]) -> tuple[float, ...]:
    """Interpolated between neighbours, as numpy's default."""
    if len(values) == 1:
        return tuple(values[0] for _ in view.QUANTILES)
    cuts = [min(values), *statistics.quantiles(values, n=100, method="inclusive"), max(values)]
    return tuple(cuts[percent] for percent in view.QUANTILES)


def _name(plan: Plan, number: int | None) -> str:
    return NO_WAVE if number is None else plan.waves[number].name


def _troubles(plan: Plan, pairs: Sequence[tuple[Member, DeviceRow]]) -> tuple[view.Trouble, ...]:
    found = [(each, row) for each, row in pairs if each.standing in ("troubled", "refused")]
    found.sort(key=lambda pair: -pair[1].seen)
    return tuple(
        view.Trouble(
            row.device, _name(plan, each.wave), row.release,
            "lost" if row.outcome in ("underway", "committed") else row.outcome, row.reason, row.detail, row.running,
            row.seen, row.before, row.after,
        )
        for each, row in found[: view.MOST_TROUBLES]
    )  # fmt: skip


def _outliers(plan: Plan, members: Sequence[Member]) -> tuple[view.Outlier, ...]:
    """Who changed the most; half of the devices are not outliers, however few they are."""
    changes: Mapping[str, tuple[float, Member]] = {
        each.facts.device: (change, each) for each in members if (change := each.facts.change(plan)) is not None
    }
    ranked = sorted(changes.values(), key=lambda pair: -pair[0])[: min(view.MOST_OUTLIERS, len(changes) // 2)]
    return tuple(
        view.Outlier(each.facts.device, _name(plan, each.wave), each.facts.before or 0.0, each.facts.after or 0.0)
        for _, each in ranked
    )
