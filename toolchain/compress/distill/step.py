"""The step ``distill``: who learns from whom, in which order."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch

from toolchain.compress.catalogue import find_method
from toolchain.compress.context import Context
from toolchain.compress.distill.clip import ClipGradients
from toolchain.compress.distill.resolution import lowered
from toolchain.compress.distill.setup import PURPOSE, objective
from toolchain.compress.distill.teachers import Candidate, open_teachers
from toolchain.compress.distill.term import Term
from toolchain.compress.passes import Outcome
from toolchain.project.recipe import Distill, StepOptions

#: Longest gradient: one to two times what cross-entropy alone has when a training begins.
LONGEST = 5.0


def distill(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Train the model, or the student that the options name, on what the teachers say.

    With ``resolution`` the outcome takes the same input as before, and makes it smaller itself.

    Raises:
        ConfigError: options that contradict each other, unknown layers, teachers without weights.
        DataError: no training samples, or no labels where a loss needs some.
        ModelError: teacher and student do not fit each other, or the training diverged.
        UnsupportedError: a loss that the task has no use for.
    """
    wanted = cast("Distill", options)
    teachers = open_teachers(wanted, model, context)
    terms = loss_classes(wanted, len(teachers))
    student = model if wanted.student is None else context.load(wanted.student, None)
    if wanted.resolution is not None:
        student = lowered(student, wanted.resolution, context)
    facts: dict[str, Any] = {"losses": list(wanted.losses), "teachers": [teacher.name for teacher in teachers]}
    for lesson in _lessons(teachers, wanted, terms, context):
        facts |= _learn(student, lesson, wanted, terms, context)
    notes = () if wanted.epochs else ("no epochs: nothing was learned",)
    return Outcome(student.eval(), facts, notes)


def loss_classes(options: Distill, teachers: int) -> list[type[Term]]:
    """The classes of the losses, ``kd`` where only modes are named; modes are checked.

    ``logit_std`` is no loss of its own beside those that it standardises.
    """
    named = dict.fromkeys(options.losses)
    found: list[type[Term]] = []
    for name in named:
        made = _implementation(name)
        if not isinstance(made, type):
            made(options, teachers)
        elif name != "logit_std" or not {"kd", "dkd"} & set(named):
            found.append(made)
    return found or [_implementation("kd")]


def _implementation(name: str) -> Any:
    module, _, attribute = find_method("distill", name).implementation.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _lessons(
    teachers: list[Candidate], options: Distill, terms: Sequence[type[Term]], context: Context
) -> Iterator[list[torch.nn.Module]]:
    """Whom the student learns from, one lesson after the other; assistants are trained before theirs."""
    if "sequential" not in options.losses:
        yield [teacher.model for teacher in teachers]
        return
    plain = options.model_copy(update={"layers": {}})
    for place, teacher in enumerate(teachers):
        if teacher.assistant:
            before = [teachers[place - 1].model]
            _learn(teacher.model, before, plain, terms, context, who=f"assistant {place}")
        if place + 1 == len(teachers) or not teachers[place + 1].assistant:
            yield [teacher.model]


def _learn(
    student: torch.nn.Module,
    teachers: list[torch.nn.Module],
    options: Distill,
    terms: Sequence[type[Term]],
    context: Context,
    *,
    who: str = "student",
) -> dict[str, Any]:
    """One training of a student; facts for the row."""
    with objective(student, teachers, options, terms, context) as (loss, pairs):
        purpose = f"{PURPOSE}, {who}"
        wanted, hooks = cast("Any", loss), [ClipGradients(LONGEST)]
        losses = context.fit(student, purpose, epochs=options.epochs, lr=options.lr, objective=wanted, hooks=hooks)
    facts: dict[str, Any] = {"alpha": loss.alpha, "pairs": pairs}
    return {**facts, "final_loss": losses[-1]} if losses else facts
