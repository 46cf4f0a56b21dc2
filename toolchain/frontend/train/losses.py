"""The losses of the tasks. Imports torch: import this module inside functions only."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from profiles.errors import DataError
from toolchain.frontend.train.feed import Batch
from toolchain.frontend.train.hooks import check_output


class Classification(torch.nn.Module):  # type: ignore[misc]
    """Cross-entropy of logits (samples, classes) against labels below ``classes``."""

    captured = True

    def __init__(self, classes: int, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.classes, self.label_smoothing = classes, label_smoothing

    def extra_repr(self) -> str:
        """For ``repr``."""
        return f"classes={self.classes}, label_smoothing={self.label_smoothing}"

    def forward(self, output: Any, batch: Batch) -> torch.Tensor:
        """The mean over the batch, in float32.

        Raises:
            ModelError: the output is not (samples, classes).
            DataError: no labels.
        """
        if batch.labels is None:
            raise DataError("training a classifier needs labels", seen="a batch without labels")
        count = getattr(output, "shape", (0, 0))[-1]
        wanted = (len(batch.labels), max(count, self.classes))
        check_output(output, wanted, f"one value for each of {self.classes} classes")
        return functional.cross_entropy(output.float(), batch.labels, label_smoothing=self.label_smoothing)


class Reconstruction(torch.nn.Module):  # type: ignore[misc]
    """Mean squared error of the output against the input."""

    captured = True

    def forward(self, output: Any, batch: Batch) -> torch.Tensor:
        """The mean over all values, in float32.

        Raises:
            ModelError: the output has another shape than the input.
        """
        check_output(output, tuple(batch.x.shape), "the input again")
        return functional.mse_loss(output.float(), batch.x)
