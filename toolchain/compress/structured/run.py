"""Prune by a criterion: score, choose, remove, recover; in one round or several."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from profiles.errors import UnsupportedError
from toolchain.compress.context import Context
from toolchain.compress.goals import Goal, cost, limit
from toolchain.compress.passes import Outcome
from toolchain.compress.structured.criterion import Criterion
from toolchain.compress.structured.groups import Pruner
from toolchain.compress.structured.search import Drop, drop_for, multiple, open_pruner, round_to
from toolchain.compress.structured.select import Room, Scores, choose
from toolchain.project.recipe import Prune, StepOptions

#: Layers that are named in a note at most.
_SHOWN = 8


def prune_by(criterion: Criterion, model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Remove the channels that a criterion scores lowest, until the goal is reached.

    In round r of R, the share of channels that are gone is r / R of the goal's ratio; of a goal in parameters,
    MACs, bytes or seconds, c (goal / c)^(r / R) of the starting cost c may be left. Every round scores anew and
    gets its part of ``epochs`` to recover in.

    Args:
        criterion: what scores channels.
        model: changed in place.
        options: of the step.
        context: around it.

    Raises:
        DataError: the criterion or the recovery needs data, and there is none.
        ModelError: nothing can be pruned, or the result does not compute what it should.
        UnsupportedError: the goal lies below what the structure allows, or nothing at all can be removed.
    """
    assert isinstance(options, Prune)
    pruner = open_pruner(model, options, context)
    job = Job(criterion, options, context, pruner)
    goals = _round_goals(options.goal(), options.rounds, model, context)
    notes = criterion.train(model, pruner.groups, options, context)
    for number, goal in enumerate(goals):
        model = job.round(model, goal)
        epochs = options.epochs * (number + 1) // len(goals) - options.epochs * number // len(goals)
        context.fit(model, f"the method '{options.method}', round {number + 1}", epochs=epochs, lr=options.lr)
    return job.outcome(model, notes)


class Job:
    """The rounds of one step, from what its first pruner finds.

    Attributes:
        before: channels of every group at the start.
        left: channels that are left.
        still: groups and layers that stay as they are, and why.
    """

    def __init__(self, criterion: Criterion, options: Prune, context: Context, pruner: Pruner) -> None:
        self.criterion, self.options, self.context = criterion, options, context
        self.before = {group.name: group.channels for group in pruner.groups}
        self.left = dict(self.before)
        self._fixed = dict(pruner.left_out)
        self.still = dict(self._fixed)

    def round(self, model: torch.nn.Module, goal: Goal) -> torch.nn.Module:
        """One round: the model, in place, with fewer channels."""
        pruner = open_pruner(model, self.options, self.context)
        scores = self.criterion.score(model, pruner.groups, self.options, self.context)
        drop = self.plan(model, pruner, scores, goal)
        self.criterion.adjust(model, pruner.groups, drop, self.options, self.context)
        return self.remove(model, drop)

    def remove(self, model: torch.nn.Module, drop: Mapping[str, Sequence[int]]) -> torch.nn.Module:
        """The model, in place, without these channels."""
        for name, channels in drop.items():
            self.left[name] -= len(channels)
        return open_pruner(model, self.options, self.context).remove(drop) if drop else model

    def plan(self, model: torch.nn.Module, pruner: Pruner, scores: Scores, goal: Goal) -> Drop:
        """The channels that must go to reach a goal; the model stays as it is."""
        if not scores:
            raise UnsupportedError(
                f"wanted groups of channels that the method '{self.options.method}' can score",
                seen=f"none of {len(pruner.groups)} groups",
                next_step="choose another method; see: edgewright methods --step prune",
            )
        rooms = self.rooms(pruner)
        full = {name: "its limits leave no room" for name, room in rooms.items() if not room.rounded(room.most)}
        unknown = {name: "the method has no score for it" for name in rooms if name not in scores}
        self.still = {**self._fixed, **full, **unknown}
        if goal.kind == "ratio":
            return self._choose(scores, rooms, goal.amount)
        return drop_for(model, lambda share: self._choose(scores, rooms, share), goal, self.options, self.context)

    def rooms(self, pruner: Pruner) -> dict[str, Room]:
        """How far each group can still go; the cap counts from what the step started with."""
        rooms = {}
        for group in pruner.groups:
            before = self.before.get(group.name, group.channels)
            most = math.floor(self.options.cap * before + 1e-9) - (before - group.channels)
            most = max(0, min(pruner.allowed(group), most))
            rooms[group.name] = Room(before, group.channels, most, multiple(group, self.options, self.context))
        return rooms

    def outcome(self, model: torch.nn.Module, notes: Sequence[str] = ()) -> Outcome:
        """The model with facts about its groups.

        Raises:
            UnsupportedError: nothing was removed.
        """
        gone = sum(self.before.values()) - sum(self.left.values())
        if not gone and self.options.goal().kind == "ratio":
            raise UnsupportedError(
                f"wanted to remove channels with the method '{self.options.method}'",
                seen=f"none can go from {len(self.before)} groups with cap = {self.options.cap:g}, "
                f"round_to = {round_to(self.options, self.context)} and the goal as it is",
                next_step="ask for more, raise cap, or lower round_to",
            )
        facts: dict[str, Any] = {
            "groups": len(self.before),
            "channels": [[name, before, self.left[name]] for name, before in self.before.items()],
            "kept": round(1 - gone / sum(self.before.values()), 4),
        }
        return Outcome(model, facts, (*notes, *self._left_out()))

    def _left_out(self) -> list[str]:
        reasons = [f"'{name}' ({why})" for name, why in self.still.items()]
        more = f" and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
        return [f"left as they are: {', '.join(reasons[:_SHOWN])}{more}"] if reasons else []

    def _choose(self, scores: Scores, rooms: Mapping[str, Room], share: float) -> Drop:
        everywhere = (self.criterion.scope or self.options.scope) == "global"
        return choose(scores, rooms, share, everywhere=everywhere, comparable=self.criterion.comparable)


def _round_goals(goal: Goal, rounds: int, model: torch.nn.Module, context: Context) -> list[Goal]:
    """The goal of every round; see :func:`prune_by`."""
    shares = [number / rounds for number in range(1, rounds + 1)]
    if goal.kind == "ratio":
        return [dataclasses.replace(goal, amount=goal.amount * share) for share in shares]
    start = cost(model, goal, context)
    end = limit(goal, start)
    amounts = [*(start * (end / start) ** share for share in shares[:-1]), end]  # the last one without rounding
    return [dataclasses.replace(goal, amount=amount, relative=False) for amount in amounts]
