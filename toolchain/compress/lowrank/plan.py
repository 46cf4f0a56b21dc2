"""From a step's options to the ranks of every layer."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping

import numpy as np
from torch import nn

from profiles.errors import ConfigError, UnsupportedError
from toolchain.compress.context import Context
from toolchain.compress.goals import GOALS, Goal, cost, limit, reach, told
from toolchain.compress.lowrank.allocate import allocate, pareto
from toolchain.compress.lowrank.scheme import Built, Counts, Price, Scheme
from toolchain.compress.lowrank.sites import Matrix, Site, replace
from toolchain.project.recipe import LowRank

#: Ranks by layer name; layers that stay as they are have none.
Ranks = dict[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Task:
    """What is to be factorised, and how.

    Attributes:
        model: the whole one.
        sites: its layers.
        scheme: how they are factorised.
        context: for counting and measuring.
        trust: of errors in units of the loss: 1 shares a budget out by them, 0 by each layer's own share of error,
            1/2 by the geometric mean. Without samples errors are shares anyway.
    """

    model: nn.Module
    sites: tuple[Site, ...]
    scheme: Scheme
    context: Context
    trust: float = 0.0

    def build(self, ranks: Ranks) -> Factorised:
        """A copy of the model with factorised layers."""
        made = copy.deepcopy(self.model)
        chosen = [site for site in self.sites if site.name in ranks]
        built = {site.name: self.scheme.build(site, ranks[site.name]) for site in chosen}
        notes = tuple(one.note for one in built.values() if one.note)
        built = {site.name: built[site.name] for site in chosen if built[site.name].layer is not site.layer}
        layers = {made.get_submodule(name): one.layer for name, one in built.items()}
        return Factorised(replace(made, layers), {name: ranks[name] for name in built}, built, notes)


@dataclasses.dataclass(frozen=True)
class Factorised:
    """A model with factorised layers, their ranks, and notes on those that could not be."""

    model: nn.Module
    ranks: Ranks
    built: Mapping[str, Built]
    notes: tuple[str, ...] = ()


def choose(task: Task, options: LowRank) -> Ranks:
    """The ranks that the options ask for; layers whose factors would cost no less than themselves are left out.

    Raises:
        ConfigError: two things at once that both set the ranks.
        UnsupportedError: a goal below what the ranks allow; the minimum is named.
    """
    _check(options)
    goal = options.goal()
    if options.rank is not None:
        return _given(task, options.rank)
    if options.energy is not None:
        return _by_energy(task, options.energy)
    if goal.kind == "latency":
        return _by_latency(task, goal)
    return _by_budget(task, goal)


def whole(site: Site) -> Price:
    """The price of a layer as it is, one candidate."""
    return Price(*(np.array([count], np.int64) for count in (site.params, site.macs, site.bytes)))


def _check(options: LowRank) -> None:
    goals = [name for name in GOALS if getattr(options, name) is not None]
    given = [name for name in ("rank", "energy") if getattr(options, name) is not None] + goals
    if len(given) > 1:
        raise ConfigError(
            "the ranks of a 'lowrank' step are set by one option",
            seen=" and ".join(given),
            allowed="rank, energy, or one goal",
            next_step=f"keep only one, such as {given[-1]}",
        )


def _given(task: Task, rank: int | str) -> Ranks:
    pick = task.scheme.vbmf if rank == "vbmf" else None
    asked = {s.name: pick(s) if pick else task.scheme.uniform(s, int(rank)) for s in task.sites}
    return {site.name: asked[site.name] for site in task.sites if _saves(task, site, asked[site.name])}


def _saves(task: Task, site: Site, ranks: tuple[int, ...]) -> bool:
    kind = task.scheme.saves
    return bool(task.scheme.price(site, np.array([ranks])).of(kind)[0] < whole(site).of(kind)[0])


def _by_energy(task: Task, energy: float) -> Ranks:
    """The cheapest ranks that keep this share of every layer's squared norm."""
    ranks: Ranks = {}
    for site in task.sites:
        menu = task.scheme.menu(site)
        prices = task.scheme.price(site, menu.ranks).of(task.scheme.saves)
        good = np.flatnonzero(menu.errors <= (1 - energy) * menu.total * (1 + 1e-12))
        if len(good) and prices[good].min() < whole(site).of(task.scheme.saves)[0]:
            ranks[site.name] = _tuple(menu.ranks[good[prices[good].argmin()]])
    return ranks


@dataclasses.dataclass(frozen=True)
class _Counter:
    """All layers' candidates that are worth their price; the last one of each is the layer as it is."""

    names: tuple[str, ...]
    ranks: tuple[Counts, ...]
    costs: tuple[Counts, ...]
    errors: tuple[Matrix, ...]

    @property
    def least(self) -> int:
        """Nothing costs less."""
        return sum(int(cost.min()) for cost in self.costs)

    @property
    def most(self) -> int:
        """All layers as they are."""
        return sum(int(cost[-1]) for cost in self.costs)

    def within(self, budget: int) -> Ranks | None:
        """The ranks with the least sum of errors at this cost."""
        picks = allocate(self.costs, self.errors, budget)
        if picks is None:
            return None
        rows = zip(self.names, self.ranks, picks, strict=True)
        return {name: _tuple(ranks[pick]) for name, ranks, pick in rows if pick < len(ranks)}


def _counter(task: Task, kind: str) -> _Counter:
    names, ranks, costs, errors = [], [], [], []
    for site in task.sites:
        menu, full = task.scheme.menu(site), whole(site).of(kind)
        prices = task.scheme.price(site, menu.ranks).of(kind)
        worth = np.flatnonzero(prices < full[0])
        kept = worth[pareto(prices[worth], menu.errors[worth])]
        names.append(site.name)
        ranks.append(menu.ranks[kept])
        costs.append(np.append(prices[kept], full))
        errors.append(np.append(menu.errors[kept] / menu.total ** (1 - task.trust), 0.0))
    return _Counter(tuple(names), tuple(ranks), tuple(costs), tuple(errors))


def _by_budget(task: Task, goal: Goal) -> Ranks:
    kind = task.scheme.saves if goal.kind == "ratio" else goal.kind
    counter = _counter(task, kind)
    if goal.kind == "ratio":
        rest, allowed = 0.0, (1 - goal.amount) * counter.most
    else:
        start = cost(task.model, goal, task.context)
        rest, allowed = start - counter.most, limit(goal, start)
    found = counter.within(int(allowed - rest + 1e-6))
    if found is None:
        raise _unreachable(goal, kind, allowed, rest + counter.least, counter.most)
    return found


def _unreachable(goal: Goal, kind: str, wanted: float, least: float, most: int) -> UnsupportedError:
    ratio = f", a ratio of at most {1 - least / most:.3f}" if goal.kind == "ratio" and most else ""
    return UnsupportedError(
        f"wanted a model with at most {told(kind, wanted)}{' in these layers' * (goal.kind == 'ratio')}",
        seen=f"{told(kind, least, up=True)} with the lowest ranks",
        allowed=f"{kind} of {told(kind, least, up=True).split()[0]} or more{ratio}",
        next_step="allow more, leave fewer layers out, or prune channels too",
    )


def _by_latency(task: Task, goal: Goal) -> Ranks:
    """Ranks by MACs, bisected until the measured latency fits."""
    counter = _counter(task, "macs")
    tried: list[tuple[nn.Module, Ranks]] = []

    def make(strength: float) -> nn.Module:
        ranks = counter.within(counter.most - round(strength * (counter.most - counter.least))) or {}
        tried.append((task.build(ranks).model, ranks))
        return tried[-1][0]

    best = reach(make, task.model, goal, task.context)
    return next(ranks for model, ranks in tried if model is best)


def _tuple(ranks: Counts) -> tuple[int, ...]:
    return tuple(int(rank) for rank in ranks)


def summary(task: Task, made: Factorised) -> dict[str, object]:
    """Facts for the row: parallel lists over the factorised layers.

    ``errors`` are ||W - W'|| / ||W|| of the weights; ``layer_macs`` are pairs (before, after).
    """
    ranks = made.ranks
    sites = [site for site in task.sites if site.name in ranks]
    after = [int(task.scheme.price(site, np.array([ranks[site.name]])).macs[0]) for site in sites]
    errors = [np.linalg.norm(site.tensor - made.built[site.name].tensor) for site in sites]
    norms = [np.linalg.norm(site.tensor) or 1.0 for site in sites]
    return {
        "factorised": len(sites),
        "candidates": len(task.sites),
        "layers": [site.name for site in sites],
        "ranks": [list(ranks[site.name]) for site in sites],
        "errors": [round(float(error / norm), 6) for error, norm in zip(errors, norms, strict=True)],
        "layer_macs": [[site.macs, count] for site, count in zip(sites, after, strict=True)],
    }
