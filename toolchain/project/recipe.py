"""The steps of a recipe as data: their options, as ``edge.toml`` and Python give them. Loads no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StrictBool, StrictInt, field_validator, model_validator

from profiles.errors import ConfigError
from profiles.units import parse_quantity
from toolchain.compress.catalogue import find_method
from toolchain.compress.catalogue.method import Method
from toolchain.compress.goals import GOALS, UNITS, Goal
from toolchain.project.common import Frozen, ProjectPath, as_problem, problem
from toolchain.project.problems import shown
from toolchain.project.recipe_values import Epochs, Left, Pattern, Rank, Rate, Share, ShareOrBytes, ShareOrTime
from toolchain.project.sources import check_model_source


class StepOptions(Frozen):
    """What all steps have.

    ``guard`` rolls the step back unless it measurably helps on the device that it is for.
    """

    step: ClassVar[str]

    guard: StrictBool = Field(
        default=False, description="Roll the step back unless it measurably helps, or if it costs too much accuracy."
    )
    max_drop: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.02, description="With guard: accuracy that the step may cost at most, as a share of 1."
    )
    device: str | None = Field(
        default=None, description="The device entry that the step is for. Default: the project's first one."
    )
    epochs: Epochs = Field(default=0, description="Passes over the training samples to recover in, after the step.")
    lr: Rate = Field(default=0.02, description="Highest learning rate of the recovery.")


class MethodOptions(StepOptions):
    """A step that is carried out by one of several methods."""

    method: str

    @field_validator("method")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            find_method(cls.step, name)
        except ConfigError as error:
            raise as_problem(error) from error
        return name

    @property
    def chosen(self) -> Method:
        """The catalogue's entry."""
        return find_method(self.step, self.method)


class GoalOptions(MethodOptions):
    """A step with one goal: a ratio, or what may be left of parameters, MACs, bytes or latency.

    ``params``, ``macs``, ``bytes`` and ``latency`` up to 1 are shares of what the step starts from; more is an amount.
    """

    ratio: Share | None = Field(default=None, description="Share to remove.")
    params: Left | None = Field(default=None, description="Parameters left: a share up to 1, or a number.")
    macs: Left | None = Field(default=None, description="Multiply-accumulates left: a share up to 1, or a number.")
    bytes: ShareOrBytes | None = Field(default=None, description='Stored bytes left: a share, or "100 kB".')
    latency: ShareOrTime | None = Field(
        default=None, description='Latency left on the step\'s device: a share, or "5 ms".'
    )

    @model_validator(mode="after")
    def _has_one_goal(self) -> GoalOptions:
        given = [name for name in GOALS if getattr(self, name) is not None]
        if len(given) > 1:
            raise problem("has more than one goal", seen=", ".join(given), allowed=f"one of {', '.join(GOALS)}")
        return self

    def goal(self, default: float = 0.5) -> Goal:
        """What was asked for; a ratio of ``default`` where nothing was."""
        for name in GOALS:
            if (value := getattr(self, name)) is not None:
                if isinstance(value, str):
                    return Goal(name, parse_quantity(value, UNITS[name], where=""), False, self.device)
                return Goal(name, float(value), value <= 1, self.device)
        return Goal("ratio", default, True, self.device)


class Prune(GoalOptions):
    """Remove whole channels: the model is smaller and dense."""

    step: ClassVar[str] = "prune"
    method: str = Field(default="group_norm", description="See: edgewright methods --step prune")
    scope: Literal["layer", "global"] = Field(
        default="global", description="Remove the same share of every layer, or the least important of all layers."
    )
    rounds: Annotated[StrictInt, Field(ge=1, le=1000)] = Field(
        default=1, description="Prune in so many rounds, each with its share of the recovery."
    )
    round_to: Annotated[StrictInt, Field(ge=1, le=256)] | None = Field(
        default=None, description="Channel counts are multiples of this. Default: what the device's kernels like."
    )
    cap: Share = Field(default=0.85, description="At most this share of any group of channels is removed.")
    exclude: tuple[str, ...] = Field(default=(), description="Layers that stay as they are; * stands for any text.")
    samples: Annotated[StrictInt, Field(ge=1)] = Field(
        default=512, description="Training samples that methods with data score on."
    )
    strength: float = Field(default=1e-4, ge=0, description="Weight of the sparsity term of methods that train one.")
    sparse_epochs: Epochs = Field(default=0, description="Epochs of sparsity training before channels are removed.")


class Sparsify(MethodOptions):
    """Set single weights to zero; shapes stay."""

    step: ClassVar[str] = "sparsify"
    method: str = Field(default="magnitude", description="See: edgewright methods --step sparsify")
    sparsity: Share = Field(default=0.5, description="Share of the weights that are zero afterwards.")
    pattern: Pattern | None = Field(default=None, description='"2:4": of every 4 weights in a row, 2 are zero.')
    scope: Literal["layer", "global"] = Field(
        default="global", description="The same share of every layer, or overall."
    )
    schedule: Literal["oneshot", "iterative", "cubic"] = Field(
        default="oneshot", description="All at once, in rounds, or gradually during the training."
    )
    rounds: Annotated[StrictInt, Field(ge=1, le=1000)] = Field(
        default=1, description="Rounds of an iterative schedule."
    )
    exclude: tuple[str, ...] = Field(default=(), description="Layers that stay as they are; * stands for any text.")
    samples: Annotated[StrictInt, Field(ge=1)] = Field(
        default=512, description="Training samples that methods with data score on."
    )


class LowRank(GoalOptions):
    """Replace layers by products of smaller ones."""

    step: ClassVar[str] = "lowrank"
    ratio: Share | None = Field(
        default=None,
        description="Share to remove of the MACs of those layers that can be factorised (of their stored bytes: "
        "sparse_lowrank).",
    )
    method: str = Field(default="tucker2", description="See: edgewright methods --step lowrank")
    rank: Rank | None = Field(
        default=None, description='One rank for all layers, or "vbmf": by variational Bayes. Default: by the goal.'
    )
    energy: Share | None = Field(default=None, description="Share of each layer's squared singular values to keep.")
    exclude: tuple[str, ...] = Field(default=(), description="Layers that stay as they are; * stands for any text.")
    samples: Annotated[StrictInt, Field(ge=1)] = Field(
        default=512, description="Training samples that methods with data score on."
    )


class Teacher(Frozen):
    """A trained model to learn from; without ``source`` it is the model that the project starts from."""

    source: str | None = Field(default=None, description="As model.source.")
    weights: ProjectPath | None = Field(default=None, description="Its weights.")

    @field_validator("source")
    @classmethod
    def _is_a_source(cls, value: str | None) -> str | None:
        return None if value is None else check_model_source(value)


class Distill(StepOptions):
    """Train the model (or a student in its place) on what a teacher says."""

    step: ClassVar[str] = "distill"
    teacher: str | tuple[Teacher, ...] | None = Field(
        default=None, description="As model.source, or a list of tables; by default the model as the recipe got it."
    )
    weights: ProjectPath | None = Field(default=None, description="The teacher's weights.")
    student: str | None = Field(
        default=None, description="As model.source: a network in the model's place. Default: the model itself."
    )
    loss: str | tuple[str, ...] = Field(
        default="kd", description="One or several; see: edgewright methods --step distill"
    )
    temperature: float = Field(default=4.0, gt=0, description="Softens both distributions.")
    alpha: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None,
        description="Weight of the distillation; the labels' is 1 - alpha. Default: what suits the losses.",
    )
    resolution: Annotated[StrictInt, Field(ge=1)] | None = Field(
        default=None,
        description="Height and width that the student sees; the teacher sees images whole. "
        "The outcome takes the same input as before, and shrinks it itself.",
    )
    layers: dict[str, str] = Field(
        default_factory=dict, description="Student layer to teacher layer for feature losses. Default: stage by stage."
    )
    epochs: Epochs = Field(default=10, description="Passes over the training samples.")
    lr: Rate = Field(default=0.1, description="Highest learning rate.")

    @field_validator("loss")
    @classmethod
    def _losses_are_known(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not value:
            raise problem("needs at least one loss", seen=shown(value), next_step="leave the key out for the loss 'kd'")
        for name in (value,) if isinstance(value, str) else value:
            try:
                find_method(cls.step, name)
            except ConfigError as error:
                raise as_problem(error) from error
        return value

    @field_validator("teacher", "student")
    @classmethod
    def _is_a_source(cls, value: str | tuple[Teacher, ...] | None) -> str | tuple[Teacher, ...] | None:
        return check_model_source(value) if isinstance(value, str) else value

    @property
    def files(self) -> tuple[Path, ...]:
        """Weights that the step reads."""
        listed = [teacher.weights for teacher in self.teacher] if isinstance(self.teacher, tuple) else []
        return tuple(path for path in (self.weights, *listed) if path)

    @property
    def sources(self) -> tuple[str, ...]:
        """Where teachers and student come from, as far as the project says."""
        teachers = (self.teacher,) if isinstance(self.teacher, str) else [t.source for t in self.teacher or ()]
        return tuple(source for source in (*teachers, self.student) if source)

    @property
    def losses(self) -> tuple[str, ...]:
        """All of them."""
        return (self.loss,) if isinstance(self.loss, str) else self.loss


class Finetune(StepOptions):
    """Train on, without any other change."""

    step: ClassVar[str] = "finetune"
    epochs: Epochs = Field(default=10, description="Passes over the training samples.")


#: Step names to their options.
STEPS: dict[str, type[StepOptions]] = {kind.step: kind for kind in (Prune, Sparsify, LowRank, Distill, Finetune)}
