"""Accuracy of a bundle on the project's test samples, run through the engine itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from profiles.errors import DataError
from profiles.measurement import Kind, Metric, unavailable
from profiles.runner import Array
from targets.adapt import inputs_to_native, outputs_to_canonical
from targets.artifact import Artifact
from targets.base import TensorSpec
from targets.measure import run_bundle
from toolchain.cache import Cache, source_digest
from toolchain.progress import Step
from toolchain.steps.data import ProjectData, stack

Progress = Callable[[int, int], None]
_CHUNK_BYTES = 128 << 20


def bundle_accuracy(artifact: Artifact, data: ProjectData | None, task: str, cache: Cache, step: Step) -> Metric:
    """Top-1 accuracy (share of 1) over all test samples, or why there is none; ``step`` is told how far it is."""
    reason = no_accuracy(data, task)
    if reason or data is None:
        return unavailable("accuracy", reason)

    def produce(out: Path) -> None:
        correct, total = _count(artifact, data, step.update)
        (out / "accuracy.json").write_text(json.dumps({"correct": correct, "total": total}))

    inputs = {"bundle": artifact.digest(), "code": source_digest("toolchain.steps.evaluate"), **data.key()}
    cached = cache.folder("evaluate", inputs, produce)
    step.cached = cached.hit
    found = json.loads((cached.path / "accuracy.json").read_text())
    where = "" if artifact.not_run else " on its own engine"
    return accuracy_metric(found["correct"], found["total"], f"top-1 of the bundle{where}")


def accuracy_metric(correct: int, total: int, how: str) -> Metric:
    """Share of correct answers, with its binomial standard uncertainty."""
    share = correct / total
    spread = float(np.sqrt(max(share * (1 - share), 1 / total) / total))
    return Metric(share, "1", Kind.MEASURED, f"{how}, {correct} of {total} test samples", uncertainty=spread)


def no_accuracy(data: ProjectData | None, task: str) -> str:
    """Why no accuracy can be given; empty when it can."""
    if data is None:
        return "no [data] in the project"
    if data.random:
        return "the samples are random"
    if task != "classification":
        return f"the task is '{task}', not classification"
    return "" if data.facts["labelled"] else "the test samples have no labels"


def refuse_classes(data: ProjectData | None, task: str, outputs: Sequence[TensorSpec]) -> None:
    """Check that the model can give every class of the data as its answer.

    Raises:
        DataError: it has too few outputs.
    """
    if data is None or no_accuracy(data, task):
        return
    width = int(np.prod(outputs[0].shape[1:]))
    if data.facts["classes"] > width:
        raise DataError(
            "wanted data with the classes that the model tells apart",
            seen=f"{data.facts['classes']} classes in {data.spec.source}",
            allowed=f"at most {width}, the size of the output '{outputs[0].name}'",
            next_step='choose other data or another model, or set task = "none" under [model]',
        )


def _count(artifact: Artifact, data: ProjectData, progress: Progress) -> tuple[int, int]:
    canonical_in = specs(artifact.model["inputs"])
    canonical_out = specs(artifact.model["outputs"])
    correct = total = 0
    for samples, labels in _chunks(data):
        native = [inputs_to_native(sample, canonical_in, artifact.compiled.inputs) for sample in samples]
        outputs, _ = run_bundle(artifact.folder, stack(native), emulate=bool(artifact.not_run))
        first = artifact.compiled.outputs[0].name
        for index, wanted in enumerate(labels):
            one = {artifact.compiled.outputs[0].name: outputs[first][index]}
            scores = outputs_to_canonical(one, artifact.compiled.outputs[:1], canonical_out[:1])[canonical_out[0].name]
            guesses = np.argmax(scores.reshape(len(scores), -1), axis=1)[: len(wanted)]
            correct += int(np.sum(guesses == wanted))
            total += len(wanted)
        progress(total, data.facts["tests"])
    return correct, total


def _chunks(data: ProjectData) -> Iterator[tuple[list[dict[str, Array]], list[Array]]]:
    """Test batches in groups of bounded size, so that large images do not fill memory."""
    samples: list[dict[str, Array]] = []
    labels: list[Array] = []
    size = 0
    for sample, wanted in data.tests():
        assert wanted is not None
        samples.append(sample)
        labels.append(wanted)
        size += sum(values.nbytes for values in sample.values())
        if size >= _CHUNK_BYTES:
            yield samples, labels
            samples, labels, size = [], [], 0
    if samples:
        yield samples, labels


def specs(listed: list[dict[str, object]]) -> tuple[TensorSpec, ...]:
    """Tensor specs of a manifest."""
    return tuple(TensorSpec.from_dict(spec) for spec in listed)
