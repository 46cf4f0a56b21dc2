"""ThiNet: prune what the next layer does not miss.

Luo, Wu & Lin 2017, "ThiNet: A Filter Level Pruning Method for Deep Neural Network Compression", arXiv:1707.06342.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from toolchain.compress.context import Context
from toolchain.compress.passes import Outcome
from toolchain.compress.structured.criterion import Criterion
from toolchain.compress.structured.reading import readable, sample
from toolchain.compress.structured.run import prune_by
from toolchain.compress.structured.views import scale_readers
from toolchain.project.recipe import Prune, StepOptions

if TYPE_CHECKING:
    from toolchain.compress.structured.groups import Group, Member


def thinet(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Remove the channels whose loss changes the next layer's outputs least, and rescale the ones that stay.

    A value y of the next layer is the sum of what every channel adds, y = sum_j x_j (section 3.2). Over values
    drawn from training samples, channels are removed one after the other such that the sum of (sum of removed
    x_j)^2 grows least (algorithm 1); the score is that error over the sum of y^2, when the channel goes. Then the
    weights that read channel j are multiplied by a_j, which minimise the sum of (y - sum of kept a_j x_j)^2
    (equation 7). Groups that several layers read count all of them.
    """
    return prune_by(ThiNet(), model, options, context)


class ThiNet(Criterion):
    """See :func:`thinet`."""

    comparable = True

    def __init__(self) -> None:
        self._added: dict[tuple[str, str], torch.Tensor] = {}

    def score(
        self, model: torch.nn.Module, groups: Sequence[Group], options: Prune, context: Context
    ) -> dict[str, torch.Tensor]:
        """Relative error when each channel goes, in the greedy order."""
        self._added = contributions(model, groups, options, context)
        scores = {}
        for group in groups:
            if members := readable(group):
                grams = [_relative_gram(self._added[group.name, member.name]) for member in members]
                scores[group.name] = greedy(torch.stack(grams).mean(0))
        return scores

    def adjust(
        self,
        model: torch.nn.Module,
        groups: Sequence[Group],
        drop: Mapping[str, Sequence[int]],
        options: Prune,
        context: Context,
    ) -> None:
        """Rescale what reads the channels that stay."""
        for group in groups:
            for member in readable(group) if group.name in drop else ():
                scale_readers(member, rescaling(self._added[group.name, member.name], drop[group.name]))


def contributions(
    model: torch.nn.Module, groups: Sequence[Group], options: Prune, context: Context
) -> dict[tuple[str, str], torch.Tensor]:
    """What channels add to values of the layers that read them, by group and layer: (rows, channels), float64."""
    whole = {member.name: None for group in groups for member in readable(group)}
    generator = torch.Generator().manual_seed(context.seed)

    def read(name: str, module: torch.nn.Module, seen: torch.Tensor) -> torch.Tensor:
        weight = module.weight.flatten(2) if module.weight.ndim > 2 else module.weight[:, :, None]
        outputs = torch.randint(0, len(weight), (len(seen),), generator=generator).to(seen.device)
        return (seen * weight[outputs]).sum(2)

    added = sample(model, list(whole), read, options, context)
    return {
        (group.name, member.name): _per_unit(added[member.name], member)
        for group in groups
        for member in readable(group)
    }


def greedy(gram: torch.Tensor) -> torch.Tensor:
    """Errors when channels are removed greedily, (channels,): the error just after channel j has gone.

    Args:
        gram: X'X of the contributions X, (channels, channels); removing T costs the sum of gram over T x T.

    Returns:
        Errors made monotone (a removal that mends an error costs what the one before did, and a hair more, so
        that the order is kept).
    """
    count = len(gram)
    errors, crossed = torch.zeros(count, dtype=torch.float64), torch.zeros(count, dtype=torch.float64)
    left = torch.ones(count, dtype=torch.bool)
    cost = highest = 0.0
    for _ in range(count):
        tried = (cost + 2 * crossed + gram.diagonal()).masked_fill(~left, torch.inf)
        best = int(tried.argmin())
        cost = float(tried[best])
        highest = max(cost, highest + 1e-12)
        errors[best], left[best] = highest, False
        crossed += gram[best]
    return errors


def rescaling(added: torch.Tensor, drop: Sequence[int]) -> torch.Tensor:
    """The factors a_j, (channels,), 0 for channels that go, that bring the kept contributions nearest to the sum."""
    factors = torch.zeros(added.shape[1], dtype=torch.float64)
    kept = [index for index in range(added.shape[1]) if index not in set(drop)]
    target = added.sum(1, keepdim=True)
    factors[kept] = torch.linalg.lstsq(added[:, kept], target, driver="gelsd").solution[:, 0]
    return factors


def _per_unit(added: torch.Tensor, member: Member) -> torch.Tensor:
    """From input channels of a layer to coupled channels."""
    return added[:, member.index.cpu()].sum(2)


def _relative_gram(added: torch.Tensor) -> torch.Tensor:
    total = added.sum(1).square().sum()
    return added.T @ added / total if total > 0 else torch.zeros(added.shape[1], added.shape[1], dtype=torch.float64)
