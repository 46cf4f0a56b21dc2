"""Verdicts before anything is compiled: operators, and whether a model fits."""

import dataclasses

import harness
import networks
import numpy as np
import pytest

from profiles.device import load_device
from profiles.errors import UnsupportedError
from targets.base import ExportedModel, Verdict
from targets.registry import load_target

M4 = load_device("cortex-m4-an386")


def exported(tmp_path, data, name="net"):
    path = tmp_path / f"{name}.tflite"
    path.write_bytes(data)
    return ExportedModel(name, (), (), tflite=path, precision="int8")


def with_memory(flash, ram):
    memories = [dataclasses.replace(m, size=flash if m.kind == "flash" else ram) for m in M4.memories[:2]]
    return dataclasses.replace(M4, memories=tuple(memories))


def report(model, device=M4):
    return load_target("tflite_micro").support(model, device, "int8")


def test_a_network_that_fits_is_told_with_its_numbers(tmp_path):
    said = report(exported(tmp_path, networks.dscnn()))
    assert said.ok, said.blockers()
    assert {row.verdict for row in said.ops} == {Verdict.NATIVE}
    assert len(said.memory) == 2 and "flash" in said.memory[0] and "ram" in said.memory[1]
    assert 20_000 < said.weights_bytes < 30_000


@pytest.mark.parametrize(("flash", "ram", "word"), [(30_000, 1 << 20, "flash"), (1 << 20, 6_000, "ram")])
def test_one_that_does_not_fit_is_refused_with_the_largest_tensors(tmp_path, flash, ram, word):
    model, device = exported(tmp_path, networks.dscnn()), with_memory(flash, ram)
    said = report(model, device)
    assert not said.ok
    (problem,) = said.problems
    assert f"of {word}" in problem and "do not fit" in problem and "the largest tensors: 'tensor_" in problem
    assert " x " in problem, "shapes are named"
    with pytest.raises(UnsupportedError, match="does not fit"):
        load_target("tflite_micro").compile(model, device, tmp_path)


def test_an_operator_without_kernel_is_named(tmp_path):
    tensors = [harness.tensor((1, 8), "float32"), harness.tensor((1, 8), "float32")]
    said = report(exported(tmp_path, harness.tiny([("COS", [0], [1], {"table": "CosOptions"})], tensors, [0], [1])))
    assert not said.ok and "no kernel for it" in said.ops[0].note and said.ops[0].op == "COS"


def test_a_float_network_is_judged_as_it_will_be(tmp_path):
    weights = np.ones((8, 3, 3, 3), np.float32)
    tensors = [
        harness.tensor((1, 9, 9, 3), "float32"), harness.tensor(weights.shape, "float32", data=weights),
        harness.tensor((8,), "float32", data=np.zeros(8)), harness.tensor((1, 9, 9, 8), "float32"),
        harness.tensor((1, 9, 9, 8), "float32"),
    ]  # fmt: skip
    options = {"padding": 0, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    net = harness.tiny([("CONV_2D", [0, 1, 2], [3], options), ("SOFTMAX", [3], [4], {"beta": 1.0})], tensors, [0], [4])
    said = report(dataclasses.replace(exported(tmp_path, net), precision="fp32"))
    assert said.ok, said.blockers()
    assert 216 + 32 < said.weights_bytes < 1500, "weights in one byte each"


def test_no_tflite_file_is_said():
    assert "no TFLite file" in report(ExportedModel("x", (), ())).problems[0]
