"""Samples with labels, normalised batch by batch, in three parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from profiles.runner import Array
from toolchain.frontend.data.stores import Store
from toolchain.frontend.specs import InputSpec, Progress


@dataclasses.dataclass(frozen=True)
class Normalisation:
    """real = (raw / scale - mean) / std, with one value or one per channel; no ``mean`` is 0, no ``std`` is 1."""

    scale: float
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @classmethod
    def of(cls, spec: InputSpec, dtype: np.dtype[np.generic]) -> Normalisation:
        """What ``spec`` says, with the default scale for raw values of ``dtype`` (255 for uint8, else 1)."""
        default = 255.0 if dtype == np.uint8 else 1.0
        return cls(default if spec.scale is None else spec.scale, spec.mean, spec.std)

    def raw_mean_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The same map as real = (raw - mean) / std, in units of raw values."""
        size = max(len(self.mean), len(self.std), 1)
        mean = [value * self.scale for value in self.mean or (0.0,)]
        std = [value * self.scale for value in self.std or (1.0,)]
        return tuple(mean * (size // len(mean))), tuple(std * (size // len(std)))

    def apply(self, raw: Array, layout: str) -> Array:
        """Real values as float32, for raw ones of shape (samples, …) in ``layout``."""
        mean, std = (np.asarray(values, np.float64) for values in self.raw_mean_std())
        factor = (1 / std).astype(np.float32)
        offset = (-mean / std).astype(np.float32)
        if layout == "NCHW":
            factor, offset = factor.reshape(-1, 1, 1), offset.reshape(-1, 1, 1)
        real = raw.astype(np.float32)
        real *= factor
        real += offset
        return real


@dataclasses.dataclass(frozen=True)
class DataSet:
    """One part of the data.

    Attributes:
        store: the raw samples of the whole source.
        rows: which of them belong to this part, in a fixed order that does not depend on the source's order.
        labels: int64, one per row; None where the source has none.
        spec: the input that batches are made for.
        normalisation: applied to every batch.
    """

    store: Store
    rows: Array
    labels: Array | None
    spec: InputSpec
    normalisation: Normalisation

    def __len__(self) -> int:
        return len(self.rows)

    def raw(self, indices: Array) -> Array:
        """Raw samples (uint8 or float32) in the model's layout; ``indices`` count within this part."""
        return self.store.take(self.rows[indices])

    def real(self, raw: Array) -> Array:
        """Raw samples as the model takes them: float32, normalised."""
        return self.normalisation.apply(raw, self.spec.layout)

    def batch(self, indices: Array) -> Array:
        """Samples as the model takes them: (len(indices), *sample shape), float32."""
        return self.real(self.raw(indices))

    def batches(self, size: int) -> Iterator[tuple[Array, Array | None]]:
        """All samples in order, with their labels; the last batch may be smaller."""
        for start in range(0, len(self), size):
            indices = np.arange(start, min(start + size, len(self)))
            yield self.batch(indices), None if self.labels is None else self.labels[indices]

    def samples(self, batch: int = 1) -> Iterator[dict[str, Array]]:
        """Full batches of ``batch`` samples keyed by the input's name, for calibration and golden inputs."""
        for start in range(0, len(self) - batch + 1, batch):
            yield {self.spec.name: self.batch(np.arange(start, start + batch))}

    def prefetch(self, on_progress: Progress | None = None, chunk: int = 512) -> None:
        """Decode everything once, so that damage shows early; decoded images are kept where they fit.

        Raises:
            DataError: an image that cannot be decoded; its row is named.
        """
        for start in range(0, len(self), chunk):
            stop = min(start + chunk, len(self))
            self.raw(np.arange(start, stop))
            if on_progress:
                on_progress(stop, len(self), "decoding images")


@dataclasses.dataclass(frozen=True)
class Splits:
    """The data in three parts; calibration samples are also training samples, and never test samples.

    Attributes:
        train, calibration, test: the parts.
        classes: names in order of the labels; empty where there are no labels.
        source: as in the spec.
        digest: of contents, labels and the split, the same for any order of rows and files.
        mirrored: whether an image means the same when mirrored left to right, so far as the source tells.
        notes: sentences on what was left out, and why.
    """

    train: DataSet
    calibration: DataSet
    test: DataSet
    classes: tuple[str, ...]
    source: str
    digest: str
    mirrored: bool = True
    notes: tuple[str, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether an accuracy can be computed."""
        return self.test.labels is not None
