"""Our ResNet-8 and DS-CNN, given the weights of MLPerf Tiny's own TFLite files, compute what these compute."""

import numpy as np
import pytest
import torch

from toolchain.frontend import ZOO

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def open_reference(path):
    tflite = pytest.importorskip("ai_edge_litert.interpreter", reason="SKIPPED: needs ai-edge-litert to run TFLite")
    kind = tflite.OpResolverType.BUILTIN_REF
    interpreter = tflite.Interpreter(str(path), experimental_op_resolver_type=kind)
    interpreter.allocate_tensors()
    return interpreter


def weights_in_order(interpreter):
    """(operator, weight, bias) of every layer that has them, as the file executes them."""
    for op in interpreter._get_ops_details():
        if op["op_name"] in WEIGHTED:
            yield op["op_name"], *(real_values(interpreter, int(index)) for index in op["inputs"][1:3])


def real_values(interpreter, index):
    """A constant as float32. The keyword spotting file stores its pointwise weights as int8, one scale per tensor."""
    detail = next(t for t in interpreter.get_tensor_details() if t["index"] == index)
    scale = detail["quantization"][0] or 1.0
    return interpreter.get_tensor(index).astype(np.float32) * np.float32(scale)


def give_weights(model, interpreter):
    """Fill our layers with the reference's, whose batch normalisation is already folded."""
    for norm in (m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.running_var.fill_(1 - norm.eps)
    layers = [m for m in model.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    found = list(weights_in_order(interpreter))
    assert len(layers) == len(found), f"we have {len(layers)} layers with weights, the reference {len(found)}"
    axes = {"CONV_2D": (0, 3, 1, 2), "DEPTHWISE_CONV_2D": (3, 0, 1, 2), "FULLY_CONNECTED": (0, 1)}
    for layer, (op, weight, bias) in zip(layers, found, strict=True):
        theirs = torch.from_numpy(weight.transpose(axes[op]).copy())
        assert layer.weight.shape == theirs.shape, f"{op}: ours is {layer.weight.shape}, theirs {theirs.shape}"
        layer.weight.data, layer.bias.data = theirs, torch.from_numpy(bias.copy())


@pytest.mark.parametrize(
    ("name", "file", "largest", "tolerance"),
    # TFLite computes layers with int8 weights on activations that it quantizes on the way
    [("resnet8", "ic_resnet8_float", 255, 2e-5), ("dscnn", "kws_dscnn_float", 60, 0.02)],
)
def test_same_numbers_as_the_reference(mlperf_dir, name, file, largest, tolerance):
    interpreter = open_reference(mlperf_dir / f"{file}.tflite")
    model = ZOO[name].build().eval()
    give_weights(model, interpreter)
    source, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    generator = np.random.default_rng(0)
    for _ in range(4):
        x = generator.uniform(0, largest, (1, *ZOO[name].input_shape[1:])).astype(np.float32)
        interpreter.set_tensor(source, x.transpose(0, 2, 3, 1).copy())
        interpreter.invoke()
        with torch.inference_mode():
            ours = torch.softmax(model(torch.from_numpy(x)), dim=1).numpy()
        np.testing.assert_allclose(ours, interpreter.get_tensor(result), atol=tolerance)
