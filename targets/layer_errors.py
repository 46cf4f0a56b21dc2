"""Float against quantized, tensor by tensor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from profiles.runner import Array, Arrays
from targets.base import LayerError
from targets.golden import noise_ratio_db


class _Sums:
    """Running sums of one tensor over all samples."""

    def __init__(self) -> None:
        self.signal = 0.0
        self.noise = 0.0
        self.largest = 0.0

    def add(self, reference: Array, seen: Array) -> None:
        """One sample, any shape."""
        wide = reference.astype(np.float64)
        difference = wide - seen.astype(np.float64)
        self.signal += float(np.sum(wide**2))
        self.noise += float(np.sum(difference**2))
        self.largest = max(self.largest, float(np.max(np.abs(difference), initial=0.0)))

    def sqnr(self) -> float | None:
        """In dB; None without noise or without signal."""
        return noise_ratio_db(self.signal, self.noise)


def compare(reference: Iterable[Arrays], seen: Iterable[Arrays], ops: Mapping[str, str]) -> list[LayerError]:
    """One row per tensor of ``ops`` (name to operator), in that order, over all samples of both streams.

    A tensor of another shape in the two streams is left out: it is not the same tensor.
    """
    sums: dict[str, _Sums] = {}
    for float_sample, quantized_sample in zip(reference, seen, strict=True):
        for name in ops:
            before, after = float_sample.get(name), quantized_sample.get(name)
            if before is not None and after is not None and before.shape == after.shape:
                sums.setdefault(name, _Sums()).add(before, after)
    return [LayerError(name, op, sums[name].sqnr(), sums[name].largest) for name, op in ops.items() if name in sums]
