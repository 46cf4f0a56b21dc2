"""The torch module of one project before compression: what it is loaded from, and what all made of it depends on."""

from __future__ import annotations

import functools
import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from profiles.runner import Array
from toolchain.cache import Cache, source_digest
from toolchain.frontend.source import load_module
from toolchain.frontend.specs import ModelSpec
from toolchain.progress import Progress
from toolchain.project.models import Project
from toolchain.steps.data import ProjectData, frontend_input, project_data, random_inputs, unstack
from toolchain.steps.torch_inputs import check_source, input_specs, user_code
from toolchain.steps.torch_training import trained_weights

if TYPE_CHECKING:
    import torch

#: Sources that decide what a model is; steps add their own.
CODE = (
    "toolchain.frontend",
    *("toolchain.steps.torch_model", "toolchain.steps.torch_inputs", "toolchain.steps.torch_training"),
)


class TorchModel:
    """A ``zoo:``, ``module:callable`` or ``.pt2`` model, trained where the project says so.

    Attributes:
        project, cache, progress: of the build.
        inputs: canonical.
        data: the project's samples, or None.
    """

    def __init__(self, project: Project, cache: Cache, progress: Progress) -> None:
        self.project = project
        self.cache = cache
        self.progress = progress
        check_source(project)
        self.inputs = input_specs(project)
        self.data: ProjectData | None = project_data(project, self.inputs, cache, progress)

    @functools.cached_property
    def spec(self) -> ModelSpec:
        """What to load; trained weights are a file like any other."""
        return self.spec_with(trained_weights(self) if self.project.train else self.project.model.weights)

    def spec_with(self, weights: Path | None) -> ModelSpec:
        """What to load with these weights."""
        model = self.project.model
        only = frontend_input(self.project, self.inputs[0]) if len(self.inputs) == 1 else None
        return ModelSpec(
            source=model.source.text,
            weights=weights,
            classes=len(model.labels) or model.classes,
            input=only,
            seed=self.project.train.seed if self.project.train else 0,
            root=self.project.folder,
            options=model.arguments,
        )

    @functools.cached_property
    def module(self) -> torch.nn.Module:
        """The model in eval mode, weights loaded, before compression."""
        return load_module(self.spec)

    @functools.cached_property
    def golden_inputs(self) -> dict[str, Array]:
        """Stacked canonical inputs: test samples where there are any."""
        return self.data.golden() if self.data else random_inputs(self.inputs)

    @property
    def sample(self) -> dict[str, Array]:
        """One inference's inputs."""
        return unstack(self.golden_inputs)[0]

    def key(self, spec: ModelSpec, *packages: str) -> dict[str, Any]:
        """What a step depends on that uses the model as it is before compression.

        ``packages`` are further sources of ours that decide it.
        """
        model = self.project.model
        return {
            "source": model.source.path or spec.source,
            "user code": user_code(spec) if model.source.kind == "callable" else None,
            "weights": spec.weights,
            "classes": spec.classes,
            "seed": spec.seed,
            "arguments": dict(spec.options),
            "inputs": [s.as_dict() for s in self.inputs],
            "code": source_digest(*CODE, *packages),
            "torch": importlib.metadata.version("torch"),
        }
