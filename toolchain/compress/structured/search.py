"""Pruners within a step's limits, and pruned copies to look at."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from toolchain.compress.context import Context
from toolchain.compress.excluded import excluded
from toolchain.compress.goals import Goal, reach
from toolchain.compress.structured.groups import Pruner
from toolchain.compress.structured.groups_build import retraced
from toolchain.compress.structured.groups_cut import apply
from toolchain.project.recipe import Prune

if TYPE_CHECKING:
    from toolchain.compress.structured.groups import Group

#: Channels that go, by the name of their group.
Drop = dict[str, list[int]]


def open_pruner(model: torch.nn.Module, options: Prune, context: Context) -> Pruner:
    """The groups of a model, within the step's limits.

    Raises:
        ConfigError: a pattern of ``exclude`` that fits no layer.
        ModelError: nothing can be pruned.
    """
    stay, multiple_of = sorted(excluded(model, options.exclude)), round_to(options, context)
    return Pruner(model, context.tensors(), exclude=stay, cap=options.cap, round_to=multiple_of)


class Copies:
    """Pruned copies of a model to look at: made from one trace, and not checked. The model must have had a Pruner."""

    def __init__(self, model: torch.nn.Module, options: Prune, context: Context) -> None:
        self._model = model
        self._built = retraced(model, context.tensors(), sorted(excluded(model, options.exclude)))
        self._roots = {unit.name: unit.roots for unit in self._built.units}

    def without(self, drop: Mapping[str, Sequence[int]]) -> torch.nn.Module:
        """A copy without these channels."""
        thin = copy.deepcopy(self._model)
        gone = {self._roots[name][channel] for name, channels in drop.items() for channel in channels}
        apply(thin, self._built.plan(gone))
        return thin


class Search:
    """Makes pruned copies for :func:`toolchain.compress.goals.reach`, and remembers what went from each."""

    def __init__(self, copies: Copies, drop_at: Callable[[float], Drop]) -> None:
        self._copies, self._drop_at = copies, drop_at
        self._last: list[torch.nn.Module] = []
        self.drops: dict[int, Drop] = {}

    def __call__(self, share: float) -> torch.nn.Module:
        """A copy at this share; the one of before where nothing else goes."""
        drop = self._drop_at(share)
        for made in self._last:
            if self.drops[id(made)] == drop:
                return made
        made = self._copies.without(drop)
        self.drops[id(made)] = drop
        self._last = [*self._last[-1:], made]
        return made


def drop_for(
    model: torch.nn.Module, drop_at: Callable[[float], Drop], goal: Goal, options: Prune, context: Context
) -> Drop:
    """The least of the drops by share, 0 to 1, that reaches a goal; the model stays as it is.

    Raises:
        UnsupportedError: even a share of 1 costs more; the reachable minimum is named.
    """
    search = Search(Copies(model, options, context), drop_at)
    return search.drops[id(reach(search, model, goal, context))]


def pruned_copy(
    model: torch.nn.Module, drop: Mapping[str, Sequence[int]], options: Prune, context: Context
) -> torch.nn.Module:
    """A copy without these channels, checked."""
    thin = copy.deepcopy(model)
    return open_pruner(thin, options, context).remove(drop) if drop else thin


def multiple(group: Group, options: Prune, context: Context) -> int:
    """What a group's number of units must be a multiple of, so that its layers' channels are one of ``round_to``."""
    wanted = round_to(options, context)
    repeat = next((member.index.shape[1] for member in group.members if member.axis == "out"), 1)
    return wanted // math.gcd(wanted, repeat)


def round_to(options: Prune, context: Context) -> int:
    """What channel counts are a multiple of: the step's word, else what the device's kernels like."""
    return options.round_to or context.round_to
