"""What a distillation loss is made from, and what it is called with."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Self

import torch

from profiles.errors import ModelError, UnsupportedError
from profiles.runner import Array
from toolchain.frontend.train.feed import Batch
from toolchain.project.recipe import Distill

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Pair:
    """A layer of the student and the layer of the teacher that it learns from.

    Attributes:
        student, teacher: names of the layers.
        student_shape, teacher_shape: (channels, *spatial sizes) of what they give for one sample.
    """

    student: str
    teacher: str
    student_shape: Shape
    teacher_shape: Shape

    @property
    def channels(self) -> tuple[int, int]:
        """Of the student's layer and of the teacher's."""
        return self.student_shape[0], self.teacher_shape[0]

    @property
    def is_map(self) -> bool:
        """Whether the features have spatial axes."""
        return len(self.student_shape) > 1


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a term is built from.

    Attributes:
        options: of the step.
        task: ``classification`` or ``reconstruction``.
        pairs: of layers, in the order of the student's forward run.
        student_outputs, teacher_outputs: shapes of the outputs, the batch axis included.
        samples: how many the training part has.
        labels: of the training samples, int64; None where there are none.
    """

    options: Distill
    task: str
    pairs: tuple[Pair, ...]
    student_outputs: tuple[Shape, ...]
    teacher_outputs: tuple[Shape, ...]
    samples: int = 0
    labels: Array | None = None

    @property
    def logits(self) -> bool:
        """Whether the outputs are one vector of class logits."""
        return self.task == "classification" and len(self.student_outputs) == 1 and len(self.student_outputs[0]) == 2

    def same_outputs(self, loss: str) -> None:
        """Raise unless student and teacher have the same outputs.

        Raises:
            ModelError: other shapes, or another number of outputs.
        """
        if self.student_outputs != self.teacher_outputs:
            raise ModelError(
                f"'{loss}' compares the outputs of student and teacher: they need the same shapes",
                seen=f"the student gives {_text(self.student_outputs)}, the teacher {_text(self.teacher_outputs)}",
                next_step="take a teacher of the same task, or a loss on features",
            )

    def need_logits(self, loss: str) -> None:
        """Raise unless the outputs are class logits of the same shape.

        Raises:
            UnsupportedError: another task, or other outputs.
        """
        if not self.logits:
            raise UnsupportedError(
                f"'{loss}' needs class logits",
                seen=f"the task '{self.task}', outputs {_text(self.student_outputs)}",
                next_step="use 'kd' (squared error on such outputs), or a loss on features such as 'fitnets'",
            )
        self.same_outputs(loss)

    def features(self, loss: str, *, maps: bool = False, least: int = 1) -> tuple[int, ...]:
        """Indices of the pairs that a loss on features can use.

        Args:
            loss: for the error.
            maps: only those with spatial axes.
            least: how many it needs.

        Raises:
            ModelError: there are fewer.
        """
        found = tuple(index for index, pair in enumerate(self.pairs) if pair.is_map or not maps)
        if len(found) < least:
            kind = "feature maps" if maps else "features"
            raise ModelError(
                f"'{loss}' needs at least {least} pair{'s' * (least > 1)} of layers with {kind}",
                seen=f"{len(found)} of {len(self.pairs)} paired layers" if self.pairs else "no layers could be paired",
                next_step="name them: layers = { STUDENT_LAYER = 'TEACHER_LAYER' }, or use a loss on outputs",
            )
        return found


def _text(shapes: tuple[Shape, ...]) -> str:
    return ", ".join(map(str, shapes))


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a model gave for one batch.

    Attributes:
        output: as the model returned it.
        features: of the paired layers, each (samples, channels, *spatial sizes), in the order of the pairs.
    """

    output: Any
    features: tuple[torch.Tensor, ...] = ()


class Term(torch.nn.Module):  # type: ignore[misc]
    """A distillation loss; see ``toolchain/compress/distill/__init__.py``.

    Attributes:
        weight: its factor in the sum.
        alpha: the share of the distillation for which that weight is meant.
        on_outputs: it looks at outputs only: of several teachers it sees the fused one.
        captured: see :class:`toolchain.frontend.train.hooks.Objective`.
    """

    captured: ClassVar[bool] = True
    weight: float = 1.0
    alpha: ClassVar[float] = 0.5
    on_outputs: ClassVar[bool] = False

    @classmethod
    def build(cls, setting: Setting) -> Self:
        """Make it for two models.

        Raises:
            ModelError, UnsupportedError, DataError: it does not fit them, or the data.
        """
        raise NotImplementedError

    def forward(self, student: Seen, teacher: Seen, batch: Batch) -> torch.Tensor:
        """A scalar in float32; gradients go to the student and to the term's own parameters."""
        raise NotImplementedError


def outputs_of(output: Any) -> tuple[torch.Tensor, ...]:
    """All tensors of a model's output: of one tensor, or of nested tuples, lists and dicts in their order."""
    if isinstance(output, torch.Tensor):
        return (output,)
    if isinstance(output, dict):
        output = tuple(output.values())
    if isinstance(output, (tuple, list)):
        return tuple(tensor for part in output for tensor in outputs_of(part))
    return ()
