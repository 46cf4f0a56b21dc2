"""The section [compress]: an ordered list of steps, each with options that are checked where they stand."""

from __future__ import annotations

import json

import pytest

from toolchain.compress import Distill, Finetune, LowRank, Prune, Sparsify, Teacher
from toolchain.compress.goals import Goal
from toolchain.project import project_from_dict
from toolchain.project.schema import project_schema
from toolchain.project.steps import STEPS, Step

MODEL = '[model]\nsource = "zoo:resnet8"\n'


def test_steps_keep_their_order_and_their_options(load):
    project = load(MODEL + '[compress]\nsteps = [{ finetune = {} }, { prune = { method = "l1", ratio = 0.5 } }]\n')
    assert project.compress.steps == (
        Step(name="finetune", options=Finetune()),
        Step(name="prune", options=Prune(method="l1", ratio=0.5)),
    )
    assert project.compress.model_dump()["steps"][1]["options"]["ratio"] == 0.5


@pytest.mark.parametrize(
    "text",
    [
        MODEL + "[compress]\nsteps = [{ finetune = { epochs = 3 } }, { finetune = {} }]\n",
        MODEL + "[[compress.steps]]\nfinetune.epochs = 3\n[[compress.steps]]\nfinetune = {}\n",
        MODEL + "[[compress]]\nfinetune = { epochs = 3 }\n[[compress]]\nfinetune = {}\n",
        "compress = [{ finetune = { epochs = 3 } }, { finetune = {} }]\n" + MODEL,
    ],
)
def test_the_forms_of_a_recipe(load, text):
    assert [step.options for step in load(text).compress.steps] == [Finetune(epochs=3), Finetune()]


def test_the_recipe_of_the_issue(load, tmp_path):
    text = MODEL + (
        'compress = [{ distill = { teacher = "zoo:resnet56", weights = "teacher.pt", loss = "dkd" } },'
        ' { prune = { method = "group_norm", macs = 0.5 } }, { lowrank = { method = "tucker2", macs = 0.7 } }]\n'
    )
    project = load(text.replace(MODEL, "") + MODEL)
    distill, prune, low = (step.options for step in project.compress.steps)
    assert (distill.losses, distill.sources) == (("dkd",), ("zoo:resnet56",))
    assert distill.weights == tmp_path / "teacher.pt", "paths begin at the project's folder"
    assert prune.goal() == Goal("macs", 0.5, True, None) and low.goal() == Goal("macs", 0.7, True, None)


@pytest.mark.parametrize(
    ("line", "sentence", "next_step"),
    [
        ("{ prun = {} }", ".prun names no compression step", "did you mean 'prune'?"),
        ("{ prune = { ratio = 2.0 } }", ".prune.ratio is out of range", ""),
        ("{ prune = { gaurd = true } }", ".prune.gaurd is not a known key", "did you mean 'guard'?"),
        ("{ prune = 0.5 }", ".prune has a value of the wrong type", ""),
        ('{ prune = { method = "l11" } }', ".prune.method the step 'prune' has no such method", "did you mean 'l1'?"),
        ("{ prune = { macs = 0.5, ratio = 0.5 } }", ".prune has more than one goal", ""),
        ('{ prune = { latency = "5 cm" } }', ".prune.latency", ""),
        ('{ distill = { loss = ["kd", "kdd"] } }', ".distill.loss the step 'distill' has no such method", ""),
        ("{ finetune = { epochs = -1 } }", ".finetune.epochs is out of range", ""),
        ('"prune"', " is not a compression step", ""),
        ("{}", " is not a compression step", ""),
        ("{ prune = {}, finetune = {} }", " is not a compression step", ""),
    ],
)
@pytest.mark.parametrize(
    ("before", "path"), [("[compress]\nsteps = [\n", "compress.steps"), ("\ncompress = [\n", "compress")]
)
def test_errors_name_the_step_and_the_line(refusal, before, path, line, sentence, next_step):
    error = refusal(before + "{ finetune = {} },\n" + line + "]\n" + MODEL)
    assert error.wanted.startswith(f"edge.toml, line 4: {path}[1]{sentence}"), error.wanted
    assert next_step in error.next_step


def test_a_step_for_a_device_that_the_project_has_not(refusal, load):
    device = '[[device]]\nprofile = "local-cpu"\n'
    error = refusal(MODEL + '[compress]\nsteps = [{ finetune = { device = "local" } }]\n' + device)
    assert error.wanted == "edge.toml, line 4: compress.steps[0].finetune.device names no device entry of the project"
    assert error.allowed == "local-cpu"
    load(MODEL + '[compress]\nsteps = [{ finetune = { device = "local-cpu" } }]\n' + device)


def test_exported_models_are_not_compressed(refusal):
    error = refusal('[model]\nsource = "net.pt2"\n[compress]\nsteps = [{ finetune = {} }]\n')
    assert error.wanted == "edge.toml, line 3: compress needs a model that PyTorch can change"
    assert error.seen == "'net.pt2', an exported model" and "zoo:" in error.allowed and error.next_step
    project_from_dict({"model": {"source": "net.onnx"}, "compress": {"steps": []}})


def test_settings_of_the_section(load, refusal):
    section = load(MODEL + '[compress]\nseed = 3\ntorch_device = "cuda"\nround_to = 8\nbatch = 32\n').compress
    assert (section.seed, section.torch_device, section.round_to, section.batch) == (3, "cuda", 8, 32)
    assert section.weight_decay is None, "as [train] says"
    assert "compress.torch_device has an unknown value" in refusal(MODEL + '[compress]\ntorch_device = "gpu"\n').wanted


def test_teachers_and_students():
    several = Distill(teacher=(Teacher(source="zoo:resnet20"), Teacher()), student="mine:make")
    assert several.sources == ("zoo:resnet20", "mine:make") and Distill().sources == ()


def test_editors_are_told_the_options_of_every_step():
    schema = project_schema()
    steps = schema["$defs"]["CompressSection"]["properties"]["steps"]["items"]["anyOf"]
    named = [schema["$defs"][each["$ref"].rpartition("/")[2]]["properties"] for each in steps]
    assert [list(each) for each in named] == [[name] for name in STEPS]
    assert "macs" in schema["$defs"]["Prune"]["properties"]
    assert json.dumps(schema).count("sparsity") >= 1


def test_every_step_is_offered_to_python():
    assert set(STEPS.values()) == {Prune, Sparsify, LowRank, Distill, Finetune}
