"""From scores of channels to the channels that go."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import torch

#: Scores of a group's channels, shape (channels,): the lower, the sooner a channel goes.
Scores = Mapping[str, torch.Tensor]


@dataclasses.dataclass(frozen=True)
class Room:
    """How far a group can be pruned.

    Attributes:
        before: channels that the step started with, on which shares are taken.
        now: channels that are left.
        most: how many of them may go.
        multiple: what the number that stays is a multiple of.
    """

    before: int
    now: int
    most: int
    multiple: int = 1

    def rounded(self, count: int) -> int:
        """At most ``count`` channels, at most ``most``, such that what stays is a multiple; 0 where nothing fits."""
        stays = self.now - max(0, min(count, self.most))
        return max(0, self.now - math.ceil(stays / self.multiple) * self.multiple)


def choose(
    scores: Scores, rooms: Mapping[str, Room], share: float, *, everywhere: bool, comparable: bool = False
) -> dict[str, list[int]]:
    """The channels that go, so that ``share`` of the channels that the step started with are gone.

    In one layer at a time, ``share`` of each group goes. Everywhere at once, it is ``share`` of all groups'
    channels together: those with the least score, wherever they are, as far as their groups have room. Scores
    of different groups are divided by their group's mean first, unless they are ``comparable`` as they are (as
    a change of the loss is). Counts are rounded so that no more than asked for goes. More share takes the same
    channels and further ones. Of equal scores, the first goes first.

    Args:
        scores: of every group that takes part.
        rooms: by the same names.
        share: from 0 to 1; 1 takes all that there is room for.
        everywhere: scope ``global`` instead of ``layer``.
        comparable: whether scores of different groups can be compared as they are.

    Returns:
        Channels by group, in ascending order; groups that lose nothing are left out.
    """
    if everywhere:
        counts = _counts(scores, rooms, share, comparable)
    else:
        counts = {name: _due(rooms[name].before, rooms[name].now, share) for name in scores}
    dropped = {name: rooms[name].rounded(count) for name, count in counts.items()}
    orders = {name: torch.argsort(scores[name], stable=True).tolist() for name, count in dropped.items() if count}
    return {name: sorted(order[: dropped[name]]) for name, order in orders.items()}


def normalised(scores: torch.Tensor) -> torch.Tensor:
    """Scores over their mean, so that groups of different scales can be compared; zeros where the mean is 0."""
    values = scores.double()
    mean = values.abs().mean()
    return values / mean if mean > 0 else torch.zeros_like(values)


def _due(before: int, now: int, share: float) -> int:
    """Channels still to go until ``share`` of ``before`` are gone; halves are rounded up."""
    return max(0, math.floor(share * before + 0.5) - (before - now))


def _counts(scores: Scores, rooms: Mapping[str, Room], share: float, comparable: bool) -> dict[str, int]:
    """How many channels of each group are among the least important of all that there is room for."""
    left = _due(sum(rooms[name].before for name in scores), sum(rooms[name].now for name in scores), share)
    values = [scores[name].double() if comparable else normalised(scores[name]) for name in scores]
    owners = [name for name, part in zip(scores, values, strict=True) for _ in range(len(part))]
    counts = dict.fromkeys(scores, 0)
    for place in torch.argsort(torch.cat(values), stable=True).tolist() if owners else ():
        if left <= 0:
            break
        if counts[owners[place]] < rooms[owners[place]].most:
            counts[owners[place]] += 1
            left -= 1
    return counts
