"""Which candidate every layer gets under one budget: a multiple-choice knapsack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolchain.compress.lowrank.sites import Matrix

#: Costs are rounded up to so many steps of the budget: exact below, within 1 step per layer above.
STEPS = 4096
Costs = np.ndarray[Any, np.dtype[np.int64]]


def allocate(costs: Sequence[Costs], errors: Sequence[Matrix], budget: int) -> list[int] | None:
    """One candidate per layer with the least sum of errors at a sum of costs of at most ``budget``.

    Dynamic programming over the layers (Kellerer, Pferschy & Pisinger 2004, "Knapsack problems", section
    11.5): best(layer, b) = min over candidates of error + best(layer - 1, b - cost). Exact where the budget
    is at most :data:`STEPS`; else what rounding left unspent goes, step by step, to the candidate that saves most
    error per cost.

    Args:
        costs, errors: of every layer, (candidates,) each; costs are not negative.
        budget: in the unit of the costs.

    Returns:
        An index per layer, or None where even the cheapest candidates cost more.
    """
    if sum(int(cost.min()) for cost in costs) > budget:
        return None
    step = max(1, -(-budget // STEPS))
    scaled = [-(-cost // step) for cost in costs]
    room = budget // step
    fits = sum(int(cost.min()) for cost in scaled) <= room
    chosen = _table(scaled, errors, room) if fits else [int(cost.argmin()) for cost in costs]
    return _spend(costs, errors, chosen, budget) if step > 1 else chosen


def _table(costs: Sequence[Costs], errors: Sequence[Matrix], room: int) -> list[int]:
    """The exact answer for whole-numbered costs."""
    best = np.zeros(room + 1)
    picks = []
    for cost, error in zip(costs, errors, strict=True):
        value, pick = np.full(room + 1, np.inf), np.zeros(room + 1, np.int64)
        for index in np.flatnonzero(cost <= room):
            tried = best[: room + 1 - cost[index]] + error[index]
            reached = value[cost[index] :]
            better = tried < reached
            reached[better] = tried[better]
            pick[cost[index] :][better] = index
        best = value
        picks.append(pick)
    chosen: list[int] = []
    for pick, cost in zip(reversed(picks), reversed(costs), strict=True):
        chosen.append(int(pick[room]))
        room -= int(cost[chosen[-1]])
    return chosen[::-1]


def _spend(costs: Sequence[Costs], errors: Sequence[Matrix], chosen: list[int], budget: int) -> list[int]:
    """Better candidates for single layers while they fit."""
    chosen = list(chosen)
    left = budget - sum(int(cost[k]) for cost, k in zip(costs, chosen, strict=True))
    while True:
        gains = []
        for layer, (cost, error) in enumerate(zip(costs, errors, strict=True)):
            more, less = cost - cost[chosen[layer]], error[chosen[layer]] - error
            for index in np.flatnonzero((more <= left) & (less > 0)).tolist():
                gains.append((float(less[index]) / max(int(more[index]), 1), layer, index))
        if not gains:
            return chosen
        _, layer, index = max(gains)
        left -= int(costs[layer][index]) - int(costs[layer][chosen[layer]])
        chosen[layer] = index


def pareto(costs: Costs, errors: Matrix) -> Costs:
    """Indices of the candidates that no other one beats in both, by falling error."""
    order = np.lexsort((errors, costs))
    best = np.minimum.accumulate(errors[order])
    first = np.append(np.ones(min(len(order), 1), bool), errors[order][1:] < best[:-1])
    kept: Costs = order[first]
    return kept
