"""Energy-aware pruning: where the energy goes, most channels go, and what reads them is refitted.

Yang, Chen & Sze 2017, "Designing Energy-Efficient Convolutional Neural Networks using Energy-Aware Pruning",
arXiv:1611.05128.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from toolchain.compress.context import Context
from toolchain.compress.passes import Outcome
from toolchain.compress.structured.criterion import Criterion
from toolchain.compress.structured.energy import SOURCE, energy, layer_costs
from toolchain.compress.structured.reading import readable, sample
from toolchain.compress.structured.run import prune_by
from toolchain.compress.structured.thinet import contributions
from toolchain.compress.structured.views import scale_channels
from toolchain.project.recipe import Prune, StepOptions

if TYPE_CHECKING:
    from toolchain.compress.structured.groups import Group

#: Pull of the refitted weights towards the old ones, as a share of the mean squared input.
RIDGE = 1e-3


def energy_aware(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Remove channels in proportion to the energy of the layers that they pass through.

    Section 4: layers are ordered by their energy, and the ones that cost most are pruned first and most. Here a
    group g of energy E_g (:mod:`energy`; all layers that write or read it) loses the share t E_g / max E of its
    channels, with t as the goal asks; ``scope`` has no meaning. Within a group, the channels go that add least to
    what reads them, measured in squared output (section 4.2). Then, group by group in the order of their energy, the
    layers that read it are refitted to their old outputs by least squares (section 4.3), which makes up for what
    the groups before have lost; a layer that reads several groups is refitted with the last of them. The paper
    removes single weights; this is lifted to channels.

    The facts hold the energy of one inference before and after in joules; its kind is ``estimated``.
    """
    inputs = context.tensors()
    before = energy(model, inputs)
    made = prune_by(EnergyAware(), model, options, context)
    figures = {"energy_before": before, "energy_after": energy(made.model, inputs), "energy_kind": "estimated"}
    return Outcome(made.model, {**made.facts, **figures}, (*made.notes, f"energy is {SOURCE}"))


class EnergyAware(Criterion):
    """See :func:`energy_aware`."""

    comparable, scope = True, "global"

    def score(
        self, model: torch.nn.Module, groups: Sequence[Group], options: Prune, context: Context
    ) -> dict[str, torch.Tensor]:
        """Place in the group's order (the least contribution first) over the group's energy."""
        fitting = [group for group in groups if readable(group)]
        added = contributions(model, fitting, options, context)
        costs = group_energies(model, fitting, context)
        scores = {}
        for group in fitting:
            power = sum(added[group.name, member.name].square().mean(0) for member in readable(group))
            assert isinstance(power, torch.Tensor)
            scores[group.name] = places(power) / max(costs[group.name], 1e-30)
        return scores

    def adjust(
        self,
        model: torch.nn.Module,
        groups: Sequence[Group],
        drop: Mapping[str, Sequence[int]],
        options: Prune,
        context: Context,
    ) -> None:
        """Silence what goes, group by group, and refit a layer once all groups that it reads are done."""
        costs = group_energies(model, groups, context)
        order = sorted((group for group in groups if group.name in drop), key=lambda group: -costs[group.name])
        last = {member.name: group.name for group in order for member in readable(group)}
        wanted = _outputs(copy.deepcopy(model), list(last), options, context)
        gone: dict[str, set[int]] = {name: set() for name in last}
        for group in order:
            scale_channels(group.members, _kept(group, drop[group.name]))
            for member in readable(group):
                gone[member.name].update(member.index[list(drop[group.name])].flatten().tolist())
            due = [member for member in readable(group) if last[member.name] == group.name]
            seen = sample(model, [member.name for member in due], _as_they_are, options, context) if due else {}
            for member in due:
                _refit(member.module, seen[member.name], wanted[member.name], sorted(gone[member.name]))


def group_energies(model: torch.nn.Module, groups: Sequence[Group], context: Context) -> dict[str, float]:
    """Joules of all layers that write or read each group, estimated, by group."""
    costs = layer_costs(model, context.tensors())
    names = {group.name: {member.name for member in group.members} for group in groups}
    return {name: sum(costs[layer].joules for layer in layers if layer in costs) for name, layers in names.items()}


def places(values: torch.Tensor) -> torch.Tensor:
    """The middle of each value's place when sorted, over their number: (channels,), from 0 to 1."""
    ranks = torch.empty(len(values), dtype=torch.float64)
    ranks[torch.argsort(values, stable=True)] = torch.arange(len(values), dtype=torch.float64)
    return (ranks + 0.5) / len(values)


def refitted(seen: torch.Tensor, wanted: torch.Tensor, old: torch.Tensor, ridge: float = RIDGE) -> torch.Tensor:
    """The weights W, (values, outputs), with the least ||wanted - seen W||^2 + r ||W - old||^2, in float64.

    Args:
        seen: inputs, (rows, values).
        wanted: outputs, (rows, outputs).
        old: weights to stay near to, where the inputs do not tell.
        ridge: r as a share of the mean squared input over all rows.
    """
    pull = ridge * float(seen.square().sum()) / max(seen.shape[1], 1)
    gram = seen.T @ seen + max(pull, 1e-12) * torch.eye(seen.shape[1], dtype=seen.dtype)
    return old + torch.linalg.solve(gram, seen.T @ (wanted - seen @ old))


def _outputs(model: torch.nn.Module, names: Sequence[str], options: Prune, context: Context) -> dict[str, torch.Tensor]:
    """What layers make of sampled windows, without their bias: (rows, outputs)."""

    def read(name: str, module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1) @ module.weight.flatten(1).T

    return sample(model, names, read, options, context)


def _as_they_are(name: str, module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    return x


def _refit(module: torch.nn.Module, seen: torch.Tensor, wanted: torch.Tensor, gone: Sequence[int]) -> None:
    """Refit a layer's weights for the input channels that stay; those that go become 0."""
    kept = torch.ones(seen.shape[1], dtype=torch.bool)
    kept[list(gone)] = False
    weight = module.weight.detach()
    shape = (len(weight), seen.shape[1], seen.shape[2])
    old = weight.reshape(shape).double().cpu()[:, kept].flatten(1).T
    new = torch.zeros(shape, dtype=torch.float64)
    new[:, kept] = refitted(seen[:, kept].flatten(1), wanted, old).T.reshape(shape[0], -1, shape[2])
    with torch.no_grad():
        module.weight.copy_(new.reshape(weight.shape))


def _kept(group: Group, drop: Sequence[int]) -> torch.Tensor:
    mask = torch.ones(group.channels)
    mask[list(drop)] = 0.0
    return mask
