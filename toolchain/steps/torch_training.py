"""Trained weights of a project, from the cache where they are there; an interrupted training goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.cache import step_key
from toolchain.frontend.source import load_module
from toolchain.frontend.specs import TrainSpec

if TYPE_CHECKING:
    from toolchain.steps.torch_model import TorchModel

WEIGHTS = "weights.safetensors"


def train_settings(model: TorchModel) -> TrainSpec:
    """The section ``[train]``."""
    section = model.project.train
    assert section is not None
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


def train_key(model: TorchModel) -> dict[str, Any]:
    """What the weights depend on: where training starts, how it goes, and the samples."""
    assert model.data is not None
    start = model.spec_with(model.project.model.weights)
    return {**model.key(start), "train": train_settings(model), **model.data.key()}


def trained_weights(model: TorchModel) -> Path:
    """The file with the weights; trained now if nobody has."""
    with model.progress.step(f"train {model.project.model.name}") as step:
        key = train_key(model)
        name = step_key("train", 1, key)
        cached = model.cache.folder("train", key, lambda out: _train(model, out, name, step.update))
        step.cached = cached.hit
    return cached.path / WEIGHTS


def _train(model: TorchModel, out: Path, key: str, update: Any) -> None:
    """Train, or go on where an interrupted build stopped; the checkpoint goes when the weights are there."""
    from toolchain.frontend.train import train
    from toolchain.frontend.weights import save_weights

    assert model.data is not None
    module = load_module(model.spec_with(model.project.model.weights))
    checkpoint = model.cache.root / "checkpoints" / f"{key}.pt"
    result = train(
        module,
        model.data.splits,
        train_settings(model),
        task=model.project.model.task,
        checkpoint=checkpoint,
        on_progress=update,
    )
    save_weights(module, out / WEIGHTS)
    checkpoint.unlink(missing_ok=True)
    (out / "losses.json").write_text(json.dumps(result.losses))
