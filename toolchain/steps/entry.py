"""What a build says of one bundle beside its profile: notes, and accuracy against the float model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from profiles.measurement import Metric, unavailable
from targets.artifact import NOT_RUN, Artifact
from targets.registry import BASELINE
from toolchain.steps.evaluate import no_accuracy
from toolchain.steps.figures import EMULATOR
from toolchain.steps.plan import Plan
from toolchain.steps.source import ModelSource


def not_judged(plan: Plan, source: ModelSource) -> str:
    """Why a bundle's accuracy cannot be told; empty when it can."""
    if plan.target == "null":
        return "the null target does not compute the model"
    return no_accuracy(source.data, source.task)


def notes_of(plan: Plan, artifact: Artifact) -> Iterator[str]:
    """What is true of a bundle before it is measured."""
    if plan.companion and plan.target == BASELINE:
        yield "built for comparison: what the plain framework needs"
    elif plan.companion:
        yield "built for comparison: no number format is always the fastest on this target"
    if artifact.not_run and is_run(plan, artifact):
        yield f"golden outputs and accuracy are of {EMULATOR}: {artifact.not_run}"
    elif artifact.not_run:
        yield f"{NOT_RUN}: {artifact.not_run}"


def is_run(plan: Plan, artifact: Artifact) -> bool:
    """Whether the engine runs when the bundle is measured: here, or on the machine that the entry names."""
    return bool(plan.entry.via) or not artifact.not_run


def accuracies(accuracy: Metric, reference: Metric) -> Mapping[str, Metric]:
    """Accuracy of the bundle, and how much of the float model's it lost (negative where it gained)."""
    missing = next((m.reason for m in (accuracy, reference) if not m.available), "")
    if missing or accuracy.value is None or reference.value is None:
        return {"accuracy": accuracy, "accuracy_drop": unavailable("accuracy_drop", missing)}
    drop = Metric(
        reference.value - accuracy.value, "1", accuracy.kind, f"against {reference.method}: {reference.value:.4f}"
    )
    return {"accuracy": accuracy, "accuracy_drop": drop}
