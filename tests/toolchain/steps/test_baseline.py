"""Baselines beside what was asked for: which machines get one, how they are named, what they cannot do."""

import json

import pytest

import toolchain
from profiles.errors import ConfigError
from toolchain.project import project_from_dict
from toolchain.steps.baseline import baselines
from toolchain.steps.plan import make_plans

NET = "import torch\n\ndef make():\n    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))\n"
MODEL = {"source": "tiny_net:make", "input": {"name": "x", "shape": [1, 1, 2, 2], "layout": "NCHW"}, "task": "none"}


@pytest.fixture
def added(source, here):
    """``added(*devices, **section)``: the plans that ``[baseline]`` adds to a project."""
    (here / "tiny_net.py").write_text(NET)

    def made(*devices, **section):
        opened = source({"model": MODEL, "device": list(devices), "baseline": section})
        plans = make_plans(opened.project, opened)
        return baselines(plans, opened.project, opened)

    return made


def names(plans):
    return [(plan.name, plan.device.name, plan.precision) for plan in plans]


def test_every_machine_gets_one_in_the_order_of_the_project(added):
    plans = added(
        {"profile": "raspberry-pi-5"}, {"profile": "local-cpu"}, {"profile": "local-cpu", "target": "openvino"}
    )
    assert names(plans) == [
        ("raspberry-pi-5-pytorch", "raspberry-pi-5", "fp32"),
        ("local-cpu-pytorch", "local-cpu", "fp32"),
    ]
    assert all(plan.target == "pytorch" and plan.format == "pt2" and plan.companion for plan in plans)


def test_machines_that_differ_in_threads_or_place_have_baselines_of_their_own(added):
    one = {"profile": "local-cpu", "name": "one"}
    four = {"profile": "local-cpu", "name": "four", "overrides": {"threads": 4}}
    far = {"profile": "local-cpu", "name": "far", "via": "ssh://user@host"}
    plans = added(one, four, far)
    assert [plan.name for plan in plans] == ["local-cpu-pytorch", "four-pytorch", "far-pytorch"]
    assert [plan.device.parameters["threads"] for plan in plans] == [1, 4, 1]
    assert [plan.entry.via for plan in plans] == [None, None, "ssh://user@host"]


def test_other_precisions_are_added_and_named(added):
    assert names(added({"profile": "local-cpu"}, precision=["fp32", "bf16"])) == [
        ("local-cpu-pytorch", "local-cpu", "fp32"),
        ("local-cpu-pytorch-bf16", "local-cpu", "bf16"),
    ]


def test_a_baseline_has_no_budget(added):
    (plan,) = added({"profile": "local-cpu", "budget": {"size": "1 B"}})
    assert plan.entry.budget.size is None


def test_what_was_asked_for_is_not_made_twice(added):
    assert names(added({"profile": "local-cpu", "target": "pytorch"}, {"profile": "local-cpu", "name": "ort"})) == []


def test_compiling_is_asked_for_in_the_section(added):
    (plain,), (compiled,) = added({"profile": "local-cpu"}), added({"profile": "local-cpu"}, compiled=True)
    assert "torch_compile" not in plain.device.parameters
    assert compiled.device.parameters["torch_compile"] is True


def test_it_holds_for_bundles_that_were_asked_for_too(source, here):
    (here / "tiny_net.py").write_text(NET)
    devices = [{"profile": "local-cpu", "target": "pytorch"}, {"profile": "local-cpu", "target": "onnxruntime"}]
    opened = source({"model": MODEL, "device": devices, "baseline": {"compiled": True}})
    asked = {plan.target: plan.device.parameters for plan in make_plans(opened.project, opened)}
    assert asked["pytorch"]["torch_compile"] is True and "torch_compile" not in asked["onnxruntime"]


def test_a_project_without_a_machine_for_it_is_told_so(added):
    with pytest.raises(ConfigError, match="wanted a baseline") as caught:
        added({"profile": "cortex-m55-an547", "precision": "fp32", "target": "null"})
    assert "cortex-m55-an547" in caught.value.seen and "--baseline" in caught.value.next_step


def test_without_the_section_there_is_none(source, here):
    (here / "tiny_net.py").write_text(NET)
    opened = source({"model": MODEL, "device": [{"profile": "local-cpu"}]})
    assert baselines(make_plans(opened.project, opened), opened.project, opened) == []


def test_a_build_makes_checks_and_notes_it(here):
    (here / "tiny_net.py").write_text(NET)
    project = project_from_dict(
        {
            "model": MODEL,
            "budget": {"size": "1 B"},
            "baseline": {},
            "device": [{"profile": "local-cpu", "target": "null"}],
        }
    )
    result = toolchain.build(project, out="out", profile=False)
    asked, beside = result.entries
    assert (asked.target, beside.name, beside.target) == ("null", "local-cpu-pytorch", "pytorch")
    assert asked.missed == ["model_size"] and beside.missed == []
    assert any("plain framework" in note for note in beside.notes)
    manifest = json.loads((beside.bundle / "manifest.json").read_text())
    assert manifest["model_files"] == ["model.pt2"] and manifest["tools"]["torch"]
    assert beside.metrics["parity_max_error"].value < 1e-5
