"""int8 as a whole: scales from ranges, integer arithmetic, and what the compiler and its emulator make of the graph."""

import dataclasses
import runpy
from pathlib import Path

import numpy as np
import onnx
import pytest

from profiles.errors import ConfigError, DataError, UnsupportedError
from targets.base import Scheme
from targets.calibration import CALIBRATORS, observe, ranges
from targets.onnx_watch import watch
from targets.tensorrt.formats.number_formats import fp16_scale
from targets.tensorrt.formats.quantize import library_of, tensor_errors, to_int8, to_int8_variants

nets = runpy.run_path(str(Path(__file__).parents[1] / "nets.py"))
node, const, weights, make = nets["node"], nets["const"], nets["weights"], nets["make"]
RTX = dataclasses.replace(nets["GPU"], parameters={"library": "tensorrt_rtx", "compute_capability": "8.6"})
JETSON = dataclasses.replace(nets["GPU"], parameters={"library": "tensorrt", "compute_capability": "8.7"})
#: Its float part stays in fp32, so that nothing but integers and their scales can differ.
SINGLE = dataclasses.replace(JETSON, formats=("fp32", "int8"))
DEVICES = pytest.mark.parametrize("device", [RTX, JETSON, SINGLE], ids=["rtx", "jetson", "fp32 rest"])


def residual(classes=10):
    """A small residual network: two blocks, one with a projection, average pooling and a linear layer."""
    sizes = {"w0": (16, 3, 3, 3), "w1": (16, 16, 3, 3), "w2": (16, 16, 3, 3)}
    sizes |= {"w3": (32, 16, 3, 3), "w4": (32, 32, 3, 3), "w5": (32, 16, 1, 1)}
    same = {"pads": [1] * 4}
    nodes = [
        node("Conv", ["x", "w0", "b0"], ["c0"], name="stem", **same),
        node("Relu", ["c0"], ["r0"], name="relu0"),
        node("Conv", ["r0", "w1", "b1"], ["c1"], name="first1", **same),
        node("Relu", ["c1"], ["r1"], name="relu1"),
        node("Conv", ["r1", "w2", "b2"], ["c2"], name="second1", **same),
        node("Add", ["c2", "r0"], ["a1"], name="add1"),
        node("Relu", ["a1"], ["r2"], name="relu2"),
        node("Conv", ["r2", "w3", "b3"], ["c3"], name="first2", strides=[2, 2], **same),
        node("Relu", ["c3"], ["r3"], name="relu3"),
        node("Conv", ["r3", "w4", "b4"], ["c4"], name="second2", **same),
        node("Conv", ["r2", "w5", "b5"], ["c5"], name="shortcut2", strides=[2, 2]),
        node("Add", ["c4", "c5"], ["a2"], name="add2"),
        node("Relu", ["a2"], ["r4"], name="relu4"),
        node("AveragePool", ["r4"], ["p"], name="pool", kernel_shape=[8, 8]),
        node("Flatten", ["p"], ["f"], name="flat"),
        node("Gemm", ["f", "w6", "b6"], ["y"], name="last", transB=1),
    ]
    constants = [weights(name, *shape) for name, shape in {**sizes, "w6": (classes, 32)}.items()]
    constants += [weights(f"b{index}", shape[0]) for index, shape in enumerate([*sizes.values(), (classes, 32)])]
    return make(nodes, constants, {"x": (1, 3, 16, 16)}, {"y": (1, classes)})


@pytest.fixture
def int8(tmp_path):
    """Quantizes a ``ModelProto``; gives the exported model and the calibration samples."""

    def quantized(model=None, device=RTX, count=8, calibration=None, **scheme):
        folder = tmp_path / f"work{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        source = nets["exported"](model or residual(), folder / "in.onnx")
        given = calibration or nets["samples"](model or residual(), count)
        return to_int8(source, given, device, Scheme("int8", **scheme), folder), given

    return quantized


def stored(exported):
    return nets["constants"](onnx.load(str(exported.onnx)))


def activation_scales(exported):
    graph, known = onnx.load(str(exported.onnx)).graph, stored(exported)
    return {
        n.name.removesuffix("_QuantizeLinear"): known[n.input[1]] for n in graph.node if n.op_type == "QuantizeLinear"
    }


@DEVICES
def test_everything_is_symmetric_int8_and_no_bias_is_quantized(int8, device):
    model, _ = int8(device=device)
    proto = onnx.load(str(model.onnx))
    onnx.checker.check_model(proto, full_check=True)
    known = nets["constants"](proto)
    pairs = [n for n in proto.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    quantized = {n.name.removesuffix("_QuantizeLinear") for n in pairs if n.op_type == "QuantizeLinear"}
    assert quantized == {"x", "r0", "r1", "r2", "r3", "c5", "r4", "f"}
    for pair in pairs:
        zero = known[pair.input[2]]
        assert zero.dtype == np.int8 and not zero.any(), f"the zero point of {pair.name}"
        assert np.all(known[pair.input[1]] > 0), f"the scale of {pair.name}"
    assert {name for name, values in known.items() if values.dtype == np.int8 and values.ndim > 1} == {
        f"w{index}_quantized" for index in range(7)
    }
    assert not any(name.startswith("b") and values.dtype == np.int8 for name, values in known.items())
    assert not any(n.input[0].startswith("b") for n in pairs), "a bias has no pair"


@pytest.mark.parametrize("calibrator", CALIBRATORS)
def test_scales_are_the_closed_form_of_the_calibrators_range(int8, calibrator):
    model, samples = int8(device=SINGLE, calibrator=calibrator, percentile=99.0)
    names = ["c5", "r0", "r2", "r4", "f"]
    seen = ranges(observe(watch(model.float_onnx, names, samples)), calibrator, 99.0)
    scales = activation_scales(model)
    for name in (*names, "x"):
        wanted = float(fp16_scale(np.array(max(abs(seen[name][0]), abs(seen[name][1])) / 127)))
        assert scales[name] == pytest.approx(wanted), f"{name}: range {seen[name]}"


def test_minmax_puts_the_largest_value_seen_at_127(int8):
    model, samples = int8(device=SINGLE)
    largest = max(np.abs(sample["x"]).max() for sample in samples)
    assert activation_scales(model)["x"] == fp16_scale(np.array(largest / 127))


def convolve(values, kernel, stride, pad):
    """Integer convolution of NCHW with OIHW, in int64, straight from the definition."""
    padded = np.pad(values.astype(np.int64), ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    size = kernel.shape[2:]
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(2, 3))[:, :, ::stride, ::stride]
    return np.einsum("nchwij,ocij->nohw", windows, kernel.astype(np.int64))


def number(given, name, otherwise):
    return next((a.ints[0] for a in given.attribute if a.name == name), otherwise)


def quantized_tensors(exported, sample):
    """Every tensor of the Q/DQ graph by name, as ONNX Runtime computes it without any optimization."""
    proto = onnx.load(str(exported.onnx))
    names = [name for n in proto.graph.node for name in n.output if name not in {o.name for o in proto.graph.output}]
    return proto, next(watch(exported.onnx, names, [sample])) | nets["constants"](proto)


def test_every_convolution_is_integer_arithmetic(int8):
    """ONNX Runtime, node by node, against int64 sums of int8 products, times both scales, plus the bias.

    All sums are below 2^24, so float32 would hold them exactly. ONNX Runtime multiplies dequantized values, each
    rounded once: n products and sums in float32 then differ by at most (n + 3) * 2^-24 of the sum of magnitudes.
    """
    model, _ = int8(device=SINGLE)
    proto, seen = quantized_tensors(model, nets["samples"](residual(), 1, seed=9)[0])
    makers = {n.output[0]: n for n in proto.graph.node}
    checked = 0
    for conv in (n for n in proto.graph.node if n.op_type == "Conv"):
        data, kernel = makers[conv.input[0]], makers[conv.input[1]]
        values, stored_kernel = seen[data.input[0]], seen[kernel.input[0]]
        assert values.dtype == stored_kernel.dtype == np.int8
        stride, pad = number(conv, "strides", 1), number(conv, "pads", 0)
        sums = convolve(values, stored_kernel, stride, pad)
        most = convolve(np.abs(values.astype(int)), np.abs(stored_kernel.astype(int)), stride, pad)
        assert most.max() < 2**24, f"{conv.name}: partial sums up to {most.max()}"
        scale = seen[data.input[1]].astype(float) * seen[kernel.input[1]].astype(float).reshape(1, -1, 1, 1)
        bias = seen[conv.input[2]].astype(float).reshape(1, -1, 1, 1)
        bound = (stored_kernel[0].size + 3) * 2.0**-24 * (most * scale + np.abs(bias))
        off = np.abs(seen[conv.output[0]] - (sums * scale + bias))
        assert np.all(off <= bound), f"{conv.name} is off by {off.max():.3g}, allowed {bound.max():.3g}"
        checked += 1
    assert checked == 6


def test_quantization_rounds_to_even_and_saturates(int8):
    model, _ = int8(device=SINGLE)
    sample = {"x": nets["samples"](residual(), 1)[0]["x"] * 3}
    proto, seen = quantized_tensors(model, sample)
    for pair in (n for n in proto.graph.node if n.op_type == "QuantizeLinear"):
        real = sample["x"] if pair.input[0] == "x" else seen[pair.input[0]]
        wanted = np.clip(np.rint(real / seen[pair.input[1]]), -128, 127)
        assert np.array_equal(seen[pair.output[0]], wanted), pair.name
    assert {-128, 127} <= set(np.unique(seen["x_QuantizeLinear_Output"])), "three times the calibrated range is cut"


def test_with_scales_that_are_powers_of_two_the_sums_are_exact(int8):
    """No rounding at all remains: ONNX Runtime's float32 result is the integer sum."""
    random = np.random.default_rng(3)
    kernel = random.integers(-127, 128, (8, 4, 3, 3))
    kernel[:, 0, 0, 0] = 127
    exponents = 2.0 ** -random.integers(5, 9, 8)
    nodes = [node("Conv", ["x", "w"], ["y"], name="conv", pads=[1] * 4)]
    floats = const("w", kernel * exponents.reshape(-1, 1, 1, 1))
    network = make(nodes, [floats], {"x": (1, 4, 6, 6)}, {"y": (1, 8, 6, 6)})
    values = random.integers(-127, 128, (1, 4, 6, 6))
    values[0, 0, 0, 0] = 127
    sample = {"x": (values / 16).astype(np.float32)}
    for device in (SINGLE, RTX):
        model, _ = int8(network, device, calibration=[sample])
        seen = nets["run"](onnx.load(str(model.onnx)), sample)["y"]
        exact = convolve(values, kernel, 1, 1) / 16 * exponents.reshape(1, -1, 1, 1)
        if device is SINGLE:
            assert np.array_equal(seen, exact)
        else:
            assert np.allclose(seen, exact, rtol=2**-9, atol=0), "fp16 rounds each sum and each product once"


@DEVICES
@pytest.mark.parametrize("per_channel", [True, False])
def test_the_signal_stays_far_above_the_noise(int8, device, per_channel):
    """Uniform quantization of normal values over 4 standard deviations leaves 40 dB; ten layers in a row cost 10."""
    model, samples = int8(device=device, count=16, per_channel=per_channel)
    reference = [nets["run"](residual(), sample) for sample in samples]
    seen = [nets["run"](onnx.load(str(model.onnx)), sample) for sample in samples]
    assert nets["sqnr"](reference, seen) > 28


def test_scales_of_weights_follow_the_scheme_and_the_library(int8):
    shapes = {}
    for name, device in (("rtx", RTX), ("jetson", JETSON)):
        for per_channel in (True, False):
            known = stored(int8(device=device, per_channel=per_channel)[0])
            shapes[name, per_channel] = known["w3_scale"].shape, known["w6_scale"].shape, "c3_factors" in known
    assert shapes == {
        ("rtx", True): ((), (10,), True),
        ("rtx", False): ((), (), False),
        ("jetson", True): ((32,), (10,), False),
        ("jetson", False): ((), (), False),
    }


def test_the_rest_is_fp16_unless_something_does_not_fit(int8):
    model, _ = int8()
    assert model.notes["float part"] == "fp16"
    kinds = nets["types"](onnx.load(str(model.onnx)))
    assert (kinds["x"], kinds["y"]) == (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT)
    assert kinds["c0"] == onnx.TensorProto.FLOAT16
    large = residual()
    tensor = next(t for t in large.graph.initializer if t.name == "b0")
    tensor.CopyFrom(const("b0", np.full(16, 6e4)))
    loud, _ = int8(large, calibration=[{"x": np.full((1, 3, 16, 16), 3e4, np.float32)}])
    assert loud.notes["float part"].startswith("fp32, because of")
    assert int8(device=SINGLE)[0].notes["float part"] == "fp32, because of hardware without fp16"


def test_notes_say_what_was_done(int8):
    model, _ = int8(calibrator="entropy")
    assert model.precision == "int8" and model.tflite is None and model.float_onnx.exists()
    assert {key: model.notes[key] for key in ("placement", "layers in int8", "calibrator", "calibration samples")} == {
        "placement": "default", "layers in int8": "7 of 7", "calibrator": "entropy", "calibration samples": "8",
    }  # fmt: skip
    assert "zero point" in model.notes["dialect"] or "symmetric" in model.notes["dialect"]


def test_errors_are_listed_by_node(int8):
    model, samples = int8(device=SINGLE)
    rows = {row.name: row for row in tensor_errors(model, samples[:2])}
    names = [n.name for n in residual().graph.node]
    assert list(rows) == names, "every node of the float graph, in its order"
    first = [next(watch(path, [name], [samples[0]])) for path, name in ((model.float_onnx, "c0"), (model.onnx, "c0"))]
    one = tensor_errors(model, samples[:1])[0]
    assert one.name == "stem" and one.op == "Conv"
    assert one.max_error == pytest.approx(np.abs(first[0]["c0"].astype(float) - first[1]["c0"]).max())
    assert rows["last"].sqnr > 25
    halves = {row.name for row in tensor_errors(int8()[0], samples[:2])}
    assert {"stem", "add1", "pool"} <= halves, "tensors in fp16 are compared too"
    assert tensor_errors(dataclasses.replace(model, float_onnx=None), samples) == []


def test_equal_inputs_give_equal_files(int8):
    first, second = (int8()[0].onnx.read_bytes() for _ in range(2))
    assert first == second


def test_every_variant_is_a_sound_graph_of_the_same_function(tmp_path):
    source = nets["exported"](residual(), tmp_path / "in.onnx")
    samples = nets["samples"](residual(), 4)
    reference = [nets["run"](residual(), sample) for sample in samples]
    found = list(to_int8_variants(source, samples, RTX, Scheme("int8"), tmp_path))
    assert found[0][0].name == "default"
    assert len({model.onnx for _, model in found}) == len(found) > 5
    for placement, model in found:
        proto = onnx.load(str(model.onnx))
        onnx.checker.check_model(proto, full_check=True)
        seen = [nets["run"](proto, sample) for sample in samples]
        assert nets["sqnr"](reference, seen) > 25, placement.name
        assert model.notes["placement"] == placement.name


def test_bad_calibration_is_refused(int8):
    samples = nets["samples"](residual(), 2)
    with pytest.raises(DataError, match="NaN"):
        int8(calibration=[{"x": samples[0]["x"] * np.float32(np.nan)}])
    with pytest.raises(DataError, match="shape"):
        int8(calibration=[{"x": samples[0]["x"][:, :2]}])
    with pytest.raises(ConfigError, match="calibrator"):
        int8(calibrator="guess")


def test_a_model_without_layers_is_refused(int8):
    nodes = [node("Sigmoid", ["x"], ["y"], name="only")]
    with pytest.raises(UnsupportedError, match="no layer that can be int8"):
        int8(make(nodes, [], {"x": (1, 4)}, {"y": (1, 4)}))


def test_one_convolution_alone_needs_only_its_input(int8):
    nodes = [node("Conv", ["x", "w"], ["y"], name="conv")]
    model, _ = int8(make(nodes, [weights("w", 4, 3, 1, 1)], {"x": (1, 3, 5, 5)}, {"y": (1, 4, 5, 5)}))
    assert set(activation_scales(model)) == {"x"}


@pytest.mark.parametrize(
    ("parameters", "library"),
    [
        ({"compute_capability": "8.9"}, "tensorrt_rtx"),
        ({"compute_capability": "8.7"}, "tensorrt"),
        ({"compute_capability": "8.9", "library": "tensorrt"}, "tensorrt"),
        ({}, "tensorrt"),
    ],
)
def test_the_library_follows_the_device(parameters, library):
    assert library_of(dataclasses.replace(RTX, parameters=parameters)) == library


def test_tensorrt_rtx_computes_in_int8(int8):
    """What the compiler planned: every layer multiplies int8, and its result is never written in fp32."""
    model, _ = int8()
    planned = nets["schedule"](onnx.load(str(model.onnx)), "int8", "8.6")
    layers = ["stem", "first1", "second1", "first2", "second2", "shortcut2", "last"]
    assert nets["computed"](planned, *layers) == dict.fromkeys(layers, "int8")
    written = {tensor.dtype for kernel in planned.kernels for tensor in kernel.outputs}
    assert written == {"int8", "fp16", "fp32"} and [
        k for k in planned.kernels if "fp32" in {t.dtype for t in k.outputs}
    ] == [planned.kernels[-1]], "fp32 is the output alone"


def test_scales_behind_the_convolution_move_fewer_bytes(tmp_path, int8):
    """Why TensorRT-RTX gets its scales per channel behind: in front, its convolutions write fp32."""
    moved = {}
    for name, device in (("behind", RTX), ("in front", JETSON)):
        proto = onnx.load(str(int8(device=device)[0].onnx))
        moved[name] = sum(kernel.bytes_moved for kernel in nets["schedule"](proto, "int8", "8.6").kernels)
    assert moved["behind"] < 0.8 * moved["in front"], moved


def test_older_operator_sets_are_raised(int8):
    nodes = [node("Conv", ["x", "w"], ["c"]), node("Relu", ["c"], ["r"]), node("Conv", ["r", "w"], ["y"])]
    old = make(nodes, [weights("w", 3, 3, 1, 1)], {"x": (1, 3, 5, 5)}, {"y": (1, 3, 5, 5)}, opset=13)
    proto = onnx.load(str(int8(old)[0].onnx))
    assert proto.opset_import[0].version >= 19
    names = [n.name for n in proto.graph.node if n.op_type == "Conv"]
    assert names == ["Conv_0", "Conv_2"], "nodes without names are called by their place in the source"


@pytest.mark.parametrize("opset", [19, 21])
def test_the_graph_is_standard_onnx_of_its_operator_set(int8, opset):
    nodes = [node("Conv", ["x", "w", "b"], ["c"], name="conv"), node("Relu", ["c"], ["y"], name="relu")]
    constants = [weights("w", 4, 3, 1, 1), weights("b", 4)]
    model, _ = int8(make(nodes, constants, {"x": (1, 3, 5, 5)}, {"y": (1, 4, 5, 5)}, opset=opset))
    proto = onnx.load(str(model.onnx))
    assert proto.opset_import[0].version == opset
    onnx.checker.check_model(proto, full_check=True)
    assert {n.domain for n in proto.graph.node} == {""}
    assert nets["computed"](nets["schedule"](proto, "int8", "8.6"), "conv") == {"conv": "int8"}


def test_only_float32_models_are_quantized(int8):
    again = onnx.load(str(int8(device=SINGLE)[0].onnx))
    with pytest.raises(UnsupportedError, match="float32 model") as error:
        int8(again)
    assert "quantized already" in error.value.seen
    nodes = [node("Cast", ["x"], ["h"], to=10), node("MatMul", ["h", "w"], ["m"]), node("Cast", ["m"], ["y"], to=1)]
    half = make(nodes, [const("w", np.ones((4, 4)), np.float16)], {"x": (1, 4)}, {"y": (1, 4)})
    with pytest.raises(UnsupportedError, match="float32 model") as error:
        int8(half)
    assert "float16" in error.value.seen


def test_weights_that_are_named_as_inputs_are_constants(tmp_path):
    """As ONNX demanded before IR version 4."""
    nodes = [node("Conv", ["x", "w"], ["y"], name="conv")]
    old = make(nodes, [weights("w", 4, 3, 1, 1)], {"x": (1, 3, 5, 5), "w": (4, 3, 1, 1)}, {"y": (1, 4, 5, 5)}, opset=8)
    old.ir_version = 3
    sample = {"x": nets["samples"](old, 1)[0]["x"]}
    source = nets["exported"](old, tmp_path / "in.onnx")
    model = to_int8(dataclasses.replace(source, inputs=source.inputs[:1]), [sample], RTX, Scheme("int8"), tmp_path)
    proto = onnx.load(str(model.onnx))
    assert [value.name for value in proto.graph.input] == ["x"] and "w_quantized" in nets["constants"](proto)
    assert nets["run"](proto, sample)["y"] == pytest.approx(nets["run"](old, sample)["y"], abs=0.2)
