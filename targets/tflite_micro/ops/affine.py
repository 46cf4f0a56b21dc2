"""One integer formula in the place of a chain of rounded products, proved by trying every pair of operands.

An int8 sum that the reference computes in five rounded steps depends on two bytes only. If (A*a + B*b + C) >> S
gives the same int8 for all pairs that can occur, a kernel may compute that instead.
"""

from __future__ import annotations

import dataclasses
import itertools
import math

from profiles.runner import Array

#: How far from the nearest integers to look for factors, nearest first.
_AROUND = sorted(itertools.product(range(-4, 5), repeat=2), key=lambda pair: (max(map(abs, pair)), pair))
_WORD = 1 << 31


@dataclasses.dataclass(frozen=True)
class Affine:
    """(factor_a * a + factor_b * b + offset) >> shift; no sum leaves 32 bits."""

    factor_a: int
    factor_b: int
    offset: int
    shift: int

    def __call__(self, a: Array, b: Array) -> Array:
        """The formula, without limits."""
        value: Array = (self.factor_a * a + self.factor_b * b + self.offset) >> self.shift
        return value


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Every pair of operands that can occur, within -128..127; what is wanted of each; where that is cut off."""

    a: Array
    b: Array
    wanted: Array
    limits: tuple[int, int]


def find_affine(slopes: tuple[float, float], offset: float, pairs: Pairs) -> Affine | None:
    """A formula that gives what is wanted for all pairs, once cut off at the limits, or None.

    Args:
        slopes, offset: of the real function, rounding included: wanted is about floor(slopes . (a, b) + offset).
        pairs: to try.
    """
    reach = 128 * (abs(slopes[0]) + abs(slopes[1])) + abs(offset) + 2
    shift = min(31 - math.ceil(math.log2(reach)), 30)
    if shift < 1:
        return None
    for step_a, step_b in _AROUND:
        factors = round(slopes[0] * (1 << shift)) + step_a, round(slopes[1] * (1 << shift)) + step_b
        found = _with_offset(factors, shift, pairs)
        if found and 128 * (abs(factors[0]) + abs(factors[1])) + abs(found.offset) < _WORD:
            return found
    return None


def _with_offset(factors: tuple[int, int], shift: int, pairs: Pairs) -> Affine | None:
    """The offset in the middle of all that fit: each pair allows an interval, open on the side where it is cut off."""
    products, wanted, (low, high) = factors[0] * pairs.a + factors[1] * pairs.b, pairs.wanted, pairs.limits
    least = ((wanted << shift) - products)[wanted > low].max(initial=-_WORD)
    most = (((wanted + 1) << shift) - 1 - products)[wanted < high].min(initial=_WORD - 1)
    return Affine(*factors, int(least + most) // 2, shift) if least <= most else None
