import builtins
import runpy
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper, save_model

from profiles.errors import DataError, ModelError
from targets.reference import (
    OnnxReference,
    TfliteReference,
    dequantize,
    onnx_activations,
    quantize,
    run_onnx,
    run_tflite,
    tflite_activations,
)
from targets.tflite_tools import TfliteTensor

tiny = runpy.run_path(str(Path(__file__).with_name("tiny_tflite.py")))
MLPERF = Path(__file__).parents[2].parent / "shared" / "models" / "mlperf_tiny"
RNG = np.random.default_rng(3)
W, B = RNG.standard_normal((4, 3)).astype(np.float32), RNG.standard_normal(3).astype(np.float32)


@pytest.fixture
def onnx_file(tmp_path):
    """y = relu(x W + b), with the sum as the inner tensor ``s``."""
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["s"]), helper.make_node("Relu", ["s"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (2, 4))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (2, 3))],
        [numpy_helper.from_array(W, "w"), numpy_helper.from_array(B, "b")],
    )
    path = tmp_path / "m.onnx"
    save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9), path)
    return path


@pytest.fixture
def without_onnxruntime(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.split(".")[0] == "onnxruntime":
            raise ImportError("no onnxruntime here")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)


X = RNG.standard_normal((2, 4)).astype(np.float32)


def test_onnx_computes_what_numpy_computes(onnx_file):
    outputs = run_onnx(onnx_file, {"x": X})
    assert list(outputs) == ["y"]
    assert np.allclose(outputs["y"], np.maximum(X @ W + B, 0), atol=1e-6)
    assert "ONNX Runtime" in OnnxReference(onnx_file).description


def test_without_onnxruntime_the_onnx_package_computes_the_same(onnx_file, without_onnxruntime):
    engine = OnnxReference(onnx_file, ["s"])
    assert engine.description.startswith("onnx.reference")
    outputs = engine.run({"x": X})
    assert np.allclose(outputs["y"], np.maximum(X @ W + B, 0), atol=1e-6)
    assert np.allclose(outputs["s"], X @ W + B, atol=1e-6)


def test_inner_tensors_of_an_onnx_model(onnx_file):
    assert np.allclose(run_onnx(onnx_file, {"x": X}, ["s"])["s"], X @ W + B, atol=1e-6)
    everything = onnx_activations(onnx_file, {"x": X})
    assert list(everything) == ["s", "y"]
    assert list(onnx_activations(onnx_file, {"x": X}, ["s"])) == ["s"]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "seen:    none"),
        ({"x": X, "z": X}, "seen:    x, z"),
        ({"x": X[:1]}, r"shape \(1, 4\)"),
        ({"x": X[0]}, r"shape \(4,\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(onnx_file, inputs, words):
    with pytest.raises(DataError, match=words):
        run_onnx(onnx_file, inputs)


def test_an_unknown_inner_tensor_is_refused(onnx_file):
    with pytest.raises(DataError, match="wanted the inner tensor 'nothing'"):
        run_onnx(onnx_file, {"x": X}, ["nothing"])


def test_an_engine_that_refuses_the_model_is_a_model_error(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("NoSuchOperator", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1,))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1,))],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    save_model(made, tmp_path / "odd.onnx")
    with pytest.raises(ModelError, match="NoSuchOperator"):
        run_onnx(tmp_path / "odd.onnx", {"x": np.zeros(1, np.float32)})


@pytest.fixture
def tflite_file(tmp_path):
    def write(data):
        path = tmp_path / "m.tflite"
        path.write_bytes(data)
        return path

    return write


def test_tflite_computes_what_numpy_computes(tflite_file):
    x = RNG.standard_normal((1, 4)).astype(np.float32)
    outputs = run_tflite(tflite_file(tiny["float_model"](signature=("image", "scores"))), {"image": x})
    assert np.allclose(outputs["scores"], x @ tiny["WEIGHTS"].T + tiny["BIAS"], atol=1e-6)


def test_quantized_inputs_and_outputs_are_real_values(tflite_file):
    """Requantization by hand: x to steps of 0.5 around 3, then to steps of 0.25 around -5, both saturating."""
    x = np.array([[-70, -1.2, -0.25, 0, 0.25, 0.5, 1, 90]], np.float32)
    q = np.clip(np.rint(x / 0.5) + 3, -128, 127)
    expected = (np.clip((q - 3) * 2 - 5, -128, 127) + 5) * 0.25
    assert np.array_equal(run_tflite(tflite_file(tiny["quantized_model"]()), {"x": x})["y"], expected)


def test_outputs_stay_as_they_were_when_the_model_runs_again(tflite_file):
    engine = TfliteReference(tflite_file(tiny["float_model"]()))
    first = engine.run({"first_x": np.ones((1, 4), np.float32)})["last_y"]
    kept = first.copy()
    engine.run({"first_x": np.zeros((1, 4), np.float32)})
    assert np.array_equal(first, kept), "an output must not be a view of the engine's memory"


def test_floats_are_not_cut_to_integers(tflite_file):
    engine = TfliteReference(tflite_file(tiny["float_model"]()))
    assert engine.run({"first_x": np.ones((1, 4), np.int64)})["last_y"].dtype == np.float32
    object.__setattr__(engine.inputs[0], "dtype", "int32")
    with pytest.raises(DataError, match="as int32"):
        engine.run({"first_x": np.ones((1, 4), np.float32)})


@pytest.mark.parametrize("name", ["ic_resnet8_int8", "kws_dscnn_int8", "ic_resnet8_float"])
def test_real_models_give_what_the_interpreter_gives(name):
    path = MLPERF / f"{name}.tflite"
    if not path.is_file():
        pytest.skip(f"the MLPerf Tiny model {path.name} is not there: this check against a real file did not run")
    interpreter = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = taken["quantization"]
    raw = RNG.integers(-128, 128, taken["shape"]).astype(taken["dtype"])
    interpreter.set_tensor(taken["index"], raw)
    interpreter.invoke()
    values = interpreter.get_tensor(given["index"])
    out_scale, out_zero = given["quantization"]
    expected = (values.astype(np.float32) - out_zero) * np.float32(out_scale) if out_scale else values
    real = (raw.astype(np.float32) - zero) * np.float32(scale) if scale else raw
    assert np.array_equal(run_tflite(path, {taken["name"]: real})[given["name"]], expected)


def test_inner_tensors_of_a_tflite_model_end_in_its_output():
    path = MLPERF / "ic_resnet8_int8.tflite"
    if not path.is_file():
        pytest.skip("the MLPerf Tiny model ic_resnet8_int8.tflite is not there: inner tensors were not checked")
    x = RNG.integers(0, 256, (1, 32, 32, 3)).astype(np.float32)
    inner = tflite_activations(path, {"input_1_int8": x})
    assert len(inner) == 16, "one tensor per operator"
    output = run_tflite(path, {"input_1_int8": x})["Identity_int8"]
    assert np.array_equal(inner["Identity_int8"], output)
    first = next(iter(inner))
    assert np.array_equal(tflite_activations(path, {"input_1_int8": x}, [first])[first], inner[first])
    with pytest.raises(DataError, match="no operator of the model makes it"):
        tflite_activations(path, {"input_1_int8": x}, ["nothing"])


TENSOR_TYPES = st.sampled_from(["int8", "uint8", "int16"])


@given(TENSOR_TYPES, st.floats(2**-13, 8, width=32), st.data())
def test_what_a_tensor_can_hold_survives_the_way_there_and_back(dtype, scale, data):
    limits = np.iinfo(dtype)
    zero = data.draw(st.integers(limits.min, limits.max))
    tensor = TfliteTensor(0, "t", (5,), (5,), dtype, (scale,), (zero,))
    steps = np.array(data.draw(st.lists(st.integers(limits.min, limits.max), min_size=5, max_size=5)), dtype)
    assert np.array_equal(quantize(dequantize(steps, tensor), tensor), steps)


@given(TENSOR_TYPES, st.lists(st.floats(-100, 100, width=32), min_size=5, max_size=5))
def test_quantization_is_off_by_half_a_step_at_most(dtype, values):
    tensor = TfliteTensor(0, "t", (5,), (5,), dtype, (1.0,), (100 if dtype == "uint8" else 0,))
    limits = np.iinfo(dtype)
    low, high = limits.min - tensor.zero_point[0], limits.max - tensor.zero_point[0]
    inside = np.clip(np.array(values, np.float32), low, high)
    assert np.max(np.abs(dequantize(quantize(inside, tensor), tensor) - inside)) <= 0.5


def test_per_channel_values_use_the_scale_of_their_slice():
    tensor = TfliteTensor(0, "w", (2, 3), (2, 3), "int8", (0.5, 2.0), (0, 0), axis=0)
    assert np.array_equal(dequantize(np.ones((2, 3), np.int8), tensor), [[0.5] * 3, [2.0] * 3])
