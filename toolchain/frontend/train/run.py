"""One run of training: epochs, steps, checkpoints. Imports torch inside functions only."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from profiles.errors import ModelError
from toolchain.frontend.data import DataSet
from toolchain.frontend.specs import Progress, TrainSpec
from toolchain.frontend.train.batches import epoch_batches, epoch_random, steps
from toolchain.frontend.train.checkpoint import Checkpoint
from toolchain.frontend.train.feed import Feed, open_feed
from toolchain.frontend.train.gradients import gradients_for
from toolchain.frontend.train.hooks import Hook, Objective, TrainingState
from toolchain.frontend.train.optimizer import one_cycle, to_channels_last

if TYPE_CHECKING:
    import torch

#: Steps between two looks at the loss where looking makes the processor wait for an accelerator.
LOOK = 32


class Run:
    """One run: the model with its optimizer and schedule."""

    def __init__(
        self,
        model: torch.nn.Module,
        data: DataSet,
        spec: TrainSpec,
        *,
        objective: Objective,
        hooks: Sequence[Hook],
        device: str,
    ) -> None:
        self.data, self.spec, self.objective, self.hooks, self.device = data, spec, objective, hooks, device
        self.total = spec.epochs * steps(len(data), spec.batch)
        model.to(device)
        objective.to(device)
        if data.spec.layout == "NCHW":
            to_channels_last(model)
        self.feed: Feed = open_feed(data, spec, device)
        optimizer, self.schedule = one_cycle((model, objective), spec, self.total, device)
        self.state = TrainingState(model, optimizer, spec, self.total, device)
        self.gradients = gradients_for(self.state, objective, hooks)
        self.losses: list[float] = []

    def all_epochs(self, run: str, path: Path | None, on_progress: Progress | None) -> tuple[tuple[float, ...], int]:
        """Every epoch that is still to be done; the mean loss of each, and how many were done before."""
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
        return tuple(self.losses), start

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
        for step, indices in enumerate(batches):
            loss = self._step(indices, generator)
            total = total + loss.double() * len(indices)
            if self.gradients.always and (step + 1) % LOOK and step + 1 < len(batches):
                continue
            if not math.isfinite(value := float(total)):
                raise self._diverged(epoch, f"the loss became {value} in step {step + 1} of epoch {epoch + 1}")
            if on_progress:
                done = epoch * len(batches) + step + 1
                on_progress(done, self.total, f"epoch {epoch + 1}/{self.spec.epochs}, loss {float(loss):.3f}")
        self.losses.append(float(total) / len(self.data))
        for hook in self.hooks:
            hook.after_epoch(self.state, epoch)

    def _step(self, indices: np.ndarray[Any, Any], generator: np.random.Generator) -> torch.Tensor:
        """One step; the loss before it, which is not finite where no step was done."""
        state = self.state
        batch = self.feed.batch(indices, generator)
        for hook in self.hooks:
            hook.before_step(state)
        loss = self.gradients(batch)
        if self.gradients.always or math.isfinite(float(loss)):
            for hook in self.hooks:
                hook.after_backward(state)
            state.optimizer.step()
            self.schedule.step()
            for hook in self.hooks:
                hook.after_step(state)
        state.step += 1
        return loss

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
