"""Weights in the order of ``ew_dot4``, which computes four dot products at a time."""

from __future__ import annotations

import numpy as np

from profiles.runner import Array
from targets.tflite_micro.calls import Variant

#: Values of one row that follow each other with the DSP extension.
_GROUP = 4


def pack_fours(rows: Array, variant: Variant) -> Array:
    """(blocks, 4, n) weights as (blocks, values of a block in the order in which they are read)."""
    if variant != "dsp":
        return rows.reshape(rows.shape[0], -1)
    padded = np.pad(rows, ((0, 0), (0, 0), (0, -rows.shape[2] % _GROUP)))
    groups = padded.reshape(rows.shape[0], 4, -1, _GROUP)
    return groups.swapaxes(1, 2).reshape(rows.shape[0], -1)
