"""What is said of one bundle beside its profile."""

from types import SimpleNamespace

import pytest

from profiles.measurement import Kind, Metric, unavailable
from toolchain.steps.entry import accuracies, notes_of


def test_the_loss_of_accuracy_is_a_difference():
    reference = Metric(0.9, "1", Kind.MEASURED, "torch")
    lost = accuracies(Metric(0.88, "1", Kind.MEASURED, "bundle"), reference)
    assert lost["accuracy_drop"].value == pytest.approx(0.02) and "0.9000" in lost["accuracy_drop"].method
    gained = accuracies(Metric(0.92, "1", Kind.MEASURED, "bundle"), reference)
    assert gained["accuracy_drop"].value == pytest.approx(-0.02)


@pytest.mark.parametrize("missing", ["bundle", "reference", "both"])
def test_without_one_of_them_there_is_no_difference(missing):
    there = Metric(0.9, "1", Kind.MEASURED, "x")
    gone = unavailable("accuracy", "no labels")
    accuracy = gone if missing != "reference" else there
    reference = gone if missing != "bundle" else there
    found = accuracies(accuracy, reference)
    assert found["accuracy"] == accuracy
    assert found["accuracy_drop"].kind is Kind.UNAVAILABLE and found["accuracy_drop"].reason == "no labels"


@pytest.mark.parametrize(("via", "why", "notes"), [
    (None, "", []),
    (None, "no GPU", ["compiled, not run: no GPU"]),
    ("ssh://me@board", "", []),
    ("ssh://me@board", "no GPU", ["golden outputs and accuracy are of the target's emulator, not the engine: no GPU"]),
])  # fmt: skip
def test_a_bundle_that_a_device_runs_over_ssh_is_not_called_not_run(via, why, notes):
    plan = SimpleNamespace(companion=False, entry=SimpleNamespace(via=via))
    assert list(notes_of(plan, SimpleNamespace(not_run=why))) == notes
