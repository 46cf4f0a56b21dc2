"""A torch model as the build sees it: weights (trained where the project says so), then exports, each step cached."""

from __future__ import annotations

from collections.abc import Iterable

from profiles.measurement import Metric
from targets.base import ExportedModel, TensorSpec
from toolchain.cache import Cache
from toolchain.progress import Progress
from toolchain.project.models import Project
from toolchain.steps.data import ProjectData
from toolchain.steps.evaluate import no_accuracy
from toolchain.steps.torch_exports import TITLES, TorchExports
from toolchain.steps.torch_model import TorchModel
from toolchain.steps.torch_reference import float_accuracy, reference
from toolchain.steps.torch_training import train_key


class TorchSource:
    """A ``zoo:``, ``module:callable`` or ``.pt2`` model of one project."""

    def __init__(self, project: Project, cache: Cache, progress: Progress) -> None:
        self.project = project
        self.model = TorchModel(project, cache, progress)
        self.inputs: tuple[TensorSpec, ...] = self.model.inputs
        self.data: ProjectData | None = self.model.data
        self._exports = TorchExports(self.model)

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
        if self.project.train is None:
            return [f"load {self.project.model.source.text}", export]
        made = self.model.cache.peek("train", train_key(self.model)) is not None
        return ["train (cached)" if made else f"train {self.project.train.epochs} epochs", export]

    @property
    def at_hand(self) -> None:
        """Files have to be exported first."""
        return

    def files(self, formats: Iterable[str]) -> ExportedModel:
        """An export is not taken for one before it was checked: the same as :meth:`export`."""
        return self.export(formats)

    def steps(self, formats: Iterable[str]) -> int:
        """Training, a file in each format, and the float accuracy, as far as they are wanted."""
        trained, judged = self.project.train is not None, not no_accuracy(self.data, self.task)
        return len(set(formats)) + trained + judged

    def export(self, formats: Iterable[str]) -> ExportedModel:
        """The model in the wanted formats, each checked against a float64 run."""
        outputs, _, how = reference(self.model)
        found = self._exports.files(formats)
        specs = next(iter(found.values())).outputs
        return ExportedModel(
            name=self.project.model.name,
            inputs=self.inputs,
            outputs=specs,
            onnx=found["onnx"].path if "onnx" in found else None,
            tflite=found["tflite"].path if "tflite" in found else None,
            pt2=found["pt2"].path if "pt2" in found else None,
            tflite_channel_last=found["tflite"].channel_last if "tflite" in found else (),
            golden_inputs=self.model.golden_inputs,
            golden_outputs={spec.name: outputs[spec.name].astype(spec.dtype) for spec in specs},
            reference=how,
        )

    def metrics(self) -> dict[str, Metric]:
        """``params`` and ``macs``."""
        return reference(self.model)[1]

    def float_accuracy(self) -> Metric:
        """Top-1 of the torch model in float32 on all test samples."""
        return float_accuracy(self.model)
