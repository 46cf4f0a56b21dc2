"""What may be changed about a training: its loss, and what happens around every step.

Imports torch: import this module inside functions only, or from modules that do the same.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Protocol, cast

from profiles.errors import ModelError
from toolchain.frontend.data import DataSet
from toolchain.frontend.specs import TrainSpec
from toolchain.frontend.zoo import CLASSIFICATION

if TYPE_CHECKING:
    import torch

    from toolchain.frontend.train.feed import Batch


@dataclasses.dataclass
class TrainingState:
    """What hooks see of a run; ``step`` counts from 0 to ``total``, which is all epochs' steps."""

    model: torch.nn.Module
    optimizer: Any
    spec: TrainSpec
    total: int
    device: str
    step: int = 0

    @property
    def progress(self) -> float:
        """How much of the training is behind us, from 0 to 1."""
        return self.step / max(self.total, 1)


class Objective(Protocol):
    """A loss: a ``torch.nn.Module`` whose parameters, if any, are trained with the model's.

    Its ``repr`` must say everything that it depends on: it identifies the run in checkpoints. An attribute
    ``captured`` that is True says that it can be recorded as a CUDA graph: no waiting for values, the same shapes and
    tensors in every step, nothing that depends on ``batch.indices``. An attribute ``needs_labels`` that is False says
    that ``batch.labels`` may be None.
    """

    def __call__(self, output: Any, batch: Batch) -> torch.Tensor:
        """A scalar in float32.

        Args:
            output: what the model returned, on the run's device; bfloat16 under autocast.
            batch: what went in.
        """
        ...

    def parameters(self) -> Any:
        """As of ``torch.nn.Module``, and so are the next ones."""
        ...

    def buffers(self) -> Any:
        """What is remembered and not trained."""
        ...

    def to(self, device: Any) -> Any:
        """Move to a device."""
        ...

    def train(self, mode: bool = True) -> Any:
        """Training mode."""
        ...

    def state_dict(self) -> Any:
        """What a checkpoint keeps."""
        ...

    def load_state_dict(self, state: Any) -> Any:
        """From a checkpoint."""
        ...


class Hook:
    """Something that happens around every step; all methods may be left out.

    ``repr`` must say everything that it depends on. State that must survive an interruption is in
    ``state_dict``, made of tensors, numbers, strings, lists and dicts.

    Attributes:
        captured: set to True where the hook replaces no tensor that the forward run or the penalty reads, but
            changes them in place, and where its penalty depends on nothing else (not on ``state.step``): the step can
            then be recorded as a CUDA graph.
    """

    captured = False

    def __repr__(self) -> str:
        return type(self).__name__

    def start(self, state: TrainingState) -> None:
        """Once, before a checkpoint is taken up."""

    def before_step(self, state: TrainingState) -> None:
        """Before the forward run."""

    def penalty(self, state: TrainingState) -> Any:
        """Added to the loss: 0, or a scalar tensor."""
        return 0.0

    def after_backward(self, state: TrainingState) -> None:
        """Gradients are there, weights not yet changed."""

    def after_step(self, state: TrainingState) -> None:
        """Weights are changed."""

    def after_epoch(self, state: TrainingState, epoch: int) -> None:
        """After epoch number ``epoch``, from 0."""

    def finish(self, state: TrainingState) -> None:
        """Once, when the weights are final; also after a failure."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""


def task_loss(task: str, data: DataSet, label_smoothing: float = 0.0) -> Objective:
    """Cross-entropy on logits for classification, else the mean squared error against the input."""
    from toolchain.frontend.train.losses import Classification, Reconstruction

    if task != CLASSIFICATION or data.labels is None:
        return cast("Objective", Reconstruction())
    return cast("Objective", Classification(int(data.labels.max()) + 1, label_smoothing))


def check_output(output: Any, wanted: tuple[int, ...], meaning: str) -> None:
    """Refuse an output that does not fit the data.

    Raises:
        ModelError: another shape than ``wanted``.
    """
    seen = tuple(getattr(output, "shape", ()))
    if seen != wanted:
        raise ModelError(
            f"the model's output does not fit the data: it should be {meaning}",
            seen=f"{seen or type(output).__name__}",
            allowed=str(wanted),
            next_step="check the model's number of classes and its input",
        )
