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


#: What methods stand on beside PyTorch: (step, method) to a package; any method where there is none.
_PACKAGES = {("prune", ""): "torch_pruning", ("lowrank", "cp"): "tensorly"}


def runner(options: StepOptions) -> Run:
    """The function of the step's method.

    Raises:
        MissingToolError: the library that the method stands on is not installed.
    """
    _require(options.step, getattr(options, "method", ""))
    if options.step in _OWN:
        module, _, function = _OWN[options.step].partition(":")
        run: Run = getattr(importlib.import_module(module), function)
        return run
    chosen: Any = options
    return implementation(chosen.chosen)


def _require(step: str, method: str) -> None:
    from toolchain.frontend.require import install_extra, require

    for (at, name), package in _PACKAGES.items():
        if at == step and name in ("", method):
            require(package, f"for the step '{step}'{f' with {name}' if name else ''}", install_extra("compress"))


def finetune(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Train on with the task's own loss."""
    losses = context.fit(model, "the step 'finetune'", epochs=options.epochs, lr=options.lr)
    return Outcome(model, {"final_loss": losses[-1]} if losses else {})
