"""What a compression step returns, what it must find, and what it must leave behind."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from profiles.errors import ModelError
from toolchain.compress.catalogue.method import Method

if TYPE_CHECKING:
    import torch

    from toolchain.compress.context import Context
    from toolchain.project.recipe import StepOptions


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a method made.

    Attributes:
        model: the compressed model, in eval mode, on the CPU. May be the one that was given.
        facts: figures for the row, such as ``{"groups": 9, "kept": 0.5}``; numbers, strings and plain lists.
        notes: sentences for people.
    """

    model: torch.nn.Module
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()


#: Carries a method out. It may change the model that it is given: the recipe hands it a copy.
Run = Callable[["torch.nn.Module", "StepOptions", "Context"], Outcome]


@dataclasses.dataclass(frozen=True)
class Condition:
    """Something that must hold before or after a step.

    Attributes:
        sentence: what must hold, for people: ``"all weights are finite"``.
        broken: what was seen instead, or an empty text where it holds.
    """

    sentence: str
    broken: Callable[[torch.nn.Module, Context], str]

    def check(self, model: torch.nn.Module, context: Context, when: str) -> None:
        """Raise unless it holds.

        Raises:
            ModelError: what was wanted and seen; ``when`` says before or after which step.
        """
        if seen := self.broken(model, context):
            raise ModelError(f"{when}: wanted that {self.sentence}", seen=seen)


def implementation(method: Method) -> Run:
    """The function of a method; importing it may import torch."""
    module, _, function = method.implementation.partition(":")
    run: Run = getattr(importlib.import_module(module), function)
    return run


def check_all(conditions: Sequence[Condition], model: torch.nn.Module, context: Context, when: str) -> None:
    """Check one condition after the other.

    Raises:
        ModelError: the first that does not hold.
    """
    for condition in conditions:
        condition.check(model, context, when)
