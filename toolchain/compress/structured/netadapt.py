"""NetAdapt: prune towards a measured latency, one layer per iteration.

Yang, Howard, Chen, Zhang, Go, Sandler, Sze & Adam 2018, "NetAdapt: Platform-Aware Neural Network Adaptation for
Mobile Applications", arXiv:1804.03230.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from profiles.errors import ModelError, UnsupportedError
from profiles.runner import Array
from toolchain.compress.context import Context
from toolchain.compress.goals import UNITS, Goal, cost, limit, told
from toolchain.compress.passes import Outcome
from toolchain.compress.structured.criterion import ByGroup
from toolchain.compress.structured.gradients import losses
from toolchain.compress.structured.norms import norm
from toolchain.compress.structured.reading import on_device
from toolchain.compress.structured.run import Job
from toolchain.compress.structured.search import Copies, Drop, open_pruner, pruned_copy
from toolchain.compress.structured.select import Room
from toolchain.compress.structured.views import filters
from toolchain.project.recipe import Prune, StepOptions

#: Iterations where the step does not say ``rounds``.
ITERATIONS = 8


def netadapt(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Reduce a measured cost step by step, each time where it costs the least loss.

    Algorithm 1: the cost R (latency of the named device, or what else the goal is in) must fall by an equal
    part dR in each of ``rounds`` iterations (:data:`ITERATIONS` by default). In an iteration, every group alone
    loses just so many filters, those of least L2 norm, that R <= R_before - dR; each of these proposals trains for a
    moment (one pass over ``samples`` samples), and the one with the least loss on other samples is kept. Where no
    group alone saves enough, the one that saves most is kept. ``epochs`` of training follow.

    A ratio is the share of R that goes: of the latency, or of the MACs where nobody can measure (a note says so).
    Costs are those of whole pruned models, measured or counted anew, in place of the paper's table of layers.

    Raises:
        ConfigError: a latency goal without a device.
        DataError: no samples.
        UnsupportedError: the goal lies below what can be reached; that is named.
    """
    assert isinstance(options, Prune)
    goal, notes = _goal(options, context)
    pruner = open_pruner(model, options, context)
    job = Job(ByGroup(lambda group: norm(filters(group), 2)), options, context, pruner)
    now = cost(model, goal, context)
    end = limit(goal, now)
    fall = (now - end) / (options.rounds if options.rounds > 1 else ITERATIONS)
    history: list[list[str | int | float]] = []
    while now > end:
        best = _iteration(model, max(end, now - fall), now, goal, job)
        if best is None:
            raise _unreachable(end, now, goal.kind)
        model, now = best.model, best.cost
        job.left[best.group] -= len(best.drop)
        history.append([best.group, job.left[best.group], best.cost, best.loss])
    context.fit(model, "the method 'netadapt'", epochs=options.epochs, lr=options.lr)
    made = job.outcome(model, notes)
    return Outcome(
        model, {**made.facts, "goal": goal.kind, "unit": UNITS[goal.kind], "iterations": history}, made.notes
    )


@dataclasses.dataclass
class Proposal:
    """A model that lost channels of one group, and what it costs."""

    model: torch.nn.Module
    group: str
    drop: Sequence[int]
    cost: float
    loss: float = math.inf


def _iteration(model: torch.nn.Module, budget: float, now: float, goal: Goal, job: Job) -> Proposal | None:
    """The best proposal; None if nothing saves anything any more."""
    options, context = job.options, job.context
    try:
        pruner = open_pruner(model, options, context)
    except ModelError:  # one channel is left everywhere
        return None
    scores = job.criterion.score(model, pruner.groups, options, context)
    rooms = job.rooms(pruner)
    copies = Copies(model, options, context)
    price = functools.partial(_price, copies, goal, context)
    found = []
    for group in pruner.groups:
        order = torch.argsort(scores[group.name], stable=True).tolist()
        drop, after = fewest(group.name, order, rooms[group.name], budget, price)
        if after < now:
            found.append((group.name, drop, after))
    if not found:
        return None
    kept = [each for each in found if each[2] <= budget] or [min(found, key=lambda each: each[2])]
    proposals = [Proposal(copies.without({name: drop}), name, drop, after) for name, drop, after in kept]
    for proposal in proposals:
        proposal.loss = tried(proposal.model, options, context)
    best = min(proposals, key=lambda proposal: proposal.loss)
    pruned_copy(model, {best.group: best.drop}, options, context)  # for its check
    return best


def fewest(
    name: str, order: Sequence[int], room: Room, budget: float, price: Callable[[Drop], float]
) -> tuple[list[int], float]:
    """The fewest channels of one group whose removal meets a budget, by bisection; else all that may go.

    Args:
        name: of the group.
        order: its channels, the ones that go first in front.
        room: how far it can go.
        budget: what may be left.
        price: of the model without these channels; falls as more of them go.

    Returns:
        Channels, none where there is no room, and the price without them.
    """
    counts = sorted({room.rounded(count) for count in range(1, room.most + 1)} - {0})
    prices: dict[int, float] = {}

    def meets(at: int) -> bool:
        prices[at] = price({name: list(order[: counts[at]])})
        return prices[at] <= budget

    if not counts:
        return [], math.inf
    at = len(counts) - 1
    if meets(at):
        at = bisect.bisect_left(range(len(counts) - 1), True, key=meets)
    if at not in prices:
        meets(at)
    return sorted(order[: counts[at]]), prices[at]


def _price(copies: Copies, goal: Goal, context: Context, drop: Drop) -> float:
    return cost(copies.without(drop), goal, context)


def tried(model: torch.nn.Module, options: Prune, context: Context) -> float:
    """Train for one pass over a few samples, in place; the mean loss on others."""
    teaching, judging = parts(context, options.samples)
    teaching.fit(model, "a proposal of 'netadapt'", epochs=1, lr=options.lr)
    with on_device(model, context), torch.no_grad():
        seen = [float(loss) for loss in losses(model, options, judging)]
    return sum(seen) / len(seen)


def parts(context: Context, samples: int) -> tuple[Context, Context]:
    """Contexts with ``samples`` training samples each, different ones if there are enough, and no checkpoints."""
    data = context.samples("the method 'netadapt'")
    order = np.random.default_rng(context.seed).permutation(len(data.train))
    other = order[samples : 2 * samples]
    return _only(context, other if len(other) > 1 else order), _only(context, order[:samples])


def _only(context: Context, picked: Array) -> Context:
    data = context.samples("the method 'netadapt'")
    labels = None if data.train.labels is None else data.train.labels[picked]
    few = dataclasses.replace(data.train, rows=data.train.rows[picked], labels=labels)
    return dataclasses.replace(context, data=dataclasses.replace(data, train=few), work=None, progress=None)


def _goal(options: Prune, context: Context) -> tuple[Goal, tuple[str, ...]]:
    goal = options.goal()
    if goal.kind != "ratio":
        return goal, ()
    kind = "macs" if context.latency is None else "latency"
    notes = ("no device can be measured: MACs took the place of latency",) if kind == "macs" else ()
    return Goal(kind, 1 - goal.amount, True, goal.device), notes


def _unreachable(end: float, now: float, kind: str) -> UnsupportedError:
    least = told(kind, now, up=True)
    return UnsupportedError(
        f"wanted a model with at most {told(kind, end)}",
        seen=f"{least}, and no group of channels saves more",
        allowed=f"{kind} of {least if kind == 'latency' else least.split()[0]} or more",
        next_step="allow more, raise cap, or leave fewer layers out",
    )
