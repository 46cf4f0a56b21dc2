"""The training loop."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from profiles.errors import ConfigError, DataError, ModelError
from toolchain.frontend.data import Splits
from toolchain.frontend.exported import is_exported
from toolchain.frontend.specs import Progress, TrainSpec
from toolchain.frontend.train.batches import augment, check_augmentable, epoch_batches, epoch_random, steps
from toolchain.frontend.train.checkpoint import Checkpoint, run_identity
from toolchain.frontend.train.environment import bounded_threads, deterministic, resolve_precision
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
) -> TrainResult:
    """Train ``model`` in place on ``data.train``, and leave it in eval mode.

    The same model, data, spec, machine and torch give the same weights, bit by bit, also when the
    run was stopped and taken up again from its checkpoint. The loss is cross-entropy on logits
    (classification) or the mean squared error against the input (reconstruction).

    Args:
        model: takes batches as ``data`` makes them; its initial weights are where training starts.
        data: labelled, for classification.
        spec: how to train.
        task: ``classification`` or ``reconstruction``.
        checkpoint: a file that is written after every epoch, and taken up when it exists.
        on_progress: called with (steps done, steps in all, text) after every step.

    Raises:
        ConfigError: an unknown task, augmentation that does not fit the data, another run's checkpoint.
        DataError: no labels, random data, fewer than two samples, an image that cannot be decoded.
        ModelError: the outputs do not fit the classes, or the loss is not finite: then the model has
            the weights of the last good epoch, and so has the checkpoint.
        OutputError: the checkpoint cannot be written.
    """
    spec = dataclasses.replace(spec, precision=resolve_precision(spec.precision))
    _check(model, data, spec, task)
    if data.train.store.keeps:
        data.train.prefetch(on_progress)
    run = run_identity(model, data.digest, spec, task)
    with bounded_threads(spec.threads), deterministic():
        return _Run(model, data, spec, task).all_epochs(run, checkpoint, on_progress)


def _check(model: torch.nn.Module, data: Splits, spec: TrainSpec, task: str) -> None:
    if is_exported(model):
        raise ConfigError("an exported program (.pt2) cannot be trained", next_step="give the module that it came from")
    if task not in TASKS:
        raise ConfigError("unknown task", seen=repr(task), allowed=", ".join(TASKS))
    if data.source == "random":
        raise DataError("random samples teach nothing", seen="data source 'random'", next_step="give real data")
    if task == CLASSIFICATION and data.train.labels is None:
        raise DataError("training a classifier needs labels", seen=f"{data.source} has none")
    if len(data.train) < 2:
        raise DataError("training needs at least two samples", seen=str(len(data.train)))
    if spec.augment:
        check_augmentable(data)


class _Run:
    """One run: the model with its optimizer and schedule."""

    def __init__(self, model: torch.nn.Module, data: Splits, spec: TrainSpec, task: str) -> None:
        import torch

        self.model, self.data, self.spec, self.task = model, data.train, spec, task
        self.total = spec.epochs * steps(len(data.train), spec.batch)
        if data.train.spec.layout == "NCHW":
            model.to(memory_format=torch.channels_last)
        wide = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
        narrow = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
        groups = [{"params": wide, "weight_decay": spec.weight_decay}, {"params": narrow, "weight_decay": 0.0}]
        self.optimizer: Any = torch.optim.SGD(groups, lr=spec.lr, momentum=spec.momentum, nesterov=True)
        self.schedule: Any = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=spec.lr, total_steps=self.total + 1, cycle_momentum=False
        )
        self.losses: list[float] = []

    def all_epochs(self, run: str, path: Path | None, on_progress: Progress | None) -> TrainResult:
        """Every epoch that is still to be done."""
        start = self._take_up(path, run)
        good = copy.deepcopy(self.model.state_dict())
        for epoch in range(start, self.spec.epochs):
            try:
                self._epoch(epoch, on_progress)
                self._check_weights(epoch)
            except ModelError:
                self._finish(good)
                raise
            good = copy.deepcopy(self.model.state_dict())
            if path is not None:
                self._state(run, epoch + 1).save(path)
        self._finish(good)
        return TrainResult(self.spec.epochs, self.total, tuple(self.losses), self.spec.precision, start)

    def _take_up(self, path: Path | None, run: str) -> int:
        found = Checkpoint.load(path, run) if path is not None else None
        if found is None:
            return 0
        self.model.load_state_dict(found.model)
        self.optimizer.load_state_dict(found.optimizer)
        self.schedule.load_state_dict(found.scheduler)
        self.losses = list(found.losses)
        return found.epoch

    def _state(self, run: str, epoch: int) -> Checkpoint:
        states = self.model.state_dict(), self.optimizer.state_dict(), self.schedule.state_dict()
        return Checkpoint(run, epoch, self.losses, *states)

    def _finish(self, weights: dict[str, Any]) -> None:
        import torch

        self.model.load_state_dict(weights)
        self.model.to(memory_format=torch.contiguous_format)
        self.model.eval()

    def _epoch(self, epoch: int, on_progress: Progress | None) -> None:
        import torch

        generator = epoch_random(self.spec.seed, epoch)
        torch.manual_seed(int(generator.integers(2**62)))
        self.model.train()
        batches = epoch_batches(len(self.data), self.spec.batch, generator)
        total = 0.0
        for step, indices in enumerate(batches):
            loss = self._step(indices, generator)
            if not math.isfinite(loss):
                raise self._diverged(epoch, f"the loss became {loss} in step {step + 1} of epoch {epoch + 1}")
            total += loss * len(indices)
            if on_progress:
                done = epoch * len(batches) + step + 1
                on_progress(done, self.total, f"epoch {epoch + 1}/{self.spec.epochs}, loss {loss:.3f}")
        self.losses.append(total / len(self.data))

    def _step(self, indices: np.ndarray[Any, Any], generator: np.random.Generator) -> float:
        import torch

        raw = self.data.raw(indices)
        if self.spec.augment:
            raw = augment(raw, self.data.spec.layout, generator)
        x = torch.from_numpy(self.data.real(raw))
        if self.data.spec.layout == "NCHW":
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.spec.precision == "bf16"):
            output = self.model(x)
        loss = self._loss(output, x, indices)
        value = float(loss.item())
        if math.isfinite(value):
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
        return value

    def _loss(self, output: Any, x: torch.Tensor, indices: np.ndarray[Any, Any]) -> torch.Tensor:
        import torch
        from torch.nn import functional

        if self.task != CLASSIFICATION or self.data.labels is None:
            self._check_shape(output, tuple(x.shape), "the input again")
            return functional.mse_loss(output.float(), x)
        labels = torch.from_numpy(self.data.labels[indices])
        count = getattr(output, "shape", (0, 0))[-1]
        highest = int(self.data.labels.max()) + 1
        self._check_shape(output, (len(indices), max(count, highest)), f"one value for each of {highest} classes")
        return functional.cross_entropy(output.float(), labels, label_smoothing=self.spec.label_smoothing)

    @staticmethod
    def _check_shape(output: Any, wanted: tuple[int, ...], meaning: str) -> None:
        seen = tuple(getattr(output, "shape", ()))
        if seen != wanted:
            raise ModelError(
                f"the model's output does not fit the data: it should be {meaning}",
                seen=f"{seen or type(output).__name__}",
                allowed=str(wanted),
                next_step="check the model's number of classes and its input",
            )

    def _check_weights(self, epoch: int) -> None:
        import torch

        bad = [k for k, v in self.model.state_dict().items() if v.is_floating_point() and not torch.isfinite(v).all()]
        if bad:
            raise self._diverged(epoch, f"'{bad[0]}' is not finite after epoch {epoch + 1}")

    def _diverged(self, epoch: int, seen: str) -> ModelError:
        del self.losses[epoch:]
        kept = f"the weights after epoch {epoch} are kept" if epoch else "the initial weights are kept"
        return ModelError(f"training diverged; {kept}", seen=seen, next_step=f"try a lower lr than {self.spec.lr:g}")
