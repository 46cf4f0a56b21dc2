"""What a torch model scores on a part of the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from profiles.errors import DataError, ModelError
from profiles.runner import Array
from toolchain.frontend.data import DataSet
from toolchain.frontend.exported import fixed_batch
from toolchain.frontend.specs import Progress
from toolchain.frontend.train.environment import bounded_threads

if TYPE_CHECKING:
    import torch


def evaluate(
    model: torch.nn.Module,
    data: DataSet,
    *,
    batch: int = 256,
    threads: int = 1,
    on_progress: Progress | None = None,
) -> float:
    """Top-1 accuracy, from 0 to 1, of a classifier in float32.

    Args:
        model: in eval mode; gives (samples, classes).
        data: with labels.
        batch: samples at a time; a program that was exported for one batch size gets that one.
        threads: upper limit for torch; 0 means all cores.
        on_progress: called with (samples done, samples in all, text).

    Raises:
        DataError: no labels, or no samples.
        ModelError: outputs that are not (samples, classes), too few classes, or not finite.
    """
    if data.labels is None:
        raise DataError("accuracy needs labels", seen="a data set without labels", next_step="give labelled data")
    right = 0
    for x, output, labels in _outputs(model, data, batch, threads, on_progress):
        if output.ndim != 2 or output.shape[1] <= int(data.labels.max()):
            allowed = f"({len(x)}, at least {int(data.labels.max()) + 1})"
            raise ModelError("a classifier gives one value per class", seen=str(output.shape), allowed=allowed)
        right += int((output.argmax(axis=1) == labels).sum())
    return right / len(data)


def reconstruction_error(
    model: torch.nn.Module,
    data: DataSet,
    *,
    batch: int = 256,
    threads: int = 1,
    on_progress: Progress | None = None,
) -> float:
    """Mean squared difference between output and input, in normalised units; arguments as :func:`evaluate`.

    Raises:
        DataError: no samples.
        ModelError: outputs that are not finite, or not of the input's shape.
    """
    total = 0.0
    for x, output, _ in _outputs(model, data, batch, threads, on_progress):
        if output.shape != x.shape:
            raise ModelError("a reconstruction has the input's shape", seen=str(output.shape), allowed=str(x.shape))
        total += float(np.square(output.astype(np.float64) - x).reshape(len(x), -1).mean(axis=1).sum())
    return total / len(data)


def _outputs(
    model: Any, data: DataSet, batch: int, threads: int, on_progress: Progress | None
) -> Iterator[tuple[Array, Array, Array | None]]:
    """Inputs, outputs and labels, batch by batch. A last batch that a fixed size leaves short is filled up."""
    import torch

    if not len(data):
        raise DataError("there are no samples to evaluate on", seen="an empty part")
    fixed = fixed_batch(model)
    place = next((value.device for value in model.state_dict().values()), torch.device("cpu"))
    done = 0
    with bounded_threads(threads):
        for x, labels in data.batches(fixed or batch):
            filled = np.concatenate([x, np.repeat(x[-1:], fixed - len(x), axis=0)]) if fixed else x
            with torch.inference_mode():
                output = model(torch.from_numpy(filled).to(place))
            if not isinstance(output, torch.Tensor) or not bool(torch.isfinite(output).all()):
                seen = "NaN or infinity" if isinstance(output, torch.Tensor) else f"a {type(output).__name__}"
                raise ModelError("the model must give one tensor of finite numbers", seen=seen)
            done += len(x)
            if on_progress:
                on_progress(done, len(data), "evaluating")
            yield x, output.float().cpu().numpy()[: len(x)], labels
