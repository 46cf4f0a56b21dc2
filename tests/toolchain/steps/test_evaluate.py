"""Accuracy through the engine itself, against a count in numpy."""

import json
import shutil

import numpy as np
import pytest

from profiles.errors import DataError
from profiles.measurement import Kind
from targets.artifact import load_artifact
from targets.base import TensorSpec
from toolchain.progress import Progress
from toolchain.steps import evaluate
from toolchain.steps.evaluate import accuracy_metric, bundle_accuracy, no_accuracy, refuse_classes

DATA = {"source": "npz:samples.npz", "calibration": 8}


@pytest.fixture
def project(built, here):
    """The files of ``built`` in the working folder."""
    for name in ("tiny.onnx", "samples.npz"):
        shutil.copyfile(built.folder / name, here / name)
    return {"model": {"source": "tiny.onnx"}, "data": DATA, "device": [{"profile": "local-cpu"}]}


def measured(bundle, opened, cache):
    with Progress(quiet=True).step("accuracy") as step:
        return bundle_accuracy(load_artifact(bundle), opened.data, opened.task, cache, step), step


def test_it_counts_what_numpy_counts(built, project, source, cache):
    """The float bundle's outputs, recomputed by hand on all test samples."""
    opened = source(project)
    metric, step = measured(built.out / "local-cpu-onnxruntime-fp32", opened, cache)
    right = total = 0
    for inputs, labels in opened.data.tests():
        guesses = np.argmax(_by_hand(built.folder / "tiny.onnx", inputs["x"]), axis=1)
        right, total = right + int(np.sum(guesses == labels)), total + len(labels)
    assert total == 12
    assert metric.value == right / total and metric.kind is Kind.MEASURED
    assert f"{right} of {total} test samples" in metric.method
    assert not step.cached
    again, step = measured(built.out / "local-cpu-onnxruntime-fp32", opened, cache)
    assert again == metric and step.cached


def _by_hand(path, x):
    """The tiny model in numpy: valid for 3x3 kernels with a padding of one."""
    import onnx
    from onnx import numpy_helper

    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    features = np.maximum(np.einsum("nchwij,ocij->nohw", windows, weights["kernel"]), 0)
    return features.mean(axis=(2, 3)) @ weights["matrix"]


def test_large_sets_are_run_in_parts(built, project, source, cache, monkeypatch):
    opened = source(project)
    whole, _ = measured(built.out / "local-cpu-onnxruntime-fp32", opened, cache)
    monkeypatch.setattr(evaluate, "_CHUNK_BYTES", 1000)
    monkeypatch.setattr(evaluate, "source_digest", lambda *names: "another key")
    parts, step = measured(built.out / "local-cpu-onnxruntime-fp32", opened, cache)
    assert not step.cached and parts.value == whole.value


#: Sections of a project to the reason why it has no accuracy.
REASONS = {
    "no [data]": {"data": None},
    "random": {"data": {"source": "random"}},
    "task is 'none'": {"model": {"source": "tiny.onnx", "task": "none"}},
}


@pytest.mark.parametrize("reason", REASONS)
def test_why_there_is_no_accuracy(built, project, source, cache, reason):
    opened = source({key: value for key, value in {**project, **REASONS[reason]}.items() if value})
    assert reason in no_accuracy(opened.data, opened.task)
    metric, _ = measured(built.out / "local-cpu-onnxruntime-fp32", opened, cache)
    assert metric.kind is Kind.UNAVAILABLE and reason in metric.reason


def test_without_labels_there_is_no_accuracy(project, source, here):
    with np.load("samples.npz") as archive:
        np.savez("samples.npz", x=archive["x"])
    opened = source(project)
    assert no_accuracy(opened.data, opened.task) == "the test samples have no labels"
    refuse_classes(opened.data, opened.task, (TensorSpec("y", (1, 1)),))


def test_more_classes_than_outputs_are_refused(project, source):
    opened = source(project)
    refuse_classes(opened.data, opened.task, (TensorSpec("y", (1, 3)),))
    refuse_classes(opened.data, opened.task, (TensorSpec("y", (1, 1000)),))
    refuse_classes(opened.data, "regression", (TensorSpec("y", (1, 1)),))
    with pytest.raises(DataError) as caught:
        refuse_classes(opened.data, opened.task, (TensorSpec("y", (1, 2)),))
    assert caught.value.seen.startswith("3 classes") and "at most 2" in caught.value.allowed


@pytest.mark.parametrize(("right", "total"), [(0, 10), (10, 10), (3, 4), (1, 1)])
def test_the_uncertainty_is_binomial_and_never_nothing(right, total):
    metric = accuracy_metric(right, total, "counted")
    share = right / total
    assert metric.value == share and metric.unit == "1"
    assert metric.uncertainty >= np.sqrt(share * (1 - share) / total)
    assert metric.uncertainty > 0, "a handful of samples proves nothing beyond doubt"


def test_figures_of_a_build_agree_with_each_other(built):
    """The drop is the difference of two counts that are both in the summary."""
    entries = json.loads((built.out / "summary.json").read_text())["entries"]
    for entry in entries[:3]:
        metrics = entry["metrics"]
        reference = float(metrics["accuracy_drop"]["method"].split(": ")[-1].split(";")[0])
        assert metrics["accuracy_drop"]["value"] == pytest.approx(reference - metrics["accuracy"]["value"], abs=1e-4)
    assert entries[0]["metrics"]["accuracy_drop"]["value"] == 0, "a float bundle computes what the float file does"
