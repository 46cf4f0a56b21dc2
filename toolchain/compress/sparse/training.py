"""Training around masks, and what all methods do before and after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from profiles.errors import ConfigError
from toolchain.compress.passes import Outcome
from toolchain.compress.sparse.masks import Masks
from toolchain.compress.sparse.schedules import Cubic
from toolchain.frontend.train.hooks import Hook, TrainingState

if TYPE_CHECKING:
    from toolchain.project.recipe import Sparsify


class MaskHook(Hook):
    """Masked weights get no gradient and stay zero; the masks stay as they are.

    This hook and those that derive from it change masks, weights and gradients in place.
    """

    captured = True

    def __init__(self, masks: Masks) -> None:
        self.masks = masks

    def after_backward(self, state: TrainingState) -> None:
        """Gradients of masked weights are cut off."""
        for layer in self.masks.layers:
            if layer.weight.grad is not None:
                layer.weight.grad.mul_(layer.mask)

    def after_step(self, state: TrainingState) -> None:
        """Masked weights are zero, whatever momentum they still had."""
        for layer in self.masks.layers:
            layer.weight.data.mul_(layer.mask)


class Gradual(MaskHook):
    """The lowest scores go, more and more by a schedule; scores are magnitudes unless a method says otherwise."""

    def __init__(self, masks: Masks, schedule: Cubic, scope: str) -> None:
        super().__init__(masks)
        self.schedule, self.scope = schedule, scope

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.schedule}, {self.scope})"

    def scores(self) -> Sequence[torch.Tensor]:
        """One tensor per layer; the lowest go first."""
        return self.masks.magnitudes()

    def before_step(self, state: TrainingState) -> None:
        """Change the masks where an update is due."""
        if self.schedule.due(state.step, state.total):
            share = self.schedule.sparsity(state.step, state.total)
            self.masks.keep_largest(self.scores(), share, self.scope)

    def finish(self, state: TrainingState) -> None:
        """A training that was too short for the last update ends with it."""
        if state.step <= self.schedule.last(state.total):
            self.masks.keep_largest(self.scores(), self.schedule.final, self.scope)


def check_options(
    options: Sparsify, *, schedules: Sequence[str] = (), rounds: bool = False, pattern: bool = False, epochs: int = 0
) -> None:
    """Refuse options that the method would have to ignore.

    Args:
        options: of the step.
        schedules: that the method can follow, beside its own.
        rounds: whether it works in rounds.
        pattern: whether it makes an N:M pattern.
        epochs: that it needs at least.

    Raises:
        ConfigError: which option, and what the method takes.
    """
    name = f"the method '{options.method}'"
    if options.schedule not in ("oneshot", *schedules):
        allowed = ", ".join(repr(known) for known in ("oneshot", *schedules))
        raise ConfigError(f"{name} has no such schedule", seen=repr(options.schedule), allowed=allowed)
    if options.rounds > 1 and not rounds:
        way = "set schedule = 'iterative'" if "iterative" in schedules else "leave rounds out"
        raise ConfigError(f"{name} does not work in rounds here", seen=f"rounds = {options.rounds}", next_step=way)
    if options.pattern is not None and not pattern:
        raise ConfigError(f"{name} makes no pattern", seen=repr(options.pattern), next_step="use the method 'nm'")
    if options.epochs < epochs:
        raise ConfigError(
            f"{name} works while it trains", seen=f"epochs = {options.epochs}", allowed=f"{epochs} or more"
        )


def folded(model: torch.nn.Module, masks: Masks, losses: Sequence[float] = ()) -> Outcome:
    """Fold the masks, and say what was done.

    Facts: ``layers`` and ``weights`` that were considered, the share of ``zeros`` among these, the ``final_loss``.
    """
    kept = [int(mask.sum()) for mask in masks.masks()]
    count = sum(mask.numel() for mask in masks.masks())
    masks.fold()
    facts = {"layers": len(kept), "weights": count, "zeros": 1 - sum(kept) / count}
    notes = [f"left dense: {_listed([f'{name} ({why})' for name, why in masks.dense.items()])}"] if masks.dense else []
    empty = [layer.name for layer, left in zip(masks.layers, kept, strict=True) if not left]
    notes += [f"nothing is left of: {_listed(empty)}; try scope = 'layer', or exclude"] if empty else []
    return Outcome(model.eval(), {**facts, **({"final_loss": losses[-1]} if losses else {})}, tuple(notes))


def _listed(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
