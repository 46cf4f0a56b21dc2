"""Gradients of a bounded length: losses with large weights do not throw a student off in its first steps."""

from __future__ import annotations

import torch

from toolchain.frontend.train.hooks import Hook, TrainingState


class ClipGradients(Hook):
    """All gradients together are shortened to a norm of at most ``longest``.

    Source: Pascanu, Mikolov & Bengio 2013, *On the Difficulty of Training Recurrent Neural Networks*,
    arXiv:1211.5063, algorithm 1.
    """

    captured = True

    def __init__(self, longest: float) -> None:
        self.longest = longest

    def __repr__(self) -> str:
        return f"ClipGradients({self.longest})"

    def after_backward(self, state: TrainingState) -> None:
        """Of the model and of what is trained along."""
        parameters = [p for group in state.optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, self.longest)
