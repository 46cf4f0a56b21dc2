"""Which function carries out a step of a recipe."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from toolchain.compress.passes import Outcome, Run, implementation

if TYPE_CHECKING:
    import torch

    from toolchain.compress.context import Context
    from toolchain.project.recipe import StepOptions

#: Steps that are not one method of the catalogue.
_OWN = {"distill": "toolchain.compress.distill.step:distill", "finetune": f"{__name__}:finetune"}


def runner(options: StepOptions) -> Run:
    """The function of the step's method."""
    if options.step in _OWN:
        module, _, function = _OWN[options.step].partition(":")
        run: Run = getattr(importlib.import_module(module), function)
        return run
    chosen: Any = options
    return implementation(chosen.chosen)


def finetune(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Train on with the task's own loss."""
    losses = context.fit(model, "the step 'finetune'", epochs=options.epochs, lr=options.lr)
    return Outcome(model, {"final_loss": losses[-1]} if losses else {})
