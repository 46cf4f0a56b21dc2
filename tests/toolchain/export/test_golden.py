import runpy
from pathlib import Path

import numpy as np
import pytest

from profiles.errors import DataError, ModelError
from targets.base import ExportedModel, TensorSpec
from toolchain.export.foreign import open_tflite
from toolchain.export.golden import random_inputs, with_golden

tiny = runpy.run_path(str(Path(__file__).parents[2] / "targets" / "tiny_tflite.py"))


@pytest.fixture
def float_model(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(tiny["float_model"]())
    return open_tflite(path)


@pytest.fixture
def quantized_model(tmp_path):
    path = tmp_path / "q.tflite"
    path.write_bytes(tiny["quantized_model"](scale_in=0.5, zero_in=3))
    return open_tflite(path)


def test_golden_outputs_are_what_the_model_computes(float_model):
    model = with_golden(float_model)
    inputs, outputs = model.golden_inputs["first_x"], model.golden_outputs["last_y"]
    assert (inputs.shape, outputs.shape) == ((8, 1, 4), (8, 1, 3))
    assert np.allclose(outputs, inputs @ tiny["WEIGHTS"].T + tiny["BIAS"], atol=1e-6)
    assert "reference kernels" in model.reference
    assert float_model.golden_inputs == {}, "the model that was given stays as it is"


def test_random_inputs_repeat_by_seed(float_model):
    first, again, other = (random_inputs(float_model, seed=seed)["first_x"] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_each_input_has_a_stream_of_its_own():
    model = ExportedModel("m", (TensorSpec("a", (3,)), TensorSpec("b", (3,))), (), onnx=Path("m.onnx"))
    inputs = random_inputs(model)
    assert not np.array_equal(inputs["a"], inputs["b"])


def test_quantized_inputs_are_drawn_from_what_they_can_hold(quantized_model):
    values = random_inputs(quantized_model, samples=500)["x"]
    steps = values / 0.5 + 3
    assert np.array_equal(steps, np.rint(steps)), "every value is one that the input can hold"
    assert (steps.min(), steps.max()) == (-128, 127), "4000 draws reach both ends of the range"


def test_integer_inputs_are_valid_tokens_and_masks():
    model = ExportedModel(
        "m", (TensorSpec("t", (50,), "int64"), TensorSpec("m", (9,), "bool")), (), onnx=Path("m.onnx")
    )
    inputs = random_inputs(model)
    assert set(np.unique(inputs["t"])) == {0, 1}
    assert inputs["t"].dtype == np.int64
    assert inputs["m"].dtype == np.bool_


def test_given_inputs_are_used_and_cast(float_model):
    given = np.arange(12.0).reshape(3, 1, 4)
    model = with_golden(float_model, {"first_x": given})
    assert model.golden_inputs["first_x"].dtype == np.float32
    assert model.golden_sample(2)["first_x"].tolist() == [[8, 9, 10, 11]]
    assert len(model.golden_outputs["last_y"]) == 3


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "seen:    none"),
        ({"x": np.zeros((2, 1, 4))}, r"allowed: first_x \(samples, 1, 4\)"),
        ({"first_x": np.zeros((2, 4))}, r"allowed: shape \(1, 4\)"),
        ({"first_x": np.zeros((0, 1, 4))}, "wanted golden inputs"),
        ({"first_x": np.zeros((2, 1, 4), np.int32)}, "as float32"),
        ({"first_x": np.full((2, 1, 4), np.nan)}, "NaN or infinity"),
    ],
)
def test_given_inputs_that_do_not_fit_are_refused(float_model, inputs, words):
    with pytest.raises(DataError, match=words):
        with_golden(float_model, inputs)


def test_the_reference_can_run_elsewhere(float_model):
    """A caller may run an unknown file in a process of its own."""

    def elsewhere(model, inputs):
        assert model.tflite is not None
        return {"last_y": np.zeros((len(inputs["first_x"]), 1, 3))}, "in a child process"

    model = with_golden(float_model, samples=2, run=elsewhere)
    assert model.reference == "in a child process"
    assert model.golden_outputs["last_y"].shape == (2, 1, 3)


def test_outputs_that_are_not_finite_are_a_model_error(float_model):
    huge = {"first_x": np.full((1, 1, 4), 3e38, np.float32)}
    with pytest.raises(ModelError, match="wanted finite values in the output 'last_y'"):
        with_golden(float_model, huge, run=lambda model, inputs: ({"last_y": np.array([np.inf])}, "made up"))
