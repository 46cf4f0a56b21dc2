"""From a batch to the gradients of all weights: step by step, or as one recorded CUDA graph."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from toolchain.frontend.train.environment import own_random
from toolchain.frontend.train.feed import Batch
from toolchain.frontend.train.hooks import Hook, Objective, TrainingState

if TYPE_CHECKING:
    import torch

#: Runs before a recording, so that libraries have chosen their kernels.
WARM_UPS = 3


class Gradients(Protocol):
    """Computes the loss of a batch and leaves its gradients in the parameters."""

    #: Gradients are there even where the loss is not finite; asking for its value would make the processor wait.
    always: bool

    def __call__(self, batch: Batch) -> torch.Tensor:
        """The loss, a scalar, detached."""
        ...


def gradients_for(state: TrainingState, objective: Objective, hooks: Sequence[Hook]) -> Gradients:
    """Recorded on CUDA where objective and hooks say that they can be (``captured``), else step by step."""
    parts = (objective, *hooks)
    if state.device.startswith("cuda") and all(getattr(part, "captured", False) for part in parts):
        return Recorded(state, objective, hooks)
    return StepByStep(state, objective, hooks)


class StepByStep:
    """Every operation is launched by itself."""

    def __init__(self, state: TrainingState, objective: Objective, hooks: Sequence[Hook]) -> None:
        self.state, self.objective, self.hooks = state, objective, hooks
        self.always = state.device != "cpu"

    def loss(self, batch: Batch) -> torch.Tensor:
        """Forward run, objective and penalties."""
        import torch

        kind = torch.device(self.state.device).type
        reduced = self.state.spec.precision == "bf16"
        with torch.autocast(kind, torch.bfloat16, enabled=reduced, cache_enabled=kind == "cpu"):
            output = self.state.model(batch.x)
        loss = self.objective(output, batch)
        for hook in self.hooks:
            loss = loss + hook.penalty(self.state)
        return loss

    def __call__(self, batch: Batch) -> torch.Tensor:
        """See :class:`Gradients`."""
        import math

        loss = self.loss(batch)
        if self.always or math.isfinite(float(loss.detach())):
            self.state.optimizer.zero_grad(set_to_none=True)
            loss.backward()
        return loss.detach()


@dataclasses.dataclass(frozen=True)
class Recording:
    """A graph with what it reads and writes."""

    graph: Any
    batch: Batch
    loss: torch.Tensor
    gradients: list[torch.Tensor | None]


class Recorded:
    """Forward and backward run of each batch size as one CUDA graph: one launch instead of hundreds.

    Small networks otherwise train at the pace of the processor's launches. Everything in the graph must work in
    place on the same tensors in every step.
    """

    always = True

    def __init__(self, state: TrainingState, objective: Objective, hooks: Sequence[Hook]) -> None:
        self._plain = StepByStep(state, objective, hooks)
        self._parameters = [p for group in state.optimizer.param_groups for p in group["params"]]
        self._recordings: dict[int, Recording | None] = {}

    def __call__(self, batch: Batch) -> torch.Tensor:
        """See :class:`Gradients`."""
        size = len(batch.indices)
        if size not in self._recordings:
            self._recordings[size] = self._recorded(batch)
        made = self._recordings[size]
        if made is None:
            return self._plain(batch)
        made.batch.x.copy_(batch.x)
        if made.batch.labels is not None and batch.labels is not None:
            made.batch.labels.copy_(batch.labels)
        made.graph.replay()
        for parameter, gradient in zip(self._parameters, made.gradients, strict=True):
            parameter.grad = gradient
        return made.loss.clone()

    def _recorded(self, batch: Batch) -> Recording | None:
        """The recording, or None (with a warning) where the library says that something cannot be recorded."""
        try:
            return self._record(batch)
        except RuntimeError as error:
            if "captur" not in str(error):
                raise
            warnings.warn(f"not recorded as a CUDA graph, so launched one by one: {error}", stacklevel=2)
            self._forget()
            return None

    def _record(self, batch: Batch) -> Recording:
        import torch

        fixed = Batch(batch.x.clone(), None if batch.labels is None else batch.labels.clone(), batch.indices)
        self._warm_up(fixed)
        self._forget()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            loss = self._plain.loss(fixed)
            loss.backward()
        return Recording(graph, fixed, loss.detach(), [p.grad for p in self._parameters])

    def _warm_up(self, batch: Batch) -> None:
        """A few runs on another stream, after which statistics and random numbers are what they were.

        A run that was resumed records in another epoch, and must draw the same numbers all the same.
        """
        import torch

        state, objective = self._plain.state, self._plain.objective
        before = [(value, value.clone()) for part in (state.model, objective) for value in part.buffers()]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with own_random(state.device), torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self._forget()
                self._plain.loss(batch).backward()
        torch.cuda.current_stream().wait_stream(side)
        with torch.no_grad():
            for value, kept in before:
                value.copy_(kept)

    def _forget(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None
