"""HRank: feature maps of low rank carry little.

Lin, Ji, Wang, Zhang, Zhang, Tian & Shao 2020, "HRank: Filter Pruning using High-Rank Feature Map",
arXiv:2002.10179.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from toolchain.compress.context import Context
from toolchain.compress.passes import Outcome
from toolchain.compress.structured.criterion import Criterion
from toolchain.compress.structured.reading import on_device, watched
from toolchain.compress.structured.run import prune_by
from toolchain.project.recipe import Prune, StepOptions

if TYPE_CHECKING:
    from toolchain.compress.structured.groups import Group, Member

#: Samples at most: the rank of a channel hardly changes from batch to batch (the paper's figure 2).
SAMPLES = 64
#: Work at most, in height x width x the smaller of both over all maps; half a minute on one core. At least
#: :data:`LEAST` samples are looked at, whatever they cost.
WORK, LEAST = 5e9, 4


def feature_rank(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Remove the channels whose feature maps have the least rank.

    Equation 5: the score of channel j is the mean over samples of Rank(o_j), o_j its map of height x width as the
    next convolution reads it. At most :data:`SAMPLES` samples, fewer where maps are many or large
    (:data:`WORK`). Where several convolutions read it, their mean. Groups that no two-dimensional convolution reads,
    or only maps of one row or column, stay as they are.
    """
    return prune_by(FeatureRank(), model, options, context)


class FeatureRank(Criterion):
    """See :func:`feature_rank`."""

    def score(
        self, model: torch.nn.Module, groups: Sequence[Group], options: Prune, context: Context
    ) -> dict[str, torch.Tensor]:
        """Mean rank per channel."""
        ranks = input_ranks(model, [member.name for group in groups for member in _mapped(group)], options, context)
        scores = {}
        for group in groups:
            seen = [ranks[member.name][member.index.cpu()].mean(1) for member in _mapped(group) if member.name in ranks]
            if seen:
                scores[group.name] = torch.stack(seen).mean(0)
        return scores


def input_ranks(
    model: torch.nn.Module, names: Sequence[str], options: Prune, context: Context
) -> dict[str, torch.Tensor]:
    """Mean rank of every input map of these layers, (input channels,), where maps are larger than a line."""
    purpose, layers = f"the method '{options.method}'", list(dict.fromkeys(names))
    work: dict[str, int] = {}
    ranks: dict[str, torch.Tensor] = {}

    def look(name: str, module: torch.nn.Module, x: torch.Tensor) -> None:
        work[name] = x[0].numel() * min(x.shape[2:])

    def note(name: str, module: torch.nn.Module, x: torch.Tensor) -> None:
        if min(x.shape[2:]) > 1:
            ranks[name] = map_ranks(x)

    with on_device(model, context), torch.no_grad():
        with watched(model, layers, look):
            model(next(context.batches(purpose, 1, 1)).x)
        count = min(SAMPLES, options.samples, max(LEAST, int(WORK / max(sum(work.values()), 1))))
        with watched(model, layers, note):
            model(next(context.batches(purpose, 1, count)).x)
    return ranks


def map_ranks(maps: torch.Tensor) -> torch.Tensor:
    """Mean rank of maps (samples, channels, height, width): shape (channels,), on the CPU.

    That is where they are decomposed: an accelerator's solvers take many small matrices one after the other, and all
    of them again where one, such as that of a dead channel, does not converge.
    """
    return torch.linalg.matrix_rank(maps.float().cpu()).double().mean(0)


def _mapped(group: Group) -> list[Member]:
    """The convolutions that read the group as maps."""
    return [
        member
        for member in group.members
        if member.axis == "in" and isinstance(member.module, torch.nn.Conv2d) and member.module.groups == 1
    ]
