"""Verdicts before anything is compiled: what is native, what stays in float and why, what cannot be built."""

import dataclasses
import importlib.util
import runpy
import time
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from profiles.device import Memory, load_device
from profiles.errors import ConfigError, EdgewrightError, MissingToolError, ModelError
from targets.base import Verdict
from targets.tensorrt.advice.support import report
from targets.tensorrt.compile import compile_bundle
from targets.tensorrt.compiler import limits, operators, parser_verdicts
from targets.tensorrt.placement.plan import NO_INT8

pytest.importorskip("tensorrt_rtx")
HERE = Path(__file__).parents[1]
nets = runpy.run_path(str(HERE / "nets.py"))
faulty = runpy.run_path(str(HERE / "faulty.py"))
node, const, make, weights = nets["node"], nets["const"], nets["make"], nets["weights"]


def device(capability="8.6", memories=(), **parameters):
    given = {"compute_capability": capability, **parameters}
    return dataclasses.replace(load_device("local-cpu"), name="gpu", parameters=given, memories=memories)


@pytest.fixture
def ask(tmp_path):
    """The report on a graph."""

    def asked(graph, precision="fp32", *, own="fp32", **parameters):
        model = dataclasses.replace(nets["exported"](graph, tmp_path / "in.onnx"), precision=own)
        return report("tensorrt", model, device(**parameters), precision)

    return asked


def notes(found, *names):
    return [row.note for row in found.ops if not names or row.name in names]


def verdict(found, name):
    return next(row.verdict for row in found.ops if row.name == name)


def test_a_float_network_is_native(ask):
    found = ask(nets["cnn"]())
    assert found.ok
    assert {row.verdict for row in found.ops} == {Verdict.NATIVE}
    assert [row.name for row in found.ops] == [one.name for one in nets["cnn"]().graph.node]
    assert found.weights_bytes > 0
    assert found.notes == ("asked: the ONNX parser of TensorRT-RTX " + __import__("tensorrt_rtx").__version__,)
    assert found.as_dict()["notes"] == found.notes


def float_tail():
    """A convolution, a softmax, and another convolution."""
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="first"),
        node("Softmax", ["a"], ["b"], name="attention", axis=1),
        node("Conv", ["b", "w"], ["y"], name="second"),
    ]
    return make(nodes, [weights("w", 16, 16, 1, 1)], {"x": (1, 16, 8, 8)}, {"y": (1, 16, 8, 8)})


def test_what_stays_in_float_says_by_which_rule_and_where_numbers_are_converted(ask):
    found = ask(float_tail(), "int8")
    assert found.ok
    assert verdict(found, "first") is verdict(found, "second") is Verdict.NATIVE
    assert verdict(found, "attention") is Verdict.FALLBACK
    (note,) = notes(found, "attention")
    assert note == f"stays in float: {NO_INT8[:1].lower()}{NO_INT8[1:].rstrip('.')}"
    reformats = [note for note in found.notes if "reformat" in note]
    assert reformats == [
        "a reformat appears between 'first' (int8) and 'attention' (float)",
        "a reformat appears between 'attention' (float) and 'second' (int8)",
    ]


def test_folded_batch_normalisation_is_no_layer_of_its_own(ask):
    constants = [weights("w", 16, 16, 1, 1), *(const(name, np.ones(16)) for name in "smvb")]
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="conv"),
        node("BatchNormalization", ["a", "s", "b", "m", "v"], ["y"], name="norm"),
    ]
    found = ask(make(nodes, constants, {"x": (1, 16, 8, 8)}, {"y": (1, 16, 8, 8)}), "int8")
    assert verdict(found, "norm") is Verdict.NATIVE
    assert notes(found, "norm") == ["folded into its neighbours, or computed before anything runs"]


def test_nodes_without_names_are_matched_all_the_same(ask):
    graph = float_tail()
    for one in graph.graph.node:
        one.name = ""
    found = ask(graph, "int8")
    assert [row.verdict for row in found.ops] == [Verdict.NATIVE, Verdict.FALLBACK, Verdict.NATIVE]


def test_refused_nodes_are_named_with_the_constraint_and_all_of_them(ask):
    nodes = [
        node("Frobnicate", ["x"], ["a"], name="odd"),
        node("BitShift", ["z", "z"], ["b"], name="", direction="LEFT"),
        node("Relu", ["a"], ["y"], name="fine"),
    ]
    graph = make(nodes, [const("z", [1], np.uint8)], {"x": (1, 8)}, {"y": (1, 8)})
    graph.graph.node[0].metadata_props.add(key="scope", value="blocks.3")
    found = ask(graph)
    assert not found.ok
    refused = {row.name: row.note for row in found.ops if row.verdict is Verdict.UNSUPPORTED}
    assert set(refused) == {"odd", "BitShift_1"}
    assert "layer 'blocks.3'" in refused["odd"]
    assert "does not know" in refused["odd"]


@pytest.mark.parametrize("case", ["integer_bias", "two_outputs", "suppression"])
def test_what_the_compiler_refuses_was_refused_before(tmp_path, case):
    model = nets["exported"](faulty[case](), tmp_path / "in.onnx")
    assert not report("tensorrt", model, device(), "fp32").ok
    with pytest.raises(EdgewrightError):
        compile_bundle(model, device(), tmp_path)


@pytest.mark.parametrize(
    ("graph", "parameters", "limit"),
    [
        (lambda: faulty["pair"](kind=np.uint8), {}, limits.unsigned_quantization),
        (faulty["suppression"], {}, limits.suppression),
        (faulty["gemm"], {"capability": "7.5"}, limits.product_on_turing),
    ],
)
def test_limits_that_only_the_compiler_has(ask, tmp_path, graph, parameters, limit):
    found = ask(graph(), **parameters)
    assert limit.__doc__ in notes(found)
    model = nets["exported"](graph(), tmp_path / "in.onnx")
    with pytest.raises(EdgewrightError):
        compile_bundle(model, device(**parameters), tmp_path)


def test_every_limit_is_tested():
    tested = {limits.unsigned_quantization, limits.quantized_bias, limits.suppression, limits.product_on_turing}
    assert set(limits.LIMITS) == tested


def test_models_that_cannot_be_asked_about_have_a_problem(ask, tmp_path):
    assert "fixed shapes" in ask(faulty["unfixed"]()).problems[0]
    ends = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, (8,)) for name in "xy"]
    doubles = make([node("Relu", ["x"], ["y"], name="r")], [], {"x": ends[0]}, {"y": ends[1]})
    assert "'x' is of type float64" in ask(doubles).problems[0]
    assert "8.9 and later" in ask(nets["cnn"](), "fp8", capability="8.6").problems[0]
    model = dataclasses.replace(nets["exported"](nets["cnn"](), tmp_path / "m.onnx"), onnx=None)
    assert "no ONNX file" in report("tensorrt", model, device(), "fp32").problems[0]


def test_what_is_no_model_and_what_is_no_parameter_are_errors(ask, tmp_path):
    with pytest.raises(ConfigError, match="batches"):
        ask(nets["cnn"](), batches=[0])
    model = nets["exported"](nets["cnn"](), tmp_path / "m.onnx")
    model.onnx.write_bytes(b"no model")
    with pytest.raises(ModelError):
        report("tensorrt", model, device(), "fp32")


@pytest.mark.parametrize(("size", "fits"), [(2**30, True), (1000, False)])
def test_weights_are_held_against_the_memory(tmp_path, size, fits):
    model = nets["exported"](nets["cnn"](), tmp_path / "in.onnx")
    found = report("tensorrt", model, device(memories=(Memory("gpu", "ram", size),)), "fp32")
    assert found.ok is fits
    assert any("of ram" in said for said in (found.memory if fits else found.problems))


@pytest.mark.parametrize(("precision", "native"), [("fp8", {"pointwise", "last"}), ("int4", {"last"})])
def test_fp8_and_int4_leave_layers_in_fp16_by_their_own_limits(ask, precision, native):
    found = ask(nets["cnn"](), precision, capability="8.9")
    left = {row.name: row.note for row in found.ops if row.verdict is Verdict.FALLBACK}
    assert native.isdisjoint(left), f"should be {precision}: {left}"
    assert {"depthwise", "wide"} <= set(left)
    assert all(note.startswith("stays in fp16: ") for note in left.values())


def test_a_model_with_nothing_for_the_precision_is_a_problem(ask):
    relu = make([node("Relu", ["x"], ["y"], name="r")], [], {"x": (1, 8)}, {"y": (1, 8)})
    for precision in ("int8", "int4"):
        assert ask(relu, precision, capability="8.9").problems, f"nothing can be {precision}"


def test_a_quantized_model_is_taken_as_it_is(ask):
    found = ask(faulty["pair"](), "int8", own="int8")
    assert found.ok
    assert notes(found) == ["", ""]


def test_the_accelerator_is_reported_where_there_is_one_and_used_where_asked(ask):
    assert not [note for note in ask(nets["cnn"](), "fp16", capability="8.7").notes if "DLA" in note]
    there = ask(nets["cnn"](), "fp16", capability="8.7", dla_cores=2)
    assert any("8 of 10 layers" in note for note in there.notes)
    assert verdict(there, "pool") is Verdict.NATIVE, "the GPU runs it"
    used = ask(nets["cnn"](), "fp16", capability="8.7", dla_cores=2, dla_core=0)
    assert verdict(used, "pool") is Verdict.FALLBACK
    assert notes(used, "pool")[0].startswith("on the GPU instead of the DLA")


def without(monkeypatch, *missing):
    """As if packages were not installed here."""
    original = importlib.util.find_spec
    monkeypatch.setattr(
        parser_verdicts.importlib.util, "find_spec", lambda name: None if name in missing else original(name)
    )


def deformable():
    """An operator that TensorRT has, and TensorRT-RTX has not."""
    constants = [weights("w", 8, 8, 1, 1), const("o", np.zeros((1, 2, 8, 8)))]
    nodes = [node("DeformConv", ["x", "w", "o"], ["y"], name="deform")]
    return make(nodes, constants, {"x": (1, 8, 8, 8)}, {"y": (1, 8, 8, 8)})


def test_where_tensorrt_is_not_installed_its_list_of_operators_has_a_say(ask, monkeypatch):
    without(monkeypatch, "tensorrt")
    assert not ask(deformable()).ok, "TensorRT-RTX itself does not have it"
    found = ask(deformable(), capability="8.7")
    assert found.ok
    assert "TensorRT is documented to have it" in notes(found)[0]
    assert operators.SOURCE in found.notes[0]
    assert "asked in its place" in found.notes[0]
    assert not ask(faulty["one"]("BitShift", inputs=("x", "x")), capability="8.7").ok, "neither has it"


def test_where_nothing_is_installed_the_list_decides(ask, monkeypatch):
    without(monkeypatch, "tensorrt", "tensorrt_rtx")
    found = ask(deformable(), capability="8.7")
    assert found.ok
    assert "TensorRT is not installed here" in found.notes[0]
    refused = ask(faulty["one"]("Frobnicate"), capability="8.7")
    assert notes(refused) == ["TensorRT is documented not to have it"]


def test_without_the_compiler_nothing_can_be_built_ahead_of_time(ask, monkeypatch):
    def missing(path, plan):
        raise MissingToolError("wanted TensorRT-RTX", seen="not installed", next_step="install it")

    monkeypatch.setattr(parser_verdicts, "ask_apart", missing)
    assert ask(nets["cnn"]()).problems == ("wanted TensorRT-RTX: not installed; install it",)
    assert ask(nets["cnn"](), capability="8.7").ok, "the device has its own"


def test_the_documented_list_holds_standard_operators_only():
    import onnx

    unknown = [op for op in operators.MISSING if not onnx.defs.has(op)]
    assert not unknown, f"no operators of ONNX: {unknown}"
    assert operators.documented("Conv")
    assert not operators.documented("Conv", "my.domain")
    assert not operators.documented("QLinearConv")


def test_it_takes_less_than_a_second(ask):
    ask(nets["cnn"](), "int8")
    start = time.process_time()
    ask(nets["cnn"](), "int8")
    assert time.process_time() - start < 1
