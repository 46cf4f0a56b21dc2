"""Criteria that estimate how the loss changes when a channel goes.

Both put a gate m_j = 1 on channel j where the next layers read it, which is what removing the channel closes. The
weights that read it are w_j; scaling the channel by m_j is scaling them, so dL/dm_j = w_j . dL/dw_j and
d2L/dm_j2 = w_j' H w_j. Where nothing with weights reads a group, the weights that write it take their place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from toolchain.compress.context import Context
from toolchain.compress.passes import Outcome
from toolchain.compress.structured.criterion import Criterion
from toolchain.compress.structured.run import prune_by
from toolchain.frontend.train.hooks import task_loss
from toolchain.project.recipe import Prune, StepOptions

if TYPE_CHECKING:
    from toolchain.compress.structured.groups import Group, Member

#: Samples per batch.
BATCH = 128
#: The same for first derivatives: those of a trained model cancel out over many samples, and only noise is left.
SMALL_BATCH = 16
#: Random directions per batch in which the curvature is looked at.
PROBES = 8
#: Samples at most, and per batch, that the curvature is looked at with: with :data:`PROBES` directions each costs
#: as much as some forty forward runs, so that all cost what training on 1,500 samples does.
CURVED, CURVED_BATCH = 128, 32


def taylor(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Remove the channels with the least first-order change of the loss.

    Molchanov, Mallya, Tyree, Frosio & Kautz 2019, "Importance Estimation for Neural Network Pruning",
    arXiv:1906.10771, equation 8 with gates: I_j = (dL/dm_j)^2, the mean over batches of :data:`SMALL_BATCH`
    training samples; L is the task's loss.
    """
    return prune_by(Taylor(), model, options, context)


def hessian(model: torch.nn.Module, options: StepOptions, context: Context) -> Outcome:
    """Remove the channels with the least second-order change of the loss.

    LeCun, Denker & Solla 1990, "Optimal Brain Damage", NIPS 2, equation 5 lifted from weights to gates:
    s_j = 1/2 h_jj with h_jj = d2L/dm_j2, of which the size counts. The diagonal comes from products of the
    Hessian with vectors of random signs r: h_jj is the mean of r_j (H r)_j (Hutchinson), here over
    :data:`PROBES` draws per batch of :data:`CURVED_BATCH` samples, of at most :data:`CURVED` samples. Only gates with
    gates are mixed, never single weights.
    """
    return prune_by(Hessian(), model, options, context)


class Taylor(Criterion):
    """See :func:`taylor`."""

    def score(
        self, model: torch.nn.Module, groups: Sequence[Group], options: Prune, context: Context
    ) -> dict[str, torch.Tensor]:
        """Mean squared first-order change of the loss per channel."""
        sums = _zeros(groups)
        with _differentiable(model, context):
            count = 0
            for loss in losses(model, options, context, SMALL_BATCH):
                model.zero_grad(set_to_none=True)
                loss.backward()
                for group in groups:
                    sums[group.name] += gate_gradient(group).detach().double().cpu().square()
                count += 1
        return {name: total / count for name, total in sums.items()}


class Hessian(Criterion):
    """See :func:`hessian`."""

    def score(
        self, model: torch.nn.Module, groups: Sequence[Group], options: Prune, context: Context
    ) -> dict[str, torch.Tensor]:
        """Estimated half curvature of the loss per channel, without its sign."""
        sums, generator = _zeros(groups), torch.Generator().manual_seed(context.seed)
        few = options.model_copy(update={"samples": min(options.samples, CURVED)})
        with _differentiable(model, context):
            count = 0
            for loss in losses(model, few, context, CURVED_BATCH):
                for name, part in curvature(model, groups, loss, generator).items():
                    sums[name] += part.double().cpu() / 2
                count += 1
        return {name: (total / count).abs() for name, total in sums.items()}


def gate_gradient(group: Group) -> torch.Tensor:
    """w_j . dL/dw_j for every channel, (channels,), from the gradients that lie in the parameters."""
    members = readers(group)
    total = torch.zeros(group.channels, device=members[0].weights().device)
    for member in members:
        gradients = member.gradients()
        if gradients is not None:
            total = total + (member.weights().detach() * gradients).flatten(1).sum(1)
    return total


def readers(group: Group) -> list[Member]:
    """The members whose weights read the group, else all that have weights."""
    return [member for member in group.members if member.axis == "in"] or list(group.members)


def curvature(
    model: torch.nn.Module,
    groups: Sequence[Group],
    loss: torch.Tensor,
    generator: torch.Generator,
    probes: int = PROBES,
) -> dict[str, torch.Tensor]:
    """Hutchinson's estimate of d2L/dm_j2 for every channel of every group, by name, shape (channels,)."""
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    slopes = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)
    with _gradients(weights, slopes):
        gates = {group.name: gate_gradient(group) for group in groups}
    total = {name: torch.zeros_like(gate, requires_grad=False) for name, gate in gates.items()}
    for _ in range(probes):
        signs = {name: _signs(len(gate), generator).to(gate) for name, gate in gates.items()}
        along = torch.stack([(signs[name] * gate).sum() for name, gate in gates.items()]).sum()
        if not along.requires_grad:  # a loss without any curvature
            break
        bent = torch.autograd.grad(along, weights, retain_graph=True, allow_unused=True)
        with _gradients(weights, bent):
            for group in groups:
                total[group.name] += signs[group.name] * gate_gradient(group).detach() / probes
    return total


def losses(model: torch.nn.Module, options: Prune, context: Context, size: int = BATCH) -> Iterator[torch.Tensor]:
    """The task's loss on one batch of at most ``size`` training samples after the other, differentiable."""
    purpose = f"the method '{options.method}'"
    labels = context.task == "classification"
    objective = task_loss(context.task, context.samples(purpose, labels=labels).train)
    for batch in context.batches(purpose, math.ceil(options.samples / size), min(size, options.samples), labels=labels):
        yield objective(model(batch.x), batch)


@contextmanager
def _differentiable(model: torch.nn.Module, context: Context) -> Iterator[None]:
    """The model in eval mode on the context's device, every weight with a gradient; all as it was afterwards."""
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    model.to(context.device).eval()
    for parameter in frozen:
        parameter.requires_grad_(parameter.is_floating_point())
    try:
        yield
    finally:
        model.zero_grad(set_to_none=True)
        for parameter in frozen:
            parameter.requires_grad_(False)
        model.cpu()


@contextmanager
def _gradients(weights: Sequence[torch.nn.Parameter], values: Sequence[Any]) -> Iterator[None]:
    """These values in ``.grad`` for a while, where members look for them."""
    for weight, value in zip(weights, values, strict=True):
        weight.grad = value
    try:
        yield
    finally:
        for weight in weights:
            weight.grad = None


def _signs(count: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(0, 2, (count,), generator=generator) * 2 - 1


def _zeros(groups: Sequence[Group]) -> dict[str, torch.Tensor]:
    return {group.name: torch.zeros(group.channels, dtype=torch.float64) for group in groups}
