"""A bare ``.onnx`` or ``.tflite`` file as the build sees it."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from profiles.device import load_device
from profiles.measurement import Kind, Metric, unavailable
from targets.artifact import load_artifact
from targets.base import ExportedModel, Scheme
from targets.reference_worker import run_reference_apart
from targets.registry import default_target
from toolchain.cache import Cache, source_digest
from toolchain.compress.rows import Row
from toolchain.export.foreign import open_foreign
from toolchain.export.golden import with_golden
from toolchain.progress import Progress
from toolchain.project.models import Project
from toolchain.steps.bundle import BundleJob
from toolchain.steps.compile import build_one
from toolchain.steps.data import ProjectData, project_data
from toolchain.steps.evaluate import bundle_accuracy, no_accuracy


class FileSource:
    """A model file of one project. It is checked before anything runs it, and first run in a process of its own."""

    def __init__(self, project: Project, cache: Cache, progress: Progress) -> None:
        self.project = project
        self._cache = cache
        self._progress = progress
        self._file = self._opened()
        self.inputs = self._file.inputs
        self.data: ProjectData | None = project_data(project, self.inputs, cache, progress)

    def _opened(self) -> ExportedModel:
        """The checked file; one whose dynamic shapes had to be fixed is kept in the cache."""
        path = self.project.model.source.path
        assert path is not None
        fixed = {spec.name: spec.shape for spec in self.project.model.input if spec.name and spec.shape}
        with self._progress.step(f"check {path.name}", numbered=False):
            rewritten = self._with_fixed_shapes(path, fixed) if fixed else None
            checked = open_foreign(rewritten) if rewritten else open_foreign(path, fixed)
        return dataclasses.replace(checked, name=self.project.model.name)

    def _with_fixed_shapes(self, path: Path, fixed: dict[str, tuple[int, ...]]) -> Path | None:
        """The file that had to be written to fix the shapes, or None when the given one has them."""
        key = {"file": path, "fixed": {name: list(shape) for name, shape in fixed.items()}}
        code = source_digest("toolchain.export", "targets.onnx_shapes")
        cached = self._cache.folder("fix shapes", {**key, "code": code}, lambda out: _open(path, fixed, out))
        return next(iter(cached.path.glob("*.onnx")), None)

    @property
    def formats(self) -> tuple[str, ...]:
        """The one that the file is in."""
        return ("onnx",) if self._file.onnx else ("tflite",)

    @property
    def precision(self) -> str:
        """Of the file."""
        return self._file.precision

    @property
    def task(self) -> str:
        """As in ``[model]``."""
        return self.project.model.task

    def planned(self, format_: str) -> list[str]:
        """The file is there."""
        return [f"read {self.project.model.source.name}"]

    @property
    def at_hand(self) -> ExportedModel:
        """The file itself."""
        return self._file

    def files(self, formats: Iterable[str]) -> ExportedModel:
        """The file itself."""
        return self._file

    def export(self, formats: Iterable[str]) -> ExportedModel:
        """The file itself with golden samples; test samples where there are any."""
        return self._with_golden

    def steps(self, formats: Iterable[str]) -> int:
        """The reference outputs; a float bundle and its accuracy where that can be told."""
        return 1 if self.precision == "int8" or no_accuracy(self.data, self.task) else 3

    @functools.cached_property
    def _with_golden(self) -> ExportedModel:
        inputs = self.data.golden() if self.data else None
        key = {
            "file": self._file.onnx or self._file.tflite,
            "golden": inputs,
            "code": source_digest("toolchain.export", "toolchain.steps.file_source", "targets.reference"),
        }

        def produce(out: Path) -> None:
            made = with_golden(self._file, inputs, run=run_reference_apart)
            np.savez(out / "inputs.npz", allow_pickle=False, **dict(made.golden_inputs))
            np.savez(out / "outputs.npz", allow_pickle=False, **dict(made.golden_outputs))
            (out / "how.json").write_text(json.dumps(made.reference))

        with self._progress.step(f"reference outputs of {self.project.model.name}") as step:
            cached = self._cache.folder("golden", key, produce)
            step.cached = cached.hit
        stacks = []
        for name in ("inputs", "outputs"):
            with np.load(cached.path / f"{name}.npz", allow_pickle=False) as archive:
                stacks.append({key: archive[key] for key in archive.files})
        how = json.loads((cached.path / "how.json").read_text())
        return dataclasses.replace(self._file, golden_inputs=stacks[0], golden_outputs=stacks[1], reference=how)

    def metrics(self) -> dict[str, Metric]:
        """Neither parameters nor MACs are counted on files."""
        why = "counted on torch models only"
        return {name: unavailable(name, why) for name in ("params", "macs")}

    def rows(self) -> tuple[Row, ...]:
        """Exported models are not compressed."""
        return ()

    def float_accuracy(self) -> Metric:
        """Of the float file, as the default engine of this machine runs it."""
        if self.precision == "int8":
            return unavailable(
                "accuracy", "the model file is quantized already: there is no float model to compare with"
            )
        reason = no_accuracy(self.data, self.task)
        if reason:
            return unavailable("accuracy", reason)
        device = load_device("local-cpu")
        device = dataclasses.replace(device, parameters={**device.parameters, "threads": 1})
        target = default_target(device, self.formats)
        facts = {"source": self.project.model.source.text, "weights": "file"}
        title = f"float model with {target}, to compare with"
        job = BundleJob(self._with_golden, target, device, Scheme("fp32"), None, facts, title)
        folder = build_one(job, self._cache, self._progress)
        with self._progress.step("accuracy of the float model") as step:
            found = bundle_accuracy(load_artifact(folder, verify=False), self.data, self.task, self._cache, step)
        assert found.kind is Kind.MEASURED
        return dataclasses.replace(found, method=f"the float file on {target}; {found.method}")


def _open(path: Path, fixed: dict[str, tuple[int, ...]], out: Path) -> None:
    open_foreign(path, fixed, out)
