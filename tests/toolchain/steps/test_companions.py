"""Precisions that are shown side by side: which are added, how they are named, and that they never stop a build."""

from types import SimpleNamespace

import pytest

import toolchain
from profiles.errors import EdgewrightError, UnsupportedError, VerificationError
from targets.onnxruntime.target import OnnxRuntimeTarget
from toolchain.pipeline import measured, refuse
from toolchain.progress import Progress
from toolchain.project import project_from_dict
from toolchain.steps.companions import LeftOut, companions
from toolchain.steps.deliver import Delivery
from toolchain.steps.plan import make_plans

DATA = {"data": {"source": "npz:samples.npz"}}


@pytest.fixture(autouse=True)
def _side_by_side(monkeypatch):
    monkeypatch.setattr(OnnxRuntimeTarget, "side_by_side", ("fp32", "fp16", "int8"))


@pytest.fixture
def added(source, tiny, samples):
    """``added(*devices, **sections)``: name and precision of the companions, in order."""

    def made(*devices, **sections):
        opened = source({"model": {"source": "tiny.onnx"}, "device": list(devices), **sections})
        plans = make_plans(opened.project, opened)
        return [(plan.name, plan.precision) for plan in companions(plans, opened.project, opened)]

    return made


def test_what_is_missing_is_added(added):
    found = added({"profile": "local-cpu", "precision": "fp16"}, **DATA)
    assert found == [("local-cpu-fp32", "fp32"), ("local-cpu-int8", "int8")]


def test_what_was_asked_for_is_not_made_twice(added):
    assert added({"profile": "local-cpu", "precision": ["fp32", "fp16", "int8"]}, **DATA) == []
    assert added({"profile": "local-cpu", "precision": ["fp32", "int8"]}, **DATA) == [("local-cpu-fp16", "fp16")]


def test_without_samples_there_is_no_int8(added):
    assert added({"profile": "local-cpu"}) == [("local-cpu-fp16", "fp16")]


def test_entries_that_differ_in_more_than_the_precision_have_companions_of_their_own(added):
    one = {"profile": "local-cpu", "name": "one", "precision": "fp16", "overrides": {"threads": 1}}
    two = {"profile": "local-cpu", "name": "two", "precision": "fp32", "overrides": {"threads": 2}}
    assert added(one, two) == [("one-fp32", "fp32"), ("two-fp16", "fp16")]


def test_entries_that_differ_in_the_calibrator_share_their_companions(added):
    entries = [
        {"profile": "local-cpu", "name": how, "precision": "int8", "calibrator": how} for how in ("minmax", "mse")
    ]
    assert added(*entries, **DATA) == [("minmax-fp32", "fp32"), ("minmax-fp16", "fp16")]


def test_targets_without_the_wish_get_none(added, monkeypatch):
    monkeypatch.setattr(OnnxRuntimeTarget, "side_by_side", ())
    assert added({"profile": "local-cpu"}, **DATA) == []


def test_a_companion_has_no_budget_and_says_what_it_is(tiny, samples):
    project = project_from_dict(
        {
            "model": {"source": "tiny.onnx"},
            "budget": {"size": "1 B"},
            "device": [{"profile": "local-cpu", "precision": "fp32"}],
        }
    )
    result = toolchain.build(project, out="out", profile=False)
    asked, beside = result.entries
    assert (asked.name, beside.name) == ("local-cpu", "local-cpu-fp16")
    assert asked.missed == ["model_size"] and beside.missed == [], "a companion cannot miss what nobody asked of it"
    assert any("comparison" in note for note in beside.notes) and asked.notes == ()
    assert (beside.bundle / "manifest.json").is_file()


def test_a_companion_that_is_not_supported_is_left_out_with_a_note(source, tiny, samples, monkeypatch, capsys):
    opened = source({"model": {"source": "tiny.onnx"}, "device": [{"profile": "local-cpu"}]})
    plans = make_plans(opened.project, opened)
    plans += companions(plans, opened.project, opened)

    def no_fp16(plan):
        if plan.precision == "fp16":
            raise UnsupportedError("no fp16 here", seen="fp16")

    monkeypatch.setattr("toolchain.steps.plan.Plan.support", lambda self, model: self)
    monkeypatch.setattr("toolchain.pipeline.refuse_unsupported", no_fp16)
    with Progress() as progress:
        left_out = LeftOut(progress.note)
        kept = refuse(plans, opened.files({"onnx"}), opened, left_out)
    assert [plan.name for plan in kept] == ["local-cpu"]
    assert "local-cpu-fp16, for comparison, is left out: no fp16 here (fp16)" in capsys.readouterr().err


def test_a_companion_that_cannot_be_made_is_left_out(source, tiny, samples, tmp_path, monkeypatch):
    opened = source({"model": {"source": "tiny.onnx"}, "device": [{"profile": "local-cpu"}]})
    plans = make_plans(opened.project, opened)
    plans += companions(plans, opened.project, opened)
    said = []
    left_out = LeftOut(said.append)
    left_out.impossible(plans, opened)
    monkeypatch.setattr("toolchain.pipeline.measure", lambda plan, folder, site: (plan, folder))
    site = SimpleNamespace(delivery=Delivery(tmp_path))
    assert list(measured(plans, [tmp_path, EdgewrightError("it broke")], site, left_out)) == [(plans[0], tmp_path)]
    assert said == ["local-cpu-fp16, for comparison, is left out: it broke"]
    assert [(row.precision, row.why.partition(":")[0]) for row in left_out.rows] == [
        ("int8", "there are no samples to calibrate with"),
        ("fp16", "it broke"),
    ]


@pytest.mark.parametrize("who", ["local-cpu", "local-cpu-fp16"])
def test_only_a_companion_may_fail_where_it_is_measured(tiny, here, monkeypatch, who):
    """As over ssh, where golden outputs are checked once more."""
    project = project_from_dict({"model": {"source": "tiny.onnx"}, "device": [{"profile": "local-cpu"}]})

    def profile(self, folder, settings, progress):
        if self.name == who:
            raise VerificationError("other outputs there", seen="0.5")

    monkeypatch.setattr("toolchain.steps.plan.Plan.profile", profile)
    if who == "local-cpu":
        with pytest.raises(VerificationError):
            toolchain.build(project, out="out")
        return
    result = toolchain.build(project, out="out")
    assert [entry.name for entry in result.entries] == ["local-cpu"]
    assert ("fp16", "other outputs there (0.5)") in [(row.precision, row.why) for row in result.not_built]
    assert not (here / "out" / who).exists(), "a bundle that no figure speaks of was delivered"


def test_the_summary_says_what_is_missing_beside(tiny):
    project = project_from_dict({"model": {"source": "tiny.onnx"}, "device": [{"profile": "local-cpu"}]})
    (row,) = toolchain.build(project, out="out", profile=False).as_dict()["not_built"]
    assert (row["device"], row["target"], row["precision"]) == ("local-cpu", "onnxruntime", "int8")
