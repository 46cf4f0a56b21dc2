"""Real factors as a 16-bit multiplier and a shift (Jacob et al. 2018, section 2.2, with 16 bits)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from profiles.runner import Array

MULTIPLIER_BITS = 16
#: Largest shifts of the requantization, and of the addition.
SHIFT_MOST, SUM_SHIFT_MOST = 48, 26
#: Factors must be below this: a shift of 0.
FACTOR_MOST = float(1 << MULTIPLIER_BITS)


def multipliers(factors: Array) -> tuple[Array, Array]:
    """``mult`` in [2^15, 2^16) and ``shift`` with mult / 2^shift nearest to each factor.

    Factors below 2^-33 get a smaller multiplier and the largest shift.

    Raises:
        ValueError: a factor that is not positive, or 2^16 and more.
    """
    if not np.all((factors > 0) & (factors < FACTOR_MOST - 0.5)):
        raise ValueError(f"factors from {factors.min():g} to {factors.max():g}")
    _, exponent = np.frexp(factors)
    shift = np.minimum(MULTIPLIER_BITS - exponent, SHIFT_MOST)
    mult = np.rint(np.ldexp(factors, shift)).astype(np.int64)
    over = mult == 1 << MULTIPLIER_BITS
    return np.where(over, mult >> 1, mult), np.where(over, shift - 1, shift).astype(np.int64)


def common_multipliers(factors: Sequence[float]) -> tuple[list[int], int]:
    """Multipliers below 2^16 with one shift, as large as the largest factor and the hardware allow."""
    largest = max(factors)
    _, exponent = math.frexp(largest)
    shift = min(MULTIPLIER_BITS - exponent, SUM_SHIFT_MOST)
    if round(math.ldexp(largest, shift)) == 1 << MULTIPLIER_BITS:
        shift -= 1
    if shift < 0:
        raise ValueError(f"factors of {largest:g}")
    return [round(math.ldexp(factor, shift)) for factor in factors], shift
