"""What a pruning method says of channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from toolchain.project.recipe import Prune

if TYPE_CHECKING:
    from toolchain.compress.context import Context
    from toolchain.compress.structured.groups import Group

#: From a group to a score per channel, shape (channels,); None where the method has nothing to say.
GroupScore = Callable[["Group"], torch.Tensor | None]


class Criterion:
    """Scores channels; may train before, and may mend weights when it is known what goes.

    Attributes:
        comparable: scores of different groups can be compared as they are (see :mod:`select`).
        scope: ``layer`` or ``global`` where the method does not leave the choice.
    """

    comparable = False
    scope: str | None = None

    def train(
        self, model: torch.nn.Module, groups: Sequence[Group], options: Prune, context: Context
    ) -> tuple[str, ...]:
        """Sparsity training, in place, once before the first round; returns notes."""
        return ()

    def score(
        self, model: torch.nn.Module, groups: Sequence[Group], options: Prune, context: Context
    ) -> dict[str, torch.Tensor]:
        """A score per channel and group, shape (channels,), on the CPU; the lower, the sooner it goes.

        Groups that are left out stay as they are.
        """
        raise NotImplementedError

    def adjust(
        self,
        model: torch.nn.Module,
        groups: Sequence[Group],
        drop: Mapping[str, Sequence[int]],
        options: Prune,
        context: Context,
    ) -> None:
        """Change weights that stay, in place, before the channels in ``drop`` are removed."""


class ByGroup(Criterion):
    """A criterion that looks at one group at a time."""

    def __init__(self, score: GroupScore, *, comparable: bool = False) -> None:
        self._score = score
        self.comparable = comparable

    def score(
        self, model: torch.nn.Module, groups: Sequence[Group], options: Prune, context: Context
    ) -> dict[str, torch.Tensor]:
        """See :class:`Criterion`."""
        with torch.no_grad():
            scores = {group.name: self._score(group) for group in groups}
        return {name: score for name, score in scores.items() if score is not None}
