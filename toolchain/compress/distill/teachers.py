"""Where teachers come from, and how they are asked."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from profiles.errors import ConfigError, UnsupportedError
from toolchain.compress.context import Context
from toolchain.compress.distill.taps import Call, Taps
from toolchain.compress.distill.term import Seen
from toolchain.frontend.exported import fixed_batch, is_exported
from toolchain.frontend.specs import TrainSpec
from toolchain.frontend.train.checkpoint import run_identity
from toolchain.frontend.weights import load_weights
from toolchain.project.recipe import Distill, Teacher


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A teacher as the recipe names it.

    Attributes:
        name: its source, for people.
        model: in eval mode on the CPU.
        assistant: it has no weights: in a chain it learns from the one before.
    """

    name: str
    model: torch.nn.Module
    assistant: bool = False


def open_teachers(options: Distill, model: torch.nn.Module, context: Context) -> list[Candidate]:
    """The teachers that the options name, in their order; by default the model as the recipe got it.

    Args:
        options: of the step.
        model: stands in where the context does not know how the recipe started.
        context: see :class:`Context`.

    Raises:
        ConfigError: an empty list, an unknown source, or a network of the zoo without weights.
        UnsupportedError: a program that takes one batch size only.
        ModelError: weights of another model.
    """
    listed: Sequence[Teacher]
    if isinstance(options.teacher, tuple):
        listed = options.teacher
    else:
        listed = (Teacher(source=options.teacher, weights=options.weights),)
    if not listed:
        raise ConfigError("teacher needs at least one entry", seen="an empty list", next_step="leave it out")
    chain = "sequential" in options.losses
    start = context.start if context.start is not None else model
    return [_open(entry, start, context, may_learn=chain and place > 0) for place, entry in enumerate(listed)]


def _open(entry: Teacher, start: torch.nn.Module, context: Context, *, may_learn: bool) -> Candidate:
    if entry.source is None:
        model = copy.deepcopy(start).eval()
        if entry.weights is not None:
            load_weights(model, context.root / entry.weights)
        return Candidate("the model that the recipe began with", model)
    untrained = entry.weights is None and entry.source.startswith("zoo:")
    if untrained and not may_learn:
        raise ConfigError(
            "a teacher must be trained: it needs weights",
            seen=f"teacher '{entry.source}' without weights",
            next_step="give weights; or name 'sequential' among the losses, and a trained teacher before this one",
        )
    model = context.load(entry.source, None if entry.weights is None else Path(entry.weights))
    if (size := fixed_batch(model)) is not None:
        raise UnsupportedError(
            "a teacher must take batches of any size",
            seen=f"'{entry.source}' was exported for batches of {size}",
            next_step="export it with a dynamic batch axis, or give the module that it came from",
        )
    return Candidate(entry.source, model, assistant=untrained)


class Guide:
    """A teacher at work: in eval mode, without gradients, on the device of the training. Not a module on purpose.

    So that its weights are neither trained nor kept in checkpoints; :attr:`digest` stands for them.
    """

    def __init__(self, model: torch.nn.Module, calls: Sequence[Call], device: str, precision: str) -> None:
        self.digest = run_identity(model, "", TrainSpec(), "", repr(model))[:16]
        self._model = model.to(device)
        if not is_exported(model):
            model.eval()
        self._device, self._half = torch.device(device).type, precision == "bf16"
        self._taps = Taps(model, calls)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def look(self, x: torch.Tensor) -> Seen:
        """What it gives for a batch, in the student's precision."""
        with torch.autocast(self._device, torch.bfloat16, enabled=self._half):
            output: Any = self._model(x)
        return Seen(output, self._taps.take())

    def close(self) -> None:
        """The teacher is as it was, on the CPU."""
        self._taps.close()
        self._model.to("cpu")
