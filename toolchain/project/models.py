"""The whole project: as it is written (:class:`ProjectFile`), and as the pipeline uses it (:class:`Project`)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from profiles.suggest import did_you_mean
from targets.base import Scheme
from toolchain.project.common import Frozen, problem
from toolchain.project.device_section import DeviceEntry, DeviceTable, expand_devices
from toolchain.project.model_section import ModelSection
from toolchain.project.sections import (
    BaselineSection,
    Budget,
    CompressSection,
    CompressTable,
    DataSection,
    QuantizeSection,
    TrainSection,
)

WeightsOrigin = Literal["trained", "file", "callable", "random"]


class ProjectFile(Frozen):
    """An Edgewright project: a model, its data, and the devices to build it for."""

    model: ModelSection = Field(description="The model: where it comes from, what goes in, what comes out.")
    data: DataSection | None = Field(
        default=None,
        description="The samples. Without them accuracy is unavailable, and int8 from a float model is refused.",
    )
    train: TrainSection | None = Field(
        default=None, description="Training. Without this section nothing is trained: weights are given, or random."
    )
    compress: CompressTable = Field(default_factory=CompressSection, description="Compression of the trained model.")
    quantize: QuantizeSection = Field(default_factory=QuantizeSection, description="How int8 entries are quantized.")
    budget: Budget = Field(default_factory=Budget, description="Limits that every device's bundle is checked against.")
    baseline: BaselineSection | None = Field(
        default=None,
        description="Plain PyTorch beside every bundle, to compare with. Without this section there is none.",
    )
    device: tuple[DeviceTable, ...] = Field(default=(), description="The devices to build for, each under [[device]].")

    @model_validator(mode="after")
    def _training_is_possible(self) -> ProjectFile:
        if self.train is None:
            return self
        if self.data is None:
            raise problem("needs samples to train with", next_step="add a [data] section", at=("train",))
        if self.model.source.kind == "file":
            raise problem(
                f"cannot train '{self.model.source.text}', which is an exported model",
                allowed="a zoo: or module:callable source",
                next_step="remove the section [train], or change model.source",
                at=("train",),
            )
        if self.model.task == "none":
            next_step = "set model.task, or remove the section [train]"
            raise problem("needs a task to train for", seen='model.task = "none"', next_step=next_step, at=("train",))
        return self

    @model_validator(mode="after")
    def _baseline_is_possible(self) -> ProjectFile:
        path = self.model.source.path
        if self.baseline is not None and path is not None and path.suffix.lower() != ".pt2":
            raise problem(
                "needs a model that PyTorch can run",
                seen=f"'{self.model.source.text}'",
                allowed="a zoo:, module:callable or .pt2 source",
                next_step="remove the section [baseline], or leave out --baseline",
                at=("baseline",),
            )
        return self

    @model_validator(mode="after")
    def _compression_is_possible(self) -> ProjectFile:
        if self.compress.steps and self.model.source.kind == "file":
            raise problem(
                "needs a model that PyTorch can change",
                seen=f"'{self.model.source.text}', an exported model",
                allowed="a zoo: or module:callable source",
                next_step="remove the section [compress], or change model.source",
                at=("compress",),
            )
        return self

    @model_validator(mode="after")
    def _steps_are_for_devices_of_the_project(self) -> ProjectFile:
        names = [entry.name for entry in expand_devices(self.device, self.budget, self.quantize.calibrator)]
        for index, step in enumerate(self.compress.steps):
            wanted = step.options.device
            if wanted is not None and names and wanted not in names:
                raise problem(
                    "names no device entry of the project",
                    seen=repr(wanted),
                    allowed=", ".join(names),
                    next_step=did_you_mean(wanted, names),
                    at=("compress", "steps", index, step.name, "device"),
                )
        return self

    @model_validator(mode="after")
    def _devices_have_unique_names(self) -> ProjectFile:
        expand_devices(self.device, self.budget, self.quantize.calibrator)
        return self


class Project(Frozen):
    """A validated project.

    Attributes:
        path: the project file, absolute; None when there is none.
        folder: what relative paths in the project begin at, absolute.
        model, data, train, compress, quantize, budget, baseline: the sections; ``data``, ``train``
            and ``baseline`` are None when absent.
        devices: one entry per bundle, names unique.
    """

    path: Path | None
    folder: Path
    model: ModelSection
    data: DataSection | None
    train: TrainSection | None
    compress: CompressSection
    quantize: QuantizeSection
    budget: Budget
    baseline: BaselineSection | None
    devices: tuple[DeviceEntry, ...]

    @classmethod
    def from_file(cls, file: ProjectFile, *, path: Path | None, folder: Path) -> Project:
        """The project that a validated file describes."""
        sections = {name: getattr(file, name) for name in ProjectFile.model_fields if name != "device"}
        devices = expand_devices(file.device, file.budget, file.quantize.calibrator)
        return cls(path=path, folder=folder, devices=devices, **sections)

    @property
    def weights_origin(self) -> WeightsOrigin:
        """Where the weights come from: training here, a file, the callable as it returns them, or chance."""
        if self.train is not None:
            return "trained"
        if self.model.weights is not None or self.model.source.kind == "file":
            return "file"
        return "callable" if self.model.source.kind == "callable" else "random"

    def scheme(self, entry: DeviceEntry) -> Scheme:
        """How the model is quantized for one entry."""
        return Scheme(entry.precision, entry.calibrator, self.quantize.percentile, self.quantize.per_channel)
