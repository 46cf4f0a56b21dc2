"""The page's sentences, and figures as text."""

from __future__ import annotations

import datetime

from profiles.units import format_quantity
from toolchain.fleet.store.overview import Latency, Overview, RolloutView, Trouble, WaveView
from toolchain.report.words import count, listing

#: The counts of a wave that its bar shows, in this order, with their titles.
PARTS = {
    "committed": "committed",
    "underway": "underway",
    "waiting": "waiting",
    "held_up": "held up",
    "silent": "silent",
    "refused": "nothing fits",
    "troubled": "went wrong",
}
MEANINGS = {
    "committed": "runs the release, checked and healthy",
    "underway": "downloads, checks or watches its health",
    "waiting": "has not begun",
    "held_up": "could not try: the network or a full disk",
    "silent": "not heard of for too long",
    "refused": "no bundle of the release fits the device",
    "troubled": "went back by itself, or failed",
}
#: State of a rollout to the tone of its chip and a word.
STATES = {
    "running": ("open", "under way"),
    "paused": ("open", "paused"),
    "aborted": ("missed", "stopped"),
    "complete": ("met", "complete"),
}
REASONS = {
    "": "no reason given",
    "trust": "signatures or freshness of the repository",
    "download": "the download",
    "files": "a file did not have its hash",
    "depends": "no bundle fits the device",
    "space": "no space on the disk",
    "build": "compiling on the device failed",
    "parity": "wrong numbers: the golden outputs differ",
    "budget": "over the budget",
    "slower": "slower than the release before",
    "health": "the health check failed",
    "crash": "it crashed",
    "internal": "a fault of the agent",
}
_SPANS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def latency(value: float | None) -> str:
    """``4.2 ms``, or a dash where nothing was measured."""
    return "–" if value is None else format_quantity(value, "s")


def change(value: float | None) -> str:
    """``+12 %``: how much slower; a dash where nothing was measured."""
    if value is None:
        return "–"
    return f"{'+' if value >= 0 else '−'}{abs(value) * 100:.{0 if abs(value) >= 0.1 else 1}f}\u00a0%"


def share(part: int, whole: int) -> str:
    """``25 %``; never 100 % nor 0 % by rounding alone."""
    if not whole:
        return "–"
    percent = 100 * part / whole
    if 0 < percent < 1 or 99 < percent < 100:
        return f"{'<' if percent < 1 else '>'} {1 if percent < 1 else 99}\u00a0%"
    return f"{percent:.0f}\u00a0%"


def moment(when: float) -> str:
    """``2031-05-04 12:30 UTC``; a dash for a time that never was."""
    if not 0 < when < 253402300800.0:
        return "–"
    return datetime.datetime.fromtimestamp(when, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def ago(when: float, now: float) -> str:
    """``5 min ago``."""
    past = max(0.0, now - when)
    size, unit = next(((size, unit) for size, unit in _SPANS if past >= size), _SPANS[-1])
    return f"{past / size:.0f} {unit} ago" if past >= 1 else "now"


def lead(overview: Overview) -> str:
    """What the page says first: what is wrong, or what goes on."""
    stopped = [each for each in overview.rollouts if each.state == "aborted"]
    going = [each for each in overview.rollouts if each.state in ("running", "paused")]
    if not overview.rollouts:
        return f"{count(overview.devices, 'device')}, and no rollout yet."
    if stopped:
        names = listing([f"version {each.release} of {each.product} on {each.channel}" for each in stopped])
        return f"Stopped: {names}."
    if going:
        return f"Under way: {listing([_progress(each) for each in going])}."
    return "All rollouts are complete."


def _progress(view: RolloutView) -> str:
    committed, all_of_them = sum(w.committed for w in view.waves), sum(w.devices for w in view.waves)
    return f"version {view.release} of {view.product} on {view.channel}, {share(committed, all_of_them)} of devices"


def because(view: RolloutView) -> str:
    """Why a rollout stands still: the newest decision that stopped it; empty for one that goes on."""
    if view.state not in ("paused", "aborted"):
        return ""
    found = [each for each in view.decisions if each.action in ("stop", "abort", "pause")]
    return max(found, key=lambda each: (each.when, each.sequence)).why if found else ""


def what_next(view: RolloutView) -> str:
    """What the rollout waits for, without the state that its chip shows already."""
    return view.next_step.removeprefix(f"the rollout is {view.state}").removeprefix("; ")


def wave_health(wave: WaveView) -> tuple[str, str]:
    """Tone and word for a wave."""
    if wave.troubled:
        return "missed", f"{wave.troubled} went wrong"
    if not wave.devices:
        return "none", "no devices"
    if not wave.open:
        return "none", "not open"
    if wave.committed == wave.devices:
        return "met", "healthy"
    return "open", "under way"


def savings(view: RolloutView) -> str:
    """What deltas saved; empty where nothing was fetched yet."""
    if not view.full:
        return ""
    whole, fetched = format_quantity(view.full, "B"), format_quantity(view.fetched, "B")
    if view.fetched >= view.full:
        return f"Devices fetched {fetched}; whole bundles are {whole}."
    return f"Devices fetched {fetched} instead of {whole}: deltas saved {share(view.full - view.fetched, view.full)}."


def speed(found: Latency) -> str:
    """The fleet's latency before and after, as one sentence."""
    if not found.devices:
        return "No device has measured both releases yet."
    middle = len(found.before) // 2
    return (
        f"Median across {count(found.devices, 'device')}: {latency(found.before[middle])} before, "
        f"{latency(found.after[middle])} after; the median device changed by {change(found.median_change)}."
    )


def causes(troubles: tuple[Trouble, ...]) -> list[tuple[str, int]]:
    """Reasons with how often each occurs, the most frequent first."""
    found: dict[str, int] = {}
    for each in troubles:
        text = REASONS.get(each.reason, each.reason)
        found[text] = found.get(text, 0) + 1
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))
