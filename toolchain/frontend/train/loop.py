"""Train a model: what is checked before, and what came out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from profiles.errors import ConfigError, DataError
from toolchain.frontend.data import Splits
from toolchain.frontend.exported import is_exported
from toolchain.frontend.specs import Progress, TrainSpec
from toolchain.frontend.train.batches import check_augmentable
from toolchain.frontend.train.checkpoint import run_identity
from toolchain.frontend.train.environment import at_home, bounded_threads, deterministic, resolve_precision
from toolchain.frontend.train.hooks import Hook, Objective, task_loss
from toolchain.frontend.train.run import Run
from toolchain.frontend.zoo import CLASSIFICATION, TASKS

if TYPE_CHECKING:
    import torch


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """What a run did.

    Attributes:
        epochs, steps: of the whole run, epochs from a checkpoint included.
        losses: mean training loss of each epoch.
        precision: ``fp32`` or ``bf16``, as it ran.
        resumed_from: epochs that came from the checkpoint.
    """

    epochs: int
    steps: int
    losses: tuple[float, ...]
    precision: str
    resumed_from: int


def train(
    model: torch.nn.Module,
    data: Splits,
    spec: TrainSpec,
    *,
    task: str = CLASSIFICATION,
    checkpoint: Path | None = None,
    on_progress: Progress | None = None,
    objective: Objective | None = None,
    hooks: Sequence[Hook] = (),
    device: str = "cpu",
) -> TrainResult:
    """Train ``model`` in place on ``data.train``, and leave it in eval mode.

    The same model, data, spec, machine and torch give the same weights, bit by bit, also when the
    run was stopped and taken up again from its checkpoint. The loss is cross-entropy on logits
    (classification) or the mean squared error against the input (reconstruction).

    Args:
        model: takes batches as ``data`` makes them; its initial weights are where training starts.
        data: labelled, for classification; an objective that says ``needs_labels = False`` does without.
        spec: how to train.
        task: ``classification`` or ``reconstruction``.
        checkpoint: a file that is written after every epoch, and taken up when it exists.
        on_progress: called with (steps done, steps in all, text) after every step.
        objective: another loss than the task's own; its parameters are trained with the model's.
        hooks: called around every step, in this order.
        device: torch device to train on; the model comes back on the one where it was.

    Raises:
        ConfigError: an unknown task, augmentation that does not fit the data, another run's checkpoint.
        DataError: no labels, random data, fewer than two samples, an image that cannot be decoded.
        ModelError: the outputs do not fit the classes, or the loss is not finite: then the model has
            the weights of the last good epoch, and so has the checkpoint.
        OutputError: the checkpoint cannot be written.
    """
    spec = dataclasses.replace(spec, precision=resolve_precision(spec.precision, device))
    _check(model, data, spec, task, needs_labels=_needs_labels(task, objective))
    if data.train.store.keeps:
        data.train.prefetch(on_progress)
    extras = [repr(extra) for extra in (objective, *hooks) if extra is not None]
    run = run_identity(model, data.digest, spec, task, *extras)
    loss = task_loss(task, data.train, spec.label_smoothing) if objective is None else objective
    with bounded_threads(spec.threads), deterministic(device), at_home(model, loss):
        made = Run(model, data.train, spec, objective=loss, hooks=hooks, device=device)
        losses, resumed = made.all_epochs(run, checkpoint, on_progress)
    return TrainResult(spec.epochs, made.total, losses, spec.precision, resumed)


def _needs_labels(task: str, objective: Objective | None) -> bool:
    return task == CLASSIFICATION and getattr(objective, "needs_labels", True)


def _check(model: torch.nn.Module, data: Splits, spec: TrainSpec, task: str, *, needs_labels: bool) -> None:
    if is_exported(model):
        raise ConfigError("an exported program (.pt2) cannot be trained", next_step="give the module that it came from")
    if task not in TASKS:
        raise ConfigError("unknown task", seen=repr(task), allowed=", ".join(TASKS))
    if data.source == "random":
        raise DataError("random samples teach nothing", seen="data source 'random'", next_step="give real data")
    if needs_labels and data.train.labels is None:
        raise DataError("training a classifier needs labels", seen=f"{data.source} has none")
    if len(data.train) < 2:
        raise DataError("training needs at least two samples", seen=str(len(data.train)))
    if spec.augment:
        check_augmentable(data)
