"""Overviews as a store would give them, drawn from a fixed seed."""

from __future__ import annotations

import dataclasses
import random

import numpy as np

from toolchain.fleet.store.overview import (
    QUANTILES,
    DecisionView,
    Latency,
    Outlier,
    Overview,
    RolloutView,
    Trouble,
    WaveView,
)  # fmt: skip

NOW = 1_900_000_000.0


def latency(devices: int, slower: float, seed: int) -> Latency:
    if not devices:
        return Latency()
    random_ = np.random.default_rng(seed)
    before = 4.1e-3 * random_.lognormal(0.0, 0.12, devices)
    after = before * (1 + slower) * random_.lognormal(0.0, 0.04, devices)
    each = [tuple(float(v) for v in np.percentile(x, QUANTILES)) for x in (before, after, after / before - 1)]
    return Latency(devices, *each)


def wave(
    name: str, who: str, devices: int, *, opened: bool = True, gate: str = "", slower: float = -0.08, **counts: int
):
    parts = {"committed": 0, "underway": 0, "troubled": 0, "held_up": 0, "refused": 0, "silent": 0, **counts}
    waiting = devices - sum(parts.values())
    measured = parts["committed"] + parts["troubled"]
    found = latency(measured, slower, devices)
    return WaveView(name, who, opened, devices, waiting=waiting, latency=found, gate=gate, **parts)


def going() -> RolloutView:
    """A rollout that is half-way and well."""
    waves = (
        wave("canary", "3 devices", 3, committed=3),
        wave("early", "10 % of all", 41, committed=38, underway=2, silent=1),
        wave("half", "50 % of all", 168, committed=51, underway=37, held_up=4, refused=2,
             gate="51 of 168 devices have committed; 95 % must"),
        wave("everyone", "100 % of all", 204, opened=False),
    )  # fmt: skip
    outliers = tuple(Outlier(f"cam-{n:04}", "half", 4.1e-3, 4.1e-3 * (1.4 - n / 60)) for n in range(12))
    decisions = (
        DecisionView(NOW - 900, "open", "wave 'early' is healthy: 38 of 41 devices have committed", "", 4),
        DecisionView(NOW - 5400, "open", "wave 'canary' is healthy: 3 of 3 devices have committed", "", 3),
        DecisionView(NOW - 9000, "start", "version 12 in 4 waves", "maria", 2),
    )
    return RolloutView(
        "camera", "stable", 12, "running", 4, True, NOW - 9000, waves, latency(92, -0.08, 1), (), outliers, decisions,
        fetched=310_000_000, full=1_920_000_000, next_step="95 % of wave 'half' must commit before 'everyone' opens",
    )  # fmt: skip


def stopped() -> RolloutView:
    """A rollout that was stopped at the canary."""
    random_ = random.Random(3)
    troubles = tuple(
        Trouble(
            f"gate-{n:03}", "canary", 31, "rolled-back", reason, detail, 30, NOW - 60 * random_.random() * 9,
            4.2e-3, after,
        )
        for n, (reason, detail, after) in enumerate([
            ("parity", "output 'scores' differs by 0.31, allowed 0.0002", None),
            ("parity", "output 'scores' differs by 0.29, allowed 0.0002", None),
            ("slower", "median 19.3 ms, before 4.2 ms, allowed 4.6 ms", 19.3e-3),
            ("health", "<script>alert('no')</script> ended with 1", 4.3e-3),
        ])
    )  # fmt: skip
    waves = (
        wave("canary", "5 % of all", 6, committed=1, troubled=4, underway=1, slower=3.4, gate="the rollout is stopped"),
        wave("everyone", "100 % of all", 112, opened=False),
    )
    decisions = (
        DecisionView(NOW - 120, "stop", "4 of 6 devices of wave 'canary' went wrong; 1 is allowed", "", 9),
        DecisionView(NOW - 700, "start", "version 31 in 2 waves", "jo", 8),
    )
    return RolloutView(
        "gate-counter", "beta", 31, "aborted", 9, False, NOW - 700, waves, latency(5, 3.4, 4), troubles, (), decisions,
        fetched=41_000_000, full=40_000_000, next_step="publish a release that is right, or repeat version 30",
    )  # fmt: skip


def overview(*rollouts: RolloutView) -> Overview:
    versions = {"camera": {12: 92, 11: 312, 10: 9, 0: 3}, "gate-counter": {30: 117, 31: 1}}
    return Overview(NOW, 534, 4, 521, 3, 2, versions, rollouts or (going(), stopped()))


def empty() -> Overview:
    return Overview(NOW, 0, 0, 0, 0, 0, {}, ())


def crowded() -> Overview:
    """As many troubles and waves as there can be, with long names."""
    view = stopped()
    troubles = tuple(
        dataclasses.replace(view.troubles[n % 4], device=f"{'d' * 55}-{n:04}", detail="x" * 1000) for n in range(200)
    )
    waves = tuple(dataclasses.replace(view.waves[0], name=f"{'w' * 60}-{n}") for n in range(20))
    return overview(dataclasses.replace(view, troubles=troubles, waves=waves, product="p" * 64))
