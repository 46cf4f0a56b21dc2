"""From a student and its teachers to the loss that trains it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch

from profiles.errors import ConfigError
from toolchain.compress.context import Context
from toolchain.compress.distill.objective import Distillation
from toolchain.compress.distill.pairing import describe, pair_layers
from toolchain.compress.distill.resolution import LowResolution
from toolchain.compress.distill.taps import Taps, probe
from toolchain.compress.distill.teachers import Guide
from toolchain.compress.distill.term import Setting, Term
from toolchain.frontend.train.environment import resolve_precision
from toolchain.frontend.train.hooks import task_loss
from toolchain.project.recipe import Distill

PURPOSE = "the step 'distill'"


@dataclasses.dataclass(frozen=True)
class Bond:
    """A student tapped for one teacher, and that teacher."""

    setting: Setting
    taps: Taps
    guide: Guide


@contextmanager
def objective(
    student: torch.nn.Module,
    teachers: Sequence[torch.nn.Module],
    options: Distill,
    terms: Sequence[type[Term]],
    context: Context,
) -> Iterator[tuple[Distillation, list[str]]]:
    """The loss, with taps in student and teachers until the block ends; and how layers were paired.

    Raises:
        ConfigError, DataError, ModelError, UnsupportedError: as :func:`toolchain.compress.distill.step.distill`.
    """
    with ExitStack() as stack:
        bonds = []
        for teacher in teachers:
            bond = _bond(student, teacher, options, terms, context)
            stack.callback(bond.taps.close)
            stack.callback(bond.guide.close)
            bonds.append(bond)
        pairs = [f"{pair.student} <- {pair.teacher}" for bond in bonds for pair in bond.setting.pairs]
        yield _assemble(bonds, options, terms, context, f"pairs={pairs}"), pairs


def _bond(
    student: torch.nn.Module,
    teacher: torch.nn.Module,
    options: Distill,
    terms: Sequence[type[Term]],
    context: Context,
) -> Bond:
    inputs = context.tensors()
    network = student.network if isinstance(student, LowResolution) else student
    seen, outputs = probe(student.eval(), inputs, "the student", within=network)
    shown, answers = probe(teacher, inputs, "the teacher")
    pairs = pair_layers(seen, shown, options.layers, (network, teacher))
    if all(term.on_outputs for term in terms):
        pairs = []
    data = context.samples(PURPOSE).train
    setting = Setting(options, context.task, describe(pairs), outputs, answers, len(data), data.labels)
    guide = Guide(
        teacher,
        [call for _, call in pairs],
        context.device,
        resolve_precision(context.training.precision, context.device),
    )
    return Bond(setting, Taps(network, [call for call, _ in pairs]), guide)


def _assemble(
    bonds: Sequence[Bond], options: Distill, terms: Sequence[type[Term]], context: Context, note: str
) -> Distillation:
    given: float | None = options.alpha
    alpha = max(term.alpha for term in terms) if given is None else given
    _check(bonds, alpha, terms)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seed)
        fused = [term.build(bonds[0].setting) for term in terms if term.on_outputs]
        inner = [[term.build(bond.setting) for term in terms if not term.on_outputs] for bond in bonds]
    data = context.samples(PURPOSE).train
    return Distillation(
        task_loss(context.task, data, context.training.label_smoothing),
        alpha,
        [bond.guide for bond in bonds],
        [bond.taps for bond in bonds],
        fused=fused,
        inner=inner,
        by_confidence="confidence" in options.losses,
        note=note,
    )


def _check(bonds: Sequence[Bond], alpha: float, terms: Sequence[type[Term]]) -> None:
    outputs = bonds[0].setting.student_outputs
    if alpha < 1 and len(outputs) != 1:
        raise ConfigError(
            "the loss of the task needs a model with one output",
            seen=f"{len(outputs)} outputs",
            next_step="set alpha = 1: the student then learns from the teacher only",
        )
    if any(term.on_outputs for term in terms):
        for bond in bonds[1:]:
            bond.setting.same_outputs("several teachers")
