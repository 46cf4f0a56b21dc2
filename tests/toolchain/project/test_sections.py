from __future__ import annotations

import pytest

from profiles.errors import ConfigError
from toolchain.project import project_from_dict

MODEL = '[model]\nsource = "zoo:resnet8"\n'


def refuse(**sections):
    with pytest.raises(ConfigError) as caught:
        project_from_dict({"model": {"source": "zoo:resnet8"}, **sections})
    return caught.value


def project(**sections):
    return project_from_dict({"model": {"source": "zoo:resnet8"}, **sections}, folder="/p")


@pytest.mark.parametrize(
    ("text", "kind", "name", "path", "default_name"),
    [
        ("zoo:resnet8", "zoo", "resnet8", None, "resnet8"),
        ("zoo:pytorchcv/resnet18_wd4", "zoo", "pytorchcv/resnet18_wd4", None, "resnet18_wd4"),
        ("my.nets:Small.make", "callable", "my.nets:Small.make", None, "small.make"),
        ("nets/Big Net.onnx", "file", "Big Net.onnx", "/p/nets/Big Net.onnx", "big-net"),
        ("/abs/x.TFLITE", "file", "x.TFLITE", "/abs/x.TFLITE", "x"),
        ("../x.pt2", "file", "x.pt2", "/x.pt2", "x"),
        ("ünïcode.onnx", "file", "ünïcode.onnx", "/p/ünïcode.onnx", "n-code"),
        ("模型.onnx", "file", "模型.onnx", "/p/模型.onnx", "model"),
    ],
)
def test_model_sources(text, kind, name, path, default_name):
    model = project(model={"source": text}).model
    assert (model.source.kind, model.source.name, model.name) == (kind, name, default_name)
    assert (str(model.source.path) if model.source.path else None) == path


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("resnet8", "for a model of the zoo write 'zoo:resnet8'"),
        ("net.pth", 'this file holds weights: name the architecture as source, and write weights = "..." for the file'),
        ("zoo:", ""),
        ("zoo:a/b", ""),
        ("a b:c", ""),
        ("", ""),
    ],
)
def test_what_is_no_model_source_is_refused_with_a_hint(text, hint):
    error = refuse(model={"source": text})
    assert error.wanted == "command line: model.source is not a model source"
    assert error.allowed.startswith("zoo:NAME, zoo:pytorchcv/NAME, module:callable")
    assert error.next_step == hint


@pytest.mark.parametrize("key", ["weights", "arguments"])
def test_an_exported_model_takes_neither_weights_nor_arguments(key):
    error = refuse(model={"source": "x.onnx", key: "w.pt" if key == "weights" else {"a": 1}})
    assert error.wanted.startswith(f"command line: model.{key} goes with a ")
    assert error.seen == 'source = "x.onnx"'


def test_arguments_go_to_the_users_callable_only():
    arguments = {"widths": [8, 16], "act": {"name": "relu"}}
    assert project(model={"source": "m:f", "arguments": arguments}).model.arguments == arguments
    assert "module:callable source only" in refuse(model={"source": "zoo:resnet8", "arguments": arguments}).wanted


def test_one_input_may_stand_without_a_list():
    one = project(model={"source": "x.onnx", "input": {"shape": [1, 3, 8, 8], "layout": "NCHW"}}).model.input
    assert [(spec.shape, spec.channels) for spec in one] == [((1, 3, 8, 8), 3)]


def test_several_inputs_need_names_of_their_own():
    named = project(model={"source": "x.onnx", "input": [{"name": "a"}, {"name": "b"}]}).model.input
    assert [spec.name for spec in named] == ["a", "b"]
    for names in ({}, {"name": "a"}):
        error = refuse(model={"source": "x.onnx", "input": [{"name": "a"}, names]})
        assert error.wanted.startswith("command line: model.input[1].name needs a name of its own")


@pytest.mark.parametrize(
    ("spec", "culprit"),
    [
        ({"shape": [1, 3], "layout": "NCHW"}, "layout does not fit the shape"),
        ({"shape": [1, 3, 8, 8], "layout": "NCHW", "mean": [0.5, 0.5]}, "mean does not fit the channels"),
        ({"shape": [1, 8, 8, 3], "layout": "NHWC", "std": [1.0, 1.0]}, "std does not fit the channels"),
        ({"std": [0.0]}, "std[0] is out of range"),
        ({"scale": 0}, "scale is out of range"),
        ({"shape": [1, 0]}, "shape[1] is out of range"),
        ({"layout": "NCWH"}, "layout has an unknown value"),
    ],
)
def test_inputs_that_contradict_themselves_are_refused(spec, culprit):
    assert refuse(model={"source": "x.onnx", "input": spec}).wanted.startswith(f"command line: model.input.{culprit}")


def test_normalisation_fits_one_value_or_one_per_channel():
    spec = {"shape": [1, 8, 8, 3], "layout": "NHWC", "mean": [0.1, 0.2, 0.3], "std": [2], "scale": 255}
    assert project(model={"source": "x.tflite", "input": spec}).model.input[0].std == (2.0,)


def test_labels_and_classes_agree():
    assert project(model={"source": "x.onnx", "labels": ["a", "b"], "classes": 2}).model.labels == ("a", "b")
    assert "does not fit" in refuse(model={"source": "x.onnx", "labels": ["a", "b"], "classes": 3}).wanted


@pytest.mark.parametrize("name", ["", ".hidden", "A", "a/b", "..", "-x", "a b", "é", "x" * 101])
def test_names_are_safe_for_files(name):
    error = refuse(model={"source": "x.onnx", "name": name})
    assert error.wanted == "command line: model.name is not a name that is safe for files and folders"
    suggested = error.next_step.split('"')[1]
    assert project(model={"source": "x.onnx", "name": suggested}).model.name == suggested


def test_a_name_does_not_end_in_a_line_break():
    assert "safe" in refuse(model={"source": "x.onnx", "name": "a\n"}).wanted


@pytest.mark.parametrize(
    ("text", "kind", "path"),
    [
        ("digits", "digits", None),
        ("random", "random", None),
        ("parquet:sets/a", "parquet", "/p/sets/a"),
        ("folder:/abs", "folder", "/abs"),
        ("npz:a.npz", "npz", "/p/a.npz"),
    ],
)
def test_data_sources(text, kind, path):
    source = project(data={"source": text}).data.source
    assert (source.kind, str(source.path) if source.path else None) == (kind, path)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("digit", "did you mean 'digits'?"),
        ("parqet:x", "did you mean 'parquet:PATH'?"),
        ("npz", "did you mean 'npz:PATH'?"),
        ("folder:", "did you mean 'folder:PATH'?"),
        ("http://x", ""),
        (["digits"], ""),
    ],
)
def test_what_is_no_data_source_is_refused_with_a_hint(text, hint):
    error = refuse(data={"source": text})
    assert (error.wanted, error.next_step) == ("command line: data.source is not a data source", hint)


def test_column_names_go_with_parquet_only():
    assert project(data={"source": "parquet:x", "image_column": "img"}).data.image_column == "img"
    error = refuse(data={"source": "digits", "label_column": "y"})
    assert error.wanted == "command line: data.label_column goes with a parquet: source only"


def test_a_baseline_is_asked_for_by_its_section():
    assert project().baseline is None
    assert (project(baseline={}).baseline.precision, project(baseline={}).baseline.compiled) == (("fp32",), False)
    assert project(baseline={"precision": "fp16"}).baseline.precision == ("fp16",)
    assert refuse(baseline={"precision": ["int8"]}).wanted.startswith("command line: baseline.precision")


def test_a_baseline_needs_a_model_that_pytorch_runs():
    error = refuse(model={"source": "net.onnx"}, baseline={})
    assert error.wanted == "command line: baseline needs a model that PyTorch can run"
    assert "net.onnx" in error.seen and "zoo:" in error.allowed and "--baseline" in error.next_step
    assert project(model={"source": "net.pt2"}, baseline={}).baseline is not None


def test_budgets_become_si_values():
    budget = project(
        budget={
            "accuracy_drop": "0.5 %", "latency": "5 ms", "ram": "256 KiB", "flash": "1 MiB", "energy": "2 mJ",
            "size": "500 kB",
        }
    ).budget  # fmt: skip
    assert budget.accuracy_drop == pytest.approx(0.005)
    assert (budget.latency, budget.energy) == (pytest.approx(0.005), pytest.approx(0.002))
    assert (budget.ram, budget.flash, budget.size) == (262144, 1048576, 500000)


def test_an_accuracy_drop_may_be_a_bare_fraction():
    assert project(budget={"accuracy_drop": 0.005}).budget.accuracy_drop == 0.005
    assert project(budget={"accuracy_drop": 0}).budget.accuracy_drop == 0


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("latency", 5, "needs a number and a unit"),
        ("latency", "5 KiB", "needs a number and a unit"),
        ("latency", [5], "needs a number and a unit"),
        ("latency", True, "needs a number and a unit"),
        ("latency", "0 ms", "needs more than 0"),
        ("ram", "-1 B", "needs a finite quantity of at least 0"),
        ("accuracy_drop", 0.5 + 1, "is out of range"),
        ("accuracy_drop", "150 %", "is out of range"),
    ],
)
def test_quantities_that_say_nothing_are_refused(key, value, sentence):
    assert refuse(budget={key: value}).wanted == f"command line: budget.{key} {sentence}"


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"train": {}}, "train needs samples to train with"),
        ({"train": {}, "data": {"source": "digits"}, "model": {"source": "x.onnx"}}, "train cannot train 'x.onnx'"),
        (
            {"train": {}, "data": {"source": "digits"}, "model": {"source": "zoo:dscnn", "task": "none"}},
            "train needs a task",
        ),
    ],
)
def test_training_that_cannot_be_is_refused(sections, sentence):
    assert refuse(**sections).wanted.startswith(f"command line: {sentence}")


@pytest.mark.parametrize(
    ("sections", "origin"),
    [
        ({"train": {}, "data": {"source": "digits"}}, "trained"),
        ({"model": {"source": "x.onnx"}}, "file"),
        ({"model": {"source": "zoo:resnet8", "weights": "w.pt"}}, "file"),
        ({"model": {"source": "m:f"}}, "callable"),
        ({}, "random"),
    ],
)
def test_the_project_says_where_weights_come_from(sections, origin):
    assert project(**sections).weights_origin == origin


def test_calibrators_are_those_that_targets_have():
    import typing

    from targets.calibration import CALIBRATORS
    from toolchain.project.sections import Calibrator

    assert set(typing.get_args(Calibrator)) == set(CALIBRATORS)
