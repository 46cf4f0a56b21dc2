"""Which weights go: exact numbers, ties broken the same way everywhere.

Of equal scores the one that comes first goes first: layers in the model's order, weights in row-major order. All of
it runs where the scores are, and nothing waits for an accelerator: how many go follows from shapes alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from profiles.errors import ConfigError


def removed_count(sparsity: float, count: int) -> int:
    """How many of ``count`` weights are zero at this sparsity (0 to 1): rounded, and at least one stays."""
    return max(0, min(count - 1, math.floor(sparsity * count + 0.5)))


def keep_mask(scores: torch.Tensor, remove: int) -> torch.Tensor:
    """Boolean, of the scores' shape: False for the ``remove`` lowest."""
    lowest = torch.sort(scores.flatten(), stable=True).indices[:remove]
    mask = torch.ones(scores.numel(), dtype=torch.bool, device=scores.device)
    return mask.index_fill_(0, lowest, False).view(scores.shape)


def select(scores: Sequence[torch.Tensor], sparsity: float, scope: str) -> list[torch.Tensor]:
    """A mask per layer that is False for the lowest scores.

    Args:
        scores: one tensor per layer, on one device.
        sparsity: share that goes, 0 to 1; reached up to one weight (per layer with that scope).
        scope: ``layer``: of every layer; ``global``: of all together, compared across layers.
    """
    if scope == "layer":
        return [keep_mask(one, removed_count(sparsity, one.numel())) for one in scores]
    flat = torch.cat([one.flatten() for one in scores])
    parts = keep_mask(flat, removed_count(sparsity, flat.numel())).split([one.numel() for one in scores])
    return [part.view(one.shape) for part, one in zip(parts, scores, strict=True)]


def parse_pattern(text: str) -> tuple[int, int]:
    """``"2:4"`` as (2, 4): of every M = 4 neighbours at most N = 2 are not zero.

    Raises:
        ConfigError: not of that form, or N is not between 1 and M - 1.
    """
    n, colon, m = text.partition(":")
    if not (colon and n.isdecimal() and m.isdecimal() and 0 < int(n) < int(m)):
        raise ConfigError("unknown pattern", seen=repr(text), allowed='"N:M" with N from 1 to M - 1, such as "2:4"')
    return int(n), int(m)


def nm_mask(scores: torch.Tensor, n: int, m: int, axis: int) -> torch.Tensor:
    """Boolean, of the scores' shape: True for the ``n`` highest of every ``m`` neighbours along ``axis``.

    Args:
        scores: whose length along ``axis`` is a multiple of ``m``.
        n, m: from :func:`parse_pattern`.
        axis: of the input channels for sparse tensor cores.
    """
    last = scores.movedim(axis, -1)
    blocks = last.reshape(*last.shape[:-1], -1, m)
    highest = torch.sort(blocks, dim=-1, stable=True).indices[..., m - n :]
    mask = torch.zeros_like(blocks, dtype=torch.bool).scatter_(-1, highest, True)
    return mask.reshape(last.shape).movedim(-1, axis)


def erk_kept(shapes: Sequence[Sequence[int]], sparsity: float) -> list[int]:
    """Weights that each layer keeps under the Erdős–Rényi-Kernel rule (Evci et al. 2020, arXiv:1911.11134, section 3).

    A layer with n_in inputs, n_out outputs and a kernel of w × h keeps a share in proportion to
    ``(n_in + n_out + w + h) / (n_in * n_out * w * h)``, at most all: large layers become sparser. Parts of weights are
    given to the layers with the largest ones, so that the sum is exact.
    """
    sizes = [math.prod(shape) for shape in shapes]
    wanted = sum(sizes) - removed_count(sparsity, sum(sizes))
    full: set[int] = set()
    while True:
        rest = [index for index in range(len(sizes)) if index not in full]
        left = wanted - sum(sizes[index] for index in full)
        scale = left / sum(sum(shapes[index]) for index in rest)
        over = {index for index in rest if scale * sum(shapes[index]) >= sizes[index]}
        if not over or over == set(rest):
            break
        full |= over
    ideal = [sizes[index] if index in full else scale * sum(shape) for index, shape in enumerate(shapes)]
    kept = [min(math.floor(value), size) for value, size in zip(ideal, sizes, strict=True)]
    by_part = sorted(range(len(kept)), key=lambda index: (kept[index] - ideal[index], index))
    for index in [index for index in by_part if kept[index] < sizes[index]][: wanted - sum(kept)]:
        kept[index] += 1
    return kept
