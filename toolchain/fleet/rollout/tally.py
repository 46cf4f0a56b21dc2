"""The devices of a wave, counted. Pure."""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

from toolchain.fleet.documents.plan import Plan
from toolchain.fleet.rollout.facts import Facts, Standing, standing, vanished
from toolchain.fleet.rollout.membership import wave_of


@dataclasses.dataclass(frozen=True)
class Member:
    """A device in a rollout.

    Attributes:
        wave: number of its wave; None is none.
        vanished: it has committed and is silent.
        gone: it was silent already when the rollout began, and is still.
    """

    facts: Facts
    wave: int | None
    standing: Standing
    vanished: bool = False
    gone: bool = False


@dataclasses.dataclass(frozen=True)
class Tally:
    """One wave.

    Attributes:
        devices: how many belong to it.
        committed, underway, waiting, troubled, held_up, refused, silent: as in
            :class:`toolchain.fleet.store.overview.WaveView`; they add up to ``devices``.
        parity: the troubled ones that computed other numbers.
        slower: median of ``after / before - 1``; None if nothing was measured.
        lost: the troubled ones that fell silent in the middle; the others said what went wrong.
        vanished: the committed ones that are silent.
        gone: the silent and vanished ones that were silent already when the rollout began.
    """

    devices: int
    committed: int
    underway: int
    waiting: int
    troubled: int
    held_up: int
    refused: int
    silent: int
    parity: int
    slower: float | None
    lost: int = 0
    vanished: int = 0
    gone: int = 0

    @property
    def heard(self) -> int:
        """Devices that have committed and are heard of: silence proves nothing."""
        return self.committed - self.vanished

    @property
    def reachable(self) -> int:
        """Devices that the release concerns and that are heard of."""
        return self.devices - self.refused - self.silent


def members(
    plan: Plan, first: int, facts: Iterable[Facts], silent_since: float, gone_since: float = 0.0
) -> list[Member]:
    """Every device with its wave and where it stands; see :func:`toolchain.fleet.rollout.facts.standing`.

    Args:
        gone_since: who was heard last before this time was silent already when the rollout began.
    """
    found = []
    for each in facts:
        stands, quiet = standing(plan, first, each, silent_since), vanished(plan, each, silent_since)
        gone = (quiet or stands == "silent") and each.seen < gone_since
        found.append(Member(each, wave_of(plan, each.device, each.labels), stands, quiet, gone))
    return found


def tally(plan: Plan, those: Sequence[Member]) -> Tally:
    """Count members, which are usually of one wave."""
    count = Counter(each.standing for each in those)
    changes = [change for each in those if (change := each.facts.change(plan)) is not None]
    return Tally(
        devices=len(those),
        committed=count["committed"],
        underway=count["underway"],
        waiting=count["waiting"],
        troubled=count["troubled"],
        held_up=count["held-up"],
        refused=count["refused"],
        silent=count["silent"],
        parity=sum(each.standing == "troubled" and each.facts.reason == "parity" for each in those),
        slower=statistics.median(changes) if changes else None,
        lost=sum(each.standing == "troubled" and each.facts.outcome in ("underway", "committed") for each in those),
        vanished=sum(each.vanished for each in those),
        gone=sum(each.gone for each in those),
    )


def tallies(plan: Plan, everyone: Iterable[Member]) -> dict[int | None, Tally]:
    """By wave; every wave is there, and None for the devices that are in none."""
    groups: dict[int | None, list[Member]] = {number: [] for number in (*range(len(plan.waves)), None)}
    for each in everyone:
        groups[each.wave].append(each)
    return {number: tally(plan, those) for number, those in groups.items()}
