"""A torch model as the build sees it: weights (trained where the project says so), then exports, each step cached."""

from __future__ import annotations

import functools
import importlib.metadata
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from profiles.measurement import Kind, Metric, unavailable
from profiles.runner import Array
from targets.base import ExportedModel, TensorSpec
from toolchain.cache import Cache, source_digest, step_key
from toolchain.frontend.source import load_module
from toolchain.frontend.specs import ModelSpec, TrainSpec
from toolchain.progress import Progress
from toolchain.project.models import Project
from toolchain.steps.data import ProjectData, frontend_input, project_data, random_inputs, unstack
from toolchain.steps.evaluate import accuracy_metric, no_accuracy
from toolchain.steps.torch_inputs import check_source, input_specs, user_code

if TYPE_CHECKING:
    import torch


#: Formats as people write them.
TITLES = {"onnx": "ONNX", "tflite": "TFLite"}


class TorchSource:
    """A ``zoo:``, ``module:callable`` or ``.pt2`` model of one project."""

    def __init__(self, project: Project, cache: Cache, progress: Progress) -> None:
        self.project = project
        self._cache = cache
        self._progress = progress
        self._exports: dict[str, Path] = {}
        check_source(project)
        self.inputs = input_specs(project)
        self.data: ProjectData | None = project_data(project, self.inputs, cache, progress)

    @property
    def formats(self) -> tuple[str, ...]:
        """Both."""
        return ("onnx", "tflite")

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
        if self.project.train is None:
            return [f"load {self.project.model.source.text}", f"export to {TITLES[format_]}"]
        made = self._cache.peek("train", self._train_key()) is not None
        return [
            "train (cached)" if made else f"train {self.project.train.epochs} epochs",
            f"export to {TITLES[format_]}",
        ]

    def metrics(self) -> dict[str, Metric]:
        """``params`` and ``macs``."""
        return self.reference()[1]

    @functools.cached_property
    def spec(self) -> ModelSpec:
        """What to load; trained weights are a file like any other."""
        model = self.project.model
        weights = self._trained() if self.project.train is not None else model.weights
        return self._model_spec(weights)

    def _model_spec(self, weights: Path | None) -> ModelSpec:
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
        """The model in eval mode, weights loaded, compression recipe applied."""
        from toolchain.compress.recipe import compress

        return compress(load_module(self.spec), self.project.compress.steps, self.sample).model

    @functools.cached_property
    def golden_inputs(self) -> dict[str, Array]:
        """Stacked canonical inputs: test samples where there are any."""
        return self.data.golden() if self.data else random_inputs(self.inputs)

    @property
    def sample(self) -> dict[str, Array]:
        """One inference's inputs."""
        return unstack(self.golden_inputs)[0]

    def _key(self, spec: ModelSpec, *packages: str) -> dict[str, Any]:
        model = self.project.model
        return {
            "source": model.source.path or spec.source,
            "user code": user_code(spec) if model.source.kind == "callable" else None,
            "weights": spec.weights,
            "classes": spec.classes,
            "seed": spec.seed,
            "arguments": dict(spec.options),
            "inputs": [s.as_dict() for s in self.inputs],
            "compress": self.project.compress.model_dump(mode="json"),
            "code": source_digest(
                "toolchain.frontend",
                "toolchain.compress",
                "toolchain.steps.torch_source",
                "toolchain.steps.torch_inputs",
                *packages,
            ),
            "torch": importlib.metadata.version("torch"),
        }

    def _settings(self) -> TrainSpec:
        assert self.project.train is not None
        section = self.project.train
        return TrainSpec(
            epochs=section.epochs,
            batch=section.batch,
            lr=section.lr,
            momentum=section.momentum,
            weight_decay=section.weight_decay,
            augment=section.augment,
            precision=section.precision,
            threads=section.threads,
            label_smoothing=section.label_smoothing,
            seed=section.seed,
        )

    def _train_key(self) -> dict[str, Any]:
        assert self.data is not None
        start = self._model_spec(self.project.model.weights)
        return {**self._key(start), "train": self._settings(), **self.data.key()}

    def _trained(self) -> Path:
        with self._progress.step(f"train {self.project.model.name}") as step:
            key = self._train_key()
            cached = self._cache.folder(
                "train", key, lambda out: self._train(out, step_key("train", 1, key), step.update)
            )
            step.cached = cached.hit
        return cached.path / "weights.safetensors"

    def _train(self, out: Path, key: str, update: Any) -> None:
        """Train, or go on where an interrupted build stopped; the checkpoint goes when the weights are there."""
        from toolchain.frontend.train import train
        from toolchain.frontend.weights import save_weights

        assert self.data is not None
        module = load_module(self._model_spec(self.project.model.weights))
        checkpoint = self._cache.root / "checkpoints" / f"{key}.pt"
        result = train(
            module,
            self.data.splits,
            self._settings(),
            task=self.project.model.task,
            checkpoint=checkpoint,
            on_progress=update,
        )
        save_weights(module, out / "weights.safetensors")
        checkpoint.unlink(missing_ok=True)
        (out / "losses.json").write_text(json.dumps(result.losses))

    def reference(self) -> tuple[dict[str, Array], dict[str, Metric], str]:
        """Golden outputs in float64, the model's cost, and how the outputs were computed."""
        inputs = {**self._key(self.spec, "toolchain.export"), "golden": self.golden_inputs}
        cached = self._cache.folder("reference", inputs, self._write_reference)
        with np.load(cached.path / "outputs.npz", allow_pickle=False) as archive:
            outputs = {name: archive[name] for name in archive.files}
        facts = json.loads((cached.path / "facts.json").read_text())
        how = "counted on the torch module, one multiply and one add as one MAC"
        metrics = {name: Metric(float(facts[name]), "1", Kind.MEASURED, how) for name in ("params", "macs")}
        return outputs, metrics, facts["how"]

    def _write_reference(self, out: Path) -> None:
        from toolchain.export.modules import to_tensors
        from toolchain.export.parity import reference_outputs
        from toolchain.frontend.macs import count
        from toolchain.steps.data import stack

        listed, how = reference_outputs(self.module, unstack(self.golden_inputs))
        outputs = stack(listed)
        params, macs = count(self.module, to_tensors(self.sample))
        np.savez(out / "outputs.npz", allow_pickle=False, **outputs)
        facts = {"params": params, "macs": macs, "how": how}
        (out / "facts.json").write_text(json.dumps(facts))

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
        outputs, _, how = self.reference()
        found = self._exports | {name: self._exported(name) for name in sorted(set(formats) - set(self._exports))}
        self._exports = found
        specs = tuple(TensorSpec.from_dict(spec) for spec in _facts(next(iter(found.values())))["outputs"])
        return ExportedModel(
            name=self.project.model.name,
            inputs=self.inputs,
            outputs=specs,
            onnx=found["onnx"] / "model.onnx" if "onnx" in found else None,
            tflite=found["tflite"] / "model.tflite" if "tflite" in found else None,
            tflite_channel_last=tuple(_facts(found["tflite"])["channel_last"]) if "tflite" in found else (),
            golden_inputs=self.golden_inputs,
            golden_outputs={spec.name: outputs[spec.name].astype(spec.dtype) for spec in specs},
            reference=how,
        )

    def _exported(self, name: str) -> Path:
        inputs = {**self._key(self.spec, "toolchain.export"), "format": name, "golden": self.golden_inputs}
        inputs["tools"] = {tool: _version(tool) for tool in ("onnx", "onnxscript", "litert-torch")}
        with self._progress.step(f"export {self.project.model.name} to {TITLES[name]}") as step:
            cached = self._cache.folder("export", inputs, lambda out: self._write_export(name, out))
            step.cached = cached.hit
        return cached.path

    def _write_export(self, name: str, out: Path) -> None:
        from toolchain.export.onnx import export_onnx
        from toolchain.export.parity import check_parity
        from toolchain.export.tflite import export_tflite

        exporter = {"onnx": export_onnx, "tflite": export_tflite}[name]
        exported = exporter(self.module, self.sample, out / f"model.{name}")
        report = check_parity(self.module, exported, unstack(self.golden_inputs))
        facts = {
            "outputs": [spec.as_dict() for spec in exported.outputs],
            "channel_last": exported.channel_last,
            "parity": report.as_dict(),
        }
        (out / "facts.json").write_text(json.dumps(facts))

    def float_accuracy(self) -> Metric:
        """Top-1 of the torch model in float32 on all test samples."""
        reason = no_accuracy(self.data, self.project.model.task)
        if reason or self.data is None:
            return unavailable("accuracy", reason)
        inputs = {**self._key(self.spec), **self.data.key()}
        with self._progress.step("accuracy of the float model") as step:
            cached = self._cache.folder("float accuracy", inputs, lambda out: self._evaluate(out, step.update))
            step.cached = cached.hit
        total = self.data.facts["tests"]
        share = _facts(cached.path)["accuracy"]
        return accuracy_metric(round(share * total), total, "top-1 of the torch model in float32")

    def _evaluate(self, out: Path, update: Any) -> None:
        from toolchain.frontend.train import evaluate

        assert self.data is not None
        share = evaluate(self.module, self.data.splits.test, on_progress=lambda done, total, text: update(done, total))
        (out / "facts.json").write_text(json.dumps({"accuracy": share}))


def _facts(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "facts.json").read_text())
    return facts


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
