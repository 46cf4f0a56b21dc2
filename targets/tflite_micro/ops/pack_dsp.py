"""Weights and constants in the order of the DSP kernels, which ew_block.h, ew_lines.h and ew_dsp.h describe."""

from __future__ import annotations

import numpy as np

from profiles.runner import Array

#: Steps of ``ew_dsp_quick``; with the largest zero point the rounding constant then stays below 2^29.
_QUICK = range(21)
#: Added to the shift of a channel that is not quick, which makes its step negative.
_ANY = 64


def pairs(rows: Array, wide: bool) -> Array:
    """Weights of one group in pairs of channels.

    Args:
        rows: int8, one row per output channel, values in the order of a window.
        wide: of :func:`is_wide`: bytes stay as they are.
    """
    channels, depth = rows.shape
    even = channels // 2 * 2
    couples = rows[:even].reshape(even // 2, 2, depth).transpose(0, 2, 1)  # (pair, value, channel)
    if not wide:
        couples = np.stack([couples[..., 0], couples[..., 1] - (couples[..., 0] < 0)], axis=-1).astype(np.int8)
    return np.concatenate([couples[:, _order(depth)].reshape(-1), rows[even:].reshape(-1)])


def _order(depth: int) -> list[int]:
    """The order of the values of a pair: the first alone if depth is odd, 0 2 1 3 of every four, what is left."""
    odd = depth % 2
    fours = [odd + 4 * group + place for group in range((depth - odd) // 4) for place in (0, 2, 1, 3)]
    return [*range(odd), *fours, *range(odd + len(fours), depth)]


def taps(rows: Array) -> Array:
    """Depthwise weights: 0 2 1 3 of every four taps, then what is left.

    Args:
        rows: int8, one row per output channel, taps in the order of a window.
    """
    whole = rows.shape[1] // 4 * 4
    fours = rows[:, :whole].reshape(len(rows), -1, 4)[:, :, [0, 2, 1, 3]].reshape(len(rows), -1)
    return np.concatenate([fours, rows[:, whole:]], axis=1).reshape(-1)


def is_wide(rows: Array, long: bool = True) -> bool:
    """Whether the halves ``256 B + A`` do not fit into 16 bits or, where windows are ``long``, sums of B into 24.

    Args:
        rows: int8, one row per output channel of a group.
        long: whether a window is summed up in one go.
    """
    even = len(rows) // 2 * 2
    first, second = rows[:even:2].astype(np.int64), rows[1:even:2].astype(np.int64)
    fits = bool((256 * second + first >= -(1 << 15)).all())
    return not fits or (long and bool((128 * np.abs(second).sum(axis=1) >= 1 << 23).any()))


def constants(bias: Array, multiplier: Array, shift: Array, reach: tuple[Array, Array]) -> tuple[Array, Array]:
    """(bias, multiplier) per channel, int32, and steps, int8.

    Args:
        bias: folded, int32.
        multiplier, shift: of ``ew_requantize``.
        reach: the lowest and the highest accumulator of each channel.
    """
    step = -1 - shift.astype(np.int64)
    small = (reach[0] > -(1 << 30)) & (reach[1] < 1 << 30)
    quick = small & (multiplier != 0) & (step >= _QUICK.start) & (step < _QUICK.stop)
    doubled = np.where(quick, bias.astype(np.int64) * 2, bias).astype(np.int32)
    steps = np.where(quick, step, shift.astype(np.int64) - _ANY).astype(np.int8)
    return np.stack([doubled, multiplier], axis=1).reshape(-1), steps
