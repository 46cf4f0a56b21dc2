"""What a project's model looks like to the rest of the build, wherever it comes from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from profiles.measurement import Metric
from profiles.sampling import Settings
from targets.base import ExportedModel, TensorSpec
from toolchain.cache import Cache
from toolchain.compress.rows import Row
from toolchain.progress import Progress
from toolchain.project.models import Project
from toolchain.steps.data import ProjectData

_SETTINGS = Settings()


class ModelSource(Protocol):
    """A model that can be exported."""

    project: Project
    data: ProjectData | None
    inputs: tuple[TensorSpec, ...]

    @property
    def formats(self) -> tuple[str, ...]:
        """Formats that it can be exported to."""
        ...

    @property
    def precision(self) -> str:
        """``fp32``, or ``int8`` for a file that is quantized already."""
        ...

    @property
    def task(self) -> str:
        """As in ``[model]``."""
        ...

    def planned(self, format_: str) -> list[str]:
        """What would be done before a file in this format is there, in words."""
        ...

    @property
    def at_hand(self) -> ExportedModel | None:
        """The model as a file, where there is one without any work."""
        ...

    def files(self, formats: Iterable[str]) -> ExportedModel:
        """Files in these formats, before a reference engine has run them."""
        ...

    def export(self, formats: Iterable[str]) -> ExportedModel:
        """The same with golden samples and the float reference's outputs."""
        ...

    def steps(self, formats: Iterable[str]) -> int:
        """How many steps the user will see for all of this and the float reference's accuracy."""
        ...

    def metrics(self) -> dict[str, Metric]:
        """``params`` and ``macs``."""
        ...

    def float_accuracy(self) -> Metric:
        """Accuracy of the float model on the test samples, before compression."""
        ...

    def rows(self) -> tuple[Row, ...]:
        """What compression did, step by step; empty without any."""
        ...


def open_source(
    project: Project, cache: Cache, progress: Progress, settings: Settings | None = _SETTINGS
) -> ModelSource:
    """The project's model: a torch module, or a file.

    ``settings`` say how long the models between the steps of compression are measured; None: not at all.

    Raises:
        ConfigError, ModelError, DataError: it cannot be used.
    """
    source = project.model.source
    if source.kind == "file" and source.path is not None and source.path.suffix.lower() in (".onnx", ".tflite"):
        from toolchain.steps.file_source import FileSource

        return FileSource(project, cache, progress)
    from toolchain.steps.torch_source import TorchSource

    return TorchSource(project, cache, progress, settings)
