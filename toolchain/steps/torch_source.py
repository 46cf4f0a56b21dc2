"""A torch model as the build sees it: weights (trained where the project says so), compression, then exports.

Every step is cached.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

from profiles.measurement import Metric
from profiles.sampling import Settings
from targets.base import ExportedModel, TensorSpec
from toolchain.cache import Cache
from toolchain.compress.recipe import title_of
from toolchain.compress.rows import Row
from toolchain.progress import Progress
from toolchain.project.models import Project
from toolchain.steps.compress_latency import open_clock
from toolchain.steps.compress_recipe import Compressed, compressed
from toolchain.steps.data import ProjectData
from toolchain.steps.evaluate import no_accuracy
from toolchain.steps.torch_exports import TITLES, TorchExports, model_files
from toolchain.steps.torch_model import TorchModel
from toolchain.steps.torch_reference import float_accuracy, reference
from toolchain.steps.torch_training import train_key

_SETTINGS = Settings()


class TorchSource:
    """A ``zoo:``, ``module:callable`` or ``.pt2`` model of one project.

    Attributes:
        settings: how long the models between the steps of compression are measured; None: not at all.
    """

    def __init__(
        self, project: Project, cache: Cache, progress: Progress, settings: Settings | None = _SETTINGS
    ) -> None:
        self.project, self.settings = project, settings
        self.model = TorchModel(project, cache, progress)
        self.inputs: tuple[TensorSpec, ...] = self.model.inputs
        self.data: ProjectData | None = self.model.data

    @functools.cached_property
    def recipe(self) -> Compressed:
        """The recipe's stages and rows; run now if nobody has. Without steps there is the model as it is."""
        return compressed(self.model, lambda: open_clock(self, self.settings))

    @functools.cached_property
    def _exports(self) -> TorchExports:
        return TorchExports(self.recipe.final)

    @property
    def formats(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(TITLES)

    @property
    def precision(self) -> str:
        """Torch models are float."""
        return "fp32"

    @property
    def task(self) -> str:
        """As in ``[model]``."""
        return self.project.model.task

    def planned(self, format_: str) -> list[str]:
        """Training where the project asks for it, and the export."""
        export = f"export to {TITLES[format_]}"
        steps = [f"compress: {title_of(step.options)}" for step in self.project.compress.steps]
        if self.project.train is None:
            return [f"load {self.project.model.source.text}", *steps, export]
        made = self.model.cache.peek("train", train_key(self.model)) is not None
        return ["train (cached)" if made else f"train {self.project.train.epochs} epochs", *steps, export]

    @property
    def at_hand(self) -> None:
        """Files have to be exported first."""
        return

    def files(self, formats: Iterable[str]) -> ExportedModel:
        """An export is not taken for one before it was checked: the same as :meth:`export`."""
        return self.export(formats)

    def steps(self, formats: Iterable[str]) -> int:
        """Training, every step of compression, a file in each format, and the float accuracy, as far as wanted."""
        trained = self.project.train is not None
        return len(set(formats)) + trained + self.judged + len(self.project.compress.steps)

    @property
    def judged(self) -> bool:
        """Whether the float model has an accuracy."""
        return not no_accuracy(self.data, self.task)

    def export(self, formats: Iterable[str]) -> ExportedModel:
        """The model in the wanted formats, each checked against a float64 run."""
        return model_files(self._exports, formats)

    def metrics(self) -> dict[str, Metric]:
        """``params`` and ``macs``, after compression."""
        return reference(self.recipe.final)[1]

    def rows(self) -> tuple[Row, ...]:
        """What compression did, step by step; empty without any."""
        return self.recipe.rows

    def float_accuracy(self) -> Metric:
        """Top-1 of the torch model in float32 on all test samples, before compression."""
        return float_accuracy(self.model)
