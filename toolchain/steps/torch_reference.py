"""What a torch model computes, costs and achieves by itself: what its bundles are held against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from profiles.measurement import Kind, Metric, unavailable
from profiles.runner import Array
from toolchain.steps.data import stack, unstack
from toolchain.steps.evaluate import accuracy_metric, no_accuracy
from toolchain.steps.torch_model import TorchModel
from toolchain.steps.torch_stage import Staged


def reference(model: Staged) -> tuple[dict[str, Array], dict[str, Metric], str]:
    """Golden outputs in float64, the model's cost, and how the outputs were computed."""
    inputs = {**model.key("toolchain.export", __name__), "golden": model.golden_inputs}
    cached = model.cache.folder("reference", inputs, lambda out: _write(model, out))
    with np.load(cached.path / "outputs.npz", allow_pickle=False) as archive:
        outputs = {name: archive[name] for name in archive.files}
    facts = json.loads((cached.path / "facts.json").read_text())
    how = "counted on the torch module, one multiply and one add as one MAC"
    metrics = {name: Metric(float(facts[name]), "1", Kind.MEASURED, how) for name in ("params", "macs")}
    return outputs, metrics, facts["how"]


def _write(model: Staged, out: Path) -> None:
    from toolchain.export.modules import to_tensors
    from toolchain.export.parity import reference_outputs
    from toolchain.frontend.macs import count

    listed, how = reference_outputs(model.module, unstack(model.golden_inputs))
    params, macs = count(model.module, to_tensors(model.sample))
    np.savez(out / "outputs.npz", allow_pickle=False, **stack(listed))
    (out / "facts.json").write_text(json.dumps({"params": params, "macs": macs, "how": how}))


def float_accuracy(model: TorchModel) -> Metric:
    """Top-1 of the torch model in float32 on all test samples before compression: bundles are held against it."""
    reason = no_accuracy(model.data, model.project.model.task)
    if reason or model.data is None:
        return unavailable("accuracy", reason)
    inputs = {**model.key(model.spec, __name__), **model.data.key()}
    with model.progress.step("accuracy of the float model") as step:
        cached = model.cache.folder("float accuracy", inputs, lambda out: _evaluate(model, out, step.update))
        step.cached = cached.hit
    total = model.data.facts["tests"]
    share = json.loads((cached.path / "facts.json").read_text())["accuracy"]
    when = ", before compression" if model.project.compress.steps else ""
    return accuracy_metric(round(share * total), total, f"top-1 of the torch model in float32{when}")


def _evaluate(model: TorchModel, out: Path, update: Any) -> None:
    from toolchain.frontend.train import evaluate

    assert model.data is not None
    tests = model.data.splits.test
    share = evaluate(model.module, tests, on_progress=lambda done, total, text: update(done, total))
    (out / "facts.json").write_text(json.dumps({"accuracy": share}))
