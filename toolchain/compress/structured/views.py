"""Weights of a group, channel by channel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from toolchain.compress.structured.groups import Group, Member


def filters(group: Group) -> torch.Tensor:
    """The filters that make each channel, biases left out: (channels, values), differentiable.

    The filters of all layers that write to the group lie side by side; so do those of a coupled channel.
    """
    return torch.cat([_rows(member) for member in _made_by(group)], dim=1)


def scales(group: Group) -> torch.Tensor | None:
    """Scales of normalisations on each channel: (channels, values), differentiable; None where there are none."""
    norms = [member for member in group.members if member.axis == "norm"]
    parts = [member.module.weight[member.index] for member in norms if _has_scale(member)]
    return torch.cat(parts, dim=1) if parts else None


def everything(group: Group) -> torch.Tensor:
    """All weights that go with each channel, in layers that write and that read it: (channels, values)."""
    return torch.cat([member.weights().flatten(1) for member in group.members], dim=1)


def scale_channels(members: Sequence[Member], factors: torch.Tensor) -> None:
    """Multiply all that writes channel j (filters, biases, scales and shifts) with ``factors[j]``, in place."""
    for parameter, axis, index in _written(members):
        whole = torch.ones(parameter.shape[axis], dtype=parameter.dtype, device=parameter.device)
        places = index.to(parameter.device)
        spread = factors.to(parameter.device, parameter.dtype)[:, None].expand(places.shape)
        whole[places.flatten()] = spread.flatten()
        with torch.no_grad():
            parameter.mul_(whole.reshape([-1 if at == axis else 1 for at in range(parameter.ndim)]))


def zero_invariant(group: Group) -> torch.Tensor:
    """Filters, biases, scales and shifts of each channel, (channels, values): at 0, the channel is 0."""
    parts = []
    for parameter, axis, index in _written(group.members):
        rows = parameter.transpose(0, axis).flatten(1) if parameter.ndim > 1 else parameter[:, None]
        parts.append(rows[index.to(parameter.device)].flatten(1))
    return torch.cat(parts, dim=1)


def _made_by(group: Group) -> list[Member]:
    return [member for member in group.members if member.axis == "out"]


def _has_scale(member: Member) -> bool:
    return getattr(member.module, "weight", None) is not None


def _out_axis(module: torch.nn.Module) -> int:
    """Transposed convolutions keep their filters on the second axis."""
    return 1 if getattr(module, "transposed", False) else 0


def _rows(member: Member) -> torch.Tensor:
    weight = member.module.weight
    rows = weight.transpose(0, _out_axis(member.module)).flatten(1)
    return rows[member.index.to(weight.device)].flatten(1)


def _written(members: Sequence[Member]) -> Iterator[tuple[torch.nn.Parameter, int, torch.Tensor]]:
    """Parameters that write channels, the axis of the channels, and where they are."""
    for member in members:
        if member.axis in ("out", "norm"):
            module = member.module
            if _has_scale(member):
                yield module.weight, _out_axis(module) if member.axis == "out" else 0, member.index
            if getattr(module, "bias", None) is not None:
                yield module.bias, 0, member.index
