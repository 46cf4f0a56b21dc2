"""Batches for training: from arrays on the processor, or from samples that wait on an accelerator."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from profiles.runner import Array
from toolchain.frontend.data import DataSet
from toolchain.frontend.specs import TrainSpec
from toolchain.frontend.train.batches import SHIFT, augment, draw_moves

if TYPE_CHECKING:
    import torch


@dataclasses.dataclass(frozen=True)
class Batch:
    """What one step trains with.

    Attributes:
        x: (samples, *sample shape), float32, normalised, on the device of the training.
        labels: (samples,), int64; None where the data has none.
        indices: which training samples these are, so that an objective can remember something about each.
    """

    x: torch.Tensor
    labels: torch.Tensor | None
    indices: Array


class Feed(Protocol):
    """Makes batches."""

    def batch(self, indices: Array, generator: np.random.Generator) -> Batch:
        """These samples, augmented with what ``generator`` draws."""
        ...


def open_feed(data: DataSet, spec: TrainSpec, device: str) -> Feed:
    """The feed for a device; both make the same batches from the same random numbers."""
    return ArrayFeed(data, spec) if device == "cpu" else ResidentFeed(data, spec, device)


class ArrayFeed:
    """Batches are made by numpy."""

    def __init__(self, data: DataSet, spec: TrainSpec) -> None:
        self._data, self._augment = data, spec.augment

    def batch(self, indices: Array, generator: np.random.Generator) -> Batch:
        """See :class:`Feed`."""
        import torch

        layout = self._data.spec.layout
        raw = self._data.raw(indices)
        if self._augment:
            raw = augment(raw, layout, generator)
        x = torch.from_numpy(self._data.real(raw))
        if layout == "NCHW":
            x = x.contiguous(memory_format=torch.channels_last)
        labels = None if self._data.labels is None else torch.from_numpy(self._data.labels[indices])
        return Batch(x, labels, indices)


class ResidentFeed:
    """All samples lie on the device as they were read (8 bits for images), and are varied and normalised there."""

    def __init__(self, data: DataSet, spec: TrainSpec, device: str) -> None:
        import torch

        self._data, self._augment, self._device = data, spec.augment, device
        raw = data.raw(np.arange(len(data)))
        self._first = data.spec.layout == "NCHW"
        if self._first:
            raw = np.ascontiguousarray(np.moveaxis(raw, 1, 3))
        if spec.augment:
            raw = np.pad(raw, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)))
        self._raw = torch.from_numpy(raw).to(device)
        labels = data.labels
        self._labels = None if labels is None else torch.from_numpy(labels).to(device)
        mean, std = (np.asarray(values, np.float64) for values in data.normalisation.raw_mean_std())
        self._factor = torch.from_numpy((1 / std).astype(np.float32)).to(device)
        self._offset = torch.from_numpy((-mean / std).astype(np.float32)).to(device)

    def batch(self, indices: Array, generator: np.random.Generator) -> Batch:
        """See :class:`Feed`."""
        import torch

        rows = torch.from_numpy(indices).to(self._device, non_blocking=True)
        raw = self._moved(rows, generator) if self._augment else self._raw[rows]
        x = raw.float().mul_(self._factor).add_(self._offset)
        if self._first:
            x = x.permute(0, 3, 1, 2)
        return Batch(x, None if self._labels is None else self._labels[rows], indices)

    def _moved(self, rows: torch.Tensor, generator: np.random.Generator) -> torch.Tensor:
        """The same shifts and mirrors as :func:`toolchain.frontend.train.batches.augment`."""
        import torch

        height, width = self._data.spec.height_width
        down, right, mirror = (torch.from_numpy(v).to(self._device) for v in draw_moves(len(rows), generator))
        ys = down[:, None] + torch.arange(height, device=self._device)
        xs: Any = torch.arange(width, device=self._device)
        xs = right[:, None] + torch.where(mirror[:, None], width - 1 - xs, xs)
        return self._raw[rows[:, None, None], ys[:, :, None], xs[:, None, :]]
