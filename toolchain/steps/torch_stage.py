"""A torch model before, between or after the steps of compression, as exports and references see it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from profiles.runner import Array
from toolchain.cache import Cache
from toolchain.compress.stages import Stage
from toolchain.progress import Progress
from toolchain.steps.torch_model import TorchModel

if TYPE_CHECKING:
    import torch


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A model that a step tries; ``key`` says all that it depends on."""

    key: str
    model: torch.nn.Module


@dataclasses.dataclass(frozen=True)
class Staged:
    """One stage of a project's model.

    Attributes:
        base: the model that the recipe starts from.
        stage: None for that model itself.
    """

    base: TorchModel
    stage: Stage | Candidate | None = None

    @property
    def title(self) -> str:
        """What people call it among the other stages; equal for equal stages only."""
        return "the model at the start" if self.stage is None else f"model {self.stage.key[-12:]}"

    @property
    def name(self) -> str:
        """For people."""
        return self.base.project.model.name

    @property
    def cache(self) -> Cache:
        """Of the build."""
        return self.base.cache

    @property
    def progress(self) -> Progress:
        """Of the build."""
        return self.base.progress

    @property
    def module(self) -> torch.nn.Module:
        """The model in eval mode."""
        return self.base.module if self.stage is None else self.stage.model

    @property
    def golden_inputs(self) -> dict[str, Array]:
        """Stacked canonical inputs."""
        return self.base.golden_inputs

    @property
    def sample(self) -> dict[str, Array]:
        """One inference's inputs."""
        return self.base.sample

    def key(self, *packages: str) -> dict[str, Any]:
        """What a step depends on that uses this stage; ``packages`` are further sources of ours that decide it."""
        return {**self.base.key(self.base.spec, *packages), "compressed": self.stage.key if self.stage else None}
