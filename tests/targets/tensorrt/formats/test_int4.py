"""int4 weights: blocks and rounding against the definition, which layers take them, and what the compiler makes."""

import runpy
from pathlib import Path

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import onnx
import pytest
from onnx import TensorProto

from profiles.errors import UnsupportedError
from targets.base import Scheme
from targets.onnx_tools import weights_bytes
from targets.tensorrt.formats.int4 import block_size, quantized_weights, to_int4

nets = runpy.run_path(str(Path(__file__).parents[1] / "nets.py"))
WEIGHTS = hnp.arrays(np.float32, (3, 8), elements=st.floats(-20, 20, width=32))


def quantized(model, folder, calibrator="minmax"):
    return to_int4(
        nets["exported"](model, folder / "in.onnx"), nets["GPU"], Scheme("int4", calibrator=calibrator), folder
    )


def restored(values, scale, axis, block):
    return values * np.repeat(scale, block, axis=axis).astype(np.float64)


@hypothesis.given(WEIGHTS, st.sampled_from([1, 2, 4, 8]))
def test_every_weight_is_within_half_a_step_of_its_block(weights, block):
    values, scale = quantized_weights(weights, 1, block)
    assert values.shape == weights.shape and scale.shape == (3, 8 // block)
    assert np.max(np.abs(values)) <= 7 and values.dtype == np.int8
    for row in range(3):
        for start in range(0, 8, block):
            part, step = weights[row, start : start + block], float(scale[row, start // block])
            largest = float(np.max(np.abs(part)))
            assert step == 1 or largest / 7 <= step <= largest / 7 * (1 + 2**-9) + 2**-24
            error = np.abs(values[row, start : start + block] * step - part.astype(np.float64))
            assert np.max(error) <= 0.5001 * step, f"row {row}, block at {start}"


@hypothesis.given(WEIGHTS)
def test_the_axis_only_turns_the_matrix(weights):
    upright, scale = quantized_weights(weights, 1, 4)
    turned, other = quantized_weights(np.ascontiguousarray(weights.T), 0, 4)
    np.testing.assert_array_equal(turned, upright.T)
    np.testing.assert_array_equal(other, scale.T)


@hypothesis.given(WEIGHTS)
def test_searching_a_range_never_costs(weights):
    def error(search):
        values, scale = quantized_weights(weights, 1, 8, search=search)
        return np.sum((restored(values, scale, 1, 8) - weights) ** 2, axis=1)

    assert (error(True) <= error(False) * (1 + 1e-9)).all()


def test_searching_a_range_helps_a_block_with_one_large_weight():
    weights = np.random.default_rng(0).standard_normal((1, 128)).astype(np.float32)
    weights[0, 3] = 6.0
    errors = []
    for search in (False, True):
        values, scale = quantized_weights(weights, 1, 128, search=search)
        errors.append(float(np.sum((restored(values, scale, 1, 128) - weights) ** 2)))
    assert errors[1] < 0.9 * errors[0], errors


@pytest.mark.parametrize(("features", "block"), [(64, 64), (128, 128), (192, 64), (1280, 128), (2048, 128)])
def test_blocks_divide_the_features(features, block):
    assert block_size(features) == block


def test_what_is_stored_and_what_stays(tmp_path):
    model = nets["mlp"]()
    result = quantized(model, tmp_path)
    graph = onnx.load(result.onnx)
    onnx.checker.check_model(graph)
    assert max(entry.version for entry in graph.opset_import if not entry.domain) >= 21
    stored = {t.name: list(t.dims) for t in graph.graph.initializer if t.data_type == TensorProto.INT4}
    assert sorted(stored.values()) == [[64, 30], [128, 64], [128, 64]], stored
    assert result.notes["layers with int4 weights"] == "3 of 4"
    assert result.notes["left in fp16"] == "its input features are no multiple of 64: short"
    blocks = {n.name: {a.name: a.i for a in n.attribute} for n in graph.graph.node if n.op_type == "DequantizeLinear"}
    seen = sorted((given["axis"], given["block_size"]) for given in blocks.values())
    assert seen == [(0, 64), (0, 128), (1, 64)], blocks
    assert weights_bytes(graph) < 0.16 * weights_bytes(model), "4 bits, and 16 for every block of 64"


def test_a_convolution_stays_with_a_note(tmp_path):
    result = quantized(nets["cnn"](), tmp_path)
    assert "int4 weights are for matrix products: first, depthwise, wide, pointwise" in result.notes["left in fp16"]


def test_it_computes_with_the_weights_that_it_says(tmp_path):
    """Against float64 products of the dequantized weights: what is left is fp16's rounding."""
    model = nets["mlp"]()
    graph = onnx.load(quantized(model, tmp_path).onnx)
    given = nets["constants"](model)
    w = {}
    for name, axis, block in (("w1", 1, 64), ("w2", 0, 128), ("w3", 0, 64)):
        values, scale = quantized_weights(given[name], axis, block)
        w[name] = restored(values, scale, axis, block)
    for sample in nets["samples"](model, 3):
        hidden = np.maximum(sample["x"].astype(np.float64) @ w["w1"].T + given["b1"], 0)
        wanted = (hidden @ w["w2"] @ w["w3"]) @ given["w4"].T.astype(np.float64) + given["b4"]
        seen = nets["run"](graph, sample)["y"]
        assert np.max(np.abs(seen - wanted)) < 8e-3 * np.max(np.abs(wanted))


def test_it_computes_about_what_the_float_model_does(tmp_path):
    model = nets["mlp"]()
    inputs = nets["samples"](model, 8)
    for calibrator in ("minmax", "mse"):
        folder = tmp_path / calibrator
        folder.mkdir()
        graph = onnx.load(quantized(model, folder, calibrator).onnx)
        quality = nets["sqnr"]([nets["run"](model, x) for x in inputs], [nets["run"](graph, x) for x in inputs])
        assert quality > 12, f"{calibrator}: {quality:.1f} dB; 4 bits of normal weights leave about 18 dB a layer"


def test_it_compiles_and_reads_four_bits(tmp_path):
    graph = onnx.load(quantized(nets["mlp"](), tmp_path).onnx)
    for capability in ("8.6", "8.9", "12.0"):
        kernels = nets["schedule"](graph, "int4", capability).kernels
        formats = {tensor.dtype for kernel in kernels for tensor in kernel.inputs}
        assert "int4" in formats, f"kernels read {formats} on {capability}"


def test_a_device_without_int4_is_told_what_it_has(tmp_path):
    source = nets["exported"](nets["mlp"](), tmp_path / "in.onnx")
    with pytest.raises(UnsupportedError, match="fp32, fp16, int8"):
        to_int4(source, nets["OLD"], Scheme("int4"), tmp_path)


def test_a_model_without_a_fitting_layer_is_refused(tmp_path):
    nodes = [nets["node"]("Conv", ["x", "w"], ["y"], name="conv")]
    model = nets["make"](nodes, [nets["weights"]("w", 4, 4, 1, 1)], {"x": (1, 4, 2, 2)}, {"y": (1, 4, 2, 2)})
    with pytest.raises(UnsupportedError, match="int4 weights are for matrix products: conv"):
        quantized(model, tmp_path)
