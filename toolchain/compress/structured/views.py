"""Weights of a group, channel by channel."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from toolchain.compress.structured.groups import Group, Member


def filters(group: Group) -> torch.Tensor:
    """The filters that make each channel, biases left out: (channels, values), differentiable.

    The filters of all layers that write to the group lie side by side; so do those of a coupled channel. Where
    only free parameters write to it, they take their place.
    """
    made = [member for member in group.members if member.axis == "out"]
    return _side_by_side(made or group.members)


def scales(group: Group) -> torch.Tensor | None:
    """Scales of normalisations on each channel: (channels, values), differentiable; None where there are none."""
    norms = [member for member in group.members if member.axis == "norm"]
    return _side_by_side(norms) if norms else None


def everything(group: Group) -> torch.Tensor:
    """All weights that go with each channel, in layers that write and that read it: (channels, values)."""
    return _side_by_side(group.members)


def zero_invariant(group: Group) -> torch.Tensor:
    """Filters, biases, scales and shifts of each channel, (channels, values): at 0, the channel is 0."""
    parts = [
        parameter.movedim(axis, 0)[index.to(parameter.device)].reshape(len(index), -1)
        for parameter, axis, index in _written(group.members)
    ]
    return torch.cat(parts, dim=1)


def scale_channels(members: Sequence[Member], factors: torch.Tensor) -> None:
    """Multiply all that writes channel j (filters, biases, scales and shifts) with ``factors[j]``, in place."""
    for parameter, axis, index in _written(members):
        _scale(parameter, axis, index, factors)


def scale_readers(member: Member, factors: torch.Tensor) -> None:
    """Multiply the weights with which a layer reads channel j with ``factors[j]``, in place."""
    _scale(getattr(member.module, member.key), member.dim, member.index, factors)


def on(groups: Iterable[Group], device: str) -> list[Group]:
    """The same groups with their indices on a device, so that looking at weights there moves nothing."""
    return [
        dataclasses.replace(
            group, members=tuple(dataclasses.replace(each, index=each.index.to(device)) for each in group.members)
        )
        for group in groups
    ]


def _side_by_side(members: Sequence[Member]) -> torch.Tensor:
    return torch.cat([member.weights() for member in members], dim=1)


def _written(members: Sequence[Member]) -> Iterator[tuple[torch.nn.Parameter, int, torch.Tensor]]:
    """Parameters that write channels, the axis of the channels, and where they are."""
    for member in members:
        if member.axis != "in":
            weight, bias = getattr(member.module, member.key), getattr(member.module, "bias", None)
            yield weight, member.dim, member.index
            if bias is not None and member.axis != "parameter" and len(bias) == weight.shape[member.dim]:
                yield bias, 0, member.index


def _scale(parameter: torch.nn.Parameter, axis: int, index: torch.Tensor, factors: torch.Tensor) -> None:
    places = index.to(parameter.device)
    whole = torch.ones(parameter.shape[axis], dtype=parameter.dtype, device=parameter.device)
    whole[places] = factors.to(parameter.device, parameter.dtype)[:, None].expand(places.shape)
    with torch.no_grad():
        parameter.mul_(whole.reshape([-1 if at == axis else 1 for at in range(parameter.ndim)]))
