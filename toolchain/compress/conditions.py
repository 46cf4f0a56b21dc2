"""What must hold before and after every step, and what single steps add."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolchain.compress.passes import Condition

if TYPE_CHECKING:
    import torch

    from toolchain.compress.context import Context
    from toolchain.project.recipe import StepOptions


def _not_finite(model: torch.nn.Module, context: Context) -> str:
    import torch

    values = model.state_dict().items()
    bad = [name for name, value in values if value.is_floating_point() and not torch.isfinite(value).all()]
    return f"'{bad[0]}' holds NaN or infinity" if bad else ""


def _shapes(model: torch.nn.Module, context: Context) -> dict[str, tuple[int, ...]]:
    from toolchain.export.modules import run_module

    return {name: values.shape for name, values in run_module(model, context.inputs).items()}


FINITE = Condition("all weights are finite", _not_finite)


def before(options: StepOptions) -> tuple[Condition, ...]:
    """Preconditions of a step."""
    return (FINITE,)


def after(options: StepOptions, start: torch.nn.Module) -> tuple[Condition, ...]:
    """Postconditions of a step that began with ``start``."""

    def other_shapes(model: torch.nn.Module, context: Context) -> str:
        had, has = _shapes(start, context), _shapes(model, context)
        return "" if had == has else f"{has} instead of {had}"

    return (FINITE, Condition("the outputs keep their shapes", other_shapes))
