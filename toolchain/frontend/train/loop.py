"""The training loop."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from profiles.errors import ConfigError, DataError, ModelError
from toolchain.frontend.data import Splits
from toolchain.frontend.exported import is_exported
from toolchain.frontend.specs import Progress, TrainSpec
from toolchain.frontend.train.batches import check_augmentable, epoch_batches, epoch_random, steps
from toolchain.frontend.train.checkpoint import Checkpoint, run_identity
from toolchain.frontend.train.environment import bounded_threads, deterministic, resolve_precision
from toolchain.frontend.train.feed import Feed, open_feed
from toolchain.frontend.train.hooks import Hook, Objective, TrainingState, task_loss
from toolchain.frontend.zoo import CLASSIFICATION, TASKS

if TYPE_CHECKING:
    import torch

#: Steps between two looks at the loss where looking makes the processor wait for an accelerator.
LOOK = 32


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
        data: labelled, for classification.
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
    _check(model, data, spec, task)
    if data.train.store.keeps:
        data.train.prefetch(on_progress)
    extras = [repr(extra) for extra in (objective, *hooks) if extra is not None]
    run = run_identity(model, data.digest, spec, task, *extras)
    loss = objective or task_loss(task, data.train, spec.label_smoothing)
    with bounded_threads(spec.threads), deterministic(device), at_home(model):
        made = _Run(model, data, spec, objective=loss, hooks=hooks, device=device)
        return made.all_epochs(run, checkpoint, on_progress)


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


@contextmanager
def at_home(model: torch.nn.Module) -> Iterator[None]:
    """The model goes back to the device where it was, whatever happens."""
    home = next((p.device for p in model.parameters()), None)
    try:
        yield
    finally:
        if home is not None:
            model.to(home)


class _Run:
    """One run: the model with its optimizer and schedule."""

    def __init__(
        self,
        model: torch.nn.Module,
        data: Splits,
        spec: TrainSpec,
        *,
        objective: Objective,
        hooks: Sequence[Hook],
        device: str,
    ) -> None:
        self.data, self.spec, self.objective, self.hooks = data.train, spec, objective, hooks
        self.device = device
        self.total = spec.epochs * steps(len(data.train), spec.batch)
        model.to(device)
        objective.to(device)
        if data.train.spec.layout == "NCHW":
            _to_channels_last(model)
        self.feed: Feed = open_feed(data.train, spec, device)
        optimizer, self.schedule = _optimizer((model, objective), spec, self.total)
        self.state = TrainingState(model, optimizer, spec, self.total, device)
        self.losses: list[float] = []

    def all_epochs(self, run: str, path: Path | None, on_progress: Progress | None) -> TrainResult:
        """Every epoch that is still to be done."""
        for hook in self.hooks:
            hook.start(self.state)
        start = self._take_up(path, run)
        good = copy.deepcopy(self.state.model.state_dict())
        for epoch in range(start, self.spec.epochs):
            try:
                self._epoch(epoch, on_progress)
                self._check_weights(epoch)
            except ModelError:
                self._finish(good)
                raise
            good = copy.deepcopy(self.state.model.state_dict())
            if path is not None:
                self._saved(run, epoch + 1).save(path)
        self._finish(good)
        return TrainResult(self.spec.epochs, self.total, tuple(self.losses), self.spec.precision, start)

    def _take_up(self, path: Path | None, run: str) -> int:
        found = Checkpoint.load(path, run) if path is not None else None
        if found is None:
            return 0
        self.state.model.load_state_dict(found.model)
        self.state.optimizer.load_state_dict(found.optimizer)
        self.schedule.load_state_dict(found.scheduler)
        self.objective.load_state_dict(found.extra["objective"])
        for hook, state in zip(self.hooks, found.extra["hooks"], strict=True):
            hook.load_state_dict(state)
        self.losses = list(found.losses)
        self.state.step = found.epoch * self.total // self.spec.epochs
        return found.epoch

    def _saved(self, run: str, epoch: int) -> Checkpoint:
        states = self.state.model.state_dict(), self.state.optimizer.state_dict(), self.schedule.state_dict()
        extra = {"objective": self.objective.state_dict(), "hooks": [hook.state_dict() for hook in self.hooks]}
        return Checkpoint(run, epoch, self.losses, *states, extra)

    def _finish(self, weights: dict[str, Any]) -> None:
        import torch

        model = self.state.model
        model.load_state_dict(weights)
        for hook in self.hooks:
            hook.finish(self.state)
        model.to(memory_format=torch.contiguous_format)
        model.eval()

    def _epoch(self, epoch: int, on_progress: Progress | None) -> None:
        import torch

        generator = epoch_random(self.spec.seed, epoch)
        torch.manual_seed(int(generator.integers(2**62)))
        self.state.model.train()
        self.objective.train()
        batches = epoch_batches(len(self.data), self.spec.batch, generator)
        total: Any = 0.0
        look = 1 if self.device == "cpu" else LOOK
        for step, indices in enumerate(batches):
            loss = self._step(indices, generator, always=look > 1)
            total = total + loss.detach() * len(indices)
            if (step + 1) % look and step + 1 < len(batches):
                continue
            value = float(total if look > 1 else loss)
            if not math.isfinite(value):
                raise self._diverged(epoch, f"the loss became {value} in step {step + 1} of epoch {epoch + 1}")
            if on_progress:
                done = epoch * len(batches) + step + 1
                text = f"epoch {epoch + 1}/{self.spec.epochs}, loss {float(loss):.3f}"
                on_progress(done, self.total, text)
        self.losses.append(float(total) / len(self.data))
        for hook in self.hooks:
            hook.after_epoch(self.state, epoch)

    def _step(self, indices: np.ndarray[Any, Any], generator: np.random.Generator, *, always: bool) -> torch.Tensor:
        """One step; ``always`` goes on without asking whether the loss is finite."""
        import torch

        state = self.state
        batch = self.feed.batch(indices, generator)
        for hook in self.hooks:
            hook.before_step(state)
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.spec.precision == "bf16"):
            output = state.model(batch.x)
        loss = self.objective(output, batch)
        for hook in self.hooks:
            loss = loss + hook.penalty(state)
        if always or math.isfinite(float(loss.item())):
            state.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            for hook in self.hooks:
                hook.after_backward(state)
            state.optimizer.step()
            self.schedule.step()
            for hook in self.hooks:
                hook.after_step(state)
        state.step += 1
        return loss.detach()

    def _check_weights(self, epoch: int) -> None:
        import torch

        values = self.state.model.state_dict().items()
        bad = [k for k, v in values if v.is_floating_point() and not torch.isfinite(v).all()]
        if bad:
            raise self._diverged(epoch, f"'{bad[0]}' is not finite after epoch {epoch + 1}")

    def _diverged(self, epoch: int, seen: str) -> ModelError:
        del self.losses[epoch:]
        kept = f"the weights after epoch {epoch} are kept" if epoch else "the initial weights are kept"
        return ModelError(f"training diverged; {kept}", seen=seen, next_step=f"try a lower lr than {self.spec.lr:g}")


def _optimizer(modules: Sequence[torch.nn.Module], spec: TrainSpec, total: int) -> tuple[Any, Any]:
    """SGD with Nesterov momentum, and one cycle of the learning rate; vectors and scalars do not decay."""
    import torch

    every = list(dict.fromkeys(p for module in modules for p in module.parameters() if p.requires_grad))
    groups = [
        {"params": [p for p in every if p.ndim > 1], "weight_decay": spec.weight_decay},
        {"params": [p for p in every if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.SGD(groups, lr=spec.lr, momentum=spec.momentum, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=spec.lr, total_steps=total + 1, cycle_momentum=False
    )
    return optimizer, schedule


def _to_channels_last(model: torch.nn.Module) -> None:
    """Images are faster with their channels last; modules with tensors of five axes stay as they are."""
    import torch

    if all(value.ndim != 5 for value in model.state_dict().values()):
        model.to(memory_format=torch.channels_last)
