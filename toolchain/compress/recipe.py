"""Run a recipe: an ordered list of compression steps, each with a row of what it changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from profiles.errors import ModelError
from profiles.runner import Array

if TYPE_CHECKING:
    import torch


class Step(Protocol):
    """One step of a recipe, as ``edge.toml`` gives it."""

    @property
    def name(self) -> str:
        """Key of :data:`PASSES`."""
        ...

    @property
    def options(self) -> Any:
        """What its function takes."""
        ...


#: Takes a module and the step's options; returns the compressed module.
Pass = Callable[["torch.nn.Module", Any], "torch.nn.Module"]
PASSES: dict[str, Pass] = {}


@dataclasses.dataclass(frozen=True)
class Row:
    """A model's cost after a step; ``step`` is ``start`` for the first row."""

    step: str
    params: int
    macs: int


@dataclasses.dataclass(frozen=True)
class CompressResult:
    """The compressed model, and a row per step."""

    model: torch.nn.Module
    rows: tuple[Row, ...]


def compress(model: torch.nn.Module, steps: Sequence[Step], inputs: Mapping[str, Array]) -> CompressResult:
    """Run the steps in order.

    Args:
        model: in eval mode.
        steps: names must be keys of :data:`PASSES`.
        inputs: one inference's canonical inputs, for counting and tracing.

    Raises:
        ModelError: a step changed the shape of an output.
    """
    from toolchain.export.modules import run_module

    before = {name: values.shape for name, values in run_module(model, inputs).items()}
    rows = [_row("start", model, inputs)]
    for step in steps:
        model = PASSES[step.name](model, step.options).eval()
        after = {name: values.shape for name, values in run_module(model, inputs).items()}
        if after != before:
            raise ModelError(
                f"the step '{step.name}' must keep the outputs' shapes", seen=str(after), allowed=str(before)
            )
        rows.append(_row(step.name, model, inputs))
    return CompressResult(model, tuple(rows))


def _row(step: str, model: torch.nn.Module, inputs: Mapping[str, Array]) -> Row:
    from toolchain.export.modules import to_tensors
    from toolchain.frontend.macs import count

    params, macs = count(model, to_tensors(inputs))
    return Row(step, params, macs)
