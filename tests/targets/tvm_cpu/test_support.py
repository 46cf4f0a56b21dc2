"""What is said of a model before anything is compiled."""

import dataclasses

import numpy as np
import pytest
from onnx import helper
from tvm_networks import classifier, random_values, write

from profiles.device import load_device
from targets.base import Verdict
from targets.registry import load_target

TARGET = load_target("tvm_cpu")
LOCAL = load_device("local-cpu")

pytestmark = pytest.mark.usefixtures("compiled_here")


def test_a_plain_model_is_native_throughout(tmp_path):
    report = TARGET.support(classifier(tmp_path / "m.onnx"), LOCAL, "fp32")
    assert report.ok, report.blockers()
    assert [row.op for row in report.ops][:2] == ["Conv", "Relu"]
    assert {row.verdict for row in report.ops} == {Verdict.NATIVE}
    assert report.weights_bytes == 4 * (8 * 27 + 8 + 8 * 72 + 80 + 10)


def test_an_operator_that_the_importer_does_not_know_is_named(tmp_path):
    model = write(
        tmp_path / "m.onnx", [helper.make_node("Det", ["x"], ["y"], name="det")], {"x": (1, 3, 3)}, {"y": (1,)}
    )
    report = TARGET.support(model, LOCAL, "fp32")
    assert not report.ok
    assert report.blockers() == ["Det 'det': TVM's importer does not know the operator"]


def test_a_shape_that_depends_on_values_is_a_problem(tmp_path):
    nodes = [helper.make_node("NonZero", ["x"], ["n"]), helper.make_node("Cast", ["n"], ["y"], to=1)]
    report = TARGET.support(write(tmp_path / "m.onnx", nodes, {"x": (2, 3)}, {"y": (2, "count")}), LOCAL, "fp32")
    assert not report.ok
    assert report.blockers(), "a refusal says why"


def test_a_dynamic_axis_is_a_problem(tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    report = TARGET.support(write(tmp_path / "m.onnx", nodes, {"x": ("batch", 3)}, {"y": ("batch", 3)}), LOCAL, "fp32")
    assert "inputs without a fixed shape: x" in report.problems


def test_a_quantized_graph_is_refused_with_the_reason(tmp_path):
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("MatMul", ["d", "w"], ["y"]),
    ]
    constants = {"s": np.float32(0.1), "z": np.int8(0), "w": random_values((3, 2), 0)}
    report = TARGET.support(write(tmp_path / "m.onnx", nodes, {"x": (1, 3)}, {"y": (1, 2)}, constants), LOCAL, "fp32")
    assert any("Q/DQ" in problem for problem in report.problems)


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_another_precision_is_refused(tmp_path, precision):
    report = TARGET.support(classifier(tmp_path / "m.onnx"), LOCAL, precision)
    assert "allowed: fp32" in report.problems[0]


def test_a_processor_without_linux_and_a_model_without_onnx_are_both_told(tmp_path):
    model = dataclasses.replace(classifier(tmp_path / "m.onnx"), onnx=None)
    report = TARGET.support(model, load_device("cortex-m4-an386"), "fp32")
    assert len(report.problems) == 2


def test_weights_larger_than_the_memory_are_a_problem(tmp_path):
    small = dataclasses.replace(LOCAL.memories[0], size=1000.0)
    device = dataclasses.replace(LOCAL, memories=(small,))
    report = TARGET.support(classifier(tmp_path / "m.onnx"), device, "fp32")
    assert any("does not fit" in problem for problem in report.problems)
