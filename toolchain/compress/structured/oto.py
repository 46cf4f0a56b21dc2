"""Only-train-once: channels that are not needed are driven to exactly zero while the model trains.

Chen et al. 2021, "Only Train Once: A One-Shot Neural Network Training And Pruning Framework", arXiv:2107.07467;
Chen et al. 2023, "OTOv2: Automatic, Generic, User-Friendly", arXiv:2303.06862.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from profiles.errors import ConfigError
from toolchain.compress.context import Context
from toolchain.compress.passes import Outcome
from toolchain.compress.structured.criterion import ByGroup
from toolchain.compress.structured.norms import norm
from toolchain.compress.structured.run import Job
from toolchain.compress.structured.search import open_pruner
from toolchain.compress.structured.views import on, scale_channels, zero_invariant
from toolchain.frontend.train.hooks import Hook, TrainingState
from toolchain.project.recipe import Prune, StepOptions

if TYPE_CHECKING:
    from toolchain.compress.structured.groups import Group

#: The part of the training before which nothing is shrunk, and the part at which all that goes is zero.
BEGIN, END = 0.2, 0.9


def oto(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Train and prune at once; the cut itself changes nothing, so nothing has to recover.

    The zero-invariant group x_g of a channel is all that writes it (filter, bias, scale and shift): at zero, the
    channel is zero. The channels that the goal leaves no room for, those of least ||x_g||, are declared redundant.
    The training (``sparse_epochs``, or ``epochs`` where that is 0) then takes half-space steps on them, see
    :class:`HalfSpace`, with lambda = ``strength``, and they are cut off. With ``sparse_epochs``, ``epochs`` of
    further training follow. ``rounds`` has no meaning.

    Raises:
        ConfigError: no epochs to train in.
        DataError, ModelError, UnsupportedError: as :func:`toolchain.compress.structured.run.prune_by`.
    """
    assert isinstance(options, Prune)
    epochs = options.sparse_epochs or options.epochs
    if not epochs:
        raise ConfigError("the method 'oto' prunes while it trains", seen="no epochs", next_step="give epochs")
    pruner = open_pruner(model, options, context)
    criterion = ByGroup(magnitude)
    job = Job(criterion, options, context, pruner)
    drop = job.plan(model, pruner, criterion.score(model, pruner.groups, options, context), options.goal())
    hook = HalfSpace(pruner.groups, drop, options.strength)
    context.fit(model, "the training of 'oto'", epochs=epochs, lr=options.lr, hooks=[hook])
    thin = job.remove(model, drop)
    context.fit(thin, "the method 'oto'", epochs=options.epochs if options.sparse_epochs else 0, lr=options.lr)
    return job.outcome(thin)


class HalfSpace(Hook):
    """Half-space stochastic projected gradient on redundant channels.

    After every step of the optimizer, from x to x': the proximal step of lambda ||x_g|| gives
    z = (1 - lr lambda / ||x'||) x'; if z'x <= epsilon ||x||^2 (z has left the half-space of x), the channel becomes
    0, else z (OTO, equation 8). A channel at 0 stays there. So that none is left at the end, the step
    lr lambda is at least ||x'|| over the steps that remain (OTOv2 raises lambda for the same purpose).
    """

    captured = True

    def __init__(
        self, groups: Sequence[Group], drop: Mapping[str, Sequence[int]], strength: float, epsilon: float = 0.0
    ) -> None:
        self.groups = [group for group in groups if drop.get(group.name)]
        self.drop = {group.name: torch.tensor(sorted(drop[group.name])) for group in self.groups}
        self.strength, self.epsilon = strength, epsilon
        self._before: dict[str, torch.Tensor] = {}

    def __repr__(self) -> str:
        plan = {name: channels.tolist() for name, channels in self.drop.items()}
        return f"HalfSpace({plan}, strength={self.strength}, epsilon={self.epsilon}, {BEGIN} to {END})"

    def start(self, state: TrainingState) -> None:
        """Move indices to where the training is."""
        self.groups = on(self.groups, state.device)
        self.drop = {name: channels.to(state.device) for name, channels in self.drop.items()}

    def before_step(self, state: TrainingState) -> None:
        """Remember where the channels were."""
        if state.progress >= BEGIN:
            self._before = {group.name: self._redundant(group) for group in self.groups}

    def after_step(self, state: TrainingState) -> None:
        """Shrink and project."""
        if state.progress < BEGIN:
            return
        step = state.optimizer.param_groups[0]["lr"] * self.strength
        remaining = max(1, int(END * state.total) - state.step)
        for group in self.groups:
            now = self._redundant(group)
            factors = now.new_ones(group.channels)
            factors[self.drop[group.name]] = half_space(now, self._before[group.name], step, remaining, self.epsilon)
            scale_channels(group.members, factors)

    def _redundant(self, group: Group) -> torch.Tensor:
        return zero_invariant(group).detach()[self.drop[group.name]]


def half_space(
    now: torch.Tensor, before: torch.Tensor, step: float, remaining: int, epsilon: float = 0.0
) -> torch.Tensor:
    """What every redundant channel is multiplied with: see :class:`HalfSpace`.

    Args:
        now, before: the channels after and before the optimizer's step, (channels, values).
        step: lr x lambda.
        remaining: steps until all must be zero; 1 makes them zero now.
        epsilon: of the half-space, from 0 to 1.
    """
    length = norm(now, 2)
    shrink = (length / remaining).clamp_min(step)
    factors = 1 - shrink / length.clamp_min(torch.finfo(now.dtype).tiny)
    inside = factors * (now * before).sum(1) > epsilon * before.square().sum(1)
    return torch.where(inside & (factors > 0) & (remaining > 1), factors, torch.zeros_like(factors))


def magnitude(group: Group) -> torch.Tensor:
    """||x_g|| of every channel, (channels,)."""
    return norm(zero_invariant(group), 2)
