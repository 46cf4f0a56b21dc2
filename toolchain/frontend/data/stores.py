"""Where raw samples are kept: arrays in memory, or encoded images that are decoded when first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np

from profiles.errors import DataError
from profiles.runner import Array
from toolchain.frontend.data.images import decode
from toolchain.frontend.specs import InputSpec

if TYPE_CHECKING:
    from PIL.Image import Image

#: Decoded images are kept for the next epoch when all of them fit into this many bytes.
KEEP_LIMIT = 768 * 2**20


class Store(Protocol):
    """Raw samples by number, in the source's order and the model's layout."""

    #: ``uint8`` for images of 8 bits, else ``float32``.
    dtype: np.dtype[np.generic]
    #: Whether a sample that was taken once is in memory from then on.
    keeps: bool

    def __len__(self) -> int: ...

    def take(self, rows: Array) -> Array:
        """The samples at ``rows`` (whole numbers), stacked on the first axis."""
        ...

    def name(self, row: int) -> str:
        """Where the sample came from, for errors."""
        ...


class ArrayStore:
    """Samples that are in memory already.

    Args:
        values: (samples, *sample shape), uint8 or float32.
        name: of a row, for errors.
    """

    def __init__(self, values: Array, name: Callable[[int], str]) -> None:
        self.values = values
        self.dtype, self.keeps = values.dtype, True
        self.name = name

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Array) -> Array:
        """See :class:`Store`."""
        return self.values[rows]


class ImageStore:
    """Images that are decoded, converted and resized when first asked for.

    Args:
        count: number of images.
        load: opens image number ``row``; may raise what Pillow raises.
        name: of a row, for errors.
        spec: size, channels and layout to convert to.
    """

    def __init__(self, count: int, load: Callable[[int], Image], name: Callable[[int], str], spec: InputSpec) -> None:
        self.dtype: np.dtype[np.generic] = np.dtype(np.uint8)
        self.name = name
        self._count, self._load, self._spec = count, load, spec
        self.keeps = count * int(np.prod(spec.sample_shape)) <= KEEP_LIMIT
        self._kept = np.empty((count, *spec.sample_shape), np.uint8) if self.keeps else None
        self._done = np.zeros(count, bool)

    def __len__(self) -> int:
        return self._count

    def take(self, rows: Array) -> Array:
        """See :class:`Store`.

        Raises:
            DataError: an image that cannot be decoded; its row is named.
        """
        if self._kept is None:
            return np.stack([self._decode(int(row)) for row in rows])
        for row in rows[~self._done[rows]]:
            self._kept[row] = self._decode(int(row))
            self._done[row] = True
        return self._kept[rows]

    def _decode(self, row: int) -> Array:
        return decode(lambda: self._load(row), self._spec, self.name(row))


def check_finite(values: Array, name: Callable[[int], str]) -> None:
    """Refuse NaN and infinite samples.

    Args:
        values: (samples, …) of real numbers.
        name: of a row, for the error.

    Raises:
        DataError: naming the first such sample.
    """
    if not np.issubdtype(values.dtype, np.floating) or not len(values):
        return
    bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if bad.any():
        first = int(np.argmax(bad))
        raise DataError(
            "samples must be finite numbers",
            seen=f"{name(first)} holds NaN or infinity ({int(bad.sum())} such samples of {len(values)})",
            next_step="remove or repair these samples",
        )
