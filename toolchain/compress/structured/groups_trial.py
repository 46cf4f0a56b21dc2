"""Trial prunings: groups that cannot be pruned equivalently are found before anybody asks for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch

from toolchain.compress.structured.equivalence import check
from toolchain.compress.structured.groups_build import Built, Unit

_SEED = 0


@dataclasses.dataclass(frozen=True)
class Tried:
    """Groups that passed, and the others with what was wrong."""

    units: tuple[Unit, ...]
    left_out: tuple[tuple[str, str], ...] = ()


def trial(model: torch.nn.Module, inputs: tuple[torch.Tensor, ...], built: Built, most: Callable[[Unit], int]) -> Tried:
    """Prune copies by random channels: all groups at once; where that fails, halves of them, to find the bad ones.

    Args:
        model, inputs: see :func:`~toolchain.compress.structured.equivalence.check`.
        built: its groups.
        most: how many of a group's channels may go.
    """
    generator = np.random.default_rng(_SEED)
    gone = {}
    for unit in built.units:
        count = len(unit.roots)
        some = int(generator.integers(1, max(2, min(count - 1, max(most(unit), 1)) + 1)))
        gone[unit.name] = [unit.roots[i] for i in generator.permutation(count)[:some]]

    def problem(units: list[Unit]) -> str:
        roots = {root for unit in units for root in gone[unit.name]}
        return check(model, inputs, built.plan(roots), built.zeros(roots)).problem

    good, bad = list(built.units), list[tuple[str, str]]()
    while good and (found := problem(good)):
        unit, found = _culprit(good, found, problem)
        good.remove(unit)
        bad.append((unit.name, f"pruning it does not equal masking it: {found}"))
    return Tried(tuple(good), tuple(bad))


def _culprit(units: list[Unit], found: str, problem: Callable[[list[Unit]], str]) -> tuple[Unit, str]:
    """One group without which the rest fails less."""
    while len(units) > 1:
        half = units[: len(units) // 2]
        wrong = problem(half)
        if wrong:
            units, found = half, wrong
            continue
        other = units[len(units) // 2 :]
        wrong = problem(other)
        units, found = other, wrong or found
    return units[0], found
