import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.device import PRECISIONS, Cpu, Device
from targets.base import Compiled, ExportedModel, Scheme, TensorSpec
from targets.null.runner import null_outputs
from targets.null.target import NullTarget

DEVICE = Device("board", "A board", (), Cpu("x86_64"))
OUTPUTS = (TensorSpec("y", (2, 3)), TensorSpec("mask", (4,), "int8"))


@given(st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=6), st.floats(-10, 10, width=32))
def test_outputs_are_the_mean_of_the_inputs_and_a_ramp(values, other):
    inputs = {"a": np.array(values, np.float32), "b": np.full((2, 2), other, np.float32)}
    mean = (np.mean(np.array(values, np.float64)) + other) / 2
    y = null_outputs(inputs, OUTPUTS)["y"]
    assert y.shape == (2, 3)
    assert np.allclose(y.reshape(-1), mean + np.arange(6) / 1000, atol=1e-5)


def test_outputs_tell_inputs_apart():
    first, second = (null_outputs({"a": np.full(3, value)}, OUTPUTS) for value in (1.0, 2.0))
    assert not np.array_equal(first["y"], second["y"]), "golden samples would check nothing"
    assert first["mask"].dtype == np.int8


def test_every_precision_is_supported_and_kept():
    model = ExportedModel("m", (), OUTPUTS)
    for precision in PRECISIONS:
        assert NullTarget().support(model, DEVICE, precision).ok
        assert NullTarget().quantize(model, [], DEVICE, Scheme(precision), None).precision == precision


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_a_bundle_is_a_copy_of_the_model(tmp_path, kind):
    source, out = tmp_path / f"some.{kind}", tmp_path / "bundle"
    source.write_bytes(b"any content")
    out.mkdir()
    model = ExportedModel("m", (TensorSpec("a", (3,)),), OUTPUTS, **{kind: source})
    compiled = NullTarget().compile(model, DEVICE, out)
    assert compiled == Compiled((f"model.{kind}",), model.inputs, OUTPUTS)
    assert (out / f"model.{kind}").read_bytes() == b"any content"


def test_a_model_without_files_is_fine(tmp_path):
    assert NullTarget().compile(ExportedModel("m", (), OUTPUTS), DEVICE, tmp_path).files == ()


def test_the_runner_computes_the_function_and_says_that_it_is_not_the_model(tmp_path):
    inputs = {"a": np.arange(3, dtype=np.float32)}
    with NullTarget().runner(tmp_path, Compiled((), (), OUTPUTS), {}) as runner:
        for outputs in (runner.run(inputs), runner.bind(inputs)()):
            assert np.array_equal(outputs["y"], null_outputs(inputs, OUTPUTS)["y"])
        counters = runner.counters()
    assert "not the model's" in counters.facts["engine"]
    assert (counters.layers, counters.executed) == ((), {})
    assert NullTarget().layer_errors(ExportedModel("m", (), OUTPUTS), [inputs]) == []
